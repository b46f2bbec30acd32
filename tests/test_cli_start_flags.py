"""``start`` as a user runs it: what its flags limit and ask, and settings that change meanwhile. Real processes."""

from __future__ import annotations

import json
import re
import shlex
import socket
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pexpect
import pytest
from processes import PATIENCE, Running, call, environment, run, twin

from copilot_trio.config import load_config
from copilot_trio.config_file import update_config
from copilot_trio.twin import sample_accounts

# From Python 3.12 on a fork beside any thread is warned of; the child does nothing but exec.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of forkpty:DeprecationWarning")
TOKEN = sample_accounts()[0].token
CHAT = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "SCENARIO:text REPLY=hello"}]}
ADDRESS = r"listening +(http://\S+)"
TWIN = ("COPILOT_TRIO_GITHUB_URL", "COPILOT_TRIO_GITHUB_API_URL")


def variables(home: Path, base: str, **more: str) -> dict[str, str]:
    return environment(home, **dict.fromkeys(TWIN, base), COPILOT_TRIO_GITHUB_TOKEN=TOKEN, **more)


def start(home: Path, base: str, *flags: str) -> Running:
    return Running(("start", "--port", "0", *flags), variables(home, base))


@contextmanager
def on_terminal(home: Path, base: str, *flags: str, **more: str) -> Iterator[tuple[pexpect.spawn[str], str]]:
    """``start`` on a terminal, and where it listens."""
    arguments = ["-m", "copilot_trio", "start", "--port", "0", *flags]
    known: Mapping[str, str] = {**variables(home, base, **more), "TERM": "dumb", "SHELL": "/bin/bash"}
    child = pexpect.spawn(
        sys.executable, arguments, env=dict(known), timeout=PATIENCE, encoding="utf-8", dimensions=(40, 400)
    )
    try:
        child.expect(ADDRESS)
        yield child, matched(child)
    finally:
        child.close(force=True)


def ask(pool: ThreadPoolExecutor, address: str) -> Future[tuple[int, dict[str, str], bytes]]:
    return pool.submit(call, f"{address}/v1/chat/completions", "POST", CHAT)


def matched(child: pexpect.spawn[str]) -> str:
    assert isinstance(child.match, re.Match)
    return str(child.match[1])


def variables_of(command: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in shlex.split(command)]
    return {name: value for name, _, value in pairs}


# ---- the rate limit


def test_a_second_request_is_refused_until_its_time(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _), start(tmp_path, base, "--rate-limit", "1000") as server:
        address = server.wait_for(ADDRESS)[1]
        assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 200
        status, headers, body = call(f"{address}/v1/chat/completions", "POST", CHAT)
        assert (status, json.loads(body)["error"]["code"]) == (429, "local_rate_limit")
        assert 0 < int(headers["retry-after"]) <= 1000
        assert headers["x-should-retry"] == "false"


def test_with_wait_it_is_answered_later(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _), start(tmp_path, base, "-r", "0.2", "-w") as server:
        address = server.wait_for(ADDRESS)[1]
        with ThreadPoolExecutor(3) as pool:
            assert [answer.result()[0] for answer in [ask(pool, address) for _ in range(3)]] == [200, 200, 200]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--rate-limit", "0"), "over 0"),
        (("--rate-limit", "-5"), "over 0"),
        (("--rate-limit", "nan"), "over 0"),
        (("--rate-limit", "100000"), "86400"),
        (("--rate-limit", "soon"), "--rate-limit"),
        (("--wait",), "--rate-limit"),
        (("--manual",), "--manual asks questions, and there is no terminal"),
        (("--claude-code",), "--claude-code asks questions, and there is no terminal"),
    ],
)
def test_wrong_use_is_said_at_once(tmp_path: Path, flags: tuple[str, ...], said: str) -> None:
    failed = run("start", "--github-token", "x", *flags, home=tmp_path)
    assert failed.returncode == 2
    assert said in failed.stderr
    assert "Traceback" not in failed.stderr


# ---- a person at the terminal


def test_each_request_is_asked_about(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _), on_terminal(tmp_path, base, "--manual") as (child, address):
        with ThreadPoolExecutor(2) as pool:
            first = ask(pool, address)
            child.expect(
                r"POST /v1/chat/completions for gpt-4\.1, \d+ bytes, by the accounts of github\.com/individual"
            )
            child.expect("SCENARIO:text REPLY=hello")
            child.expect(r"Send it\? .*: ")
            child.sendline("n")
            assert first.result()[0] == 403
            second = ask(pool, address)
            child.expect(r"Send it\? .*: ")
            child.sendline("what?")
            child.expect("y sends it.*: ")
            child.sendline("y")
            assert second.result()[0] == 200
            third = ask(pool, address)
            child.expect(r"Send it\? .*: ")
            child.sendline("a")
            assert third.result()[0] == 200
            assert ask(pool, address).result()[0] == 200
        child.sendintr()
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0


def test_who_leaves_withdraws_the_question_and_what_was_typed_is_no_answer_to_the_next(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _), on_terminal(tmp_path, base, "--manual") as (child, address):
        host, port = address.removeprefix("http://").split(":")
        body = json.dumps(CHAT).encode()
        with socket.create_connection((host, int(port))) as client:
            head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            child.expect(r"Send it\? .*: ")
            child.send("y")  # and no Enter yet
        child.expect("withdrawn")
        with ThreadPoolExecutor(1) as pool:
            second = ask(pool, address)
            child.expect(r"Send it\? .*: ")
            child.sendline("")
            child.expect("y sends it.*: ")  # an empty line, not the y of before
            child.sendeof()
            assert second.result()[0] == 403


