"""The commands for accounts as a user runs them, beside a server that goes on."""

from __future__ import annotations

import io
import json
import os
import pty
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from processes import PATIENCE, Running, call, environment, run, twin

from copilot_trio.accounts.account import AccountRecord, StoredCooldown
from copilot_trio.accounts.health import PAID
from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.accounts.store import AccountsFile, Pause, load_accounts, save_accounts, with_pause
from copilot_trio.cli import main
from copilot_trio.cli.add_account import _store
from copilot_trio.cli.failure import CommandFailed
from copilot_trio.twin import sample_accounts

Command = Callable[..., "Done"]
DEV, HOME, WORK = sample_accounts()
CHAT = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "SCENARIO:text REPLY=hello"}]}
ADDRESS = r"listening +(http://\S+)"
WARNING = Pause("be nice", 1.0)


def record(label: str, **fields: object) -> AccountRecord:
    values: dict[str, Any] = {"id": f"id-{label}", "github_token": f"ghu_SYNTHETIC{label}", "login": f"octo-{label}"}
    return AccountRecord(label=label, **{**values, **fields})


def save(home: Path, *records: AccountRecord, paused: tuple[str, ...] = ()) -> None:
    file = AccountsFile(accounts=records)
    for token in paused:
        file = with_pause(file, token, WARNING)
    save_accounts(home / "data" / "accounts.json", file)


def stored(home: Path) -> dict[str, AccountRecord]:
    return {one.label: one for one in load_accounts(home / "data" / "accounts.json").accounts}


def upstream(base: str) -> dict[str, str]:
    return {"COPILOT_TRIO_GITHUB_URL": base, "COPILOT_TRIO_GITHUB_API_URL": base}


def token_file(home: Path, token: str) -> str:
    path = home / "token"
    path.write_text(f"{token}\n")
    return str(path)


def until(condition: Callable[[], bool]) -> None:
    """A running server looks at the file every two seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline


def accounts_of(address: str) -> dict[str, Any]:
    return {one["label"]: one for one in json.loads(call(f"{address}/api/accounts")[2])["accounts"]}


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        os.close(theirs)


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """A command that asks nobody, in this process: these are many."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COPILOT_TRIO_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # no terminal, wherever the tests run

    def run_here(*arguments: str) -> Done:
        try:
            code = main(arguments)
        except SystemExit as ending:  # argparse's
            code = int(str(ending.code))
        return Done(code, *capsys.readouterr())

    return run_here


# ---- beside a running server


def test_a_running_server_takes_over_what_commands_do(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, control):
        variables = upstream(base)
        first = run("add-account", "--github-token-file", token_file(tmp_path, DEV.token), home=tmp_path, **variables)
        assert (first.returncode, "Added octo-dev" in first.stdout) == (0, True)
        with Running(("start", "--port", "0"), environment(tmp_path, **variables)) as server:
            address = server.wait_for(ADDRESS)[1]
            arguments = ("add-account", "-l", "home", "--github-token-file", token_file(tmp_path, HOME.token))
            second = run(*arguments, home=tmp_path, **variables)
            assert "failover_on_quota" in second.stdout
            until(lambda: set(accounts_of(address)) == {"octo-dev", "home"})
            assert run("disable-account", "octo-dev", home=tmp_path).returncode == 0
            until(lambda: accounts_of(address)["octo-dev"]["status"] == "disabled")
            _, headers, _ = call(f"{address}/v1/chat/completions", "POST", CHAT)
            assert headers["x-copilot-trio-account"] == "home"
            call(f"{control}/scenarios", "POST", {"path": "/chat/completions", "error": "tos_block"})
            assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 403
            said = run("acknowledge", "home", home=tmp_path)
            assert "GitHub said: Access to this endpoint is forbidden" in said.stdout
            until(lambda: accounts_of(address)["home"]["status"] == "active")
            assert run("enable-account", "1", home=tmp_path).returncode == 0
            until(lambda: accounts_of(address)["octo-dev"]["status"] == "active")
            assert run("remove-account", "home", "--force", home=tmp_path).returncode == 0
            until(lambda: set(accounts_of(address)) == {"octo-dev"})
            assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 200
        for printed in (server.printed, first.stdout, second.stdout, said.stdout):
            assert DEV.token not in printed
            assert HOME.token not in printed
    assert list(stored(tmp_path)) == ["octo-dev"]


