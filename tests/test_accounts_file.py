from __future__ import annotations

import json

import msgspec
import pytest

from copilot_trio.accounts.account import AccountRecord, StoredCooldown
from copilot_trio.accounts.file import (
    MAX_PAUSED,
    AccountsFile,
    NewerVersion,
    Pause,
    find_account,
    parse,
    pause_of,
    render,
    same_identity,
    with_account,
    with_fields,
    with_pause,
    without_account,
    without_pause,
)
from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.unreadable import UNREADABLE

WORK = AccountRecord(id="a1", label="work", github_token="ghu_SYNTHETIC1", login="octo-work")
HOME = AccountRecord(id="a2", label="home", github_token="ghu_SYNTHETIC2", login="octo-home")
BOTH = AccountsFile(accounts=(WORK, HOME))
WARNED = Pause("terms of service", 1000.0)


def replaced(record: AccountRecord, **fields: object) -> AccountRecord:
    return msgspec.structs.replace(record, **fields)


def test_version_1_is_brought_to_version_2() -> None:
    account = b'{"id":"a1","label":"w","github_token":"g","status":"disabled"}'
    text = b'{"version":1,"accounts":[%b],"paused":{"ab":"no"}}' % account
    file, now = parse(text)
    assert (file.version, file.accounts[0].status, file.paused) == (2, "disabled", {"ab": Pause("no", 0.0)})
    assert parse(now)[0] == file
    assert parse(b"{}")[0] == AccountsFile()


def test_of_a_newer_version_nothing_else_need_be_readable() -> None:
    with pytest.raises(NewerVersion, match="version 3; this program knows 2"):
        parse(b'{"version":3,"accounts":"elsewhere"}')


@pytest.mark.parametrize(
    "text",
    [
        b'{"version":0}',
        b'{"version":"2"}',
        b'{"version":true}',
        b"[]",
        b'{"version":1,"paused":{"a":{"message":"m","at":0}}}',
        b'{"version":2,"paused":{"a":"m"}}',
        b'{"version":2,"accounts":[{"id":"a","label":"l","github_token":"g","status":"odd"}]}',
        b'{"version":2,"accounts":[{"id":"a","label":"l","github_token":"g"},{"id":"a","label":"m","github_token":"h"}]}',
    ],
)
def test_what_is_not_such_a_file_is_unreadable(text: bytes) -> None:
    with pytest.raises(UNREADABLE):
        parse(text)


def test_what_is_unknown_stays_at_every_depth() -> None:
    quota = Quota(windows=(Window(name="premium", remaining=5.0),), read_at=1.0)
    record = replaced(
        WORK, quota=quota, cooldowns={"m": StoredCooldown(5.0, "error"), "n": StoredCooldown(6.0, "error")}
    )
    document = json.loads(msgspec.json.encode(with_pause(AccountsFile(accounts=(record, HOME)), "t", WARNED)))
    work = document["accounts"][0]
    for found in (
        document, *document["accounts"], *document["paused"].values(), *work["cooldowns"].values(), work["quota"],
        work["quota"]["windows"][0],
    ):  # fmt: skip
        found["new"] = ["kept", {"as": "it is"}]
    before, text = parse(json.dumps(document).encode())
    newer = Quota(windows=(Window(name="chat"), Window(name="premium", remaining=4.0)), read_at=2.0)
    after = with_fields(before, "a1", quota=newer, cooldowns={"m": StoredCooldown(9.0, "error")}, label="office")
    after = with_pause(without_account(after, "a2"), "t", Pause("again", 2000.0))
    stored = json.loads(render(before, text, after))
    [account] = stored["accounts"]
    assert parse(json.dumps(stored).encode())[0] == after
    for found in (
        stored, account, *stored["paused"].values(), account["cooldowns"]["m"], account["quota"],
        account["quota"]["windows"][1],
    ):  # fmt: skip
        assert found["new"] == ["kept", {"as": "it is"}]
    assert "n" not in account["cooldowns"]


def test_an_account_takes_the_place_of_its_namesake() -> None:
    renamed = replaced(WORK, label="office")
    assert with_account(BOTH, renamed).accounts == (renamed, HOME)
    assert with_account(AccountsFile(accounts=(HOME,)), WORK).accounts == (HOME, WORK)


def test_an_account_goes_and_its_warning_stays() -> None:
    file = with_pause(BOTH, WORK.github_token, WARNED)
    gone = without_account(file, "a1")
    assert gone.accounts == (HOME,)
    assert without_account(gone, "a1") == gone
    assert pause_of(with_account(gone, WORK), WORK.github_token) == WARNED


