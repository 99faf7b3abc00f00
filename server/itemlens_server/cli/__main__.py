"""Run as `python -m itemlens_server.cli`."""

from itemlens_server.cli import main

main()