def test_ctrl_c_ends_it_while_a_question_is_open(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _), on_terminal(tmp_path, base, "--manual") as (child, address):
        with ThreadPoolExecutor(1) as pool:
            asked = ask(pool, address)
            child.expect(r"Send it\? .*: ")
            child.sendintr()
            child.expect("stopping")
            child.sendintr()
            child.expect(pexpect.EOF)
            child.wait()
            assert child.exitstatus == 0
            assert asked.exception() is not None


# ---- Claude Code


def test_the_models_for_claude_code_are_asked_for_and_its_command_is_shown(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    clipboard = programs / "pbcopy"
    clipboard.write_text(f"#!/bin/sh\ncat > {shlex.quote(str(tmp_path / 'copied'))}\n")
    clipboard.chmod(0o755)
    path = f"{programs}:/usr/bin:/bin"
    with (
        twin(tmp_path) as (base, _),
        on_terminal(tmp_path, base, "-c", "--api-key", "my-key", PATH=path) as (
            child,
            address,
        ),
    ):
        child.expect(r"(\d+)  claude-opus-4\.6\r\n")
        number = matched(child)
        child.expect(r"Model for Claude Code.*\[claude-sonnet.*\]: ")
        child.sendline("no-such-model")
        child.expect("no usable model is called")
        child.sendline(number)
        child.expect(r"Small, fast model.*\[(claude-haiku\S+)\]: ")
        small = matched(child)
        child.sendline("")
        child.expect(r"Claude Code, in another bash:\s+(.*) claude\r\n")
        shown = variables_of(matched(child))
        child.expect(r"copied to the clipboard \(pbcopy\), with your key")
        assert shown["ANTHROPIC_BASE_URL"] == address
        assert (shown["ANTHROPIC_MODEL"], shown["ANTHROPIC_SMALL_FAST_MODEL"]) == ("claude-opus-4.6", small)
        assert shown["ANTHROPIC_AUTH_TOKEN"] == "<your key>"
        copied = (tmp_path / "copied").read_text()
        assert "ANTHROPIC_AUTH_TOKEN=my-key " in copied
        assert copied.endswith(" claude")
        config = json.loads(call(f"{address}/api/config", headers={"x-api-key": "my-key"})[2])
        assert (config["selectedModel"], config["selectedSmallModel"]) == ("claude-opus-4.6", small)


def test_nobody_need_choose_models(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _), on_terminal(tmp_path, base, "--claude-code") as (child, address):
        child.expect("Model for Claude Code.*: ")
        child.sendeof()
        child.expect("nothing was chosen")
        assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 200


# ---- settings that change meanwhile


def test_settings_are_changed_by_api_and_by_file_while_it_serves(tmp_path: Path) -> None:
    path = tmp_path / "data" / "config.json"
    with twin(tmp_path) as (base, _), start(tmp_path, base, "--no-auto-thinking") as server:
        address = server.wait_for(ADDRESS)[1]
        mapping = {"mapping": {"mine": "gpt-4.1"}}
        assert call(f"{address}/api/models/mapping", "PUT", mapping)[0] == 200
        server.wait_for(r"config\.json: in force now: model_mapping")
        assert call(f"{address}/v1/chat/completions", "POST", {**CHAT, "model": "mine"})[0] == 200
        update_config(path, lambda config: msgspec.structs.replace(config, concurrency={"default": 3}))
        server.wait_for(r"in force now: concurrency")
        stored = load_config(path)
        assert (stored.model_mapping, stored.concurrency) == ({"mine": "gpt-4.1"}, {"default": 3})
        assert stored.auto_thinking  # a flag is for one run
        path.write_text('{"timeouts": {"silence": true}}')
        server.wait_for(r"the settings in use stay as they were: .*\$\.timeouts\.silence")
        assert json.loads(call(f"{address}/api/models/concurrency")[2]) == {"concurrency": {"default": 3}}


def test_a_host_that_others_reach_is_never_left_without_a_key(tmp_path: Path) -> None:
    path = tmp_path / "data" / "config.json"
    with twin(tmp_path) as (base, _), start(tmp_path, base, "--host", "0.0.0.0", "--no-auto-thinking") as server:
        key = server.wait_for(r"API key, shown this once: (\S+)")[1]
        address = server.wait_for(ADDRESS)[1].replace("0.0.0.0", "127.0.0.1")
        stored = json.loads(path.read_text())
        assert (len(stored["keys"]), "auto_thinking" in stored) == (1, False)
        status, _, body = call(f"{address}/api/config", "PUT", {"keys": []}, {"x-api-key": key})
        assert (status, "`keys` is empty" in str(json.loads(body)["error"])) == (400, True)
        path.write_text("{}")
        server.wait_for(r"the settings in use stay as they were: .*`keys` is empty")
        assert call(f"{address}/v1/models")[0] == 401
        assert call(f"{address}/v1/models", headers={"x-api-key": key})[0] == 200
        assert not re.search(re.escape(key), server.printed.replace(f"shown this once: {key}", ""))
