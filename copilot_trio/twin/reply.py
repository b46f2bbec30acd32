"""What the twin answers, before it is written: a status, headers, and a body or the frames of an event stream."""

from __future__ import annotations

from typing import Any

import msgspec

JSON = dict[str, Any]
Headers = tuple[tuple[str, str], ...]

TEXT = "text/plain; charset=utf-8"
EVENTS = "text/event-stream"


class Frame(msgspec.Struct, frozen=True):
    """One server-sent event. ``ending`` marks the terminal ones, which a truncation leaves out."""

    data: bytes
    name: str = ""
    ending: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    status: int = 200
    headers: Headers = ()
    body: bytes = b""
    content_type: str = "application/json"
    frames: tuple[Frame, ...] | None = None


DONE = Frame(b"[DONE]", ending=True)


def encode(value: object) -> bytes:
    return msgspec.json.encode(value)


def encode_sorted(value: object) -> bytes:
    """The gateway sorts keys on ``/models``, ``/responses`` and ``/v1/messages`` (upstream.md §0.1 fact 1)."""
    return msgspec.json.encode(value, order="sorted")


def text_reply(status: int, body: str, headers: Headers = ()) -> Reply:
    """Errors come as text even when they are JSON (upstream.md §0.1 fact 2)."""
    return Reply(
        status=status,
        headers=(("x-content-type-options", "nosniff"), *headers),
        body=body.encode(),
        content_type=TEXT,
    )


def json_reply(value: object, status: int = 200, headers: Headers = ()) -> Reply:
    return Reply(status=status, headers=headers, body=encode(value))


def members(value: object) -> JSON:
    """A JSON object's members; nothing for anything else, since clients send all sorts."""
    return value if isinstance(value, dict) else {}


def entries(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
