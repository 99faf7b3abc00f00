"""`itemlens doctor` names what is wrong, and is not itself stopped by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from itemlens_cli.commands import app
from itemlens_server.config import Settings
from itemlens_server.errors import InvalidArgument
from spaces import Tiny


def doctor(models: Path, data: Path) -> tuple[int, str]:
    run = CliRunner().invoke(
        app, ["doctor", "--models", str(models), "--data", str(data)], env={"COLUMNS": "200"}
    )
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exception
    return run.exit_code, run.output


def test_nothing_is_wrong(tiny: Tiny, tmp_path: Path) -> None:
    code, said = doctor(tiny.models, tmp_path)
    assert code == 0 and "nothing is wrong" in said and tiny.plain in said and "loads and runs" in said
    assert "itemlens-server" in said


def test_a_damaged_store_is_said(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "itemlens.db").write_bytes(b"this is no database, whatever its name says" * 100)
    code, said = doctor(tiny.models, tmp_path)
    assert code == 1 and "damaged" in said and "backup" in said


def test_no_space_is_said(tmp_path: Path) -> None:
    code, said = doctor(tmp_path / "models", tmp_path)
    assert code == 1 and "itemlens export" in said


@pytest.mark.parametrize("text", ["listen: [", "- a\n- list", "just words"])
def test_a_settings_file_that_is_none_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "itemlens.yaml"
    file.write_text(text)
    with pytest.raises(InvalidArgument, match=r"itemlens\.yaml"):
        Settings.read(file)
