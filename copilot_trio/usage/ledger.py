"""Records of requests on their way into ``usage.sqlite3``, and what is asked of it. No request waits for a disk."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import trio

from . import queries
from .files import set_aside
from .record import UsageRecord
from .report import Event, Filters, Storage, Summary
from .store import MAX_BYTES, Store, StoreFull, open_store
from .tables import UsageUnavailable, is_damage, reading

logger = logging.getLogger(__name__)

WAITING = 10_000  # records
BATCH = 500  # records in one transaction
LINGER = 0.25  # seconds from a record to its being written, with all that come meanwhile
DRAIN = 5.0  # seconds for the last ones when the server stops

GIVE_WAY_AFTER = 20_000  # steps of SQLite's machine, about half a millisecond
PAUSE = 0.0005  # seconds

T = TypeVar("T")


class Ledger:
    """``now``: Unix seconds. What cannot be written is counted in ``lost`` and told of once, never raised."""

    def __init__(self, path: Path, now: Callable[[], float], *, max_bytes: int = MAX_BYTES) -> None:
        self.lost = 0
        self.max_bytes = max_bytes
        self._path = path
        self._now = now
        self._off = ""  # why nothing is recorded in this run
        self._failing = ""  # why nothing can be written at the moment
        self._overflowed = False
        self._damaged = False  # as a reader has found it
        self._store: Store | None = None
        self._into, self._waiting = trio.open_memory_channel[UsageRecord](WAITING)
        self._stopping = trio.Event()
        self._asking = trio.CapacityLimiter(1)

    def put(self, record: UsageRecord) -> None:
        """Never blocks, never raises."""
        if self._off:
            return
        try:
            self._into.send_nowait(record)
        except trio.ClosedResourceError:
            self.lost += 1
        except trio.WouldBlock:
            self.lost += 1
            if not self._overflowed:
                self._overflowed = True
                logger.warning("requests go unrecorded: more than %d wait to be written", WAITING)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then what was put is written, within ``DRAIN`` seconds. End it after whoever puts."""
        await self._write([])
        scope, done = trio.CancelScope(shield=True), trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write_all, scope, done)
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._into.close()
                self._stopping.set()
                with trio.move_on_after(DRAIN, shield=True):
                    await done.wait()
                scope.cancel("the time for the last records is over")
                self.lost += self._waiting.statistics().current_buffer_used
                if self.lost:
                    logger.warning("%d requests went unrecorded in this run", self.lost)

    async def summary(self, filters: Filters) -> Summary:
        """Raises ``UsageUnavailable``, as the others do."""
        return await self._ask(lambda file: queries.summary(file, filters, self._now()))

    async def recent(self, filters: Filters) -> list[Event]:
        return await self._ask(lambda file: queries.recent(file, filters, self._now()))

    async def storage(self) -> Storage:
        found = await self._ask(lambda file: queries.storage(file, self._path, self.max_bytes))
        return msgspec.structs.replace(found, lost=self.lost, last_compaction_error=self._failing or None)

    # ---- the writer

    async def _write_all(self, scope: trio.CancelScope, done: trio.Event) -> None:
        """Shielded by ``scope``: a cancelled ``run`` ends it by closing the channel, or else through that scope."""
        with scope:
            while batch := await self._next_batch():
                await self._write(batch)
            await trio.to_thread.run_sync(self._close, abandon_on_cancel=True)
        done.set()

    async def _next_batch(self) -> list[UsageRecord]:
        """Empty at the end."""
        try:
            batch = [await self._waiting.receive()]
        except trio.EndOfChannel:
            return []
        if self._waiting.statistics().current_buffer_used < BATCH:
            with trio.move_on_after(LINGER):
                await self._stopping.wait()
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while len(batch) < BATCH:
                batch.append(self._waiting.receive_nowait())
        return batch

    async def _write(self, batch: list[UsageRecord]) -> None:
        if self._off:
            return
        try:  # a thread that hangs must not keep the server from stopping
            await trio.to_thread.run_sync(self._write_now, batch, abandon_on_cancel=True)
        except UsageUnavailable as error:
            self._off = str(error)
            logger.warning("requests are not recorded in this run: %s", error)
        except (sqlite3.Error, OSError, StoreFull) as error:
            self.lost += len(batch)
            if str(error) != self._failing:
                self._failing = str(error)
                logger.warning("requests go unrecorded: %s: %s", self._path, error)
        else:
            if self._failing:
                self._failing = ""
                logger.info("requests are recorded again; %d were not", self.lost)

    def _write_now(self, batch: list[UsageRecord]) -> None:
        """In a thread. Without records: open the file, as far as it is not open."""
        if self._damaged:
            self._replace("a query found it so")
        store = self._opened()
        try:
            if batch:
                store.write(batch)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._replace(str(error))
            self._opened().write(batch)

    def _opened(self) -> Store:
        if self._store is not None and self._store.is_gone():
            self._close()
        if self._store is None:
            self._store = open_store(self._path, self.max_bytes, self._now)
        return self._store

    def _replace(self, why: str) -> None:
        replaced = self._store is not None and self._store.is_gone()  # by another process: that one is sound
        self._close()
        if not replaced:
            set_aside(self._path, self._now(), why)
        self._damaged = False

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None

    # ---- the readers

    async def _ask(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        if self._off:
            raise UsageUnavailable(self._off)
        async with self._asking:
            try:
                return await trio.to_thread.run_sync(self._read, ask)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise UsageUnavailable(f"{self._path} cannot be read: {error}. Try again.") from None
                self._damaged = True
                raise UsageUnavailable(
                    f"{self._path} is damaged ({error}). It will be set aside when the next request is recorded."
                ) from None

    def _read(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        with reading(self._path) as connection:
            connection.set_progress_handler(_give_way, GIVE_WAY_AFTER)
            return ask(connection)


def _give_way() -> int:
    """A long query leaves the processor, now and then, to the thread that carries the streams."""
    time.sleep(PAUSE)  # noqa: TID251 (no task waits here: this is a thread of its own)
    return 0  # go on
