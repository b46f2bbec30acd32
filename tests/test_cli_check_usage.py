"""``check-usage`` as a user runs it, against the emulator."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from processes import PATIENCE, Running, call, environment, run, twin

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import AccountsFile, Pause, load_accounts, pause_of, save_accounts, with_pause
from copilot_trio.twin import sample_accounts

DEV, HOME, WORK = sample_accounts()
QUOTA_PATH = "/copilot_internal/user"


def record(label: str, token: str, **fields: object) -> AccountRecord:
    values: dict[str, Any] = {"id": f"id-{label}", "login": f"octo-{label}", **fields}
    return AccountRecord(label=label, github_token=token, **values)


def save(home: Path, *records: AccountRecord, paused: tuple[str, ...] = ()) -> Path:
    file = AccountsFile(accounts=records)
    for token in paused:
        file = with_pause(file, token, Pause("be nice", 1.0))
    path = home / "data" / "accounts.json"
    save_accounts(path, file)
    return path


def upstream(base: str) -> dict[str, str]:
    return {"COPILOT_TRIO_GITHUB_URL": base, "COPILOT_TRIO_GITHUB_API_URL": base}


def asked(control: str) -> list[str]:
    return [one["account"] for one in json.loads(call(f"{control}/records?path={QUOTA_PATH}")[2])["records"]]


def test_accounts_are_shown_one_below_the_other(tmp_path: Path) -> None:
    path = save(tmp_path, record("dev", DEV.token), record("work", WORK.token), record("home", HOME.token))
    with twin(tmp_path) as (base, control):
        change = {
            "login": HOME.login,
            "entitlement": 500,
            "remaining": 0,
            "overage_count": 75,
            "overage_permitted": True,
        }
        call(f"{control}/accounts", "POST", change)
        done = run("check-usage", home=tmp_path, **upstream(base))
    assert (done.returncode, done.stderr) == (0, "")
    dev, work, home = done.stdout.split("\n\n")
    assert dev.startswith("dev (octo-dev): Individual Pro\n  Resets       ")
    assert "[######--------------]  445.75 of 1500 used (29.7% used, 70.3% left)" in dev
    assert "Chat         unlimited" in dev
    assert work.startswith("work (octo-work): Business\n")
    assert "credits used (4.2% used, 95.8% left)" in work
    assert "[####################]  575 of 500 used (115% used, 0% left)" in home
    assert "More may be bought, 75 so far" in home
    assert "\x1b" not in done.stdout
    for account in load_accounts(path).accounts:
        assert account.quota is not None
        assert abs(account.quota.read_at - time.time()) < PATIENCE


def test_json_is_what_the_api_tells(tmp_path: Path) -> None:
    save(tmp_path, record("dev", DEV.token), record("work", WORK.token))
    with twin(tmp_path) as (base, control):
        done = run("check-usage", "--json", "--account", "octo-dev", home=tmp_path, **upstream(base))
        assert asked(control) == [DEV.login]
    (account,) = json.loads(done.stdout)["accounts"]
    assert (account["label"], account["planLabel"], account["error"]) == ("dev", "Individual Pro", None)
    premium = account["windows"][0]
    assert (premium["name"], premium["usedPercent"], premium["remaining"]) == ("premium", 29.72, 1054.25)
    assert premium["pace"]["summary"]
    assert done.returncode == 0


def test_one_that_fails_is_told_beside_the_others(tmp_path: Path) -> None:
    save(tmp_path, record("old", "ghu_SYNTHETICnobody"), record("dev", DEV.token))
    with twin(tmp_path) as (base, _):
        done = run("check-usage", home=tmp_path, **upstream(base))
        alone = run("check-usage", "--account", "old", "--json", home=tmp_path, **upstream(base))
    assert done.returncode == 0
    assert "old (octo-old)\n  " in done.stdout
    assert "70.3% left" in done.stdout
    assert (alone.returncode, alone.stderr) == (1, "copilot-trio: no quota could be read\n")
    (told,) = json.loads(alone.stdout)["accounts"]
    assert (told["windows"], "copilot-trio auth" in told["error"]) == ([], True)
    assert "ghu_" not in done.stdout + alone.stdout


def test_who_is_paused_or_switched_off_is_not_asked(tmp_path: Path) -> None:
    records = record("dev", DEV.token, status="disabled"), record("work", WORK.token)
    save(tmp_path, *records, paused=(WORK.token,))
    with twin(tmp_path) as (base, control):
        done = run("check-usage", home=tmp_path, **upstream(base))
        assert asked(control) == []
    assert done.returncode == 1
    assert "Not asked: it is disabled" in done.stdout
    assert "Not asked. GitHub warned about this account: be nice" in done.stdout


def test_a_warning_stops_everybody(tmp_path: Path) -> None:
    path = save(tmp_path, record("dev", DEV.token))
    with twin(tmp_path) as (base, control):
        fault = {"path": QUOTA_PATH, "status": 403, "body": {"message": "This violates our Terms of Service"}}
        call(f"{control}/scenarios", "POST", fault)
        first = run("check-usage", home=tmp_path, **upstream(base))
        second = run("check-usage", home=tmp_path, **upstream(base))
        assert len(asked(control)) == 1
    assert (first.returncode, second.returncode) == (1, 1)
    assert "acknowledge" in first.stdout
    assert "Not asked. GitHub warned about this account: This violates" in second.stdout
    pause = pause_of(load_accounts(path), DEV.token)
    assert pause is not None
    assert pause.message == "This violates our Terms of Service"


def test_what_a_user_gets_wrong(tmp_path: Path) -> None:
    done = run("check-usage", home=tmp_path)
    assert (done.returncode, "add-account" in done.stderr, done.stdout) == (1, True, "")
    path = save(tmp_path, record("dev", DEV.token))
    done = run("check-usage", "--account", "nobody", home=tmp_path)
    assert (done.returncode, "nobody" in done.stderr) == (1, True)
    done = run("check-usage", "--github-api-base-url", "http://github.example", home=tmp_path)
    assert (done.returncode, "loopback" in done.stderr) == (2, True)
    path.write_text("{oops")
    done = run("check-usage", home=tmp_path)
    assert (done.returncode, str(path) in done.stderr, len(done.stderr.splitlines())) == (1, True, 1)


@pytest.mark.parametrize(
    ("more", "coloured"), [({"TERM": "xterm"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_on_a_terminal_only(tmp_path: Path, more: dict[str, str], coloured: bool) -> None:
    save(tmp_path, record("dev", DEV.token))
    ours, theirs = pty.openpty()
    with twin(tmp_path) as (base, _):
        done = subprocess.run(
            [sys.executable, "-m", "copilot_trio", "check-usage"],
            env=environment(tmp_path, **upstream(base), **more),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            timeout=PATIENCE,
            check=False,
        )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0
    assert ("\x1b[32m[######" in shown) is coloured
    assert "70.3% left" in shown


def test_a_running_server_takes_the_quota_over_and_goes_on(tmp_path: Path) -> None:
    path = save(tmp_path, record("dev", DEV.token))
    with twin(tmp_path) as (base, _):
        with Running(("start", "--port", "0"), environment(tmp_path, **upstream(base))) as server:
            server.wait_for("models ")
            assert run("check-usage", home=tmp_path, **upstream(base)).returncode == 0
            assert server.stop() == 0
    (account,) = load_accounts(path).accounts
    assert account.quota is not None
    assert account.quota.plan == "individual_pro"
