"""``proxy`` as a user runs it, on a terminal and without one; and who uses what it saved."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pexpect
import pytest
from processes import PATIENCE, environment, run

from copilot_trio.cli.failure import CommandFailed
from copilot_trio.cli.network import chosen_egress
from copilot_trio.config import Config, ProxySettings, load_config

HTTP, SOCKS = "http://alice:s3cret@127.0.0.1:9", "socks5h://127.0.0.1:1080"


def saved(home: Path) -> ProxySettings | None:
    return load_config(home / "data" / "config.json").proxy


def on_terminal(home: Path) -> pexpect.spawn[str]:
    arguments = ["-m", "copilot_trio", "proxy", "--set"]
    variables = {**environment(home), "TERM": "dumb"}
    return pexpect.spawn(sys.executable, arguments, env=variables, timeout=PATIENCE, encoding="utf-8")


def test_values_are_saved_enabled_and_shown_masked(tmp_path: Path) -> None:
    assert run("proxy", home=tmp_path).stdout == "No proxy is saved.\n"
    done = run("proxy", "--http-proxy", HTTP, "--no-proxy", ".example.com", home=tmp_path)
    assert (done.returncode, "saved and enabled" in done.stdout) == (0, True)
    assert saved(tmp_path) == ProxySettings(http_proxy=HTTP, https_proxy=HTTP, no_proxy=".example.com")
    shown = run("proxy", "--show", home=tmp_path).stdout
    assert [line.split() for line in shown.splitlines()] == [
        ["Status", "enabled"],
        ["HTTP_PROXY", "http://alice:***@127.0.0.1:9"],
        ["HTTPS_PROXY", "http://alice:***@127.0.0.1:9"],
        ["NO_PROXY", ".example.com"],
    ]
    assert "s3cret" not in shown


def test_one_value_is_changed_alone(tmp_path: Path) -> None:
    run("proxy", "--http-proxy", HTTP, "--https-proxy", SOCKS, home=tmp_path)
    assert run("proxy", "--no-proxy", "10.0.0.0/8", home=tmp_path).returncode == 0
    assert saved(tmp_path) == ProxySettings(http_proxy=HTTP, https_proxy=SOCKS, no_proxy="10.0.0.0/8")
    run("proxy", "--http-proxy", SOCKS, home=tmp_path)
    assert saved(tmp_path) == ProxySettings(http_proxy=SOCKS, https_proxy=SOCKS, no_proxy="10.0.0.0/8")
    assert run("proxy", "--http-proxy", "", home=tmp_path).returncode == 0
    kept = saved(tmp_path)
    assert kept is not None
    assert kept.http_proxy is None


def test_it_is_switched_off_and_on_and_forgotten(tmp_path: Path) -> None:
    missing = run("proxy", "--enable", home=tmp_path)
    assert (missing.returncode, "no proxy is saved" in missing.stderr) == (1, True)
    run("proxy", "--https-proxy", SOCKS, home=tmp_path)
    assert "disabled" in run("proxy", "--disable", home=tmp_path).stdout
    assert saved(tmp_path) == ProxySettings(enabled=False, https_proxy=SOCKS)
    assert "Status       disabled" in run("proxy", home=tmp_path).stdout
    assert "enabled" in run("proxy", "--enable", home=tmp_path).stdout
    assert saved(tmp_path) == ProxySettings(https_proxy=SOCKS)
    assert "forgotten" in run("proxy", "--clear", home=tmp_path).stdout
    assert saved(tmp_path) is None
    assert run("proxy", "--clear", home=tmp_path).stdout == "No proxy is saved.\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--http-proxy", "ftp://u:s3cret@x"), "--http-proxy: this proxy URL cannot be used"),
        (("--no-proxy", "x"), "give --http-proxy or --https-proxy"),
        (("--set",), "no terminal to ask on"),
        (("--clear", "--http-proxy", "http://x"), "given alone"),
        (("--enable", "--disable"), "not allowed with"),
    ],
)
def test_wrong_use_exits_with_2_and_saves_nothing(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run("proxy", *arguments, home=tmp_path)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert "s3cret" not in done.stderr
    assert saved(tmp_path) is None


def test_damaged_settings_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "data" / "config.json"
    path.parent.mkdir()
    path.write_text('{"proxy": 5}')
    done = run("proxy", "--https-proxy", SOCKS, home=tmp_path)
    assert (done.returncode, "$.proxy" in done.stderr) == (1, True)
    assert path.read_text() == '{"proxy": 5}'


def test_a_terminal_is_asked(tmp_path: Path) -> None:
    with on_terminal(tmp_path) as asking:
        asking.expect_exact("HTTP proxy [none]: ")
        asking.sendline("ftp://wrong")
        asking.expect("cannot be used")
        asking.expect_exact("HTTP proxy [none]: ")
        asking.sendline(HTTP)
        asking.expect_exact("HTTPS proxy [http://alice:***@127.0.0.1:9]: ")
        asking.sendline("")
        asking.expect_exact("No proxy for [none]: ")
        asking.sendline("localhost")
        asking.expect_exact("Enable it now? [Y/n] ")
        asking.sendline("n")
        asking.expect("saved, and disabled")
        asking.expect(pexpect.EOF)
        assert asking.wait() == 0
    assert saved(tmp_path) == ProxySettings(enabled=False, http_proxy=HTTP, https_proxy=HTTP, no_proxy="localhost")


def test_what_is_typed_is_not_shown_and_enter_keeps_it(tmp_path: Path) -> None:
    run("proxy", "--http-proxy", HTTP, "--no-proxy", "a", home=tmp_path)
    with on_terminal(tmp_path) as asking:
        asking.expect_exact("HTTP proxy [http://alice:***@127.0.0.1:9]: ")
        asking.sendline("-")
        asking.expect_exact("HTTPS proxy [")
        asking.sendline("http://bob:hidden@127.0.0.1:8")
        asking.expect_exact("No proxy for [a]: ")
        assert "hidden" not in (asking.before or "")
        asking.sendline("")
        asking.expect_exact("[Y/n] ")
        asking.sendline("")
        asking.expect(pexpect.EOF)
        assert asking.wait() == 0
    assert saved(tmp_path) == ProxySettings(https_proxy="http://bob:hidden@127.0.0.1:8", no_proxy="a")


def test_who_leaves_in_the_middle_has_changed_nothing(tmp_path: Path) -> None:
    with on_terminal(tmp_path) as asking:
        asking.expect_exact("HTTP proxy [none]: ")
        asking.sendeof()
        asking.expect("nothing was changed")
        asking.expect(pexpect.EOF)
        assert asking.wait() == 1
    assert saved(tmp_path) is None


def options(*, proxy_env: bool = False) -> argparse.Namespace:
    return argparse.Namespace(proxy_env=proxy_env, ca_file=None)


def test_the_environment_comes_before_the_saved_proxy_and_that_before_a_direct_way() -> None:
    config = Config(proxy=ProxySettings(https_proxy=SOCKS))
    off = Config(proxy=ProxySettings(https_proxy=SOCKS, enabled=False))
    variables = {"HTTPS_PROXY": HTTP}
    by_saved = chosen_egress(options(), variables, config)
    assert by_saved.proxied
    assert chosen_egress(options(proxy_env=True), variables, config).key not in {by_saved.key, "direct"}
    for unsaved in (None, Config(), off):
        assert chosen_egress(options(), variables, unsaved).key == "direct"
    with pytest.raises(CommandFailed, match="--proxy-env"):
        chosen_egress(options(proxy_env=True), {}, config)
