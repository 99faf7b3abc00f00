"""A made-up data set on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from rich.console import Console

import itemlens
from itemlens_bench.quality.ask import Asking
from itemlens_bench.quality.behaviour import served
from itemlens_bench.quality.behaviour.split import Split
from support.made_up_baskets import ITEMS, USERS, ask, circle, split
from support.serving import Server
from support.spaces import Tiny


@pytest.fixture(scope="package")
def data() -> Split:
    """Each user is asked for the next two of the circle, and for what they had last again."""
    questions = [ask(user, (user + 15) % ITEMS, (user + 18) % ITEMS) for user in range(USERS)]
    made = split([circle(user) for user in range(USERS)], ITEMS, questions)
    texts = tuple("" if n == 7 else f"red shoe number {n}" for n in range(ITEMS))
    return replace(
        made, name="Made_Up", texts=texts, attributes=tuple({"third": [f"t{n % 3}"]} for n in range(ITEMS))
    )


@pytest.fixture(scope="package")
def asking(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    # The server's default space is a fitted one, so that nothing has to be fitted.
    with Server(tiny.models, tmp_path_factory.mktemp("served")) as server, server.client() as client:
        yield Asking(client, Console(quiet=True))


@pytest.fixture(scope="package")
def client(asking: Asking, data: Split) -> itemlens.Client:
    """A client of the server, which has the data set."""
    served.prepare(asking, data, None)
    return asking.client
