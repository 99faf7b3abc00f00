from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

from itemlens_bench.speed.sizing.catalogues import Catalogue
from itemlens_bench.speed.sizing.measured import measure

CATALOGUES = (
    Catalogue("small", 5_000, (384,)),
    Catalogue("shop", 30_000, (), users=20_000, events=500_000, fitted=True),
    Catalogue("large", 100_000, (384,)),
    Catalogue("dense", 3_000, (64,), users=5_000, events=300_000, fitted=True),
    Catalogue("attributes", 20_000, (64, 128, 256, 384), users=2_000, events=20_000, strings=20, numbers=10),
)

def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--port", type=int, default=50981)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    for c in CATALOGUES:
        if given.names and c.name not in given.names:
            continue
        with tempfile.TemporaryDirectory() as work:
            m = measure(c, Path(work), given.port, lambda s: print(s, flush=True))
            out = {"catalogue": asdict(c), **asdict(m)}
            print(json.dumps(out))
            if given.json:
                given.json.with_name(f"{given.json.stem}-{c.name}.json").write_text(json.dumps(out, indent=1))
main()
