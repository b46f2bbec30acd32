"""``start`` and its flags: product.md §3, and the overrides of §1, row by row."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from processes import Running
from walk_access import ADDRESS
from walk_routes import CHAT, MESSAGES, log_lines
from walk_table import Caller, Missing, Shell, matched, short

STALLED = CHAT | {"stream": True, "messages": [{"role": "user", "content": "SCENARIO:stall60"}]}
PATH = "/v1/chat/completions"
FLAGS = (
    "--port", "-p", "--host", "--verbose", "-v", "--account-type", "-a", "--claude-code", "-c", "--rate-limit", "-r",
    "--wait", "-w", "--manual", "--github-token", "-g", "--show-token", "--proxy-env", "--api-key", "--allowed-host",
    "--allowed-origin", "--no-auth", "--i-know", "--max-body", "--drain", "--no-auto-thinking", "--github-token-file",
    "--save", "--github-base-url", "--github-api-base-url", "--copilot-base-url", "--enterprise-host",
)  # fmt: skip


def printed(shell: Shell, server: Running, b: Caller) -> None:
    """What a start says, of a server with three stored accounts."""
    for what, pattern in (
        ("the URL", ADDRESS),
        ("accounts, and their source", r"accounts +dev \(individual\).*from accounts\.json"),
        ("models", r"models +gpt-4\.1, .*"),
        ("unofficial, and terms", r"unofficial.*terms"),
    ):
        with shell.table.row("3", f"start prints {what}", "copilot-trio start") as said:
            said.append(short(server.wait_for(pattern)[0]))
    with shell.table.row("3", "start prints the dashboard's URL", "copilot-trio start") as said:
        lines = [line for line in server.printed.splitlines() if "/dashboard" in line and "<--" not in line]
        if not any("-->" not in line for line in lines):
            raise Missing("no line with /dashboard")
        said.append(short(lines[0]))
    log_lines(server.wait_for, b)


def sources(shell: Shell, stored: Shell, base: str, token: str) -> None:
    """Where a token comes from, and where GitHub is."""
    file = shell.home / "token"
    file.write_text(token)
    hosts = ("--github-base-url", base, "--github-api-base-url", base, "--copilot-base-url", base)
    bare = dict.fromkeys(shell.variables, "")
    for what, flags, variables, source in (
        ("COPILOT_TRIO_GITHUB_TOKEN", (), {"COPILOT_TRIO_GITHUB_TOKEN": token}, "COPILOT_TRIO_GITHUB_TOKEN"),
        ("GH_TOKEN, nothing stored", (), {"GH_TOKEN": token}, "GH_TOKEN"),
        ("--github-token-file, --…-base-url", ("--github-token-file", str(file), *hosts), bare, "--github-token-file"),
        ("--enterprise-host", ("-g", token, "--enterprise-host", "octocorp.ghe.com", *hosts), {}, "--github-token"),
        ("-g, -a, -v, --save", ("-g", token, "-a", "business", "-v", "--save"), {}, "--github-token"),
    ):
        how = " ".join(["copilot-trio start -p 0", *("TOKEN" if flag == token else flag for flag in flags)])
        with shell.table.row("1", what, how) as said:
            with Running(("start", "-p", "0", *flags), shell.environment(**variables)) as server:
                b = Caller(shell.table, server.wait_for(ADDRESS)[1])
                said.append(short(server.wait_for(rf"accounts .*from {source}.*")[0]))
                answer = b.call("POST", PATH, CHAT)
                assert answer.status == 200, answer
                assert server.stop() == 0
                said.append("200, exit 0")
            assert token not in server.printed
    shell.run("1", "--save stored it, with its type", "list-accounts", words=["octo-dev", "business"])
    with stored.table.row("1", "GH_TOKEN, accounts stored", "GH_TOKEN=… copilot-trio start") as said:
        with Running(("start", "-p", "0"), stored.environment(GH_TOKEN=token)) as server:
            said.append(short(server.wait_for("from accounts.json")[0]))
    shell.run(
        "1",
        "plain http elsewhere",
        "start",
        "--github-base-url",
        "http://example.com",
        "-g",
        token,
        code=2,
        words=["loopback"],
    )
    wrong = ("start", "-g", token, "--enterprise-host", "a b")
    shell.run("1", "--enterprise-host, none", *wrong, code=2, words=["no host name"])
    shell.run("1", "the help warns of --github-token", "start", "--help", words=["process list"])
    shell.run("3", "the help has every flag", "start", "--help", words=FLAGS)
    shell.run("3", "--ca-file, none", "start", "-g", token, "--ca-file", "/nowhere", code=1, words=["/nowhere"])
    with shell.table.row("3", "--proxy-env, a dead proxy", "HTTP_PROXY=… copilot-trio start --proxy-env") as said:
        proxies = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}
        with Running(("start", "-p", "0", "--proxy-env", "-g", token), shell.environment(**proxies)) as server:
            answer = Caller(shell.table, server.wait_for(ADDRESS)[1]).call("POST", PATH, CHAT)
            assert answer.status >= 500, answer
            text = answer.body.decode()
            assert "proxy" in text, text
            said.append(f"{answer.status} {short(text)}")
    with shell.table.row("3", "without --proxy-env", "HTTP_PROXY=… copilot-trio start") as said:
        with Running(("start", "-p", "0", "-g", token), shell.environment(**proxies)) as server:
            assert Caller(shell.table, server.wait_for(ADDRESS)[1]).call("POST", PATH, CHAT).status == 200
            said.append("200, past the proxy")


def pacing(shell: Shell, token: str) -> None:
    start = ("start", "-p", "0", "-g", token)
    with shell.table.row("3", "--rate-limit", "copilot-trio start --rate-limit 1000") as said:
        with Running((*start, "--rate-limit", "1000"), shell.environment()) as server:
            b = Caller(shell.table, server.wait_for(ADDRESS)[1])
            answers = [b.call("POST", PATH, CHAT) for _ in range(2)]
            assert [answer.status for answer in answers] == [200, 429]
            said.append(f"200, then 429, Retry-After {answers[1].headers['retry-after']}")
    with shell.table.row("3", "--wait", "copilot-trio start -r 0.3 -w") as said:
        with Running((*start, "-r", "0.3", "-w"), shell.environment()) as server:
            b = Caller(shell.table, server.wait_for(ADDRESS)[1])
            assert [b.call("POST", PATH, CHAT).status for _ in range(3)] == [200] * 3
            said.append("3x 200")
    shell.run("3", "--wait alone", "start", "-w", "-g", "x", code=2, words=["--rate-limit"])
    for flag in ("--manual", "--claude-code"):
        shell.run("3", f"{flag}, no terminal", "start", flag, "-g", "x", code=2, words=["no terminal"])


def questions(shell: Shell, token: str) -> None:
    shown = "copilot-trio start --manual (terminal)"
    with shell.table.row("3", "--manual: n, then y", shown) as said, ThreadPoolExecutor(1) as pool:
        with shell.on_terminal("start", "-p", "0", "-g", token, "--manual") as child:
            child.expect(ADDRESS)
            b = Caller(shell.table, matched(child))
            for reply, status in (("n", 403), ("y", 200)):
                asked = pool.submit(b.call, "POST", PATH, CHAT)
                child.expect(r"POST /v1/chat/completions for gpt-4\.1, \d+ bytes")
                said.append(f"{short(matched(child, 0))} <- {reply}")
                child.expect(r"Send it\? .*: ")
                child.sendline(reply)
                assert asked.result().status == status
                said.append(str(status))
    copied = shell.home / "copied"
    for shell_name, ending in (("bash", " claude"), ("fish", " claude")):
        how = f"SHELL=/bin/{shell_name} copilot-trio start -c --api-key K (terminal)"
        with shell.table.row("3", f"--claude-code, {shell_name}", how) as said:
            flags = ("start", "-p", "0", "-g", token, "-c", "--api-key", "my-key")
            path = f"{_clipboard(shell.home, copied)}:{os.environ['PATH']}"
            with shell.on_terminal(*flags, PATH=path, SHELL=f"/bin/{shell_name}") as child:
                child.expect(r"Model for Claude Code.*: ")
                child.sendline("claude-opus-4.6")
                child.expect(r"Small, fast model.*: ")
                child.sendline("")
                child.expect(rf"Claude Code, in another {shell_name}:\s+(.*{ending})\r\n")
                said.append(short(matched(child)))
                child.expect(r"copied to the clipboard")
                said.append("copied, with the key")
                assert "my-key" in copied.read_text()


def _clipboard(home: Path, copied: Path) -> Path:
    """A program as macOS has it, which every system is asked for."""
    program = home / "bin" / "pbcopy"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\ncat > {shlex.quote(str(copied))}\n")
    program.chmod(0o755)
    return program.parent


def thinking(shell: Shell, token: str) -> None:
    """A model that can think does so where the client says nothing of it, unless told not to."""
    for flags, mark in (((), " thinking"), (("--no-auto-thinking",), "")):
        how = " ".join(["copilot-trio start", *flags])
        with shell.table.row("3", "--no-auto-thinking" if flags else "thinking, without the flag", how) as said:
            with Running(("start", "-p", "0", "-g", token, *flags), shell.environment()) as server:
                b = Caller(shell.table, server.wait_for(ADDRESS)[1])
                assert b.call("POST", "/v1/messages", MESSAGES).status == 200
                said.append(server.wait_for(rf"\[claude-opus-4\.6{mark}\] \S+ -->")[0])


def without_zstd(shell: Shell, token: str) -> None:
    """As where the extra is not installed."""
    modules = shell.home / "modules"
    modules.mkdir()
    (modules / "zstandard.py").write_text("raise ImportError\n")
    with Running(("start", "-p", "0", "-g", token), shell.environment(PYTHONPATH=str(modules))) as server:
        b = Caller(shell.table, server.wait_for(ADDRESS)[1])
        headers = {"Content-Type": "application/json", "Content-Encoding": "zstd"}
        words = ["zstd", "pip install"]
        b.post("2.1", "zstd body, no decoder", PATH, b"(zstd)", status=415, headers=headers, words=words)


def stopping(shell: Shell, token: str) -> None:
    for what, flags, signals in (
        ("SIGTERM, drained", ("--drain", "1"), [signal.SIGTERM]),
        ("a second signal cancels", ("--drain", "30"), [signal.SIGINT, signal.SIGINT]),
    ):
        with shell.table.row("1", what, f"copilot-trio start {' '.join(flags)}; kill") as said:
            with Running(("start", "-p", "0", "-g", token, *flags), shell.environment()) as server:
                address = server.wait_for(ADDRESS)[1]
                with _stalled(address) as client:
                    for kind in signals:
                        server.process.send_signal(kind)
                        server.wait_for("stopping")
                    said.append(f"exit {server.process.wait(15)}")
                    assert server.process.returncode == 0
                    while client.recv(65536):
                        pass
                    said.append("the stream has ended")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        shell.table.names[port] = "PORT"
        shell.run("3", "--port, taken", "start", "--port", port, "-g", token, code=1, words=["Choose another --port"])


def _stalled(address: str) -> socket.socket:
    """A stream that has begun and gives nothing more."""
    host, _, port = address.removeprefix("http://").partition(":")
    client = socket.create_connection((host, int(port)), timeout=20)
    body = json.dumps(STALLED)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    client.sendall(f"{head}{body}".encode())
    assert client.recv(100)
    return client
