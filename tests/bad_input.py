"""What the server answers to bad input, over a real socket: ``python tests/bad_input.py`` prints the table."""

from __future__ import annotations

import json
import re
import socket
import tempfile
from pathlib import Path

import msgspec
from processes import PATIENCE, Running, call, environment

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"


class Case(msgspec.Struct, frozen=True):
    """``wire`` is sent as it is; the answer must have ``status``, and ``words`` in an error of ``dialect``."""

    name: str
    wire: bytes
    status: int
    words: str
    dialect: str = "chat"


def request(
    path: str,
    body: bytes,
    *,
    method: str = "POST",
    host: str = "localhost",
    kind: str = "application/json",
    more: str = "",
) -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


def asked(**fields: object) -> bytes:
    return json.dumps({"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


CASES = (
    Case("broken JSON", request(CHAT, b'{"model":'), 400, "not valid JSON"),
    Case("broken JSON, messages", request(MESSAGES, b"{]"), 400, "not valid JSON", "messages"),
    Case("not UTF-8", request(CHAT, asked().replace(b"hi", b"\xff")), 400, "not valid JSON"),
    Case("empty body", request(CHAT, b""), 400, "not valid JSON"),
    Case("no model", request(CHAT, b'{"messages":[{"role":"user","content":"hi"}]}'), 400, "names no model"),
    Case("unknown model", request(MESSAGES, asked(model="nobody", max_tokens=9)), 404, "is called 'nobody'", "messages"),
    Case("model of another kind", request(CHAT, asked(model="text-embedding-3-small")), 404, "/v1/embeddings"),
    Case("messages is a string", request(CHAT, asked(messages="hi")), 400, "$.messages"),
    Case("no messages", request(MESSAGES, asked(messages=[], max_tokens=9)), 400, "is empty", "messages"),
    Case("stream is a string", request(CHAT, asked(stream="yes")), 400, "$.stream"),
    Case("unknown role", request(MESSAGES, asked(messages=[{"role": "bot", "content": "x"}])), 400, "bot", "messages"),
    Case("unknown route", request("/v1/nonsense", b"{}"), 404, "no route /v1/nonsense"),
    Case("wrong method", request(CHAT, b"", method="GET"), 405, "Use POST"),
    Case("wrong content type", request(MESSAGES, asked(), kind="text/plain"), 415, "application/json", "messages"),
    Case("unknown content encoding", request(CHAT, asked(), more="Content-Encoding: br\r\n"), 415, "cannot be decoded"),
    Case("damaged gzip", request(CHAT, b"x" * 20, more="Content-Encoding: gzip\r\n"), 400, "gzip body is damaged"),
    Case("foreign Host", request(CHAT, asked(), host="evil.example"), 403, "Host header"),
    Case("foreign Origin", request(MESSAGES, asked(), more="Origin: https://evil.example\r\n"), 403, "origin", "messages"),
    Case("missing Host", f"POST {CHAT} HTTP/1.1\r\nContent-Length: 0\r\n\r\n".encode(), 400, "not HTTP/1.1"),
    Case("header without a colon", b"GET / HTTP/1.1\r\nHost: localhost\r\nnonsense\r\n\r\n", 400, "not HTTP/1.1"),
    Case("not HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "not HTTP/1.1"),
    Case("oversized header", request(CHAT, b"{}", more=f"X-Big: {'x' * 70_000}\r\n"), 431, "header is too large"),
    Case("oversized body", request(CHAT, b"", more="").replace(b"Length: 0", b"Length: 99999999"), 413, "body is over"),
    Case("bad chunk size", request(MESSAGES, b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"zz\r\n",
         400, "not HTTP/1.1", "messages"),
    Case("length beside chunks", request(CHAT, b"", more="Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n", 400, "in doubt"),
    Case("negative length", request(CHAT, b"").replace(b"Length: 0", b"Length: -5"), 400, "not HTTP/1.1"),
    Case("a proxy's request", b"GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n", 400, "no forward proxy"),
    Case("half a handshake", request("/v1/responses", b"", method="GET", more="Connection: Upgrade\r\nUpgrade: websocket\r\n"),
         400, "handshake"),
    Case("no handshake", request("/v1/responses", b"", method="GET"), 426, "WebSocket"),
)  # fmt: skip


def ask(address: str, wire: bytes) -> tuple[int, str, bytes]:
    """Status, content type and body of what comes back, on a connection of its own."""
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
        client.sendall(wire)
        received = b""
        while b"\r\n\r\n" not in received and (data := client.recv(65536)):
            received += data
        head, _, body = received.partition(b"\r\n\r\n")
        length = int((re.search(rb"content-length: (\d+)", head, re.IGNORECASE) or [b"", b"0"])[1])
        while len(body) < length and (data := client.recv(65536)):
            body += data
    kind = (re.search(rb"content-type: ([^\r\n]+)", head, re.IGNORECASE) or [b"", b""])[1].decode()
    return int(head.split()[1]), kind, body


def main() -> None:
    with tempfile.TemporaryDirectory() as home, Running(("demo", "--port", "0"), environment(Path(home))) as demo:
        address = demo.wait_for(r"listening +(http://\S+)")[1]
        demo.wait_for("models ")
        print("| input | status | body |\n|---|---|---|")
        for case in CASES:
            status, _, body = ask(address, case.wire)
            print(f"| {case.name} | {status} | `{body.decode()}` |")
        print(f"\nand then: GET /health {call(f'{address}/health')[0]}")


if __name__ == "__main__":
    main()
