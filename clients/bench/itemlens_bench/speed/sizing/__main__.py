"""Measure servers that hold made-up catalogues, beside what `itemlens size` says of them.

    python -m itemlens_bench.speed.sizing                                # an hour
    python -m itemlens_bench.speed.sizing small dense --json some.json   # 5 minutes

A server is filled, moved to a fitted space, asked while items and events are written, moved to another fitted space,
and started again. Memory is that of the server and its processes, looked at ten times a second.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from itemlens_bench.speed.sizing import spaces
from itemlens_bench.speed.sizing.catalogues import CATALOGUES, Catalogue
from itemlens_bench.speed.sizing.measured import AGAIN, MIB, SERVED, SETTINGS, Measured, measure
from itemlens_server.hardware import processor, processor_count
from itemlens_server.sizing import Shop, Size, size

console = Console()
COLUMNS = ("catalogue", "what", "measured, MiB", "formula, MiB", "formula / measured")


def described(of: Catalogue) -> Shop:
    """Return what `sizing` is told of a catalogue."""
    with tempfile.TemporaryDirectory() as models:
        return of.shop(Path(models) / spaces.write(Path(models), of))


def compared(found: Measured, formula: Size) -> dict[str, tuple[int, int]]:
    """Return what was measured and what the formula says, by what it is."""
    return {
        "memory, most": (found.peak, formula.peak),
        "memory, after serving": (found.memory_after[SERVED], formula.memory),
        "disk, at the end": (found.disk_after[AGAIN], formula.disk),
    }


def main() -> None:
    """Print a table, and write what was measured as JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [catalogue.name for catalogue in CATALOGUES]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {', '.join(names)}; default: all")
    parser.add_argument("--port", type=int, default=50981)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if unknown := set(given.names) - set(names):
        parser.error(f"there is no catalogue {min(unknown)!r}")
    table = Table(*COLUMNS, title=f"{processor_count()} processors, {processor()}")
    told = {}
    for of in (own for own in CATALOGUES if own.name in (given.names or names)):
        with tempfile.TemporaryDirectory() as work:
            found = measure(of, Path(work), given.port, lambda line: console.print(line, highlight=False))
        shop = described(of)
        for what, (own, formula) in compared(found, size(shop, SETTINGS)).items():
            table.add_row(of.name, what, f"{own / MIB:,.0f}", f"{formula / MIB:,.0f}", f"{formula / own:.2f}")
        table.add_row(of.name, "a list, ms of a core", f"{1000 * found.list_seconds:.1f}")
        told[of.name] = {"catalogue": asdict(of), "shop": asdict(shop), "measured": asdict(found)}
        if given.json:
            given.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    console.print(table)


if __name__ == "__main__":
    main()
