from __future__ import annotations

import socket
from pathlib import Path

from copilot_trio.accounts.store import AccountsFile, save_accounts
from copilot_trio.config import Config
from copilot_trio.doctor.data import (
    check_accounts_file,
    check_config,
    check_directory,
    check_disk,
    check_files,
    check_usage_file,
)


def test_a_directory_that_is_not_there_yet_is_no_trouble(tmp_path: Path) -> None:
    assert check_directory(tmp_path / "none").state == "ok"
    assert check_files(tmp_path / "none") == []
    assert check_disk(tmp_path / "none" / "deeper").state == "ok"


def test_a_directory_for_others_is_warned_of(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    assert check_directory(directory).state == "ok"
    directory.chmod(0o755)
    found = check_directory(directory)
    assert (found.state, found.remedy) == ("warning", f"Run `chmod 700 {directory}`.")
    (tmp_path / "file").write_text("")
    assert check_directory(tmp_path / "file").state == "failed"


def test_each_file_for_others_is_named(tmp_path: Path) -> None:
    for name in ("accounts.json", "config.json", "usage.sqlite3"):
        (tmp_path / name).write_text("{}")
        (tmp_path / name).chmod(0o600)
    assert [found.state for found in check_files(tmp_path)] == ["ok"]
    (tmp_path / "accounts.json").chmod(0o640)
    (tmp_path / "usage.sqlite3").chmod(0o644)
    assert [(found.state, found.remedy.split("/")[-1]) for found in check_files(tmp_path)] == [
        ("failed", "accounts.json`."),
        ("warning", "usage.sqlite3`."),
    ]


def test_settings_that_cannot_be_read_name_the_field(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    found, config = check_config(path)
    assert (found.state, config) == ("ok", Config())
    path.write_text('{"timeouts": {"silence": 0}}')
    found, config = check_config(path)
    assert (found.state, "$.timeouts.silence" in found.message, config) == ("failed", True, None)


def test_a_damaged_list_of_accounts_is_found(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    assert check_accounts_file(path)[1] == AccountsFile()
    save_accounts(path, AccountsFile(paused={}))
    assert check_accounts_file(path)[0].state == "ok"
    path.write_text("{oops")
    found, file = check_accounts_file(path)
    assert (found.state, file) == ("failed", None)
    assert path.read_text() == "{oops"


def test_a_usage_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite3"
    assert check_usage_file(path) == []
    path.write_bytes(b"SQLite format 3\0" + bytes(84))
    assert [found.state for found in check_usage_file(path)] == ["ok"]
    path.write_bytes(b"something else")
    assert [found.state for found in check_usage_file(path)] == ["warning"]
    path.unlink()
    with socket.socket(socket.AF_UNIX) as unreadable:
        unreadable.bind(str(path))
        assert [found.state for found in check_usage_file(path)] == ["warning"]
