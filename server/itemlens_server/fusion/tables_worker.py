"""The process of `tables_process`. It gets its priority first: its imports take most of a second."""

from __future__ import annotations

import os
import sys


def main(niceness: int) -> None:
    """Compute the tables of what standard input brings."""
    os.nice(niceness)
    from itemlens_server.fusion.tables_process import serve

    with open(0, "rb") as source, open(1, "wb") as result:
        serve(source, result)


if __name__ == "__main__":
    main(int(sys.argv[1]))
