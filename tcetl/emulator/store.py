"""The state of the instance: one SQLite database, many reading threads, one writer at a time."""

import itertools
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE indicator (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL,
    active INTEGER NOT NULL DEFAULT 1,
    type TEXT NOT NULL,
    key TEXT,                                 -- comparison form of the value; null for a File, found by its hashes
    value1 TEXT, value2 TEXT, value3 TEXT,    -- a File's md5, sha1, sha256
    rating REAL, confidence INTEGER,
    ta_rating REAL, ta_confidence REAL, ta_score INTEGER, cal_score INTEGER,
    active_locked INTEGER NOT NULL DEFAULT 0, private INTEGER NOT NULL DEFAULT 0,
    size INTEGER, dns_active INTEGER, whois_active INTEGER,
    observations INTEGER NOT NULL DEFAULT 0, last_observed TEXT,
    false_positives INTEGER NOT NULL DEFAULT 0, last_false_positive TEXT,
    first_seen TEXT, last_seen TEXT, external_added TEXT, external_expires TEXT, external_modified TEXT,
    date_added TEXT NOT NULL, last_modified TEXT NOT NULL,
    description TEXT,
    attributes TEXT, tags TEXT, labels TEXT,  -- JSON arrays as the v2 API shows them; null when empty
    occurrences TEXT,
    writes INTEGER NOT NULL DEFAULT 1         -- how often a batch item has written it
);
CREATE UNIQUE INDEX indicator_key ON indicator (owner, type, key);
CREATE INDEX indicator_owner ON indicator (owner, active);
CREATE INDEX file_md5 ON indicator (owner, value1) WHERE type = 'File';
CREATE INDEX file_sha1 ON indicator (owner, value2) WHERE type = 'File';
CREATE INDEX file_sha256 ON indicator (owner, value3) WHERE type = 'File';
CREATE TABLE deleted (
    id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, type TEXT NOT NULL, summary TEXT NOT NULL,
    date_added TEXT NOT NULL, deleted TEXT NOT NULL
);
CREATE TABLE "group" (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL, type TEXT NOT NULL, xid TEXT NOT NULL, name TEXT NOT NULL,
    date_added TEXT NOT NULL, last_modified TEXT NOT NULL,
    fields TEXT NOT NULL,                     -- JSON object of the type's own fields
    attributes TEXT, tags TEXT, labels TEXT,
    writes INTEGER NOT NULL DEFAULT 1,
    UNIQUE (owner, xid)
);
CREATE TABLE group_file (                     -- the files that groups have; id is the group's
    id INTEGER PRIMARY KEY, size INTEGER NOT NULL
);
CREATE TABLE link (                           -- associations; the left end has the smaller (kind, id)
    left_kind TEXT NOT NULL, left_id INTEGER NOT NULL,
    right_kind TEXT NOT NULL, right_id INTEGER NOT NULL,
    type TEXT NOT NULL DEFAULT '',
    writes INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (left_kind, left_id, right_kind, right_id, type)
) WITHOUT ROWID;
CREATE INDEX link_right ON link (right_kind, right_id);
CREATE TABLE label (
    name TEXT PRIMARY KEY, color TEXT NOT NULL, description TEXT NOT NULL, date_added TEXT NOT NULL
);
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner INTEGER NOT NULL, settings TEXT NOT NULL, status TEXT NOT NULL,
    uploads INTEGER NOT NULL DEFAULT 0,
    indicator_success INTEGER NOT NULL DEFAULT 0, indicator_error INTEGER NOT NULL DEFAULT 0,
    group_success INTEGER NOT NULL DEFAULT 0, group_error INTEGER NOT NULL DEFAULT 0,
    association_success INTEGER NOT NULL DEFAULT 0, association_error INTEGER NOT NULL DEFAULT 0,
    other_error INTEGER NOT NULL DEFAULT 0, unprocessed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE upload (                         -- the inputs that were accepted
    id INTEGER PRIMARY KEY, batch INTEGER NOT NULL, time TEXT NOT NULL, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL
);
CREATE TABLE batch_message (
    id INTEGER PRIMARY KEY, batch INTEGER NOT NULL, code TEXT NOT NULL, severity TEXT NOT NULL,
    reason TEXT NOT NULL, message TEXT NOT NULL, source TEXT NOT NULL
);
CREATE INDEX batch_message_batch ON batch_message (batch);
"""


class Store:
    """The database in *directory*, begun anew.

    Each thread reads through its own connection (write-ahead log: readers never wait). Writers take turns through
    :meth:`writing`, so that SQLite never reports a busy database.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._threads = threading.local()
        self._lock = threading.Lock()
        self._generations = itertools.count(1)
        self.clear()

    def clear(self) -> None:
        """Forget everything. A fresh file takes far less time than deleting a million rows."""
        with self._lock:
            self._path = self._directory / f"emulator-{next(self._generations)}.sqlite"
            for leftover in self._directory.glob("emulator-*.sqlite*"):
                leftover.unlink()
            self._attribute_ids = itertools.count(1)
            self.reader.executescript(_SCHEMA)

    @property
    def reader(self) -> sqlite3.Connection:
        """This thread's connection."""
        path, connection = getattr(self._threads, "opened", (None, None))
        if connection is None or path != self._path:
            path = self._path
            connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
            connection.row_factory = sqlite3.Row
            # Nothing outlives the process, so nothing need be flushed to the disk.
            connection.executescript(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768;"
                "PRAGMA mmap_size = 1073741824; PRAGMA temp_store = MEMORY;"
            )
            self._threads.opened = path, connection
        return connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed at the end, rolled back on an exception."""
        with self._lock:
            connection = self.reader
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def attribute_id(self) -> int:
        """A fresh attribute id."""
        return next(self._attribute_ids)

    def row(self, sql: str, *parameters: Any) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        found: sqlite3.Row | None = self.reader.execute(sql, parameters).fetchone()
        return found


def insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """Insert a row of *values* into *table* (names are ours, never the user's) and return its id."""
    sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})"  # noqa: S608
    return connection.execute(sql, tuple(values.values())).lastrowid or 0


def update(connection: sqlite3.Connection, table: str, id_: int, values: Mapping[str, Any]) -> None:
    """Set *values* in the row *id_* of *table*."""
    sql = f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in values)} WHERE id = ?"  # noqa: S608
    connection.execute(sql, (*values.values(), id_))
