from __future__ import annotations

import hashlib
import http.server
import json
import socket
import stat
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from clients_offer import entry, page
from processes import Running, environment, run, twin

from copilot_trio.cli import main
from copilot_trio.cli.failure import CommandFailed
from copilot_trio.cli.live_models import clean_url, live_models
from copilot_trio.clients.offer import KEYLESS
from copilot_trio.twin import sample_accounts


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that answers every GET like this, and is no other than its bytes."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == "/deep/v1/models" or self.path == "/v1/models"
            self.send_response(status if known else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def url() -> Iterator[str]:
    with answering(200, page()) as address:
        yield address


def test_each_client_is_shown_its_file_and_nothing_is_written(tmp_path: Path, url: str) -> None:
    for client, file, words in (
        ("claude-code", ".claude/settings.json", f'"ANTHROPIC_BASE_URL": "{url}"'),
        ("codex", ".codex/config.toml", f'base_url = "{url}/v1"'),
        ("opencode", ".config/opencode/opencode.json", f'"baseURL": "{url}/v1"'),
    ):
        shown = run("setup", client, "--url", url, home=tmp_path)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert str(tmp_path / file) in shown.stdout
        assert words in shown.stdout
        assert "\nadds " in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_claude_codes_settings_are_merged_backed_up_and_put_back(tmp_path: Path, url: str) -> None:
    file = tmp_path / ".claude" / "settings.json"
    file.parent.mkdir()
    own = '{ "env": {"ANTHROPIC_API_KEY": "sk-ant-secret", "EDITOR": "vi"}, "hooks": {} }'
    file.write_text(own)
    written = run("setup", "claude-code", "--write", "--url", f"{url}/v1/", "--model", "opus", home=tmp_path)
    assert (written.returncode, written.stderr) == (0, "")
    settings = json.loads(file.read_text())
    assert settings["hooks"] == {}
    assert settings["env"]["EDITOR"] == "vi"
    assert "ANTHROPIC_API_KEY" not in settings["env"]
    assert settings["env"]["ANTHROPIC_BASE_URL"] == url
    assert settings["env"]["ANTHROPIC_MODEL"] == "claude-opus-4.6"
    assert settings["env"]["CLAUDE_CODE_AUTO_COMPACT_WINDOW"] == "168000"
    assert "removed  env.ANTHROPIC_API_KEY\n" in written.stdout
    assert "safeguards" in written.stdout
    assert "sk-ant-secret" not in written.stdout
    (backup,) = file.parent.glob("*.bak")
    assert backup.read_text() == own
    assert str(backup) in written.stdout
    assert (
        "says all that already"
        in run("setup", "claude-code", "--write", "--url", url, "--model", "opus", home=tmp_path).stdout
    )
    undone = run("setup", "claude-code", "--undo", home=tmp_path)
    assert (undone.returncode, file.read_text()) == (0, own)
    again = run("setup", "claude-code", "--undo", home=tmp_path)
    assert again.returncode == 1
    assert "has not been changed by setup" in again.stderr


def test_an_undo_tells_what_others_had_changed(tmp_path: Path, url: str) -> None:
    file = tmp_path / ".codex" / "config.toml"
    run("setup", "codex", "--write", "--url", url, home=tmp_path)
    file.write_text(file.read_text().replace("gpt-5.3-codex", "o3") + "[mine]\n")
    undone = run("setup", "codex", "--undo", home=tmp_path)
    assert undone.returncode == 0
    assert "changed since: model" in undone.stdout
    assert ".bak" in undone.stdout
    assert tomllib.loads(file.read_text()) == {"mine": {}}


def test_a_key_goes_into_the_file_and_nowhere_else(tmp_path: Path) -> None:
    key, token = "a-secret-key-of-mine", sample_accounts()[0].token
    (tmp_path / "key").write_text(f"{key}\n")
    data = tmp_path / "data"
    data.mkdir()
    keys = [{"label": "mine", "sha256": hashlib.sha256(key.encode()).hexdigest()}]
    (data / "config.json").write_text(json.dumps({"keys": keys}))
    with twin(tmp_path) as (base, _):
        urls = {"COPILOT_TRIO_GITHUB_URL": base, "COPILOT_TRIO_GITHUB_API_URL": base}
        variables = environment(tmp_path, COPILOT_TRIO_GITHUB_TOKEN=token, **urls)
        with Running(("start", "--port", "0"), variables) as server:
            url = server.wait_for(r"listening +(http://\S+)")[1]
            without = run("setup", "codex", "--url", url, home=tmp_path)
            assert without.returncode == 1
            assert "--key-file" in without.stderr
            wrong = run("setup", "codex", "--url", url, "--key", "wrong", home=tmp_path)
            assert "did not take yours" in wrong.stderr
            shown = run("setup", "codex", "--url", url, "--key-file", str(tmp_path / "key"), home=tmp_path)
            assert "<your key>" in shown.stdout
            written = run("setup", "codex", "--write", "--url", url, "--key-file", str(tmp_path / "key"), home=tmp_path)
            assert written.returncode == 0
            assert key not in shown.stdout + shown.stderr + written.stdout + written.stderr
    file = tmp_path / ".codex" / "config.toml"
    provider = tomllib.loads(file.read_text())["model_providers"]["copilot-trio"]
    assert provider["experimental_bearer_token"] == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE((data / "setup.json").stat().st_mode) == 0o600


def test_the_models_are_those_that_were_chosen(tmp_path: Path, url: str) -> None:
    chosen = ("--model", "gpt-4.1", "--small-model", "gpt-5-mini")
    run("setup", "opencode", "--write", "--url", url, *chosen, home=tmp_path)
    settings = json.loads((tmp_path / ".config/opencode/opencode.json").read_text())
    assert (settings["model"], settings["small_model"]) == ("copilot-trio/gpt-4.1", "copilot-trio/gpt-5-mini")
    missing = run("setup", "opencode", "--url", url, "--model", "gpt-4.2", home=tmp_path)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "there is gpt-4.1" in missing.stderr


def test_a_project_gets_a_file_of_its_own(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert run("setup", "claude-code", "--write", "--project", "--url", url, home=tmp_path).returncode == 0
    assert (folder / ".claude" / "settings.local.json").exists()
    assert run("setup", "claude-code", "--undo", "--project", home=tmp_path).returncode == 0


def test_cursor_is_told_in_words_only(tmp_path: Path, url: str) -> None:
    shown = run("setup", "cursor", "--url", url, home=tmp_path)
    assert f"{url.replace('127.0.0.1', 'localhost')}/v1" in shown.stdout
    for flag in ("--write", "--undo"):
        refused = run("setup", "cursor", flag, "--url", url, home=tmp_path)
        assert refused.returncode == 2
        assert "Cursor has no file" in refused.stderr


def test_a_file_that_cannot_be_read_is_named_and_left(tmp_path: Path, url: str) -> None:
    file = tmp_path / ".claude" / "settings.json"
    file.parent.mkdir()
    file.write_text('{\n  "env": {,}\n}')
    refused = run("setup", "claude-code", "--write", "--url", url, home=tmp_path)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"{file}: line 2: " in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert file.read_text() == '{\n  "env": {,}\n}'


def test_a_server_that_does_not_run_is_a_clear_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    failed = run("setup", "claude-code", "--write", "--url", url, home=tmp_path)
    assert failed.returncode == 1
    assert f"no server at {url}" in failed.stderr
    assert "copilot-trio start" in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("emacs",),
        ("codex", "--write", "--undo"),
        ("codex", "--key", "a", "--key-file", "b"),
        ("codex", "--small-model", "x"),
        ("codex", "--url", "127.0.0.1:4141"),
        ("codex", "--key", "two words"),
        ("codex", "--key-file", "/nonexistent"),
        ("codex", "--project"),
    ],
)
def test_wrong_use_is_exit_code_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main(["setup", *arguments])
    except SystemExit as leaving:
        code = leaving.code
    assert code == 2
    assert capsys.readouterr().out == ""


