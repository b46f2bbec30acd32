from __future__ import annotations

import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.file import AccountsFile
from copilot_trio.accounts.importing import Found, find_accounts, known_directories, merge

TOKEN = "ghu_SYNTHETIC1"
MACHINE = "0123456789abcdef" * 4


def plus(**fields: Any) -> dict[str, Any]:
    """An account as copilot-api-plus stores it."""
    return {"id": "11111111-1111-4111-8111-111111111111", "label": "Work", "githubToken": TOKEN, **fields}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def found_plus(directory: Path, *accounts: Any) -> Found:
    write(directory / "accounts.json", list(accounts))
    return find_accounts([directory])


def test_an_account_of_copilot_api_plus_is_taken_over(tmp_path: Path) -> None:
    account = plus(
        accountType="business", status="rate_limited", statusMessage="wait", machineId=MACHINE, githubLogin="octo-work",
        proxy="socks5h://u:p@127.0.0.1:1080", addedAt=1_700_000_000_000, lastUsedAt=5, consecutiveFailures=2,
        usage={"premium_remaining": 3}, copilotApiEndpoint="https://api.business.githubcopilot.com",
    )  # fmt: skip
    found = found_plus(tmp_path, account)
    [record] = found.records
    assert record == AccountRecord(
        id=record.id,
        label="Work",
        github_token=TOKEN,
        login="octo-work",
        account_type="business",
        proxy="socks5h://u:p@127.0.0.1:1080",
        machine_id=MACHINE,
        added="2023-11-14T22:13:20+00:00",
    )
    assert (found.sources, found.problems) == ((tmp_path / "accounts.json",), ())


def test_what_is_missing_or_odd_gets_what_a_new_account_has(tmp_path: Path) -> None:
    before = datetime.now(UTC).isoformat(timespec="seconds")
    odd = {"label": 5, "machineId": "short", "githubLogin": "no login!", "addedAt": "yesterday", "proxy": ""}
    for fields in ({"githubToken": TOKEN}, {"githubToken": TOKEN, **odd}, {"githubToken": TOKEN, "addedAt": 1e300}):
        [record] = found_plus(tmp_path, fields).records
        assert re.fullmatch("[0-9a-f]{64}", record.machine_id)
        assert (record.label, record.login, record.account_type, record.proxy) == ("github", "", "individual", None)
        assert record.added >= before
        assert record.status == "active"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("active", ("active", "")),
        ("error", ("active", "")),
        ("exhausted", ("active", "")),
        ("disabled", ("disabled", "why")),
        ("banned", ("banned", "why")),
        (["banned"], ("active", "")),
    ],
)
def test_what_a_person_has_to_mend_stays(tmp_path: Path, status: Any, expected: tuple[str, str]) -> None:
    [record] = found_plus(tmp_path, plus(status=status, statusMessage="why")).records
    assert (record.status, record.status_message) == expected


def test_a_label_is_fit_for_a_terminal_and_holds_no_token(tmp_path: Path) -> None:
    labels = ["  a\x1b[31m \n b\u202e ", f"my {TOKEN}", "x" * 100]
    accounts = [plus(label=label, githubToken=f"{TOKEN}{number}") for number, label in enumerate(labels)]
    accounts[1]["githubToken"] = TOKEN
    found = found_plus(tmp_path, *accounts)
    assert [record.label for record in found.records] == ["a[31m b", "github", "x" * 60]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"proxy": "ftp://u:secret@host"}, "proxy URL cannot be used"),
        ({"proxy": "socks4://host:1"}, "proxy URL cannot be used"),
        ({"proxy": "host:8080"}, "proxy URL cannot be used"),
        ({"proxy": {"url": "secret"}}, "proxy URL cannot be used"),
        ({"accountType": "secret-plan"}, "account type is not known"),
        ({"accountType": ["secret"]}, "account type is not known"),
        ({"copilotApiEndpoint": "https://secret.example"}, "host that is not known"),
        ({"copilotApiEndpoint": "https://[secret"}, "left out"),
        ({"copilotApiEndpoint": "https://evilgithubcopilot.com"}, "host that is not known"),
        ({"copilotApiEndpoint": ["secret"]}, "host that is not known"),
        ({"githubToken": "secret token"}, "its token is not one line"),
        ({"githubToken": "secretö"}, "its token is not one line"),
        ({"githubToken": "secret" * 1000}, "its token is not one line"),
    ],
)
def test_what_cannot_be_taken_over_as_meant_is_left_out_and_said(
    tmp_path: Path, fields: dict[str, Any], why: str
) -> None:
    found = found_plus(tmp_path, plus(**fields), plus(githubToken="ghu_SYNTHETIC2"))
    assert [record.github_token for record in found.records] == ["ghu_SYNTHETIC2"]
    [problem] = found.problems
    assert problem.startswith(f"account 1 in {tmp_path / 'accounts.json'}")
    assert why in problem
    assert "secret" not in problem
    assert TOKEN not in problem


