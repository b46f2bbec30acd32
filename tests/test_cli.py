from __future__ import annotations

import json
import os
import pty
import resource
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from processes import PATIENCE, Running, call, environment, run, twin

from copilot_trio import __version__
from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import load_accounts
from copilot_trio.cli.auth import store
from copilot_trio.twin import sample_accounts

TOKEN = sample_accounts()[0].token
CHAT = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "SCENARIO:text REPLY=hello"}]}
ADDRESS = r"listening +(http://\S+)"


def upstream(base: str) -> dict[str, str]:
    return {"COPILOT_TRIO_GITHUB_URL": base, "COPILOT_TRIO_GITHUB_API_URL": base}


def test_version_and_help(tmp_path: Path) -> None:
    assert run("--version", home=tmp_path).stdout.strip() == f"copilot-trio {__version__}"
    for command in (
        "start", "demo", "auth", "twin", "add-account", "list-accounts", "remove-account", "enable-account",
        "disable-account", "acknowledge", "import",
    ):  # fmt: skip
        helped = run(command, "--help", home=tmp_path)
        assert helped.returncode == 0
        assert "examples:" in helped.stdout


def test_the_demo_answers_in_both_dialects_without_account_or_network(tmp_path: Path) -> None:
    secrets = {"GH_TOKEN": "ghp_REALLOOKING", "HTTPS_PROXY": "http://127.0.0.1:9", "COPILOT_TRIO_GITHUB_TOKEN": "x"}
    with Running(("demo", "--port", "0"), environment(tmp_path, **secrets)) as demo:
        base = demo.wait_for(ADDRESS)[1]
        demo.wait_for(r"models +gpt-4\.1, .*claude-sonnet-4\.5")
        assert len(demo.wait_for(r"accounts +(.*)")[1].split(", ")) == 3
        status, _, body = call(f"{base}/v1/chat/completions", "POST", CHAT)
        assert (status, json.loads(body)["choices"][0]["message"]["content"]) == (200, "hello")
        status, _, body = call(f"{base}/v1/messages", "POST", {**CHAT, "max_tokens": 100, "stream": True})
        assert status == 200
        assert body.rstrip().endswith(b'data: {"type":"message_stop"}')
        assert json.loads(call(f"{base}/health")[2])["accounts"] == {"total": 3, "active": 3}
        assert demo.stop() == 0
    assert not (tmp_path / "data").exists()


def test_the_demo_prints_a_curl_line_that_works(tmp_path: Path) -> None:
    with Running(("demo", "--port", "0"), environment(tmp_path)) as demo:
        demo.wait_for("models ")
        line = demo.wait_for(r"curl -N (\S+) -H '[^']+' \\\n\s+-d '(.*)'")
        status, headers, body = call(line[1], "POST", json.loads(line[2]))
        assert (status, headers["content-type"]) == (200, "text/event-stream")
        assert b"proxy" in body


def test_start_uses_a_token_from_outside_and_stores_nothing(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _):
        variables = environment(tmp_path, COPILOT_TRIO_GITHUB_TOKEN=TOKEN, **upstream(base))
        with Running(("start", "--port", "0"), variables) as server:
            address = server.wait_for(ADDRESS)[1]
            server.wait_for(r"from COPILOT_TRIO_GITHUB_TOKEN")
            server.wait_for(r"models +gpt-4\.1")
            assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 200
            assert server.stop() == 0
        assert TOKEN not in server.printed
    assert not (tmp_path / "data" / "accounts.json").exists()


def test_a_bare_command_line_means_start(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _):
        variables = environment(tmp_path, COPILOT_TRIO_GITHUB_TOKEN=TOKEN, **upstream(base))
        with Running(("--port", "0"), variables) as server:
            assert call(server.wait_for(ADDRESS)[1])[2] == b"Server running\n"


