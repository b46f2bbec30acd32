"""What ``start`` and ``demo`` let one see of themselves: real processes."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any

from processes import PATIENCE, Running, call, environment, twin

from copilot_trio.twin import sample_accounts
from copilot_trio.usage import queries
from copilot_trio.usage.report import Event, Filters
from copilot_trio.usage.tables import reading

TOKEN = sample_accounts()[0].token
CHAT = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "SCENARIO:text REPLY=hello"}]}
ADDRESS = r"listening +(http://\S+)"


def variables(home: Path, base: str) -> dict[str, str]:
    names = ("COPILOT_TRIO_GITHUB_URL", "COPILOT_TRIO_GITHUB_API_URL")
    return environment(home, **dict.fromkeys(names, base), COPILOT_TRIO_GITHUB_TOKEN=TOKEN)


def recorded(home: Path) -> list[Event]:
    with reading(home / "data" / "usage.sqlite3") as connection:
        return queries.recent(connection, Filters(range="all"), 0)


def told(url: str, status: int = 200) -> Any:
    answer = call(url)
    assert answer[0] == status, answer
    return json.loads(answer[2])


def test_a_request_is_recorded_though_a_second_signal_cuts_it_off(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _), Running(("start", "--port", "0"), variables(tmp_path, base)) as server:
        address = server.wait_for(ADDRESS)[1]
        assert call(f"{address}/v1/chat/completions", "POST", CHAT)[0] == 200
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
            stalled = {**CHAT, "stream": True, "messages": [{"role": "user", "content": "SCENARIO:stall60"}]}
            body = json.dumps(stalled)
            client.sendall(
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            assert client.recv(100)
            server.process.send_signal(signal.SIGTERM)
            server.wait_for("a second signal cuts them off")
            assert server.stop() == 0
        assert "unrecorded" not in server.printed
    assert [(event.status, event.upstream_model) for event in recorded(tmp_path)] == [
        (499, "gpt-4.1"),
        (200, "gpt-4.1"),
    ]
    assert recorded(tmp_path)[0].error_type == "client_left"


def test_a_token_is_shown_only_with_the_flag(tmp_path: Path) -> None:
    with twin(tmp_path) as (base, _):
        for flags, status in (((), 403), (("--show-token",), 200)):
            with Running(("start", "--port", "0", *flags), variables(tmp_path, base)) as server:
                address = server.wait_for(ADDRESS)[1]
                server.wait_for("models ")
                assert set(told(f"{address}/token", status)) == {"token" if flags else "error"}
                lines = told(f"{address}/api/logs")["logs"]
                assert any("/token" in line["message"] for line in lines) == (status == 403)
                server.stop()
            assert "tid=" not in server.printed


def test_the_demo_has_a_past(tmp_path: Path) -> None:
    with Running(("demo", "--port", "0"), environment(tmp_path)) as demo:
        address = demo.wait_for(ADDRESS)[1]
        labels = {account["label"] for account in told(f"{address}/api/accounts")["accounts"]}
        summary = told(f"{address}/api/metrics/summary?range=30d")["summary"]
        assert summary["totals"]["requestCount"] > 100
        assert summary["totals"]["errorCount"] > 0
        assert {each["accountLabel"] for each in summary["byAccount"]} == labels
        assert demo.stop() == 0
