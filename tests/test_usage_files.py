"""The files of a database: private, measured, set aside."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from copilot_trio.usage.files import KEPT_ASIDE, files_of, log_size, make_private, set_aside, size_of


def modes(path: Path) -> set[int]:
    return {each.stat().st_mode & 0o777 for each in files_of(path) if each.exists()}


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "usage.sqlite3"
    make_private(path)
    assert modes(path) == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_an_open_one_is_closed_to_others_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite3"
    for each in files_of(path):
        each.write_bytes(b"kept")
        each.chmod(0o644)
    make_private(path)
    assert modes(path) == {0o600}
    assert path.read_bytes() == b"kept"


def test_sizes_are_those_of_all_files(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite3"
    assert size_of(path) == log_size(path) == 0
    for number, each in enumerate(files_of(path), 1):
        each.write_bytes(b"x" * number)
    assert (size_of(path), log_size(path)) == (6, 2)


def test_a_damaged_one_is_set_aside_with_all_that_belongs_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "usage.sqlite3"
    path.write_bytes(b"main")
    files_of(path)[1].write_bytes(b"log")
    set_aside(path, 1_790_000_000.25, "no database")
    aside = tmp_path / "usage.sqlite3.damaged-20260921T141320.250000Z"
    assert aside.read_bytes() == b"main"
    assert files_of(aside)[1].read_bytes() == b"log"
    assert not path.exists()
    assert [entry.levelno for entry in caplog.records] == [logging.WARNING]
    assert aside.name in caplog.text


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite3"
    (tmp_path / "usage.sqlite3.damaged-by-hand").write_bytes(b"")
    for number in range(KEPT_ASIDE + 2):
        path.write_text(str(number))
        files_of(path)[1].write_bytes(b"")
        set_aside(path, 1_790_000_000.0 + number, "no database")
    kept = sorted(tmp_path.glob("*Z"))
    assert [each.read_text() for each in kept] == ["2", "3", "4"]
    assert len(list(tmp_path.glob("*Z-wal"))) == KEPT_ASIDE
    assert (tmp_path / "usage.sqlite3.damaged-by-hand").exists()
