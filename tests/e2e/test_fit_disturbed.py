"""`itemlens fit` that is interrupted, and beside many writes: nothing is half done, and nothing is lost."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from itemlens import Event, Item
from support.fitting import ITEMS, events, fit, start_fit
from support.serving import Server, sample_items
from support.spaces import Tiny

WRITERS, BATCH = 4, 10
# The command line in a process that says where it is and waits there. `SIGINT` has Python's own handler, which a parent
# in the background would have taken away.
HALTED = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
import {module} as module
def halt(*_, **__):
    print("halted", flush=True)
    threading.Event().wait()
module.{function} = halt
from itemlens_cli import main
main()
"""
MOMENTS = {
    "it reads": ("itemlens_server.services.fitting.fitting", "read"),
    "it fits": ("itemlens_server.services.fitting.fitting", "fit_behaviour"),
    "it writes the space": ("itemlens_server.engine.fitted", "publish"),
    "it moves the collection": ("itemlens_cli.fit", "_move"),
}


@pytest.fixture
def shop(tiny: Tiny, tmp_path: Path) -> Iterator[Server]:
    """A server on a separate model repository, since a fit adds to it."""
    models = tmp_path / "models"
    shutil.copytree(tiny.models / tiny.plain, models / tiny.plain)
    with Server(models, tmp_path / "data") as server:
        yield server


def interrupted(shop: Server, moment: str, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """A fit that was interrupted when it had come to this moment."""
    module, function = MOMENTS[moment]
    script = HALTED.format(module=module, function=function)
    with start_fit(shop.models, shop.data, "--force", "--target", shop.address, script=script) as process:
        assert process.stdout is not None
        said = ""
        while "halted" not in said:
            line = process.stdout.readline()
            assert line, said + process.communicate()[1]
            said += line
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, said + out, err)


def spaces_in(models: Path) -> set[str]:
    return {path.name for path in models.glob("sp-*")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_interrupted_fits_change_nothing_and_the_next_succeeds(shop: Server, number: signal.Signals) -> None:
    with shop.client() as client:
        client.upsert(sample_items(60)).raise_for_errors()

        def answer() -> tuple[str, list[tuple[str, float]]]:
            listed = client.recommend(liked=["item-0000"], k=10)
            return client.get_collection().space_id, [(item.item_id, item.score) for item in listed]

        before, complete = answer(), spaces_in(shop.models)
        for moment in MOMENTS:
            done = interrupted(shop, moment, number)
            assert done.returncode == (130 if number == signal.SIGINT else -number), done.stdout + done.stderr
            assert "Traceback" not in done.stderr
            if moment == "it moves the collection":
                [new] = (
                    spaces_in(shop.models) - complete
                )  # only the move is left, and the output names the space
                assert new in done.stdout
                complete.add(new)
            assert spaces_in(shop.models) == complete
            assert answer() == before
            if number == signal.SIGINT:
                assert not list(shop.models.glob(".fit-*"))

        again = fit(shop.models, shop.data, "--force", "--target", shop.address)
        assert again.returncode == 0 and "uses it now" in again.stdout, again.stdout + again.stderr
        assert client.get_collection().space_id in spaces_in(shop.models) - {before[0]}
        assert not list(shop.models.glob(".fit-*"))
        assert shop.healthy() and client.recommend(liked=["item-0000"], k=10)


class Writers:
    """Threads that write to a server at an even rate, until `stop`.

    acknowledged: number of writes, and the ids of new items. slowest: longest time of a call, seconds.
    """

    def __init__(self, server: Server, rate: int) -> None:
        self._server, self._rate = server, rate
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(WRITERS)
        self.started = time.monotonic()
        self._running = [self._pool.submit(self._write, number) for number in range(WRITERS)]

    def stop(self) -> None:
        self._stopping.set()
        ended = [running.result() for running in self._running]
        self._pool.shutdown()
        self.seconds = time.monotonic() - self.started
        self.events = sum(events for events, _, _ in ended)
        self.items = {item_id for _, item_ids, _ in ended for item_id in item_ids}
        self.slowest = max(slowest for _, _, slowest in ended)
        self.rate = (self.events + len(self.items)) / self.seconds

    def _write(self, number: int) -> tuple[int, list[str], float]:
        events, item_ids, slowest, call = 0, list[str](), 0.0, 0
        rng = random.Random(number)
        with self._server.client() as client:
            while not self._stopping.is_set():
                due = self.started + call * BATCH * WRITERS / self._rate
                self._stopping.wait(max(0.0, due - time.monotonic()))
                began, call = time.monotonic(), call + 1
                if call % 10:
                    batch = [
                        Event(f"w{rng.randrange(500)}", f"item-{rng.randrange(ITEMS):04d}")
                        for _ in range(BATCH)
                    ]
                    client.record_events(batch).raise_for_errors()
                    events += BATCH
                else:
                    items = [
                        Item(f"new-{number}-{call}-{n}", text=f"red shoe {rng.random()}")
                        for n in range(BATCH)
                    ]
                    client.upsert(items).raise_for_errors()
                    item_ids += [item.item_id for item in items]
                slowest = max(slowest, time.monotonic() - began)
        return events, item_ids, slowest


@pytest.mark.timeout(900)  # the fit and the writes share the processors
def test_a_fit_beside_a_thousand_writes_a_second_is_taken_and_nothing_is_lost(shop: Server) -> None:
    with shop.client() as client:
        # Arrange
        client.upsert(sample_items(ITEMS)).raise_for_errors()
        client.record_events(known := events()).raise_for_errors()
        before = client.get_collection().space_id
        alone = Writers(shop, rate=1000)  # what this machine reaches without a fit
        threading.Event().wait(2)
        alone.stop()
        # Act
        writers = Writers(shop, rate=1000)
        try:
            done = fit(shop.models, shop.data, "--target", shop.address, timeout=800)
        finally:
            writers.stop()
        # Assert
        assert done.returncode == 0 and "uses it now" in done.stdout, done.stdout + done.stderr
        print(
            f"{writers.rate:.0f} writes a second over {writers.seconds:.0f} s, slowest {writers.slowest:.2f} s"
        )
        assert writers.rate > 0.3 * alone.rate and writers.slowest < 5
        collection = client.get_collection()
        assert collection.space_id != before
        assert collection.event_count == len(known) + alone.events + writers.events
        stored = {entry.item.item_id for entry in client.list_items(page_size=1000)}
        assert stored == {item.item_id for item in sample_items(ITEMS)} | alone.items | writers.items
        assert client.recommend(text="red shoe").eligible_items == len(stored)
        answer = client.recommend(user_id="u0", k=10)
        why = client.explain([item.item_id for item in answer], recommendation_id=answer.recommendation_id)
        assert all(abs(explanation.residual) < 1e-4 for explanation in why)
    assert not [line for line in shop.log if "internal error" in line or "Traceback" in line]
