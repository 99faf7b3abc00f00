"""The tables of the store's file, and the migration from older formats."""

from __future__ import annotations

import sqlite3

from itemlens_server.errors import FailedPrecondition

FORMAT = 5
# How far each stream of events was recorded.
STREAMS = """CREATE TABLE streams (
    collection INTEGER NOT NULL, stream TEXT NOT NULL, position TEXT NOT NULL, previous TEXT NOT NULL,
    events INTEGER NOT NULL, lag INTEGER NOT NULL, time REAL NOT NULL, checksum INTEGER NOT NULL,
    PRIMARY KEY (collection, stream)) WITHOUT ROWID"""
# Keys that the server made for itself, by their use.
SECRETS = "CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL)"
# By row, since an index ends in the row: a start reads the events of each collection after the last one that it knows.
EVENTS_OF_COLLECTION = "CREATE INDEX events_collection ON events (collection)"
# The newest events of a user by type are found in the index alone.
EVENTS_OF_USER = "CREATE INDEX events_user ON events (collection, user_id, time, type, held)"
ORDERS = "CREATE INDEX events_order ON events (collection, user_id, order_id) WHERE order_id != ''"
TABLES = (
    """CREATE TABLE collections (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, space_id TEXT NOT NULL,
        created REAL NOT NULL, sequence INTEGER NOT NULL DEFAULT 0,
        -- Sequence number of the last write that deleted events: tables fitted before it must be fitted again.
        events_deleted INTEGER NOT NULL DEFAULT 0,
        -- JSON; empty: the default settings.
        settings TEXT NOT NULL DEFAULT '')""",
    # Deleted collections whose rows are still being deleted.
    "CREATE TABLE deleted_collections (id INTEGER PRIMARY KEY)",
    # The mark of the file of counts that belongs to a collection's events; deleted with any of them.
    "CREATE TABLE count_marks (collection INTEGER PRIMARY KEY, mark TEXT NOT NULL)",
    STREAMS,
    # An item whose contents change gets a new row: row numbers only grow, and a row's vectors never change. The code
    # calls a row's number its `label`. The module `checksums` computes the checksums of all tables; they are NULL in
    # rows written in format 2.
    """CREATE TABLE items (
        row INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, item_id TEXT NOT NULL,
        sequence INTEGER NOT NULL, document TEXT NOT NULL, document_checksum INTEGER, inputs_checksum INTEGER,
        UNIQUE (collection, item_id))""",
    # An item's contents: their position in the channel, and their hash.
    """CREATE TABLE inputs (
        row INTEGER NOT NULL, channel TEXT NOT NULL, position INTEGER NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (row, channel, position)) WITHOUT ROWID""",
    "CREATE INDEX inputs_content ON inputs (content)",
    # Data of contents that are not texts, such as a picture at the input size of one encoder.
    """CREATE TABLE pictures (
        content BLOB NOT NULL, encoder TEXT NOT NULL, data BLOB NOT NULL, checksum INTEGER,
        UNIQUE (content, encoder))""",
    """CREATE TABLE vectors (
        content BLOB NOT NULL, encoder TEXT NOT NULL, data BLOB NOT NULL, checksum INTEGER,
        UNIQUE (content, encoder))""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL, event_id TEXT NOT NULL,
        user_id TEXT NOT NULL, item_id TEXT NOT NULL, type INTEGER NOT NULL, time REAL NOT NULL,
        quantity REAL NOT NULL, value REAL, recommendation_id TEXT NOT NULL, sequence INTEGER NOT NULL,
        checksum INTEGER,
        -- held: 1 for an event of a mistaken time, which does not count.
        order_id TEXT NOT NULL DEFAULT '', own_type TEXT NOT NULL DEFAULT '', held INTEGER NOT NULL DEFAULT 0,
        UNIQUE (collection, event_id))""",
    EVENTS_OF_USER,
    ORDERS,
    SECRETS,
    EVENTS_OF_COLLECTION,
)
FROM_FORMAT_4 = (
    "ALTER TABLE collections ADD COLUMN settings TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE events ADD COLUMN order_id TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE events ADD COLUMN own_type TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE events ADD COLUMN held INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX events_user",
    EVENTS_OF_USER,
    ORDERS,
    STREAMS,
    SECRETS,
    EVENTS_OF_COLLECTION,
)
FROM_FORMAT_3 = (
    "CREATE TABLE count_marks (collection INTEGER PRIMARY KEY, mark TEXT NOT NULL)",
    *FROM_FORMAT_4,
)
# SQLite adds columns without rewriting the rows.
FROM_FORMAT_2 = (
    "CREATE TABLE deleted_collections (id INTEGER PRIMARY KEY)",
    "ALTER TABLE items ADD COLUMN document_checksum INTEGER",
    "ALTER TABLE items ADD COLUMN inputs_checksum INTEGER",
    "ALTER TABLE pictures ADD COLUMN checksum INTEGER",
    "ALTER TABLE vectors ADD COLUMN checksum INTEGER",
    "ALTER TABLE events ADD COLUMN checksum INTEGER",
    *FROM_FORMAT_3,
)
STATEMENTS = {0: TABLES, 2: FROM_FORMAT_2, 3: FROM_FORMAT_3, 4: FROM_FORMAT_4}
"""What leads from a format to this one; 0 is an empty file."""


def set_up(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty file, or migrate those of an older format, in one transaction.

    Raises:
        FailedPrecondition: the file has a format that this version does not read.
    """
    version = _version(connection)
    if version == FORMAT:
        return
    if version not in STATEMENTS:
        raise FailedPrecondition(
            f"the store has format {version}, but this server reads 2 to {FORMAT}: use a version that reads it"
        )
    connection.execute("BEGIN IMMEDIATE")
    for statement in STATEMENTS[version]:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={FORMAT}")
    connection.execute("COMMIT")


def check(connection: sqlite3.Connection) -> None:
    """Check the format for a reader.

    Raises:
        FailedPrecondition: the file has another format.
    """
    if (version := _version(connection)) != FORMAT:
        raise FailedPrecondition(
            f"the store has format {version}, not {FORMAT}: serve it once with this version, which converts it"
        )


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])
