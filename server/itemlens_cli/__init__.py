"""The command `itemlens`, one module a subcommand."""

from __future__ import annotations

import sys

from itemlens_server.stop_signals import StopSignals


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["serve"]:
        StopSignals.block()  # before the imports below: numpy's, for one, starts threads
    from itemlens_cli.commands import run

    run()
