"""The command `itemlens`. Each subcommand has its own module."""

from __future__ import annotations

import sys

from itemlens_server.stop_signals import StopSignals


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["serve"]:
        StopSignals.block()  # before the imports below, because numpy, for example, starts threads
    from itemlens_cli.commands import run

    run()