def test_the_demo_shows_it_on_its_accounts(tmp_path: Path) -> None:
    with Running(("demo", "--port", "0"), environment(tmp_path)) as demo:
        address = demo.wait_for(ADDRESS)[1]
        line = demo.wait_for(r"curl (\S+/api/accounts)")[1]
        home = Path(demo.wait_for(r"COPILOT_TRIO_HOME=(\S+) copilot-trio list-accounts")[1])
        assert len(json.loads(call(line)[2])["accounts"]) == 3
        listed = run("list-accounts", home=tmp_path, COPILOT_TRIO_HOME=str(home)).stdout
        assert [word in listed for word in ("personal", "side project", "work")] == [True] * 3
        body = {"githubToken": DEV.token, "label": "again"}
        assert call(f"{address}/api/accounts", "POST", body)[0] == 409
        name = accounts_of(address)["work"]["id"]
        assert call(f"{address}/api/accounts/{name}/refresh", "POST", {})[0] == 200
        assert call(f"{address}/api/accounts/{name}", "DELETE")[0] == 200
        assert set(accounts_of(address)) == {"personal", "side project"}
        code = json.loads(call(f"{address}/api/accounts/auth/start", "POST", {})[2])
        assert b"work" in call(f"{code['verification_uri']}?user_code={code['user_code']}")[2]
        assert demo.stop() == 0
    assert not home.exists()


# ---- add-account


def test_an_account_is_signed_in_with_a_code_without_a_terminal(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, control):
        arguments = ("add-account", "--label", "home", "--account-type", "business")
        with Running(arguments, environment(tmp_path, **upstream(base))) as command:
            command.wait_for("unofficial")
            code = command.wait_for(r"enter the code (\S+)")[1]
            assert call(f"{control}/device/{code}", "POST", {"state": "approved", "login": HOME.login})[0] == 200
            command.wait_for(r"Added home \(octo-home\), id \w+\. A running server takes this over")
            assert command.process.wait(PATIENCE) == 0
        assert stored(tmp_path)["home"].account_type == "business"


def test_who_was_stored_while_somebody_signed_in_is_not_stored_again(tmp_path: Path) -> None:
    save(tmp_path, record("home"))
    with pytest.raises(CommandFailed, match="stored already, as 'home'"):
        _store(tmp_path / "data", record("", id="new", login="octo-home", github_token="ghu_SYNTHETICnew"))
    assert list(stored(tmp_path)) == ["home"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--proxy", "ftp://x:s3cret@y"), 2, "must begin with"),
        (("--label", "7"), 2, "must not be a number"),
        (("--label", "HOME"), 1, "another account has the label 'HOME'"),
        (("--enterprise-host", "a b"), 2, "no host name"),
        (("--account-type", "family"), 2, "invalid choice"),
        (("--github-token-file", "/nowhere"), 1, "/nowhere cannot be read"),
        (("--github-token-file", os.devnull), 2, "holds no GitHub token"),
    ],
)
def test_what_cannot_be_added_is_said_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    save(tmp_path, record("home"))
    done = run("add-account", *arguments, home=tmp_path)
    assert (done.returncode, words in done.stderr, "s3cret" in done.stderr) == (code, True, False)
    assert "Traceback" not in done.stderr
    assert list(stored(tmp_path)) == ["home"]


def test_a_token_is_stored_only_if_github_takes_it(tmp_path: Path) -> None:
    save(tmp_path, record("home", github_token=HOME.token), paused=(WORK.token,))
    with twin(tmp_path) as (base, _):
        for token, words in (
            ("ghu_SYNTHETICwrong", "was not stored"),
            (HOME.token, "stored already, as 'home'"),
            (WORK.token, "auth --acknowledge"),
        ):
            arguments = ("add-account", "--github-token-file", token_file(tmp_path, token))
            done = run(*arguments, home=tmp_path, **upstream(base))
            assert (done.returncode, words in done.stderr, token in done.stderr) == (1, True, False)
        proxied = (
            "add-account",
            "--github-token-file",
            token_file(tmp_path, DEV.token),
            "--proxy",
            "http://127.0.0.1:9",
        )
        done = run(*proxied, home=tmp_path, **upstream(base))
        assert (done.returncode, "127.0.0.1:9" in done.stderr) == (1, True)  # never directly instead
    assert list(stored(tmp_path)) == ["home"]


