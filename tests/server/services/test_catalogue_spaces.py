"""Errors on spaces say what is wrong, without the server's folders and other spaces."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from itemlens_server.errors import FailedPrecondition, NotFound
from support import spaces
from support.live import Live
from support.spaces import Tiny


def test_one_that_is_not_there(live: Live, tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NotFound) as error:
        live.catalogue.space("nope")
    assert error.value.message == "no space 'nope'"
    assert (error.value.resource_type, error.value.name, error.value.field) == ("space", "nope", "space")
    assert str(tiny.models) in caplog.text and tiny.plain in caplog.text


def test_one_that_is_damaged(tiny: Tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    models = Path(shutil.copytree(tiny.models, tmp_path / "models"))
    (models / tiny.other / "text.onnx").write_bytes(b"")
    repository = spaces.open_repository(models)
    live = Live(repository, tmp_path / "data", tiny.fitted)
    try:
        with pytest.raises(FailedPrecondition) as error:
            live.catalogue.space("other")
        assert error.value.message == "space 'other' cannot be loaded; the server's log says why"
        assert str(models) in caplog.text and "text.onnx" in caplog.text
    finally:
        live.close()
        repository.close()


def test_no_more_than_a_few_are_loaded_by_callers(tiny: Tiny, tmp_path: Path) -> None:
    repository = spaces.open_repository(tiny.models, max_idle_spaces=0)
    live = Live(repository, tmp_path, tiny.fitted)
    try:
        for call in (live.catalogue.space, lambda name: live.catalogue.create("c", name)):
            with pytest.raises(FailedPrecondition, match="max_idle_spaces"):
                call("other")
        assert live.catalogue.space("tiny").space_id == tiny.plain
    finally:
        live.close()
        repository.close()