def test_a_token_that_was_left_out_does_not_come_in_by_another_way(tmp_path: Path) -> None:
    """Without the proxy that it is to go through."""
    write(tmp_path / "github_token", TOKEN)
    write(tmp_path / "github-copilot-octo.json", {"access_token": TOKEN, "username": "octo"})
    found = found_plus(tmp_path, plus(proxy="ftp://host"))
    assert (found.records, len(found.problems)) == ((), 1)


def test_a_tenant_of_ghe_is_known_by_its_copilot(tmp_path: Path) -> None:
    [record] = found_plus(tmp_path, plus(copilotApiEndpoint="https://copilot-api.octo.ghe.com/")).records
    assert record.enterprise_host == "octo.ghe.com"


@pytest.mark.parametrize("element", [5, None, {}, {"githubToken": 5}, {"githubToken": None}, ["secret"]])
def test_an_element_that_is_no_account_is_named(tmp_path: Path, element: Any) -> None:
    found = found_plus(tmp_path, plus(), element)
    assert len(found.records) == 1
    [problem] = found.problems
    assert problem.startswith(f"account 2 in {tmp_path / 'accounts.json'} cannot be read")
    assert "secret" not in problem


@pytest.mark.parametrize("text", ["", "{", '{"accounts":[]}', '"secret"', "[" * 100_000, "[1"])
def test_a_damaged_list_is_named_and_nothing_is_raised(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "accounts.json", text)
    found = find_accounts([tmp_path])
    assert found.records == ()
    assert found.problems[0].startswith(f"{path} is no list of accounts that can be read: ")
    assert "secret" not in found.problems[0]


def test_a_login_of_cli_proxy_api_is_taken_over(tmp_path: Path) -> None:
    login = {
        "access_token": TOKEN, "token_type": "bearer", "scope": "read:user", "expires_at": "x", "username": "octo",
        "email": "", "name": "Octo", "type": "github-copilot",
    }  # fmt: skip
    one = write(tmp_path / "github-copilot-octo.json", login)
    other = {"access_token": "ghu_SYNTHETIC2", "disabled": True, "proxy_url": "http://127.0.0.1:8080"}
    two = write(tmp_path / "github-copilot-other.json", other)
    write(tmp_path / "codex-octo.json", {"access_token": "sk-other"})
    found = find_accounts([tmp_path])
    assert [(record.label, record.login, record.status, record.proxy) for record in found.records] == [
        ("octo", "octo", "active", None),
        ("github", "", "disabled", "http://127.0.0.1:8080"),
    ]
    assert (found.sources, found.problems) == ((one, two), ())


@pytest.mark.parametrize("proxy", ["direct", "none", "", None])
def test_a_direct_login_of_cli_proxy_api_has_no_proxy(tmp_path: Path, proxy: Any) -> None:
    write(tmp_path / "github-copilot-octo.json", {"access_token": TOKEN, "proxy_url": proxy})
    [record] = find_accounts([tmp_path]).records
    assert record.proxy is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"access_token":1}', '{"access_token":"s","type":"codex"}'])
def test_a_login_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "github-copilot-octo.json", text)
    found = find_accounts([tmp_path])
    assert found.records == ()
    assert found.problems[0].startswith(f"{path} cannot be read: ")


def test_a_single_token_is_an_account(tmp_path: Path) -> None:
    path = write(tmp_path / "github_token", f"\n {TOKEN}\r\n")
    found = find_accounts([tmp_path])
    assert [(record.label, record.github_token) for record in found.records] == [("github", TOKEN)]
    assert (found.sources, found.problems) == ((path,), ())


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_token_file_is_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "github_token").write_bytes(content)
    assert find_accounts([tmp_path]) == Found()


@pytest.mark.parametrize("content", [b"two secrets", b"two\nsecrets", b"secret\xff"])
def test_a_token_file_that_holds_something_else_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "github_token").write_bytes(content)
    found = find_accounts([tmp_path])
    assert (found.records, len(found.problems)) == ((), 1)
    assert "secret" not in found.problems[0]