# ---- list-accounts


def test_the_list_says_how_each_account_is(tmp_path: Path, command: Command) -> None:
    later = time.time() + 3600
    used_up = StoredCooldown(later, "exhausted", "used up")
    premium = Window(name="premium", entitlement=300, remaining=241.5)
    save(
        tmp_path,
        record("work", account_type="business", quota=Quota(windows=(premium,), token_billing=True)),
        record("home", cooldowns={PAID: used_up, "gpt-5": StoredCooldown(later, "rate_limited", "slow")}),
        record("old", status="banned", status_message="refused\x1b[2J", login=""),
        record("warned"),
        paused=("ghu_SYNTHETICwarned",),
    )  # fmt: skip
    done = command("list-accounts")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["#", "Label", "Login", "Group", "Status", "Premium", "Remaining"]
    assert lines[2].split() == [
        "1",
        "work",
        "octo-work",
        "github.com/business",
        "active",
        "241.5",
        "of",
        "300",
        "credits",
    ]
    assert lines[3].split()[4:] == ["exhausted", "-"]
    assert lines[4].split()[2:] == ["-", "github.com/individual", "banned", "-"]
    assert lines[5].split()[4] == "warned"
    assert lines[6].startswith("home: exhausted until 20")
    assert lines[7].startswith("home: gpt-5 rests until 20")
    assert lines[8] == "old: banned: refused?[2J"
    assert lines[9] == f"warned: banned: {WARNING.message}"
    assert "SYNTHETIC" not in done.stdout


def test_the_list_is_json_with_the_apis_names(tmp_path: Path, command: Command) -> None:
    save(tmp_path, record("work", proxy="http://u:s3cret@p:1"), paused=("ghu_SYNTHETICwork",))
    (tmp_path / "data" / "config.json").write_text('{"groups": {"team": ["work"]}}')
    done = command("list-accounts", "--json")
    (work,) = json.loads(done.stdout)["accounts"]
    assert (work["label"], work["group"], work["status"]) == ("work", "team", "banned")
    assert (work["warning"], work["githubToken"]) == (WARNING.message, "ghu_...work")
    assert "s3cret" not in done.stdout


def test_no_accounts_and_a_damaged_file(tmp_path: Path, command: Command) -> None:
    assert "add-account" in command("list-accounts").stdout
    assert json.loads(command("list-accounts", "--json").stdout) == {"accounts": []}
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "accounts.json").write_text("{")
    for name in ("list-accounts", "acknowledge", "import"):
        done = command(name)
        assert (done.returncode, "damaged" in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)


# ---- the others


@pytest.mark.parametrize("words", [("2",), ("HOME",), ("id-home",), ("octo-home",), ("--label", "Home")])
def test_an_account_is_removed_by_any_of_its_names(tmp_path: Path, command: Command, words: tuple[str, ...]) -> None:
    save(tmp_path, record("work"), record("home"))
    done = command("remove-account", *words, "-f")
    assert (done.returncode, "Removed home (octo-home)" in done.stdout) == (0, True)
    assert list(stored(tmp_path)) == ["work"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("remove-account",), 2, "say which account"),
        (("remove-account", "1", "--label", "home"), 2, "say which account"),
        (("remove-account", "nobody", "-f"), 1, "list-accounts"),
        (("remove-account", "--label", "nobody", "-f"), 1, "no account has the label 'nobody'"),
        (("remove-account", "home"), 2, "--force"),
        (("remove-account", "twin", "-f"), 2, "more than one account"),
        (("enable-account", "9"), 1, "list-accounts"),
        (("disable-account", "nobody"), 1, "list-accounts"),
        (("acknowledge", "nobody"), 1, "list-accounts"),
        (("enable-account", "warned"), 1, "copilot-trio acknowledge id-warned"),
        (("enable-account",), 2, "account"),
        (("import",), 0, ""),
        (("import", "--from", "/nowhere"), 2, "/nowhere is no directory"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    tmp_path: Path, command: Command, arguments: tuple[str, ...], code: int, words: str
) -> None:
    twins = [record(name, login="twin") for name in "xy"]
    save(tmp_path, record("home"), record("warned"), *twins, paused=("ghu_SYNTHETICwarned",))
    content = (tmp_path / "data" / "accounts.json").read_bytes()
    done = command(*arguments)
    assert (done.returncode, words in done.stderr) == (code, True)
    assert (tmp_path / "data" / "accounts.json").read_bytes() == content


