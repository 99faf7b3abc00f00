"""Run as `python -m itemlens_cli`."""

from itemlens_cli import main

main()
