"""What the writer does when nobody waits: deleted collections are emptied, and free space goes back to the disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from itemlens_server.storage.slices import Slice
from itemlens_server.storage.writes import delete_rows

ROWS_AT_A_TIME = 200
# Some free pages stay for the next writes.
MOST_FREE = 0.25
PAGES_AT_A_TIME = 64
# As PRAGMA auto_vacuum names it.
INCREMENTAL = 2


def tidy(connection: sqlite3.Connection, waiting: Callable[[], bool] = lambda: True) -> bool:
    """One slice of this work, in the transaction of the caller. Whether there was anything to do.

    waiting: whether others wait for its end. What is left is known from the file itself, so a restart loses nothing.
    """
    time_slice, worked = Slice(waiting), False
    while _empty_collections(connection) or _give_back(connection):
        worked = True
        if time_slice.used():
            break
    return worked


def _empty_collections(connection: sqlite3.Connection) -> bool:
    """Delete some rows of a deleted collection, and its mark once there are none. Whether there was one."""
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
    """Cut some free pages from the file where it has many. Whether it had."""
    free, pages, mode = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("freelist_count", "page_count", "auto_vacuum")
    )
    # Files of format 2 cannot give pages back until `itemlens compact`.
    if mode != INCREMENTAL or free <= MOST_FREE * pages:
        return False
    # Each page is cut as its row is fetched.
    connection.execute(f"PRAGMA incremental_vacuum({PAGES_AT_A_TIME})").fetchall()
    return True
