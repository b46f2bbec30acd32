"""``guard`` as a script runs it: what counts is the exit code."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from processes import PATIENCE, call, environment, run, twin
from test_cli_check_usage import DEV, HOME, QUOTA_PATH, WORK, asked, record, save, upstream

from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.accounts.store import load_accounts

ENOUGH, BELOW, WRONG_USE, UNAVAILABLE = 0, 1, 64, 69


def known(percent: float, age: float = 0.0, name: str = "premium") -> Quota:
    return Quota(windows=(Window(name=name, percent_remaining=percent),), read_at=time.time() - age)


@pytest.mark.parametrize(
    ("percent", "arguments", "code"),
    [
        (70.28, (), ENOUGH),
        (10, (), ENOUGH),
        (9.99, (), BELOW),
        (70.28, ("--min-remaining", "70.28"), ENOUGH),
        (70.28, ("--min-remaining", "70.3"), BELOW),
        (0, ("--min-remaining", "0"), ENOUGH),
        (-15, ("--min-remaining", "0"), BELOW),
        (-15, ("--fail-open",), BELOW),
    ],
)
def test_what_is_stored_and_fresh_will_do(
    tmp_path: Path, percent: float, arguments: tuple[str, ...], code: int
) -> None:
    save(tmp_path, record("dev", DEV.token, quota=known(percent)))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = run("guard", *arguments, home=tmp_path, **upstream(nowhere))
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("enough: " if code == ENOUGH else "below: ")
    assert "% of premium left on dev" in done.stdout


def test_github_is_asked_once_a_minute_at_most(tmp_path: Path) -> None:
    path = save(tmp_path, record("dev", DEV.token, quota=known(1, age=61)))
    with twin(tmp_path) as (base, control):
        for _ in range(3):
            assert run("guard", "--min-remaining", "70", home=tmp_path, **upstream(base)).returncode == ENOUGH
        assert asked(control) == [DEV.login]
        save(tmp_path, record("dev", DEV.token, quota=known(1, age=-3600)))  # a clock that was set back
        assert run("guard", home=tmp_path, **upstream(base)).returncode == ENOUGH
    (account,) = load_accounts(path).accounts
    assert account.quota is not None
    assert account.quota.plan == "individual_pro"


def test_the_account_with_the_most_left_counts_or_the_one_that_is_named(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, control):
        call(f"{control}/accounts", "POST", {"login": HOME.login, "remaining": 3})
        save(tmp_path, record("home", HOME.token), record("work", WORK.token))
        best = run("guard", "--min-remaining", "90", "--json", home=tmp_path, **upstream(base))
        home = run("guard", "--account", "home", home=tmp_path, **upstream(base))
    assert (best.returncode, home.returncode) == (ENOUGH, BELOW)
    told: dict[str, Any] = json.loads(best.stdout)
    assert (told["state"], told["account"], told["window"], told["minRemaining"]) == ("enough", "work", "premium", 90)
    assert [(one["account"], one["remainingPercent"]) for one in told["accounts"]] == [("home", 1), ("work", 95.75)]
    assert home.stdout == "below: 1% of premium left on home, at least 10% wanted\n"


def test_one_that_fails_does_not_matter_where_another_is_known(tmp_path: Path) -> None:
    save(tmp_path, record("old", "ghu_SYNTHETICnobody"), record("dev", DEV.token, quota=known(50)))
    with twin(tmp_path) as (base, _):
        assert run("guard", home=tmp_path, **upstream(base)).returncode == ENOUGH
        done = run("guard", "--account", "old", home=tmp_path, **upstream(base))
    assert (done.returncode, "old" in done.stderr, "ghu_" in done.stderr) == (UNAVAILABLE, True, False)


def test_another_window(tmp_path: Path) -> None:
    save(tmp_path, record("dev", DEV.token, quota=known(5, name="chat")))
    assert run("guard", "--window", "chat", home=tmp_path).returncode == BELOW
    missing = run("guard", home=tmp_path)
    assert (missing.returncode, "windows: chat" in missing.stderr) == (UNAVAILABLE, True)
    unlimited = Window(name="chat", percent_remaining=100, unlimited=True)
    save(tmp_path, record("dev", DEV.token, quota=Quota(windows=(unlimited,), read_at=time.time())))
    assert run("guard", "--window", "chat", "--min-remaining", "100", home=tmp_path).returncode == ENOUGH


def test_nobody_knows(tmp_path: Path) -> None:
    without = run("guard", home=tmp_path)
    assert (without.returncode, without.stdout) == (UNAVAILABLE, "")
    path = save(
        tmp_path,
        record("dev", DEV.token, status="disabled", quota=known(90)),
        record("work", WORK.token, quota=known(90)),
        paused=(WORK.token,),
    )
    off = run("guard", "--json", home=tmp_path)
    assert (off.returncode, "disabled" in off.stderr, "warned" in off.stderr) == (UNAVAILABLE, True, True)
    assert json.loads(off.stdout)["state"] == "unavailable"
    opened = run("guard", "--fail-open", home=tmp_path)
    assert (opened.returncode, "--fail-open" in opened.stderr, len(opened.stderr.splitlines())) == (ENOUGH, True, 1)
    path.write_text("{oops")
    damaged = run("guard", home=tmp_path)
    assert (damaged.returncode, str(path) in damaged.stderr) == (UNAVAILABLE, True)
    assert run("guard", "--fail-open", home=tmp_path).returncode == ENOUGH


def test_github_cannot_be_asked(tmp_path: Path) -> None:
    save(tmp_path, record("dev", DEV.token))
    with twin(tmp_path) as (base, control):
        call(f"{control}/scenarios", "POST", {"path": QUOTA_PATH, "status": 503, "times": 2})
        assert run("guard", home=tmp_path, **upstream(base)).returncode == UNAVAILABLE
        assert run("guard", "--fail-open", home=tmp_path, **upstream(base)).returncode == ENOUGH
        assert run("guard", home=tmp_path, **upstream(base)).returncode == ENOUGH


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--min-remaining", "101"), "no percentage"),
        (("--min-remaining", "-1"), "no percentage"),
        (("--min-remaining", "nan"), "no percentage"),
        (("--min-remaining", "lots"), "lots"),
        (("--min-remaining",), "expected one argument"),
        (("--window", "weekly"), "invalid choice"),
        (("--nonsense",), "nonsense"),
        (("stray",), "stray"),
        (("--account", "nobody"), "nobody"),
        (("--account", "octo"), "more than one"),
        (("--github-api-base-url", "http://github.example"), "loopback"),
        (("--proxy-env",), "HTTPS_PROXY"),
        (("--ca-file", "/nowhere"), "/nowhere"),
    ],
)
def test_wrong_use_has_a_code_of_its_own_that_nothing_opens(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    dev = record("dev", DEV.token, quota=known(90), login="octo")
    save(tmp_path, dev, msgspec.structs.replace(dev, id="other", label="other", github_token=HOME.token))
    done = run("guard", "--fail-open", *arguments, home=tmp_path)
    assert (done.returncode, done.stdout) == (WRONG_USE, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_of_our_own_does_not_look_like_too_little(tmp_path: Path) -> None:
    save(tmp_path, record("dev", DEV.token))
    program = """
import argparse, os
from copilot_trio.cli import guard
from copilot_trio.cli.failure import CommandFailed
try:
    guard.run(argparse.Namespace(verbose=False, json=False, fail_open=False), os.environ)
except CommandFailed as failure:
    print(failure, failure.exit_code)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert "AttributeError" in done.stdout
    assert done.stdout.split()[-1] == str(UNAVAILABLE)


def test_help_names_the_exit_codes(tmp_path: Path) -> None:
    done = run("guard", "--help", home=tmp_path)
    assert done.returncode == 0
    assert "exit codes: 0 enough, 1 below, 64 wrong use, 69 not known" in done.stdout