def test_fields_of_an_account_change_alone() -> None:
    assert with_fields(BOTH, "a2", label="flat").accounts == (WORK, replaced(HOME, label="flat"))
    with pytest.raises(LookupError, match="a3"):
        with_fields(BOTH, "a3", label="flat")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1", "a1"), (" 2 ", "a2"), ("a2", "a2"), ("work", "a1"), ("WORK", "a1"), ("Octo-Home", "a2")],
)
def test_an_account_is_found(text: str, expected: str) -> None:
    assert find_account(BOTH, text).id == expected


@pytest.mark.parametrize(
    "text", ["", "0", "3", "-1", "01", "²", "1.0", "nobody", "99999999999999999999", "ghu_SYNTHETIC1"]
)
def test_an_account_is_not_found(text: str) -> None:
    with pytest.raises(LookupError):
        find_account(BOTH, text)


def test_a_label_wins_over_a_login_and_an_exact_one_over_a_similar_one() -> None:
    other = AccountRecord(id="a3", label="octo-work", github_token="g")
    assert find_account(with_account(BOTH, other), "octo-work").id == "a3"
    similar = AccountRecord(id="a3", label="Work", github_token="g")
    assert find_account(with_account(BOTH, similar), "Work").id == "a3"


def test_a_number_that_is_an_id_is_an_id() -> None:
    numbered = replaced(HOME, id="00000001")
    assert find_account(AccountsFile(accounts=(WORK, numbered)), "00000001") == numbered


def test_who_is_meant_must_be_clear() -> None:
    file = with_account(BOTH, AccountRecord(id="a3", label="work", github_token="g"))
    with pytest.raises(ValueError, match=r"work \(octo-work\), id a1, work \(login unknown\), id a3"):
        find_account(file, "work")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (replaced(WORK, id="new"), "a1"),
        (replaced(WORK, id="new", login="", label="x"), "a1"),
        (replaced(WORK, id="new", github_token="other", login="Octo-Work", enterprise_host="GitHub.com"), "a1"),
        (replaced(WORK, id="new", github_token="other", enterprise_host="octo.ghe.com"), None),
        (replaced(WORK, id="new", github_token="other", login=""), None),
        (WORK, None),
    ],
)
def test_the_same_account_is_noticed(record: AccountRecord, expected: str | None) -> None:
    same = same_identity(BOTH, record)
    assert (same and same.id) == expected


def test_two_unknown_logins_are_not_the_same_account() -> None:
    file = AccountsFile(accounts=(replaced(WORK, login=""),))
    assert same_identity(file, replaced(HOME, login="")) is None


def test_a_warning_is_kept_by_the_tokens_hash_until_it_is_lifted() -> None:
    file = with_pause(BOTH, WORK.github_token, WARNED)
    assert pause_of(file, WORK.github_token) == WARNED
    assert pause_of(file, HOME.github_token) is None
    assert WORK.github_token not in str(file.paused)
    assert without_pause(file, WORK.github_token) == BOTH


def test_signing_in_again_does_not_lift_a_warning() -> None:
    file = with_account(with_pause(BOTH, WORK.github_token, WARNED), replaced(WORK, github_token="ghu_SYNTHETIC_NEW"))
    assert pause_of(file, "ghu_SYNTHETIC_NEW") == WARNED


def test_a_second_warning_keeps_the_conversations_of_the_first() -> None:
    first = tuple(f"old {number}" for number in range(900))
    second = tuple(f"new {number}" for number in range(900))
    file = with_pause(BOTH, "t", msgspec.structs.replace(WARNED, conversations=first))
    file = with_pause(file, "t", Pause("again", 2000.0, (*second, "old 1")))
    pause = pause_of(file, "t")
    assert pause is not None
    assert (pause.message, pause.at, len(pause.conversations)) == ("again", 2000.0, 1000)
    assert set(second) < set(pause.conversations)


def test_warnings_are_bounded_but_those_of_stored_accounts_stay() -> None:
    file = with_pause(BOTH, WORK.github_token, WARNED)
    for number in range(MAX_PAUSED + 5):
        file = with_pause(file, f"from outside {number}", WARNED)
    assert len(file.paused) == MAX_PAUSED + 1
    assert pause_of(file, WORK.github_token) == WARNED
    assert pause_of(file, "from outside 4") is None
    assert pause_of(file, "from outside 5") == WARNED
