from __future__ import annotations

import stat
from pathlib import Path

import pytest

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import AccountsFile, load_accounts, save_accounts, with_account, write_private
from copilot_trio.config import DamagedFile

RECORD = AccountRecord(id="a1", label="work", github_token="ghu_SYNTHETIC", machine_id="m")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "accounts.json"
    save_accounts(path, AccountsFile(accounts=(RECORD,)))
    assert load_accounts(path).accounts == (RECORD,)


def test_a_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    assert load_accounts(tmp_path / "accounts.json").accounts == ()


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    path = tmp_path / "data" / "accounts.json"
    save_accounts(path, AccountsFile())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("text", [b"{", b"", b'{"version":1,"accounts":[{"id":1}]}', b"\xff\x00", b'{"version":99}'])
def test_a_damaged_file_is_refused_named_and_left_alone(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "accounts.json"
    path.write_bytes(text)
    with pytest.raises(DamagedFile, match=r"accounts\.json"):
        load_accounts(path)
    assert path.read_bytes() == text


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "accounts.json").mkdir()
    with pytest.raises(DamagedFile, match="permissions"):
        load_accounts(tmp_path / "accounts.json")


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.mkdir()  # what cannot be replaced by a file
    with pytest.raises(OSError, match="accounts"):
        write_private(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["accounts.json"]


def test_an_account_takes_the_place_of_its_namesake(tmp_path: Path) -> None:
    other = AccountRecord(id="a2", label="home", github_token="ghu_SYNTHETIC2")
    renamed = AccountRecord(id="a1", label="office", github_token="ghu_SYNTHETIC3")
    stored = with_account(with_account(with_account(AccountsFile(), RECORD), other), renamed)
    assert {account.label for account in stored.accounts} == {"home", "office"}


def test_a_record_shows_no_token() -> None:
    assert "ghu_" not in repr(RECORD)
