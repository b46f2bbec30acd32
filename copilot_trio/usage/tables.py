"""What ``usage.sqlite3`` consists of, how older files become newer ones, and how it is read. Blocks.

One row a request in ``requests``, until the file is full and the oldest go. ``hours`` has their sums by hour, model,
account and status, written in the same transaction: a summary reads some thousands of these instead of a million rows,
and still counts what has gone. Texts are in ``names``, once each.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

APPLICATION = 0x43547275  # marks the file as ours
BUSY = 5.0  # seconds to wait for another process
LAST_MOMENT = 253_402_300_799_000  # of the year 9999, in Unix ms

MIGRATIONS = (
    """
    CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE requests (
        id INTEGER PRIMARY KEY, time INTEGER NOT NULL, endpoint INTEGER NOT NULL, requested INTEGER NOT NULL,
        model INTEGER NOT NULL, account INTEGER NOT NULL, account_group INTEGER NOT NULL, stream INTEGER NOT NULL,
        initiator INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cached INTEGER NOT NULL,
        written INTEGER NOT NULL, nano INTEGER, status INTEGER NOT NULL, error INTEGER NOT NULL, ttft INTEGER,
        duration INTEGER NOT NULL, request BLOB NOT NULL
    );
    CREATE TABLE hours (
        hour INTEGER, model INTEGER, account INTEGER, status INTEGER,
        requests INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cached INTEGER NOT NULL,
        written INTEGER NOT NULL, nano INTEGER NOT NULL, unpriced INTEGER NOT NULL, duration INTEGER NOT NULL,
        ttft INTEGER NOT NULL, timed INTEGER NOT NULL,
        PRIMARY KEY (hour, model, account, status)
    ) WITHOUT ROWID;
    CREATE TABLE trims (id INTEGER PRIMARY KEY CHECK (id = 1), time INTEGER, before INTEGER, after INTEGER);
    """,
)
"""Each leads from the version of its index to the next; never change one, add one."""
VERSION = len(MIGRATIONS)


class UsageUnavailable(Exception):
    """The store cannot be used. It was left as it is; the message says why, and what to do."""


def is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write; no file reads like an empty one. Raises ``UsageUnavailable``, ``sqlite3.Error``.

    Works while another process writes, and where none does.
    """
    if not path.exists() or not path.stat().st_size:  # or nothing is in it yet
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            migrate(connection)
            yield connection
        return
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=BUSY, isolation_level=None)) as connection:
        refuse_others(connection, path)
        if _version_of(connection) < VERSION:
            raise UsageUnavailable(f"{path} is of an older version. Start this version's server once: it renews it.")
        with transaction(connection, "DEFERRED"):  # all queries see the same moment
            yield connection


@contextmanager
def transaction(connection: sqlite3.Connection, kind: str = "IMMEDIATE") -> Iterator[None]:
    connection.execute(f"BEGIN {kind}")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk has rolled it back already
            connection.execute("ROLLBACK")
        raise


def migrate(connection: sqlite3.Connection, steps: Sequence[str] = MIGRATIONS) -> None:
    """Bring a file up to date: all steps or none, by one process."""
    if _version_of(connection) == len(steps):
        return
    with transaction(connection):
        for step in steps[_version_of(connection) :]:
            for statement in step.split(";"):  # executescript would commit first
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {len(steps)}")


def refuse_others(connection: sqlite3.Connection, path: Path) -> None:
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and application != APPLICATION:
        raise UsageUnavailable(f"{path} is no usage store. Move it away.")
    if (version := _version_of(connection)) > VERSION:
        raise UsageUnavailable(f"{path} has version {version}, this program knows {VERSION}. Use the newer program.")


def _version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def storable(text: str) -> str:
    """As it is kept in ``names``."""
    return text[:200].encode("utf-8", "replace").decode()


def pack_id(text: str) -> bytes:
    """A UUID in 16 bytes, for a million of them are a good part of the file; any other text as it is."""
    with suppress(ValueError):
        packed = bytes.fromhex(text.replace("-", ""))
        if len(packed) == 16 and unpack_id(packed) == text:
            return packed
    return b"=" + text[:100].encode("utf-8", "replace")


def unpack_id(packed: bytes) -> str:
    if len(packed) == 16 and not packed.startswith(b"="):
        text = packed.hex()
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
    return packed[1:].decode("utf-8", "replace")