def test_help_has_examples(tmp_path: Path) -> None:
    assert "examples:" in run("setup", "--help", home=tmp_path).stdout


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b"<html>hello</html>", "is not copilot-trio"),
        (200, b'{"object":"list","data":[{"id":"llama"}]}', "is not copilot-trio"),
        (200, b'{"data":[]}', "no usable model"),
        (200, page(entry("x", unavailable="policy")), "no usable model"),
        (401, b"", "wants a key: give one with --key-file"),
        (503, b'{"error":{"message":"no\\u001b account"}}', "could not list its models: no  account"),
        (500, b"oops", "status 500"),
        (404, b"", "status 404"),
    ],
)
def test_what_else_may_answer_there(status: int, body: bytes, words: str) -> None:
    with answering(status, body) as url:
        with pytest.raises(CommandFailed, match=words):
            live_models(url, KEYLESS)


def test_a_server_may_lie_below_a_path(url: str) -> None:
    assert live_models(clean_url(f"{url}/deep/v1"), KEYLESS)


def test_something_that_speaks_no_http_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            accepted, _ = listener.accept()
            accepted.sendall(b"SSH-2.0\r\n")
            accepted.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(CommandFailed, match="no server at"):
            live_models(f"http://127.0.0.1:{listener.getsockname()[1]}", KEYLESS)
        thread.join()


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://127.0.0.1:4141", "http://127.0.0.1:4141"),
        (" http://127.0.0.1:4141/v1/ ", "http://127.0.0.1:4141"),
        ("https://box.lan/copilot/v1", "https://box.lan/copilot"),
        ("http://[::1]:4141/", "http://[::1]:4141"),
    ],
)
def test_an_address_may_be_given_as_clients_want_it(text: str, clean: str) -> None:
    assert clean_url(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4141",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://x:0",
        "http://u:p@x",
        "http://x?a",
        "http://a b",
        "http://é",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(CommandFailed, match="no address"):
        clean_url(text)