def test_of_our_own_directory_only_the_token_is_read(tmp_path: Path) -> None:
    write(tmp_path / "accounts.json", {"version": 2})
    path = write(tmp_path / "github_token", TOKEN)
    found = find_accounts([], own=tmp_path)
    assert (len(found.records), found.sources, found.problems) == (1, (path,), ())


def test_a_home_is_searched_and_left_as_it_is(tmp_path: Path) -> None:
    share = tmp_path / ".local" / "share"
    write(share / "copilot-api-plus" / "accounts.json", [plus()])
    write(share / "copilot-api-plus" / "github_token", TOKEN)
    write(share / "copilot-api-plus" / "config.json", "{")
    write(share / "copilot-api" / "github_token", "ghu_SYNTHETIC2")
    write(
        tmp_path / ".cli-proxy-api" / "github-copilot-octo.json", {"access_token": "ghu_SYNTHETIC2", "username": "octo"}
    )
    before = {path: (path.stat(), path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()}
    found = find_accounts(known_directories(tmp_path))
    assert [(record.label, record.github_token) for record in found.records] == [
        ("Work", TOKEN),
        ("octo", "ghu_SYNTHETIC2"),  # the place that knows the login
    ]
    assert found.problems == ()
    after = {path: (path.stat(), path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()}
    assert [(path, s.st_mtime_ns, text) for path, (s, text) in after.items()] == [
        (path, s.st_mtime_ns, text) for path, (s, text) in before.items()
    ]


def test_where_there_is_nothing_nothing_is_found(tmp_path: Path) -> None:
    write(tmp_path / "file", "x")
    assert find_accounts([*known_directories(tmp_path), tmp_path / "file"]) == Found()


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "github_token")
    (tmp_path / "accounts.json").mkdir()
    (tmp_path / "github-copilot-x.json").symlink_to(tmp_path / "github-copilot-x.json")
    found = find_accounts([tmp_path])
    assert found.records == ()
    assert [problem.removeprefix(f"{tmp_path}/") for problem in found.problems] == [
        "accounts.json is no file",
        "github-copilot-x.json cannot be read: Too many levels of symbolic links",
        "github_token is no file",
    ]


def test_a_directory_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    found = find_accounts([loop])
    assert found.records == ()
    assert f"{loop} cannot be read: Too many levels of symbolic links" in found.problems


def test_too_much_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "accounts.json", [plus(githubToken=f"t{number}") for number in range(1001)])
    write(tmp_path / "github_token", "x" * (4 * 1024 * 1024 + 1))
    for number in range(1001):
        write(tmp_path / f"github-copilot-{number}.json", {"access_token": f"u{number}"})
    found = find_accounts([tmp_path])
    assert found.records == ()
    assert [problem.removeprefix(str(tmp_path)) for problem in found.problems] == [
        "/accounts.json has more than 1000 accounts: none was taken",
        " has more than 1000 accounts: none was taken",
        "/github_token is over 4 MiB",
    ]


def record(id: str, label: str, token: str, **fields: Any) -> AccountRecord:  # noqa: A002
    return AccountRecord(id=id, label=label, github_token=token, **fields)


def test_only_what_is_not_stored_yet_is_added_under_labels_of_its_own() -> None:
    stored = AccountsFile(accounts=(record("a1", "work", "t1", login="octo"),))
    found = Found(
        (
            record("b1", "same token", "t1"),
            record("b2", "same login", "t2", login="Octo"),
            record("b3", "Work", "t3", login="octo", enterprise_host="octo.ghe.com"),
            record("b4", "work", "t4"),
            record("b5", "home", "t5"),
            record("b6", "home, signed in later", "t6", login="octo", enterprise_host="octo.ghe.com"),
        )
    )
    file, added = merge(stored, found)
    assert [account.label for account in added] == ["Work 2", "work 3", "home"]
    assert file.accounts == (*stored.accounts, *added)
    assert merge(file, found) == (file, ())


def test_many_of_one_name_get_numbers() -> None:
    file, added = merge(AccountsFile(), Found(tuple(record(f"b{n}", "github", f"t{n}") for n in range(1000))))
    assert [added[0].label, added[1].label, added[-1].label] == ["github", "github 2", "github 1000"]
    assert len(file.accounts) == 1000