def test_a_person_is_asked_before_an_account_goes(tmp_path: Path) -> None:
    save(tmp_path, record("work"), record("home"))
    for answer, code in (("n", 1), ("y", 0)):
        with terminal() as (ours, theirs):
            with Running(("remove-account", "home"), environment(tmp_path), stdin=theirs) as asking:
                os.write(ours, f"{answer}\n".encode())
                assert asking.process.wait(PATIENCE) == code
            assert "Remove the account home (octo-home)? [y/N]" in asking.printed
        assert ("home" in stored(tmp_path)) == (answer == "n")


def test_enabling_forgets_what_was_stored_against_an_account(tmp_path: Path, command: Command) -> None:
    cooldown = StoredCooldown(time.time() + 3600, "exhausted")
    save(tmp_path, record("work", status="banned", status_message="refused", cooldowns={PAID: cooldown}))
    assert command("enable-account", "work").returncode == 0
    work = stored(tmp_path)["work"]
    assert (work.status, work.status_message, work.cooldowns) == ("active", "", {})
    assert command("disable-account", "1").returncode == 0
    assert stored(tmp_path)["work"].status == "disabled"


def test_a_warning_is_shown_and_acknowledged(tmp_path: Path, command: Command) -> None:
    save(tmp_path, record("work"), record("home"), paused=("ghu_SYNTHETICwork", "ghu_SYNTHETICelsewhere"))
    several = command("acknowledge")
    assert (several.returncode, "work, 1 not stored are paused" in several.stderr) == (2, True)
    assert "home (octo-home) is not paused" in command("acknowledge", "home").stdout
    assert f"work (octo-work): GitHub said: {WARNING.message}" in command("acknowledge", "work").stdout
    only = command("acknowledge")
    assert (only.returncode, "a token that is not stored: GitHub said: be nice" in only.stdout) == (0, True)
    assert "No account is paused" in command("acknowledge").stdout
    assert load_accounts(tmp_path / "data" / "accounts.json").paused == {}


# ---- import


def plus(home: Path) -> Path:
    directory = home / ".local" / "share" / "copilot-api-plus"
    directory.mkdir(parents=True)
    accounts = [
        {"githubToken": DEV.token, "label": "old", "githubLogin": DEV.login},
        {"githubToken": "ghu_SYNTHETICbad", "label": "bad", "proxy": "ftp://u:s3cret@x"},
    ]
    (directory / "accounts.json").write_text(json.dumps(accounts))
    return directory


def test_accounts_of_another_proxy_are_copied_once(tmp_path: Path, command: Command) -> None:
    directory = plus(tmp_path)
    asked = command("import")
    assert (asked.returncode, "--yes" in asked.stderr) == (2, True)
    assert not (tmp_path / "data" / "accounts.json").exists()
    content = (directory / "accounts.json").read_bytes()
    for words in (
        "Imported 1 account. What was copied is still there",
        "Imported 0 accounts; 1 account stored already",
    ):
        done = command("import", "--yes")
        assert (done.returncode, words in done.stdout) == (0, True)
        assert "left out   account 2 in" in done.stdout
        assert DEV.token not in done.stdout
        assert "s3cret" not in done.stdout
    assert list(stored(tmp_path)) == ["old"]
    assert (directory / "accounts.json").read_bytes() == content


def test_a_first_start_offers_what_another_proxy_has(tmp_path: Path) -> None:
    plus(tmp_path)
    with twin(tmp_path) as (base, _), terminal() as (ours, theirs):
        with Running(("start", "--port", "0"), environment(tmp_path, **upstream(base)), stdin=theirs) as server:
            server.wait_for(r"found +old \(octo-dev\)")
            os.write(ours, b"y\n")
            server.wait_for("Imported 1 account")
            address = server.wait_for(ADDRESS)[1]
            assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 200
