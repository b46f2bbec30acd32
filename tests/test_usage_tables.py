"""The tables: their versions, who may read them, texts in them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from usage_of import answer, fill, record

from copilot_trio.usage.tables import (
    MIGRATIONS,
    VERSION,
    UsageUnavailable,
    migrate,
    pack_id,
    reading,
    storable,
    unpack_id,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite3"


def test_a_new_file_has_the_newest_version(path: Path) -> None:
    fill(path, [record()])
    assert answer(path, "PRAGMA user_version") == [(VERSION,)]
    assert answer(path, "PRAGMA journal_mode") == [("wal",)]
    assert answer(path, "PRAGMA auto_vacuum") == [(2,)]


def test_an_older_file_grows_and_keeps_its_rows(path: Path) -> None:
    fill(path, [record()])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        steps = [*MIGRATIONS, "ALTER TABLE requests ADD COLUMN region INTEGER; CREATE TABLE more (id INTEGER);"]
        migrate(connection, steps)
        migrate(connection, steps)
    assert answer(path, "PRAGMA user_version") == [(VERSION + 1,)]
    assert answer(path, "SELECT input, region FROM requests") == [(10, None)]


def test_a_step_that_fails_changes_nothing(path: Path) -> None:
    fill(path, [record()])
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            migrate(connection, [*MIGRATIONS, "CREATE TABLE more (id INTEGER)", "DROP TABLE missing"])
    assert answer(path, "PRAGMA user_version") == [(VERSION,)]
    assert answer(path, "SELECT name FROM sqlite_schema WHERE name = 'more'") == []


@pytest.mark.parametrize("statement", [
    f"PRAGMA user_version = {VERSION + 1}",  # a newer program's
    "PRAGMA application_id = 1",  # somebody else's
])  # fmt: skip
def test_what_is_not_ours_to_write_is_left_alone(path: Path, statement: str) -> None:
    fill(path, [record()])
    answer(path, statement)
    before = path.read_bytes()
    with pytest.raises(UsageUnavailable, match=r"usage\.sqlite3"):
        fill(path, [record()])
    with pytest.raises(UsageUnavailable), reading(path):
        pass
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*damaged*"))


def test_a_file_that_was_only_just_made_reads_as_empty(path: Path) -> None:
    path.touch()
    with reading(path) as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (0,)
    assert path.stat().st_size == 0


def test_a_reader_does_not_renew_an_older_file(path: Path) -> None:
    fill(path, [])
    answer(path, f"PRAGMA user_version = {VERSION - 1}")
    with pytest.raises(UsageUnavailable, match="older version"), reading(path):
        pass


@given(st.one_of(st.text(max_size=100), st.uuids().map(str), st.binary(min_size=16, max_size=16).map(bytes.hex)))
def test_request_ids_come_back_as_they_were(text: str) -> None:
    assert unpack_id(pack_id(text)) == storable(text)


def test_a_uuid_takes_16_bytes() -> None:
    assert len(pack_id("7d0c2f0a-3c7e-4a52-9f0e-000000000001")) == 16
    assert len(pack_id("x" * 1000)) == 101
