"""``usage.sqlite3`` opened for writing, and kept under its cap. Blocks."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .files import log_size, make_private, set_aside, size_of
from .record import UsageRecord
from .tables import BUSY, LAST_MOMENT, is_damage, migrate, pack_id, refuse_others, storable, transaction

MAX_BYTES = 64 * 1024 * 1024
POLL = 0.01  # seconds
FOLD_PAGES = 200  # of the write-ahead log, then they go into the file
DROPPED_AT_ONCE = 2000  # rows: a small transaction, for the log counts towards the size too
FREED_AT_ONCE = 500  # pages
MAX_NAMES = 2000  # clients make up names of models: beyond this, those that no row has any more go
MOST_TOKENS = 1 << 40  # whatever upstream says: sums over all rows must fit into 63 bits
MOST_NANO = 1 << 50

INSERT = f"INSERT INTO requests VALUES (NULL{', ?' * 18})"  # noqa: S608 (placeholders)
SUM_UP = """
    INSERT INTO hours
    SELECT time / 3600000, model, account, status, count(*), sum(input), sum(output), sum(cached), sum(written),
           coalesce(sum(nano), 0), sum(nano IS NULL AND input + output + cached + written > 0), sum(duration),
           coalesce(sum(ttft), 0), count(ttft)
    FROM requests WHERE id > ? GROUP BY 1, 2, 3, 4
    ON CONFLICT DO UPDATE SET
        requests = requests + excluded.requests, input = input + excluded.input, output = output + excluded.output,
        cached = cached + excluded.cached, written = written + excluded.written, nano = nano + excluded.nano,
        unpriced = unpriced + excluded.unpriced, duration = duration + excluded.duration, ttft = ttft + excluded.ttft,
        timed = timed + excluded.timed
"""
FORGET_NAMES = """
    DELETE FROM names WHERE id NOT IN (
        SELECT endpoint FROM requests UNION SELECT requested FROM requests UNION SELECT model FROM requests
        UNION SELECT account FROM requests UNION SELECT account_group FROM requests
        UNION SELECT initiator FROM requests UNION SELECT error FROM requests
        UNION SELECT model FROM hours UNION SELECT account FROM hours
    )
