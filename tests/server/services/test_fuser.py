"""Errors of Fuse's inputs."""

from __future__ import annotations

from itemlens_server.engine.call_context import CallContext
from itemlens_server.services import Content, FuseInput, VectorInput
from support.live import Live


def test_what_was_noticed_of_an_input_that_fails_is_said_too(live: Live) -> None:
    long = Content("text", "text", "red shoe " * 1000)
    wrong = VectorInput(b"", 3, "CHANNEL", "", "image")
    _, [good, bad] = live.use_cases.fuser.fuse(
        "", "ITEM", [FuseInput([long]), FuseInput([long], [wrong])], (), CallContext()
    )
    assert good.error is None and [w.reason for w in good.warnings] == ["TEXT_TRUNCATED"]
    assert bad.error is not None and bad.warnings == good.warnings
