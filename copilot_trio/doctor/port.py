"""The port: is it free, or who is there."""

from __future__ import annotations

import socket
from typing import Any

import msgspec

from copilot_trio import __version__
from copilot_trio.errors import UpstreamError, UpstreamUnreachable
from copilot_trio.unreadable import UNREADABLE
from copilot_trio.upstream.network import dial_direct
from copilot_trio.upstream.pool import AccountPool, Timeouts
from copilot_trio.upstream.tls import shared_context

from .finding import Finding, failed, ok, warning

HOST = "127.0.0.1"
ROOT = b"Server running"
MAX_REPLY = 64 * 1024
TIMEOUTS = Timeouts(connect=3, write=3, read=5)


async def check_port(port: int) -> Finding:
    check = f"port {port}"
    pool = AccountPool(dial_direct, shared_context, TIMEOUTS)
    base = f"http://{HOST}:{port}"
    try:
        root = await _get(pool, f"{base}/")
        health = await _get(pool, f"{base}/health")
    except UpstreamUnreachable:
        return _free(check, port)
    except UpstreamError as error:
        return _taken(check, error.cause)
    finally:
        await pool.aclose()
    if root is None or not root.startswith(ROOT) or health is None:
        return _taken(check, "it does not answer as ours does")
    return _ours(check, _fields(health))


def _ours(check: str, fields: dict[str, Any]) -> Finding:
    if fields.get("status") != "ok":
        return warning(check, f"our server is there, and says it is {fields.get('status')!r}", "Restart it.")
    version, accounts = fields.get("version"), fields.get("accounts")
    if version is None:
        return ok(check, "our server is there and well; it tells more only to who has a key")
    if version != __version__:
        return warning(check, f"our server is there, of version {version}; this is {__version__}", "Restart it.")
    total, active = (accounts.get("total"), accounts.get("active")) if isinstance(accounts, dict) else (None, None)
    if active == 0:
        return warning(check, "our server is there, without an account that is active", "See the accounts below.")
    return ok(check, f"our server {version} is there and well, {active} of {total} accounts active")


def _free(check: str, port: int) -> Finding:
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        return failed(check, f"nobody answers there, and it cannot be listened on: {error.strerror}", "Use --port.")
    return ok(check, "free: no server runs there")


def _taken(check: str, why: str) -> Finding:
    return failed(check, f"another program has it: {why}", "End that program, or give `start` another --port.")


async def _get(pool: AccountPool, url: str) -> bytes | None:
    """None where the status is not 200."""
    async with pool.send("GET", url, []) as answer:
        body = await answer.read(MAX_REPLY)
        return body if answer.status == 200 else None


def _fields(text: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except UNREADABLE:
        return {}
