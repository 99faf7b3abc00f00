"""The command line of all servers in this folder."""

from __future__ import annotations

import argparse
from pathlib import Path


def options() -> argparse.ArgumentParser:
    """The options that the harness gives to every server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True, help="cores to use")
    parser.add_argument("--graph", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--max-tokens", type=int, required=True)
    return parser
