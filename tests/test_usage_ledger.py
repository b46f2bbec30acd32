"""Records on their way into the store: late, in order, never in a request's way; and what is lost is told of."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing
from usage_of import NOW, answer, damage, fill, record

from copilot_trio.usage.ledger import BATCH, DRAIN, LINGER, WAITING, Ledger
from copilot_trio.usage.report import Filters
from copilot_trio.usage.tables import VERSION, UsageUnavailable

ALL = Filters(range="all", limit=100)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "usage.sqlite3"


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="copilot_trio.usage")
    return caplog


def make(path: Path) -> Ledger:
    return Ledger(path, lambda: NOW)


async def started(ledger: Ledger, nursery: trio.Nursery) -> trio.CancelScope:
    """The scope that ends it."""
    scope = trio.CancelScope()

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        with scope:
            await ledger.run(task_status=task_status)

    await nursery.start(run)
    return scope


async def ended(ledger: Ledger, *, put: int = 0) -> None:
    """Started, given so many records, and stopped at once."""
    async with trio.open_nursery() as nursery:
        await nursery.start(ledger.run)
        for _ in range(put):
            ledger.put(record())
        nursery.cancel_scope.cancel("test")


async def count(ledger: Ledger) -> int:
    return (await ledger.summary(ALL)).totals.request_count


def content(path: Path) -> bytes:
    return path.read_bytes()


def make_garbage(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"\xff" * 10_000)


def make_directory(path: Path) -> None:
    path.mkdir(parents=True)


@contextmanager
def write_lock(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


async def test_a_record_is_written_after_a_moment(path: Path, nursery: trio.Nursery) -> None:
    ledger = make(path)
    await started(ledger, nursery)
    assert await ledger.recent(ALL) == []
    before = trio.current_time()
    ledger.put(record())
    assert trio.current_time() == before
    await trio.sleep(2 * LINGER)
    (event,) = await ledger.recent(ALL)
    assert event.account_label == "work"
    assert await count(ledger) == 1
    assert (await ledger.storage()).rows == 1


async def test_what_comes_together_is_written_together_and_in_order(path: Path, nursery: trio.Nursery) -> None:
    ledger = make(path)
    await started(ledger, nursery)
    for number in range(3 * BATCH + 10):
        ledger.put(record(duration_ms=number))
    await trio.sleep(1)
    assert await count(ledger) == 3 * BATCH + 10
    assert [event.duration_ms for event in await ledger.recent(ALL)] == list(range(3 * BATCH + 9, 3 * BATCH - 91, -1))


async def test_a_stop_writes_what_was_put(path: Path) -> None:
    ledger = make(path)
    await ended(ledger, put=2 * BATCH + 1)
    assert answer(path, "SELECT count(*) FROM requests") == [(2 * BATCH + 1,)]
    assert ledger.lost == 0
    assert not path.with_name("usage.sqlite3-wal").exists()  # it was closed


async def test_what_was_put_before_the_start_is_written_too(path: Path) -> None:
    ledger = make(path)
    ledger.put(record())
    await ended(ledger)
    assert await count(ledger) == 1


async def test_a_record_after_the_end_is_counted(path: Path) -> None:
    ledger = make(path)
    await ended(ledger)
    ledger.put(record())
    assert ledger.lost == 1


async def test_a_full_channel_drops_counts_and_tells_once(path: Path, told: pytest.LogCaptureFixture) -> None:
    ledger = make(path)
    for _ in range(WAITING + 5):
        ledger.put(record())
    assert ledger.lost == 5
    assert len(told.records) == 1
    await ended(ledger)
    assert await count(ledger) == WAITING
    assert "5 requests went unrecorded" in told.text


async def test_a_full_disk_is_told_of_once_and_recovered_from(
    path: Path, nursery: trio.Nursery, told: pytest.LogCaptureFixture
) -> None:
    ledger = make(path)
    await started(ledger, nursery)
    assert ledger._store
    disk = ledger._store._connection
    disk.execute("PRAGMA max_page_count = 1")  # SQLite raises it to what there is
    for _ in range(3):
        for _ in range(BATCH):
            ledger.put(record())
        await trio.sleep(1)
    assert ledger.lost > 0
    assert "full" in str((await ledger.storage()).last_compaction_error)
    assert len(told.records) == 1
    disk.execute("PRAGMA max_page_count = 100000")
    ledger.put(record())
    await trio.sleep(1)
    stored = await ledger.storage()
    assert (stored.last_compaction_error, stored.lost) == (None, ledger.lost)
    assert await count(ledger) + ledger.lost == 3 * BATCH + 1
    assert "recorded again" in told.records[-1].message


async def test_a_locked_file_costs_the_batch_only(path: Path, nursery: trio.Nursery) -> None:
    ledger = make(path)
    await started(ledger, nursery)
    assert ledger._store
    ledger._store._connection.execute("PRAGMA busy_timeout = 0")
    with write_lock(path):
        ledger.put(record())
        await trio.sleep(1)
        assert ledger.lost == 1
        assert await count(ledger) == 0  # readers do not wait
    ledger.put(record())
    await trio.sleep(1)
    assert await count(ledger) == 1


async def test_a_disk_that_hangs_does_not_keep_the_server_from_stopping(path: Path, nursery: trio.Nursery) -> None:
    ledger = make(path)
    scope = await started(ledger, nursery)
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, trio.testing.MockClock)
    store = ledger._store
    assert store
    with write_lock(path):
        for _ in range(2 * BATCH):
            ledger.put(record())
        await trio.testing.wait_all_tasks_blocked()
        scope.cancel("the server stops")
        await trio.testing.wait_all_tasks_blocked()  # now the thread waits for the lock
        clock.jump(DRAIN + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert ledger.lost == BATCH  # what the thread has may still be written
    limiter = trio.to_thread.current_default_thread_limiter()
    for _ in iter(lambda: limiter.borrowed_tokens, 0):  # until the thread is done
        await trio.lowlevel.checkpoint()
    assert answer(path, "SELECT count(*) FROM requests") == [(BATCH,)]
    store.close()


async def test_a_newer_file_turns_usage_off_for_this_run(path: Path, told: pytest.LogCaptureFixture) -> None:
    fill(path, [record()])
    answer(path, f"PRAGMA user_version = {VERSION + 1}")
    before = content(path)
    ledger = make(path)
    ledger.put(record())
    await ended(ledger, put=3)
    with pytest.raises(UsageUnavailable, match="newer program"):
        await ledger.summary(ALL)
    assert content(path) == before
    assert ledger.lost == 0
    assert len(told.records) == 1


async def test_a_damaged_file_is_set_aside_at_the_start(path: Path, told: pytest.LogCaptureFixture) -> None:
    make_garbage(path)
    ledger = make(path)
    await ended(ledger, put=1)
    assert await count(ledger) == 1
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    assert [entry.levelno for entry in told.records] == [logging.WARNING]


async def test_damage_met_while_writing_loses_no_record(path: Path, nursery: trio.Nursery) -> None:
    fill(path, [record()] * 5000)
    damage(path)
    ledger = make(path)
    await started(ledger, nursery)
    ledger.put(record())
    await trio.sleep(1)
    assert await count(ledger) == 1
    assert ledger.lost == 0


async def test_damage_that_a_query_meets_is_mended_with_the_next_record(path: Path, nursery: trio.Nursery) -> None:
    fill(path, [record()] * 5000)
    ledger = make(path)
    await started(ledger, nursery)
    damage(path)
    with pytest.raises(UsageUnavailable, match="damaged"):
        await ledger.recent(Filters(range="all", statuses=(404, 404)))
    ledger.put(record())
    await trio.sleep(1)
    assert await count(ledger) == 1


async def test_what_another_process_has_set_aside_already_is_not_set_aside_again(
    path: Path, nursery: trio.Nursery
) -> None:
    fill(path, [record()] * 5000)
    ledger, other = make(path), make(path)
    await started(ledger, nursery)
    await started(other, nursery)
    damage(path)
    for each in (ledger, other):
        with pytest.raises(UsageUnavailable):
            await each.recent(Filters(range="all", statuses=(404, 404)))
    for each in (ledger, other):
        each.put(record())
        await trio.sleep(1)
    assert await count(ledger) == 2
    assert len(list(path.parent.glob("*Z"))) == 1


async def test_a_file_removed_meanwhile_is_begun_anew(path: Path, nursery: trio.Nursery) -> None:
    ledger = make(path)
    await started(ledger, nursery)
    ledger.put(record())
    await trio.sleep(1)
    for each in path.parent.iterdir():
        each.unlink()
    assert await count(ledger) == 0
    ledger.put(record())
    await trio.sleep(1)
    assert await count(ledger) == 1


async def test_a_place_that_cannot_be_written_is_told_of_once(path: Path, told: pytest.LogCaptureFixture) -> None:
    path.parent.write_text("not a directory")
    ledger = make(path)
    await ended(ledger, put=3)
    assert ledger.lost == 3
    assert [entry.message.split(":")[0] for entry in told.records] == [
        "requests go unrecorded", "3 requests went unrecorded in this run",
    ]  # fmt: skip
    path.parent.unlink()


async def test_a_file_that_cannot_be_opened_is_no_crash(path: Path) -> None:
    make_directory(path)
    ledger = make(path)
    await ended(ledger, put=1)
    assert ledger.lost == 1
    with pytest.raises(UsageUnavailable, match="cannot be read"):
        await ledger.summary(ALL)


async def test_many_ask_at_once_one_is_answered_at_a_time(path: Path, nursery: trio.Nursery) -> None:
    ledger = make(path)
    await started(ledger, nursery)
    ledger.put(record())
    await trio.sleep(1)
    async with trio.open_nursery() as asking:
        for _ in range(50):
            asking.start_soon(ledger.summary, ALL)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.to_thread.current_default_thread_limiter().borrowed_tokens <= 1
