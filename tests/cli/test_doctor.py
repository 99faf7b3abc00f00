"""`itemlens doctor` names what is wrong, and does not fail because of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from itemlens_cli.commands import app
from itemlens_server.config import Settings
from itemlens_server.errors import InvalidArgument
from itemlens_server.storage import writes
from itemlens_server.storage.records import EventRecord
from itemlens_server.storage.store import Store
from support.spaces import Tiny


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


def test_a_damaged_store_is_reported(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "itemlens.db").write_bytes(b"this is no database, whatever its name says" * 100)
    code, said = doctor(tiny.models, tmp_path)
    assert code == 1 and "damaged" in said and "backup" in said


def test_damaged_rows_are_named(tiny: Tiny, tmp_path: Path) -> None:
    store = Store(tmp_path)
    collection = store.write(lambda c: writes.create_collection(c, "shop", "sp-1")).id
    store.write(lambda c: writes.record_events(c, collection, [EventRecord("e7", "u", "i", 3, 1.0)]))
    store.write(lambda c: c.execute("UPDATE events SET item_id = 'j'"))
    store.close()
    tmp_path.chmod(0o755)
    code, said = doctor(tiny.models, tmp_path)
    assert code == 1 and "damaged: event 'e7' of user 'u'" in said and f"chmod 700 {tmp_path}" in said


def test_damaged_answers_are_named(tiny: Tiny, tmp_path: Path) -> None:
    Store(tmp_path).close()
    (tmp_path / "answers.db").write_bytes(b"this is no database, whatever its name says" * 100)
    code, said = doctor(tiny.models, tmp_path)
    assert code == 1 and "answers" in said and "delete" in said and "answers.db while no server runs" in said


def test_a_missing_space_is_reported(tmp_path: Path) -> None:
    code, said = doctor(tmp_path / "models", tmp_path)
    assert code == 1 and "itemlens export" in said


@pytest.mark.parametrize("text", ["listen: [", "- a\n- list", "just words"])
def test_a_settings_file_without_settings_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "itemlens.yaml"
    file.write_text(text)
    with pytest.raises(InvalidArgument, match=r"itemlens\.yaml"):
        Settings.read(file)
