"""Fixtures: commands that run in this process, and a server for them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from itemlens import Event
from itemlens_cli import commands
from support.command import Done, Run
from support.serving import Server, sample_items
from support.spaces import Tiny


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `itemlens` with arguments as the command line does, including its errors."""
    monkeypatch.setenv("COLUMNS", "250")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: Any) -> Done:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["itemlens", *map(str, arguments)])
        try:
            commands.run()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        return Done(status, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def server(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 60 items in the collection "shop" and a user who clicked one of them."""
    with Server(tiny.models, tmp_path_factory.mktemp("cli") / "data") as running:
        with running.client(collection="shop") as client:
            client.create_collection("shop", space=tiny.plain)
            client.upsert(sample_items(60)).raise_for_errors()
            client.record_events([Event("ann", "item-0000")]).raise_for_errors()
        yield running
