"""The models of the running server, as any client would ask for them."""

from __future__ import annotations

import http.client
import ssl
from urllib.parse import urlsplit

import msgspec

from copilot_trio.clients.offer import KEYLESS, Model, read_models
from copilot_trio.unreadable import UNREADABLE

from .failure import CommandFailed

PATIENCE = 60.0  # seconds: a server that has just started asks GitHub first
MAX_SIZE = 8 * 1024 * 1024


class _Problem(msgspec.Struct, frozen=True):
    message: str = ""


class _Refusal(msgspec.Struct, frozen=True):
    error: _Problem = _Problem()


def clean_url(text: str) -> str:
    """Without ``/v1`` and a slash at its end. Raises ``CommandFailed``."""
    parts = urlsplit(text.strip())
    try:
        usable = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username or not text.isascii() or " " in text.strip():
        raise CommandFailed(f"--url {text!r} is no address of a server: say http://127.0.0.1:4141", 2)
    return text.strip().rstrip("/").removesuffix("/v1").rstrip("/")


def live_models(url: str, key: str) -> tuple[Model, ...]:
    """The usable ones, at least one. Raises ``CommandFailed``: it is not running, wants a key, is something else."""
    status, body = _get(url, key)
    if status in {401, 403}:
        hint = "give one with --key-file FILE" if key == KEYLESS else "it did not take yours"
        raise CommandFailed(f"the server at {url} wants a key: {hint}")
    if status != 200:
        raise CommandFailed(f"the server at {url} could not list its models: {_why(body) or f'status {status}'}")
    try:
        models = read_models(body)
    except ValueError as error:
        raise CommandFailed(f"what answers at {url} is not copilot-trio: {error}") from None
    if not models:
        raise CommandFailed(f"the server at {url} has no usable model: `copilot-trio list-accounts` may say why")
    return models


def _get(url: str, key: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=PATIENCE, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=PATIENCE)
    try:
        connection.request("GET", f"{parts.path}/v1/models", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_SIZE)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise CommandFailed(
            f"no server at {url} ({reason}): start one with `copilot-trio start`, or name another with --url"
        ) from None
    finally:
        connection.close()


def _why(body: bytes) -> str:
    try:
        message = msgspec.json.decode(body, type=_Refusal).error.message
    except UNREADABLE:
        return ""
    return "".join(letter if letter.isprintable() else " " for letter in message[:500])