def test_a_token_file_is_read_and_may_be_saved(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{TOKEN}\n")
    with twin(tmp_path) as (base, _):
        arguments = ("start", "--port", "0", "--github-token-file", str(secret), "--save")
        with Running(arguments, environment(tmp_path, **upstream(base))) as server:
            server.wait_for("models ")
        stored = tmp_path / "data" / "accounts.json"
        assert load_accounts(stored).accounts[0].github_token == TOKEN
        assert stat.S_IMODE(stored.stat().st_mode) == 0o600
        with Running(("start", "--port", "0"), environment(tmp_path, **upstream(base))) as server:
            server.wait_for(r"from accounts\.json")
            server.wait_for("models ")


def test_sign_in_on_a_terminal_at_the_first_run(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with twin(tmp_path) as (base, control):
        with Running(("start", "--port", "0"), environment(tmp_path, **upstream(base)), stdin=theirs) as server:
            server.wait_for("unofficial")
            server.wait_for("https://docs.github.com/site-policy")
            code = server.wait_for(r"enter the code (\S+)")[1]
            assert call(f"{control}/device/{code}", "POST", {"state": "approved"})[0] == 200
            server.wait_for(r"Signed in as octo-\w+")
            server.wait_for(r"models +gpt-4\.1")
            address = server.wait_for(ADDRESS)[1]
            assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 200
    os.close(ours)
    os.close(theirs)
    assert load_accounts(tmp_path / "data" / "accounts.json").accounts[0].login.startswith("octo-")


def test_sign_in_that_is_denied(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, control):
        with Running(("auth",), environment(tmp_path, **upstream(base))) as auth:
            code = auth.wait_for(r"enter the code (\S+)")[1]
            call(f"{control}/device/{code}", "POST", {"state": "denied"})
            assert auth.process.wait(PATIENCE) == 1
        assert "refused at GitHub" in auth.printed
    assert not (tmp_path / "data" / "accounts.json").exists()


def test_without_account_and_terminal_the_flags_are_named(tmp_path: Path) -> None:
    done = run("start", home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--github-token-file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_accounts_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data" / "accounts.json"
    path.parent.mkdir()
    path.write_text("{oops")
    for command in (("start",), ("auth",)):
        done = run(*command, home=tmp_path)
        assert (done.returncode, str(path) in done.stderr) == (1, True)
    assert path.read_text() == "{oops"


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for arguments in (("demo", "--port", port), ("start", "--port", port, "--github-token", TOKEN)):
            done = run(*arguments, home=tmp_path)
            assert done.returncode == 1
            assert "cannot listen" in done.stderr
            assert "Choose another --port" in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("start", "--port", "99999"), "no port"),
        (("start", "--max-body", "0"), "at least 1"),
        (("nonsense",), "invalid choice"),
        (("start", "--github-token", "x", "--github-base-url", "http://github.example"), "loopback hosts only"),
        (("start", "--github-token", "x", "--copilot-base-url", "ftp://x"), "--copilot-base-url"),
        (("start", "--github-token", "x", "--enterprise-host", "foo bar"), "--enterprise-host"),
        (("start", "--github-token", "two words"), "one line"),
        (("start", "--github-token", "x", "--no-auth", "--host", "0.0.0.0"), "--i-know"),
        (("start", "--github-token", "x", "--proxy-env"), "HTTPS_PROXY"),
        (("demo", "--host", "0.0.0.0"), "loopback"),
        (("twin", "--host", "0.0.0.0"), "loopback"),
        (("twin", "--scenario-file", "/nowhere"), "/nowhere"),
    ],
)
def test_wrong_use_exits_with_2_and_says_why(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run(*arguments, home=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_token_file_that_is_not_there(tmp_path: Path) -> None:
    done = run("start", "--github-token-file", "/nowhere", home=tmp_path)
    assert (done.returncode, "/nowhere" in done.stderr) == (1, True)


def test_a_proxy_that_is_down_is_an_error_and_never_a_direct_connection(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with twin(tmp_path) as (base, control):
        variables = environment(tmp_path, COPILOT_TRIO_GITHUB_TOKEN=TOKEN, HTTP_PROXY=down, **upstream(base))
        with Running(("start", "--port", "0", "--proxy-env"), variables) as server:
            address = server.wait_for(ADDRESS)[1]
            status, _, body = call(f"{address}/v1/chat/completions", "POST", CHAT)
            assert status == 502
            assert "cannot be reached" in json.loads(body)["error"]["message"]
        assert json.loads(call(f"{control}/records")[2]) in ([], {"records": []})


def test_a_key_is_asked_for_where_one_is_set(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _):
        variables = environment(tmp_path, COPILOT_TRIO_GITHUB_TOKEN=TOKEN, **upstream(base))
        with Running(("start", "--port", "0", "--api-key", "k1", "--api-key", "k2"), variables) as server:
            address = server.wait_for(ADDRESS)[1]
            assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 401
            assert call(f"{address}/v1/chat/completions", "POST", CHAT, {"Authorization": "Bearer k2"})[0] == 200
            assert call(f"{address}/v1/messages", "POST", {**CHAT, "max_tokens": 9}, {"x-api-key": "k1"})[0] == 200
            assert json.loads(call(f"{address}/health")[2]) == {"status": "ok"}


def test_a_host_that_others_reach_gets_a_key_that_is_kept_hashed(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _):
        variables = environment(tmp_path, COPILOT_TRIO_GITHUB_TOKEN=TOKEN, **upstream(base))
        arguments = ("start", "--port", "0", "--host", "0.0.0.0")
        with Running(arguments, variables) as server:
            key = server.wait_for(r"shown this once: (\S+)")[1]
            port = server.wait_for(ADDRESS)[1].rpartition(":")[2]
            address = f"http://127.0.0.1:{port}"
            assert call(f"{address}/v1/models")[0] == 401
            assert call(f"{address}/v1/models", headers={"Authorization": f"Bearer {key}"})[0] == 200
        config = tmp_path / "data" / "config.json"
        assert key not in config.read_text()
        assert stat.S_IMODE(config.stat().st_mode) == 0o600
        with Running(arguments, variables) as server:
            server.wait_for(ADDRESS)
            assert "shown this once" not in server.printed


def test_ctrl_c_and_term_end_with_0(tmp_path: Path) -> None:
    for kind in (signal.SIGINT, signal.SIGTERM):
        with Running(("demo", "--port", "0"), environment(tmp_path)) as demo:
            demo.wait_for("models ")
            assert demo.stop(kind) == 0
            assert "Traceback" not in demo.printed


def test_a_second_signal_cuts_off_what_runs(tmp_path: Path) -> None:
    with Running(("demo", "--port", "0"), environment(tmp_path)) as demo:
        host, _, port = demo.wait_for(ADDRESS)[1].removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
            body = json.dumps({**CHAT, "stream": True, "messages": [{"role": "user", "content": "SCENARIO:stall60"}]})
            client.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            assert client.recv(100)
            demo.process.send_signal(signal.SIGTERM)
            demo.wait_for("a second signal cuts them off")
            assert demo.stop() == 0


def test_a_pause_holds_for_a_token_from_outside_until_it_is_acknowledged(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, control):
        variables = environment(tmp_path, COPILOT_TRIO_GITHUB_TOKEN=TOKEN, **upstream(base))
        call(f"{control}/scenarios", "POST", {"path": "/chat/completions", "error": "tos_block"})
        for _ in range(2):
            with Running(("start", "--port", "0"), variables) as server:
                address = server.wait_for(ADDRESS)[1]
                status, _, body = call(f"{address}/v1/chat/completions", "POST", CHAT)
                assert (status, b"copilot-trio acknowledge" in body) == (403, True)
        assert "GitHub said:" in run("auth", "--acknowledge", home=tmp_path).stdout
        with Running(("start", "--port", "0"), variables) as server:
            address = server.wait_for(ADDRESS)[1]
            assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 200
    assert TOKEN not in (tmp_path / "data" / "accounts.json").read_text()
    assert "No account is paused" in run("auth", "--acknowledge", home=tmp_path).stdout


def test_a_token_that_github_refuses_is_not_saved(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _):
        done = run(
            "start", "--port", "0", "--github-token", "ghu_SYNTHETICwrong", "--save", home=tmp_path, **upstream(base)
        )
    assert (done.returncode, "was not stored" in done.stderr) == (1, True)
    assert not (tmp_path / "data" / "accounts.json").exists()


def test_two_saved_tokens_are_two_accounts_and_both_are_used(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _):
        for account in sample_accounts()[:2]:
            arguments = ("start", "--port", "0", "--github-token", account.token, "--save")
            with Running(arguments, environment(tmp_path, **upstream(base))) as server:
                server.wait_for("models ")
        stored = load_accounts(tmp_path / "data" / "accounts.json").accounts
        assert {account.login for account in stored} == {account.login for account in sample_accounts()[:2]}
        with Running(("start", "--port", "0"), environment(tmp_path, **upstream(base))) as server:
            server.wait_for(r"accounts +octo-dev \(individual\), octo-home \(individual\), from accounts\.json")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("start", "--github-token", "x", "--ca-file", "/nowhere"), "--ca-file /nowhere"),
        (("start", "--github-token", "x", "--host", "nosuch.invalid"), "cannot listen"),
        (("auth", "--proxy-env"), "HTTPS_PROXY"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_started(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = run(*arguments, home=tmp_path)
    assert done.returncode in {1, 2}
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "data" / "config.json").exists()


def test_a_full_disk_is_said_plainly_and_leaves_no_half_file(tmp_path: Path) -> None:
    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))  # no file may grow beyond ten bytes

    command = [sys.executable, "-m", "copilot_trio", "start", "--port", "0", "--host", "0.0.0.0"]
    variables = environment(tmp_path, COPILOT_TRIO_GITHUB_TOKEN=TOKEN, PYTHONDONTWRITEBYTECODE="1")
    variables.pop("COVERAGE_PROCESS_CONFIG", None)  # it could not write its data either
    done = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=PATIENCE, check=False, preexec_fn=fill
    )
    assert (done.returncode, "could not be stored" in done.stderr) == (1, True)
    assert "shown this once" not in done.stdout
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == ["config.json.lock"]


