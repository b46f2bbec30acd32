from __future__ import annotations

import sys
from pathlib import Path

import pexpect
from processes import PATIENCE, environment, run

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import AccountsFile, Pause, load_accounts, pause_of, save_accounts, with_pause
from copilot_trio.config import ApiKey, Config, ProxySettings, load_config
from copilot_trio.config_file import update_config

TOKENS = ("ghu_SYNTHETICwork", "ghu_SYNTHETIChome")
CONFIG = Config(
    keys=(ApiKey("laptop", "a" * 64),), proxy=ProxySettings(http_proxy="http://u:s3cret@x"), concurrency={"x": 1}
)


def stock(home: Path) -> None:
    records = [
        AccountRecord(id=f"id-{number}", label=token[13:], login=f"octo-{number}", github_token=token)
        for number, token in enumerate(TOKENS)
    ]
    file = with_pause(AccountsFile(accounts=tuple(records)), TOKENS[0], Pause("be nice", 1.0))
    save_accounts(home / "data" / "accounts.json", file)
    update_config(home / "data" / "config.json", lambda _: CONFIG)


def accounts(home: Path) -> AccountsFile:
    return load_accounts(home / "data" / "accounts.json")


def config(home: Path) -> Config:
    return load_config(home / "data" / "config.json")


def on_terminal(home: Path) -> pexpect.spawn[str]:
    command = ["-m", "copilot_trio", "logout"]
    return pexpect.spawn(sys.executable, command, env=environment(home), timeout=PATIENCE, encoding="utf-8")


def test_github_alone_takes_the_accounts_and_leaves_the_settings(tmp_path: Path) -> None:
    stock(tmp_path)
    done = run("logout", "--github", home=tmp_path)
    assert done.returncode == 0
    assert "work (octo-0), home (octo-1)" in done.stdout
    assert "revoke them at https://github.com/settings/applications" in done.stdout
    assert accounts(tmp_path).accounts == ()
    assert not any(token in (tmp_path / "data" / "accounts.json").read_text() for token in TOKENS)
    assert pause_of(accounts(tmp_path), TOKENS[0]) is not None
    assert config(tmp_path) == CONFIG


def test_all_takes_keys_and_proxy_too(tmp_path: Path) -> None:
    stock(tmp_path)
    done = run("logout", "-a", home=tmp_path, GH_TOKEN="ghu_SYNTHETICenv")
    assert done.returncode == 0
    assert "the key laptop, the saved proxy" in done.stdout
    assert "GH_TOKEN is set in this environment, and was left alone" in done.stdout
    assert accounts(tmp_path).accounts == ()
    assert config(tmp_path) == Config(concurrency={"x": 1})
    assert "s3cret" not in (tmp_path / "data" / "config.json").read_text()
    assert not any(secret in done.stdout for secret in (*TOKENS, "ghu_SYNTHETICenv", "s3cret"))


def test_nothing_stored_is_no_failure_and_makes_no_files(tmp_path: Path) -> None:
    done = run("logout", "--all", home=tmp_path)
    assert (done.returncode, done.stdout) == (0, "No account was stored.\nNo key and no proxy was saved.\n")
    assert not (tmp_path / "data").exists()


def test_without_a_terminal_the_flags_are_named(tmp_path: Path) -> None:
    stock(tmp_path)
    done = run("logout", home=tmp_path, stdin="1\ny\n")
    assert (done.returncode, "add --github or --all" in done.stderr) == (2, True)
    assert run("logout", "--github", "--all", home=tmp_path).returncode == 2
    assert len(accounts(tmp_path).accounts) == 2


def test_a_terminal_is_asked_what_and_whether(tmp_path: Path) -> None:
    stock(tmp_path)
    for answers, code in ((("3",), 1), (("1", "n"), 1), (("1", "y"), 0)):
        with on_terminal(tmp_path) as asking:
            asking.expect_exact("work (octo-0), home (octo-1)")
            asking.expect_exact("anything else for none: ")
            asking.sendline(answers[0])
            for answer in answers[1:]:
                asking.expect_exact("Remove them for good? [y/N] ")
                asking.sendline(answer)
            asking.expect_exact("Nothing was removed." if code else "Removed from")
            asking.expect(pexpect.EOF)
            assert asking.wait() == code
        assert len(accounts(tmp_path).accounts) == (2 if code else 0)
    assert config(tmp_path) == CONFIG


def test_everything_by_the_menu(tmp_path: Path) -> None:
    stock(tmp_path)
    with on_terminal(tmp_path) as asking:
        asking.expect_exact("none: ")
        asking.sendline("2")
        asking.expect_exact("[y/N] ")
        asking.sendline("yes")
        asking.expect(pexpect.EOF)
        assert asking.wait() == 0
    assert (accounts(tmp_path).accounts, config(tmp_path).keys) == ((), ())


def test_a_damaged_file_is_found_before_anything_has_gone(tmp_path: Path) -> None:
    stock(tmp_path)
    path = tmp_path / "data" / "config.json"
    path.write_text("{oops")
    done = run("logout", "--all", home=tmp_path)
    assert (done.returncode, str(path) in done.stderr) == (1, True)
    assert len(accounts(tmp_path).accounts) == 2
    assert path.read_text() == "{oops"
