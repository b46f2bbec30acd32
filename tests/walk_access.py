"""Who may call, and how much: product.md §2.5, row by row."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from processes import Running
from walk_admin import ADMIN
from walk_routes import CHAT
from walk_table import Answer, Caller, Shell, Table

PATH = "/v1/chat/completions"
OTHERS, ALLOWED = "http://evil.example", "http://ok.example"
CURSOR = "vscode-file://vscode-app"
INFERENCE = {"x-api-key": "inference-key-of-the-walk"}
ADDRESS = r"listening +(http://\S+)"


def gate(b: Caller) -> None:
    host = b.address.removeprefix("http://")
    port = host.partition(":")[2]
    for name in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", "box.lan"):
        what = "an --allowed-host" if name == "box.lan" else "Host, a loopback name"
        b.get("2.5", what, "/v1/models", "object=list", headers={"Host": name})
    b.get(
        "2.5", "Host of another", "/v1/models", status=403, headers={"Host": "evil.example"}, words=["--allowed-host"]
    )
    b.get("2.5", "Host of another, admin", "/api/accounts", "error", status=403, headers={"Host": "evil.example"})
    b.post("2.5", "Origin of another", PATH, CHAT, "error.message", status=403, headers={"Origin": OTHERS})
    b.get("2.5", "Origin null", "/api/accounts", "error", status=403, headers={"Origin": "null"})
    b.get("2.5", "Origin the same", "/api/accounts", "accounts", headers={"Origin": b.address})
    origin = {"Origin": ALLOWED}
    b.get("2.5", "an --allowed-origin", "/api/accounts", "accounts", headers=origin, check=_acao(ALLOWED))
    crossing = {"Sec-Fetch-Site": "cross-site"}
    b.get("2.5", "Sec-Fetch-Site cross-site", "/api/accounts", "error", status=403, headers=crossing)
    plain = {"Content-Type": "text/plain"}
    for method, path in (("POST", PATH), ("POST", "/v1/messages"), ("POST", "/api/accounts"), ("PUT", "/api/config")):
        b.ask("2.5", "a body that is text/plain", method, path, b"{}", status=415, headers=plain)
    asked = {"Access-Control-Request-Method": "POST"}
    for name, path in ((ALLOWED, PATH), (ALLOWED, "/api/accounts"), (CURSOR, PATH)):
        headers = asked | {"Origin": name}
        b.ask("2.5", "OPTIONS, allowed", "OPTIONS", path, None, status=204, headers=headers, check=_acao(name))
    for name, path in ((OTHERS, PATH), (CURSOR, "/api/accounts")):
        headers = asked | {"Origin": name}
        b.ask("2.5", "OPTIONS, not allowed", "OPTIONS", path, None, status=403, headers=headers, check=_acao(None))
    b.post("2.5", "Cursor's Verify", PATH, CHAT, "id", headers={"Origin": CURSOR}, check=_acao(CURSOR))
    b.get("2.5", "Cursor's page elsewhere", "/api/accounts", "error", status=403, headers={"Origin": CURSOR})


def _acao(wanted: str | None) -> Callable[[Answer], str]:
    def check(answer: Answer) -> str:
        came = answer.headers.get("access-control-allow-origin")
        assert came == wanted, came
        return f"ACAO {came}"

    return check


def keys(k: Caller, data: Path) -> None:
    """``k``: with an admin key by flag and a stored one with the right to models."""
    bearer = {"Authorization": "Bearer admin-key-of-the-walk"}
    k.get("2.5", "key as a bearer", "/v1/models", "object=list", headers=bearer)
    k.get("2.5", "key as x-api-key", "/v1/models", "object=list", headers={"x-api-key": "admin-key-of-the-walk"})
    k.get("2.5", "second --api-key", "/v1/models", "object=list", headers={"x-api-key": "other-key-of-the-walk"})
    k.get("2.5", "key in the query", "/v1/models?key=admin-key-of-the-walk", status=401)
    wrong = {"Authorization": "Bearer wrong"}
    k.post("2.5", "wrong key, OpenAI", PATH, CHAT, "error.message", "error.type", status=401, headers=wrong)
    k.post(
        "2.5",
        "wrong key, Anthropic",
        "/v1/messages",
        CHAT,
        "type=error",
        "error.type=authentication_error",
        status=401,
        headers=wrong,
    )
    k.get("2.5", "wrong key, admin", "/api/accounts", "error", status=401, headers=wrong)
    k.get("2.5", "the key lifts Host", "/v1/models", "object=list", headers=bearer | {"Host": "evil.example"})
    k.get("2.5", "and not Origin", "/v1/models", status=403, headers=bearer | {"Origin": OTHERS})
    k.get("2.5", "right inference: models", "/v1/models", "object=list", headers=INFERENCE)
    for path in ("/api/accounts", "/api/config", "/usage", "/token", "/metrics", "/accounts", "/claude/config"):
        k.get("2.5", "right inference: no admin", path, "error", status=403, headers=INFERENCE, words=["right"])
    with k.table.row("2.5", "hashed at rest", "cat config.json") as said:
        text = (data / "config.json").read_text()
        assert "inference-key" not in text
        said.append(f"keys: {', '.join(json.loads(text)['keys'][0])}")
    k.ask("2.5", "keys revoked", "PUT", "/api/config", {"keys": []}, "updated.keys", headers=ADMIN)
    k.get("2.5", "a revoked key", "/v1/models", status=401, headers=INFERENCE)


def binds(table: Table, shell: Shell) -> None:
    start = ("start", "--port", "0", "--host", "0.0.0.0")
    shown = "copilot-trio start --host 0.0.0.0"
    with (
        table.row("2.5", "others reach it: a key is made", shown) as said,
        Running(start, shell.environment()) as server,
    ):
        key = server.wait_for(r"API key, shown this once: (\S+)")[1]
        caller = _loopback(table, server)
        statuses = [caller.call("GET", "/v1/models", headers=h).status for h in ({}, {"x-api-key": key})]
        assert statuses == [401, 200], statuses
        said.append("key printed; 401 without, 200 with it")
        stored = (shell.home / "data" / "config.json").read_text()
        assert key not in stored
    with table.row("2.5", "and shown once", shown) as said, Running(start, shell.environment()) as server:
        server.wait_for(ADDRESS)
        assert "shown this once" not in server.printed
        said.append("no key printed")
    (shell.home / "data" / "config.json").unlink()
    shell.run("2.5", "--no-auth where others reach it", *start, "--no-auth", code=2, words=[r"add --i-know"])
    flags = ("--no-auth", "--i-know")
    with table.row("2.5", "with --i-know", f"{shown} {' '.join(flags)}") as said:
        with Running((*start, *flags), shell.environment()) as server:
            assert _loopback(table, server).call("GET", "/v1/models").status == 200
            said.append("200 without a key")
    with table.row("2.5", "--no-auth on loopback", "copilot-trio start --api-key K --no-auth") as said:
        with Running(("start", "-p", "0", "--api-key", "some-key", "--no-auth"), shell.environment()) as server:
            assert _loopback(table, server).call("GET", "/api/accounts").status == 200
            said.append("200 without a key")


def _loopback(table: Table, server: Running) -> Caller:
    port = re.sub(r".*:", "", server.wait_for(ADDRESS)[1])
    return Caller(table, f"http://127.0.0.1:{port}")


class SlowClients:
    """They begin first and end last: what a server does to clients that take their time, while it serves all others."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("http://").partition(":")
        self._at = (host, int(port))
        self._pool = ThreadPoolExecutor(3)
        json_head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        self._rows: list[tuple[str, float, Future[tuple[str, float]]]] = [
            ("header timeout 10 s", 10, self._pool.submit(self._wait, "GET / HT")),
            (
                "body without progress, 30 s",
                30,
                self._pool.submit(self._wait, f"{json_head}Content-Length: 100\r\n\r\n{{"),
            ),
            ("keep-alive idle 75 s", 75, self._pool.submit(self._wait, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")),
        ]

    def _wait(self, sent: str) -> tuple[str, float]:
        """The status lines that came, and after how many seconds the connection was closed."""
        began, came = time.monotonic(), b""
        with socket.create_connection(self._at, timeout=100) as client:
            client.sendall(sent.encode())
            while data := client.recv(65536):
                came += data
        lines = re.findall(rb"HTTP/1\.1 (\d+)", came)
        return ", ".join(line.decode() for line in lines), time.monotonic() - began

    def rows(self, table: Table) -> None:
        for what, limit, future in self._rows:
            with table.row("2.5", what, "a socket that says no more") as said:
                statuses, seconds = future.result()
                said.append(f"{statuses or 'nothing'}, closed after {seconds:.0f} s; the others were served")
                assert limit - 1 < seconds < limit + 5
        self._pool.shutdown()


def limits(table: Table, small: Caller) -> None:
    """``small``: a server with ``--max-body 1 --max-connections 3``."""
    big = {"X-Long": "x" * 66_000}
    with table.row("2.5", "header block over 64 KiB", "curl B/ -H 'X-Long: 66000 bytes'") as said:
        said.append(str(status := small.call("GET", "/", headers=big).status))
        assert status == 431
    over = json.dumps(CHAT | {"user": "x" * 1_100_000}).encode()
    head = {"Content-Type": "application/json"}
    small.post(
        "2.5", "body over --max-body 1", PATH, over, "error.message", status=413, headers=head, words=["--max-body"]
    )
    host, _, port = small.address.removeprefix("http://").partition(":")
    with table.row("2.5", "connection cap", "--max-connections 3, the fourth") as said:
        clients = [socket.create_connection((host, int(port)), timeout=2) for _ in range(4)]
        try:
            for client in clients:
                client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            for client in clients[:3]:
                assert client.recv(100)
            try:
                waited = not clients[3].recv(100)
            except TimeoutError:
                waited = True
            assert waited, "the fourth was served"
            clients[0].close()
            assert clients[3].recv(100).startswith(b"HTTP/1.1 200")
            said.append("waits, and is served once one has gone")
        finally:
            for client in clients:
                client.close()