def test_a_proxys_password_is_never_shown(tmp_path: Path) -> None:
    done = run("start", "--github-token", "x", "--proxy-env", home=tmp_path, HTTPS_PROXY="bob:s3cret@proxy:3128")
    assert (done.returncode, "s3cret" in done.stderr + done.stdout) == (2, False)


def test_a_reader_that_leaves_does_not_stop_the_server(tmp_path: Path) -> None:
    with Running(("demo", "--port", "0"), environment(tmp_path)) as demo:
        address = demo.wait_for(ADDRESS)[1]
        assert call(f"{address}/health")[0] == 200
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "copilot_trio", "demo", "--port", "0"]
    process = subprocess.Popen(command, stdout=write, stderr=subprocess.PIPE, env=environment(tmp_path))
    os.close(write)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(3)
    process.send_signal(signal.SIGTERM)
    _, complaints = process.communicate(timeout=PATIENCE)
    assert (process.returncode, b"Traceback" in complaints) == (0, False)


def test_signing_in_again_renews_the_token_and_keeps_the_rest(tmp_path: Path) -> None:
    record = AccountRecord(id="a", label="mine", login="octo", github_token=TOKEN, machine_id="m", proxy="http://p:1")
    store(tmp_path, record)
    again = AccountRecord(id="b", label="", login="Octo", github_token="ghu_SYNTHETICnew", machine_id="other")
    store(tmp_path, again)
    (account,) = load_accounts(tmp_path / "accounts.json").accounts
    assert account == msgspec.structs.replace(record, login="Octo", github_token="ghu_SYNTHETICnew")


def test_a_port_in_use_stops_the_twin_with_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("twin", "--port", str(taken.getsockname()[1]), home=tmp_path)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
