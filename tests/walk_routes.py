"""The model APIs and monitoring: product.md §2.1 and §2.2, row by row."""

from __future__ import annotations

import gzip
import json
import re
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import trio
import zstandard
from prometheus_client.parser import text_string_to_metric_families
from trio_websocket import open_websocket_url
from walk_table import Answer, Caller, Missing, found, until

CHAT_MODEL, RESPONSES_MODEL, MESSAGES_MODEL = "gpt-4.1", "gpt-5.3-codex", "claude-opus-4.6"
ASKED = "SCENARIO:text REPLY=hello"
SAID = [{"role": "user", "content": ASKED}]
CHAT: dict[str, Any] = {"model": CHAT_MODEL, "messages": SAID}
RESPONSES: dict[str, Any] = {"model": RESPONSES_MODEL, "input": ASKED}
MESSAGES: dict[str, Any] = {"model": MESSAGES_MODEL, "max_tokens": 4000, "messages": SAID}
ITEMS = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": ASKED}]}]
BOTH_SHAPES = ("id", "object", "type", "created", "created_at", "owned_by", "display_name")
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def streamed(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"stream": True}


def text_of_responses(answer: Answer) -> str:
    items = [item for item in answer.at("output") if item["type"] == "message"]
    assert items[0]["content"][0]["text"] == "hello", items
    return "output: hello"


def text_of_messages(answer: Answer) -> str:
    texts = [block["text"] for block in answer.at("content") if block["type"] == "text"]
    assert texts == ["hello"], texts
    return "content: hello"


def is_stream(answer: Answer) -> str:
    kind = answer.headers["content-type"]
    assert kind.startswith("text/event-stream"), kind
    return kind


async def over_websocket(address: str, path: str) -> str:
    """One Responses request over a WebSocket: the types of its first and last frame."""
    kinds: list[str] = []
    with trio.fail_after(20):
        async with open_websocket_url(f"ws{address.removeprefix('http')}{path}") as connection:
            await connection.send_message(json.dumps({"type": "response.create", **RESPONSES, "input": ITEMS}))
            while not kinds or kinds[-1] != "response.completed":
                frame = json.loads(await connection.get_message())
                kinds.append(frame["type"])
                assert frame["type"] not in {"error", "response.failed"}, frame
    return f"101, {len(kinds)} frames, {kinds[0]} … {kinds[-1]}"


