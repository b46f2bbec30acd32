"""The usage store as it is written: private, bounded, whole whatever disks and other programs do."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from usage_of import HOUR, NOW, answer, damage, fill, record

from copilot_trio.usage.files import files_of, size_of
from copilot_trio.usage.record import UsageRecord
from copilot_trio.usage.store import MAX_NAMES, Store, StoreFull, open_store
from copilot_trio.usage.tables import is_damage, reading

MIB = 1 << 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite3"


def opened(path: Path, max_bytes: int = 64 * MIB) -> closing[Store]:
    return closing(open_store(path, max_bytes, lambda: NOW))


def batches(rows: int, size: int = 500) -> Iterator[list[UsageRecord]]:
    dice = random.Random(1)
    for start in range(0, rows, size):
        yield [
            record(at=NOW + n, request_id=str(uuid.UUID(int=dice.getrandbits(128), version=4)), duration_ms=n)
            for n in range(start, start + size)
        ]


def write_all(store: Store, rows: int) -> None:
    for batch in batches(rows):
        store.write(batch)


def count(path: Path, table: str = "requests") -> int:
    return int(answer(path, f"SELECT count(*) FROM {table}")[0][0])


def test_all_its_files_are_its_owners_alone(path: Path) -> None:
    with opened(path) as store:
        store.write([record()])
        assert [each.stat().st_mode & 0o777 for each in files_of(path)] == [0o600] * 3


# ---- bounds


def test_the_file_and_its_log_stay_under_the_cap(path: Path) -> None:
    cap, largest, written = 3 * MIB, 0, 0
    with opened(path, cap) as store:
        for batch in batches(60_000):
            store.write(batch)
            written += len(batch)
            largest = max(largest, size_of(path))
    assert cap / 2 < largest <= cap
    assert count(path) < written
    assert answer(path, "SELECT max(duration), max(id) - min(id) + 1 - count(*) FROM requests") == [(59_999, 0)]
    assert answer(path, "SELECT sum(requests) FROM hours") == [(written,)]  # the sums still have what went
    ((moment, before, after),) = answer(path, "SELECT time, before, after FROM trims")
    assert moment == int(NOW * 1000)
    assert before > 0
    assert after > 0


def test_a_lower_cap_shrinks_the_file(path: Path) -> None:
    with opened(path) as store:
        write_all(store, 60_000)
    large = size_of(path)
    assert large > 3 * MIB
    with opened(path, 2 * MIB) as store:
        store.write([record(duration_ms=77)])
        assert size_of(path) <= 2 * MIB
    assert answer(path, "SELECT duration FROM requests ORDER BY id DESC LIMIT 1") == [(77,)]
    assert count(path) > 5000


def test_the_sums_have_a_bound_too(path: Path) -> None:
    with opened(path, 1) as store:
        for start in range(0, 5000, 500):
            store.write([record(at=NOW + hour * HOUR) for hour in range(start, start + 500)])
        assert count(path, "hours") <= 1000 + 500
    assert answer(path, "SELECT max(hour) FROM hours") == [(int(NOW // HOUR) + 4999,)]


def test_names_that_no_row_has_are_forgotten(path: Path) -> None:
    with opened(path, 1) as store:
        for start in range(0, 4 * MAX_NAMES, 500):
            store.write([record(requested_model=f"made-up-{n}") for n in range(start, start + 500)])
            assert count(path, "names") <= MAX_NAMES + 600
    with reading(path) as connection:
        dangling = "SELECT count(*) FROM requests WHERE requested NOT IN (SELECT id FROM names)"
        assert connection.execute(dangling).fetchone() == (0,)


def test_a_reader_that_stays_cannot_make_the_log_grow_for_ever(path: Path) -> None:
    fill(path, [record()])
    with opened(path, 3 * MIB) as store, reading(path) as reader:
        reader.execute("SELECT count(*) FROM requests").fetchone()
        store._connection.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(StoreFull, match="another program"):
            write_all(store, 100_000)
        assert size_of(path) <= 3 * MIB
        reader.execute("COMMIT")
        store.write([record()])
        assert size_of(path) <= 3 * MIB
        reader.execute("BEGIN")


# ---- failures


def test_a_full_disk_leaves_the_file_as_it_was(path: Path) -> None:
    with opened(path) as store:
        store.write([record()])
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(sqlite3.OperationalError, match="full") as caught:
            write_all(store, 60_000)
        assert not is_damage(caught.value)
        before = count(path)
        store._connection.execute("PRAGMA max_page_count = 100000")
        store.write([record()])
    assert count(path) == before + 1
    assert answer(path, "SELECT sum(requests) FROM hours") == [(before + 1,)]


def test_a_damaged_file_is_set_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(b"this was a database once" * 400)
    fill(path, [record()])
    assert count(path) == 1
    (aside,) = path.parent.glob("*.damaged-*")
    assert aside.read_bytes().startswith(b"this was")
    assert len(caplog.records) == 1


def test_damage_further_in_is_found_when_it_is_met(path: Path) -> None:
    with opened(path) as store:
        write_all(store, 5000)
    damage(path)
    with opened(path) as store, pytest.raises(sqlite3.DatabaseError) as caught:
        store.write([record()])
    assert is_damage(caught.value)


def test_a_removed_or_replaced_file_is_noticed(path: Path) -> None:
    with opened(path) as store:
        assert not store.is_gone()
        path.unlink()
        assert store.is_gone()
        fill(path, [record()])
        assert store.is_gone()


def test_another_writer_is_waited_for_in_turn(path: Path) -> None:
    with opened(path) as one, opened(path) as other:
        for store in (one, other, one, other):
            store.write([record(requested_model=f"new to {id(store)}")])
        with closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            one._connection.execute("PRAGMA busy_timeout = 0")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                one.write([record()])
            holder.execute("ROLLBACK")
        one.write([record()])
    assert count(path) == 5


# ---- other processes


def process(code: str, *words: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", textwrap.dedent(code), *map(str, words)]
    return subprocess.Popen(line, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parent)


WRITER = """
    import sys
    sys.path[:0] = [".", ".."]
    from pathlib import Path
    from usage_of import NOW, record
    from copilot_trio.usage.store import open_store
    print("ready", flush=True)
    sys.stdin.readline()
    store = open_store(Path(sys.argv[1]), 1 << 26, lambda: NOW)
    for _ in range(int(sys.argv[2])):
        store.write([record(), record()])
    print("written", flush=True)
    sys.stdin.readline()
"""


def test_two_processes_begin_and_fill_it_at_once(path: Path) -> None:
    writers = [process(WRITER, path, 50) for _ in range(2)]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    ends = [writer.communicate("\n", timeout=60)[0] for writer in writers]
    assert ends == ["written\n"] * 2
    assert count(path) == 200
    assert answer(path, "SELECT sum(requests) FROM hours") == [(200,)]


@pytest.mark.parametrize("killed", [False, True])
def test_it_is_read_while_another_process_has_it_open_and_after_that_was_killed(path: Path, *, killed: bool) -> None:
    writer = process(WRITER, path, 3)
    assert writer.stdin
    assert writer.stdout
    writer.stdin.write("\n")
    writer.stdin.flush()
    assert [writer.stdout.readline() for _ in range(2)] == ["ready\n", "written\n"]
    if killed:
        writer.kill()
        writer.wait()
        assert files_of(path)[1].stat().st_size > 0
    with reading(path) as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (6,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM requests")
    writer.communicate("\n", timeout=60)
    fill(path, [record()])
    assert count(path) == 7
