"""The process of `tables_process`. It gets its priority first: its imports take most of a second."""

from __future__ import annotations

import os
import sys


def main(niceness: int) -> None:
    """Compute tables of what standard input brings, until it ends."""
    os.nice(niceness)
    from itemlens_server.fusion.tables_process import serve

    # LAPACK prints its complaints to standard output, where they would be taken for tables.
    results = os.dup(1)
    os.dup2(2, 1)
    with open(0, "rb") as source, open(results, "wb") as result:
        serve(source, result)


if __name__ == "__main__":
    main(int(sys.argv[1]))