def upgraded(address: str, path: str, **more: str) -> str:
    """A handshake's status line."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        headers = {"Host": f"{host}:{port}", **UPGRADE, **more}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        client.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        return client.recv(4096).partition(b"\r\n")[0].decode()


def model_routes(b: Caller, control: Caller) -> None:
    for prefix in ("/v1", "", "/copilot/v1"):
        _each_route(b, prefix)
    _shapes(b)
    _bodies(b)
    _websocket_off(b)
    _every_pair(b)
    with b.table.row("2.1", "a learned 400 is a fallback", "POST control/scenarios unsupported_api_for_model") as said:
        fault = {"path": "/v1/messages", "error": "unsupported_api_for_model"}
        assert control.call("POST", "/scenarios", fault).status == 200
        answer = b.call("POST", "/v1/messages", MESSAGES)
        assert answer.status == 200, answer
        paths = [record["path"] for record in control.call("GET", "/records").at("records")][-2:]
        assert paths[0] == "/v1/messages", paths
        assert paths[1] != "/v1/messages", paths
        said.append(f"200, upstream {' then '.join(paths)}")


def _each_route(b: Caller, prefix: str) -> None:
    b.post("2.1", "Chat, JSON", f"{prefix}/chat/completions", CHAT, "choices.0.message.content=hello", "object")
    b.post("2.1", "Responses, JSON", f"{prefix}/responses", RESPONSES, "object=response", check=text_of_responses)
    path = f"{prefix}/responses"
    with b.table.row("2.1", "Responses over WebSocket", f"websocat ws://B{path}") as said:
        said.append(trio.run(over_websocket, b.address, path))
        b.table.asked.add(("GET", path))
    long = {**RESPONSES, "input": ITEMS * 3}
    b.post("2.1", "Compaction", f"{prefix}/responses/compact", long, "output.0.type", "object")
    b.post("2.1", "Messages, JSON", f"{prefix}/messages", MESSAGES, "type=message", check=text_of_messages)
    b.post("2.1", "Tokens counted", f"{prefix}/messages/count_tokens", MESSAGES, "input_tokens")
    embedding = {"model": "text-embedding-3-small", "input": "one string"}
    b.post("2.1", "Embeddings of a string", f"{prefix}/embeddings", embedding, "object=list", "data.0.object=embedding")
    b.get("2.1", "Models", f"{prefix}/models", "object=list", "has_more=false", *(f"data.0.{n}" for n in BOTH_SHAPES))
    b.get("2.1", "One model", f"{prefix}/models/{CHAT_MODEL}", "id=gpt-4.1", "copilot.endpoints", "copilot.billing")


def _shapes(b: Caller) -> None:
    chat, responses, messages = "/v1/chat/completions", "/v1/responses", "/v1/messages"
    b.post("2.1", "Chat, SSE", chat, streamed(CHAT), check=is_stream, words=["data: [DONE]"])
    cursor = {"model": CHAT_MODEL, "input": ITEMS}
    b.post("2.1", "Responses' body at Chat (Cursor)", chat, cursor, "object=chat.completion")
    b.post("2.1", "the same, SSE", chat, streamed(cursor), check=is_stream, words=["chat.completion.chunk", "[DONE]"])
    b.post("2.1", "Responses, input an array", responses, RESPONSES | {"input": ITEMS}, check=text_of_responses)
    b.post("2.1", "Responses, SSE", responses, streamed(RESPONSES), check=is_stream, words=["response.completed"])
    b.post("2.1", "Messages, SSE", messages, streamed(MESSAGES), check=is_stream, words=["event: message_stop"])
    b.post("2.1", "Messages, beta", f"{messages}?beta=true", MESSAGES, check=text_of_messages)
    several = {"model": "text-embedding-3-small", "input": ["one", "two"]}
    b.post("2.1", "Embeddings of several", "/v1/embeddings", several, "data.1.index=1", "usage.prompt_tokens")
    b.get("2.1", "A model that is not there", "/v1/models/no-such-model", "error.message", status=404)
    for method in ("HEAD", "GET"):
        b.ask("2.1", "Claude Code's warm-up", method, "/api/hello", status=204)


def _bodies(b: Caller) -> None:
    path, plain = "/v1/chat/completions", json.dumps(CHAT).encode()
    kind = {"Content-Type": "application/json"}
    wanted = "choices.0.message.content=hello"
    zipped = kind | {"Content-Encoding": "gzip"}
    b.post("2.1", "gzip body", path, gzip.compress(plain), wanted, headers=zipped)
    zstd = zstandard.ZstdCompressor().compress(plain)
    b.post("2.1", "zstd body, with a decoder", path, zstd, wanted, headers=kind | {"Content-Encoding": "zstd"})
    other = kind | {"Content-Encoding": "br"}
    b.post("2.1", "a coding that is not known", path, plain, status=415, words=["cannot be decoded"], headers=other)
    bomb = gzip.compress(bytes(65 * 1024 * 1024), 1)
    b.post("2.1", "over the limit once decoded", path, bomb, status=413, words=["--max-body"], headers=zipped)


def _websocket_off(b: Caller) -> None:
    b.get("2.1", "Responses' GET without Upgrade", "/v1/responses", status=426)
    b.ask("2.1", "WebSocket switched off", "PUT", "/api/config", {"websocket": False}, "applied")
    for path in ("/v1/responses", "/responses", "/copilot/v1/responses"):
        with b.table.row("2.1", "a WebSocket then", f"websocat ws://B{path}") as said:
            said.append(line := upgraded(b.address, path))
            assert line.split()[1] == "426"
    b.ask("2.1", "and on again", "PUT", "/api/config", {"websocket": True}, "updated.websocket=true")


def _every_pair(b: Caller) -> None:
    texts: dict[str, tuple[dict[str, Any], str]] = {
        "/v1/chat/completions": ({"messages": SAID}, "choices.0.message.content=hello"),
        "/v1/responses": ({"input": ASKED}, "status=completed"),
        "/v1/messages": ({"messages": SAID, "max_tokens": 4000}, "stop_reason=end_turn"),
    }
    for model in (CHAT_MODEL, RESPONSES_MODEL, MESSAGES_MODEL, "gemini-2.5-pro"):
        for path, (body, field) in texts.items():
            b.post("2.1", f"{path} to {model}", path, {"model": model, **body}, field)
    for path, (body, field) in texts.items():
        b.post("2.1", "an alias, told back", path, {"model": "opus", **body}, field, "model=opus")


def monitoring(b: Caller, keyed: Caller, admin: dict[str, str]) -> None:
    b.get("2.2", "Root", "/", words=["Server running"])
    ours = ("status=ok", "version", "uptime", "accounts.total=3", "accounts.active", "upstream.reachable=true")
    b.get("2.2", "Health, admin right", "/health", *ours, "total=3", "active", "account.email", "configPath")
    keyed.get("2.2", "Health without a key", "/health", "status=ok", check=_nothing_else)
    keyed.get("2.2", "Root without a key", "/", words=["Server running"])
    keyed.get("2.2", "Warm-up without a key", "/api/hello", status=204)
    for path in ("/usage", "/token", "/metrics", "/v1/models", "/api/accounts", "/accounts", "/settings/claude-proxy"):
        keyed.get("2.2", "any other without a key", path, status=401)
    b.get("2.2", "GitHub's own JSON", "/usage", "login", "copilot_plan", "quota_snapshots.premium_interactions")
    b.get("2.2", "of one account", "/usage?account=work", "login=octo-work")
    b.get("2.2", "of none that there is", "/usage?account=nobody", "error", status=404)
    b.get("2.2", "Token, with --show-token", "/token", secret=True, words=["tid="])
    keyed.get("2.2", "Token, without", "/token", "error", status=403, headers=admin, words=["--show-token"])
    b.get("2.2", "Prometheus, by its own parser", "/metrics", check=_parsed)
    with b.table.row("2.2", "Dashboard", "curl B/dashboard") as said:
        answer = b.call("GET", "/dashboard")
        if answer.status == 404:
            raise Missing(f"404 {answer.body.decode()[:100]}")
        kind = answer.headers["content-type"]
        assert (answer.status, kind.partition(";")[0]) == (200, "text/html"), answer
        said.append(f"200 {kind}, {len(answer.body)} bytes")
        for path in sorted(set(re.findall(r'(?:src|href)="(/?[^":#]+)"', answer.body.decode()))):
            part = b.call("GET", urljoin("/dashboard", path))
            assert part.status == 200, (path, part)
            said.append(path)
    _session(keyed, admin)


def _session(keyed: Caller, admin: dict[str, str]) -> None:
    """The page holds no data and is open; what it shows it asks of ``/api``, with a cookie that stands for a key."""
    with keyed.table.row("2.2", "Dashboard, keyed, no key", "curl K/dashboard") as said:
        answer = keyed.call("GET", "/dashboard")
        if answer.status == 404:
            raise Missing("404")
        said.append(f"{answer.status}: a page without data")
        assert b"octo-" not in answer.body
    key = admin["Authorization"].removeprefix("Bearer ")
    opened = keyed.post("2.2", "its session, by a key", "/dashboard/session", {"key": key}, "success=true")
    cookie = "" if opened is None else opened.headers.get("set-cookie", "")
    with keyed.table.row("2.2", "the cookie, HttpOnly, is worth the key", "curl K/api/accounts -H 'Cookie: …'") as said:
        assert "HttpOnly" in cookie
        session = {"Cookie": cookie.partition(";")[0]}
        statuses = [keyed.call("GET", "/api/accounts", headers=session).status]
        assert keyed.call("DELETE", "/dashboard/session", headers=session).status == 200
        statuses.append(keyed.call("GET", "/api/accounts", headers=session).status)
        said.append(f"{statuses[0]}, once logged out {statuses[1]}")
        assert statuses == [200, 401]
    weak = {"key": "inference-key-of-the-walk"}
    keyed.post("2.2", "none by a key without the right", "/dashboard/session", weak, "error", status=403)
    keyed.post("2.2", "none by a wrong key", "/dashboard/session", {"key": "wrong"}, "error", status=401)


def _nothing_else(answer: Answer) -> str:
    assert list(json.loads(answer.body)) == ["status"], answer.body
    return "and nothing else"


def _parsed(answer: Answer) -> str:
    families = list(text_string_to_metric_families(answer.body.decode()))
    names = {family.name for family in families}
    assert {"copilot_trio_info", "copilot_trio_requests"} <= names, names
    return f"{len(families)} families, {sum(len(family.samples) for family in families)} samples"


def log_lines(table_printed: Any, b: Caller) -> None:
    body = MESSAGES | {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    with b.table.row("3", "two log lines a request", "curl -X POST 'B/v1/messages?beta=true' -d '…thinking…'") as said:
        assert b.call("POST", "/v1/messages?beta=true", body).status == 200
        start = r"\[claude-opus-4\.6 thinking\] \d\d:\d\d:\d\d"
        said.append(table_printed(rf"{start} <-- POST /v1/messages\?beta=true")[0])
        end = r"200 [\d.]+m?s in:\d+ out:\d+(?: cached:\d+)? acct:\w+ cost:[\d.]+cr"
        said.append(table_printed(rf"{start} --> POST /v1/messages\?beta=true {end}")[0])


def events(address: str, path: str) -> Iterator[str]:
    """The data of server-sent events, as they come."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        with client.makefile("rb") as lines:
            for line in lines:
                if line.startswith(b"data:"):
                    yield line[5:].strip().decode()


def stored_in_time(b: Caller, path: str, field: str) -> object:
    """What is written in batches is there a little later."""
    return until(lambda: found(json.loads(b.call("GET", path).body), field))