"""


class StoreFull(Exception):
    """There is no room under the cap that could be made."""


class Store:
    """The file, open for writing. ``max_bytes`` bounds it together with its write-ahead log.

    Raises ``UsageUnavailable`` for a file that is not ours to write, and, as all methods do, ``sqlite3.Error`` and
    ``OSError``. ``now``: Unix seconds. Any thread may use it, one at a time.
    """

    def __init__(self, path: Path, max_bytes: int, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._room = min(max(max_bytes // 16, 512 * 1024), 4 * 1024 * 1024)  # for the log, and for one batch
        self._most = max(max_bytes - 2 * self._room, 0)
        self._max_hours = max(self._most // 256, 1000)  # somewhat over a quarter of the file
        make_private(path)
        self._file = path.stat().st_ino
        self._connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        refuse_others(self._connection, self._path)
        self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only before the first table is made
        self._begin_log()
        for pragma in (
            "synchronous = NORMAL",  # a power cut may cost the last rows, never the file
            f"wal_autocheckpoint = {FOLD_PAGES}",
            f"journal_size_limit = {self._room}",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        migrate(self._connection)
        self._page = self._pragma("page_size")

    def _begin_log(self) -> None:
        """SQLite waits for no lock here: where two processes begin a file together, one of them has to ask again."""
        deadline, never = time.monotonic() + BUSY, threading.Event()
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            never.wait(POLL)

    def close(self) -> None:
        self._connection.close()

    def is_gone(self) -> bool:
        """Whether somebody removed or replaced the file: what is written now would be lost with the old one."""
        try:
            return self._path.stat().st_ino != self._file
        except FileNotFoundError:
            return True

    def write(self, records: Sequence[UsageRecord]) -> None:
        """All of them or, where it raises, none. Makes room first. Raises ``StoreFull`` too."""
        self._make_room()
        with transaction(self._connection):
            last = self._connection.execute("SELECT coalesce(max(id), 0) FROM requests").fetchone()[0]
            known: dict[str, int] = {}
            self._connection.executemany(INSERT, [self._row(record, known) for record in records])
            self._connection.execute(SUM_UP, (last,))

    def _row(self, record: UsageRecord, known: dict[str, int]) -> tuple[int | bytes | None, ...]:
        def name(text: str) -> int:
            found = known.get(text)
            if found is None:
                found = known[text] = self._name(storable(text))
            return found

        return (
            _within(record.time_ms, LAST_MOMENT),
            name(record.endpoint),
            name(record.requested_model),
            name(record.upstream_model),
            name(record.account),
            name(record.group),
            record.stream,
            name(record.initiator),
            _within(record.input_tokens, MOST_TOKENS),
            _within(record.output_tokens, MOST_TOKENS),
            _within(record.cache_read_tokens, MOST_TOKENS),
            _within(record.cache_write_tokens, MOST_TOKENS),
            None if record.nano_aiu is None else _within(record.nano_aiu, MOST_NANO),
            _within(record.status, 999),
            name(record.error),
            None if record.ttft_ms is None else _within(record.ttft_ms, MOST_TOKENS),
            _within(record.duration_ms, MOST_TOKENS),
            pack_id(record.request_id),
        )

    def _name(self, text: str) -> int:
        found = self._connection.execute("SELECT id FROM names WHERE text = ?", (text,)).fetchone()
        if found is None:
            found = self._connection.execute("INSERT INTO names (text) VALUES (?) RETURNING id", (text,)).fetchone()
        return int(found[0])

    def _make_room(self) -> None:
        if self._pragma("page_count") * self._page > self._most:
            self._trim()
        if log_size(self._path) > self._room:
            self._fold()
            if log_size(self._path) > self._room:
                raise StoreFull("another program that reads it keeps its write-ahead log from being cleared")

    def _trim(self) -> None:
        """Drop the oldest rows, somewhat more than needed, so that it is not done for every batch."""
        before = size_of(self._path)
        enough = self._most // 16 * 15
        (hours,) = self._connection.execute("SELECT count(*) FROM hours").fetchone()
        if hours > self._max_hours:
            newest = "SELECT hour FROM hours ORDER BY hour DESC LIMIT 1 OFFSET ?"
            self._connection.execute(f"DELETE FROM hours WHERE hour < ({newest})", (self._max_hours // 16 * 15,))  # noqa: S608
        while self._used() > enough and self._drop_oldest():
            pass
        if self._connection.execute("SELECT count(*) FROM names").fetchone()[0] > MAX_NAMES:
            self._connection.execute(FORGET_NAMES)
        while self._pragma("page_count") * self._page > self._most and self._pragma("freelist_count"):
            self._connection.execute(f"PRAGMA incremental_vacuum({FREED_AT_ONCE})").fetchall()  # a page at each step
        self._fold()
        row = (int(self._now() * 1000), before, size_of(self._path))
        self._connection.execute("INSERT OR REPLACE INTO trims VALUES (1, ?, ?, ?)", row)

    def _used(self) -> int:
        return (self._pragma("page_count") - self._pragma("freelist_count")) * self._page

    def _drop_oldest(self) -> int:
        oldest = "SELECT min(id) + ? FROM requests"
        dropped = self._connection.execute(f"DELETE FROM requests WHERE id < ({oldest})", (DROPPED_AT_ONCE,))  # noqa: S608
        return dropped.rowcount

    def _fold(self) -> None:
        """Move the write-ahead log into the file, as far as readers allow."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])


def open_store(path: Path, max_bytes: int, now: Callable[[], float]) -> Store:
    """As :class:`Store`; a damaged file is set aside first, with a warning."""
    try:
        return Store(path, max_bytes, now)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        set_aside(path, now(), str(error))
        return Store(path, max_bytes, now)


def _within(value: int, most: int) -> int:
    return min(max(value, 0), most)
