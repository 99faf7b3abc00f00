"""The command `itemlens`. Each subcommand has its own module."""

from __future__ import annotations

import os
import sys

from itemlens_server.stop_signals import StopSignals


def main() -> None:
    """Run the command line."""
    # gRPC would write a line for each handshake that fails. It reads this when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if sys.argv[1:2] == ["serve"]:
        StopSignals.block()  # before the imports below, because numpy, for example, starts threads
    from itemlens_cli.commands import run

    run()
