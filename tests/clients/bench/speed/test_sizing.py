"""The measurement of memory and disk beside `itemlens size`: with a very small catalogue, but a real server."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from itemlens_bench.speed.sizing import __main__ as sizing
from itemlens_bench.speed.sizing import measured, spaces
from itemlens_bench.speed.sizing.catalogues import CATALOGUES, Catalogue
from itemlens_bench.speed.sizing.memory import Watch, highest, memory, on_disk
from itemlens_server.engine.manifest import Manifest
from itemlens_server.sizing import size

MIB = 1 << 20
TINY = Catalogue("tiny", 300, (8, 6), users=20, events=400, strings=2, numbers=3, fitted=True)


def test_five_catalogues_differ_in_items_channels_dims_and_events() -> None:
    assert len(CATALOGUES) >= 6
    for values in (
        {c.items for c in CATALOGUES},
        {c.dims for c in CATALOGUES},
        {c.events for c in CATALOGUES},
    ):
        assert len(values) >= 4


def test_a_catalogue_is_the_same_each_time_and_as_it_is_described(tmp_path: Path) -> None:
    items, events = list(TINY.catalogue()), list(TINY.history())
    assert [i.item_id for i in items] == [i.item_id for i in TINY.catalogue()]
    assert len(items) == 300 and set(items[0].external) == {"c0", "c1"}
    assert len(items[0].attributes) == 1 + 2 + 3 and len(str(items[0].attributes["title"])) == 40
    assert len(events) == 400 and {e.item_id for e in events} <= {i.item_id for i in items}
    few = replace(TINY, taken=7)
    assert len({event.item_id for event in few.history()}) == 7
    shop = few.shop(tmp_path)
    assert (shop.items, shop.taken, shop.attributes, [c.dim for c in shop.channels]) == (300, 7, 5, [8, 6])


def test_each_fit_is_another_space_with_the_same_encoders(tmp_path: Path) -> None:
    space = spaces.write(tmp_path, TINY)
    fits = [spaces.write_fitted(tmp_path, space, number) for number in (1, 2)]
    assert len({space, *fits}) == 3
    manifests = [Manifest.load(tmp_path / own) for own in (space, *fits)]
    assert len({str(manifest.encoders) for manifest in manifests}) == 1


def test_memory_is_that_of_a_process_and_of_its_children() -> None:
    child = f"x = bytearray({50 * MIB}); x[::4096] = x[::4096]; print(); import time; time.sleep(60)"
    command = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        both = memory(process.pid)
        [started] = psutil.Process(process.pid).children()
        started.kill()
    assert 50 * MIB < both < 150 * MIB
    assert memory(process.pid) == highest(process.pid) == 0


# A process of its own: in one that has run other tests, new objects take memory that old ones have left. It takes 80
# MiB and gives them back, at the beginning and for each line that it reads.
TAKES = """
import sys, time
def take():
    kept = bytearray(80 << 20)
    kept[::4096] = b"x" * len(kept[::4096])
    time.sleep(0.5)
take()
print("taken", flush=True)
for line in sys.stdin:
    take()
    print("taken", flush=True)
"""


def test_a_watch_notes_the_most_of_each_phase(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TAKES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        with Watch(process.pid, tmp_path) as watch:
            with watch.phase("more"):
                (tmp_path / "file").write_bytes(b"x" * MIB)
                process.stdin.write("\n")
                process.stdin.flush()
                assert process.stdout.readline() == "taken\n"
            with watch.phase("less"):
                (tmp_path / "file").unlink()
                time.sleep(0.3)
        process.stdin.close()
    assert watch.memory["more"] > watch.memory["less"] + 60 * MIB
    assert watch.memory["start"] > watch.memory["less"], "what was before the watch"
    assert watch.disk["more"] == MIB and on_disk(tmp_path) == 0


def test_a_server_is_measured_in_all_phases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "LISTS", 20)
    monkeypatch.setattr(measured, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(measured, "LOOK_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    said: list[str] = []
    found = measured.measure(TINY, tmp_path, port, said.append)
    phases = ["load", "fit", "serve", "fit again", "start again"]
    assert [line.split(",")[1].split(":")[0].strip() for line in said] == phases
    assert list(found.memory_after) == list(found.disk_after) == phases
    assert all(found.memory[phase] >= 0.9 * found.memory_after[phase] > 50 * MIB for phase in phases)
    assert found.list_seconds > 0
    shop = sizing.described(TINY)
    for own, formula in sizing.compared(found, size(shop, measured.SETTINGS)).values():
        assert 0.5 < formula / own < 2
