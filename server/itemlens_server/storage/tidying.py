"""Background work of the writer: it empties deleted collections and releases free space to the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from itemlens_server.storage.slices import Slice
from itemlens_server.storage.writes import delete_rows

ROWS_AT_A_TIME = 200
# Share of free pages that may stay for the next writes.
MOST_FREE = 0.25
PAGES_AT_A_TIME = 64
# Value of PRAGMA auto_vacuum.
INCREMENTAL = 2


def tidy(connection: sqlite3.Connection, waiting: Callable[[], bool] = lambda: True) -> bool:
    """Do one slice of this work in the transaction of the caller. Return whether there was anything to do.

    waiting: returns whether writes wait for its end. The file records the remaining work, so it survives a restart.
    """
    time_slice, worked = Slice(waiting), False
    while _empty_collections(connection) or _give_back(connection):
        worked = True
        if time_slice.used():
            break
    return worked


def _empty_collections(connection: sqlite3.Connection) -> bool:
    """Delete some rows of a deleted collection, or its mark if no rows are left. Return whether there was one."""
    found = connection.execute("SELECT id FROM deleted_collections LIMIT 1").fetchone()
    if found is None:
        return False
    rows = connection.execute(
        "SELECT row FROM items WHERE collection = ? LIMIT ?", (*found, ROWS_AT_A_TIME)
    ).fetchall()
    delete_rows(connection, [row for (row,) in rows])
    events = connection.execute(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE collection = ? LIMIT ?)",
        (*found, ROWS_AT_A_TIME),
    ).rowcount
    if not rows and not events:
        connection.execute("DELETE FROM deleted_collections WHERE id = ?", found)
    return True


def _give_back(connection: sqlite3.Connection) -> bool:
    """Cut some free pages from the file if it has many. Return whether it had."""
    free, pages, mode = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("freelist_count", "page_count", "auto_vacuum")
    )
    # Files of format 2 cannot release pages until `itemlens compact`.
    if mode != INCREMENTAL or free <= MOST_FREE * pages:
        return False
    # Each page is cut as its row is fetched.
    connection.execute(f"PRAGMA incremental_vacuum({PAGES_AT_A_TIME})").fetchall()
    return True
