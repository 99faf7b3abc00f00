"""The command line of every server here."""

from __future__ import annotations

import argparse
from pathlib import Path


def options() -> argparse.ArgumentParser:
    """What the harness tells a server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="cores to use")
    parser.add_argument("--graph", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--max-tokens", type=int, required=True)
    return parser
