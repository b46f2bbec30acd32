"""The newest thing that a person says in a request of any dialect, for a person to recognise it by. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from copilot_trio.unreadable import UNREADABLE

from .envelope import NOTIFICATION, Item

BY_CLIENTS = ("<system-reminder>", NOTIFICATION)  # what clients write in a person's place
Items = list[msgspec.Raw] | str | None


class _Form(msgspec.Struct, frozen=True):
    messages: Items = None
    input: Items = None


def newest_text(body: bytes, length: int) -> str:
    """Its first ``length`` printable characters, on one line; empty where nobody says anything."""
    try:
        form = msgspec.json.decode(body, type=_Form)
    except UNREADABLE:
        return ""
    items = form.messages if isinstance(form.messages, list) else form.input
    texts = [items] if isinstance(items, str) else _texts(items or [])
    newest = next((text for text in texts if text.strip() and not text.lstrip().startswith(BY_CLIENTS)), "")
    words = " ".join(newest[: 8 * length].split())  # a pasted file need not be walked for this
    return "".join(character for character in words if character.isprintable())[:length]


def _texts(items: list[msgspec.Raw]) -> Iterator[str]:
    """The newest first."""
    for raw in reversed(items):
        try:
            item = msgspec.json.decode(raw, type=Item)
        except UNREADABLE:
            continue
        if item.role != "user" or item.content is None:
            continue
        if isinstance(item.content, str):
            yield item.content
        else:
            yield from (block.text for block in reversed(item.content) if block.type in {"text", "input_text"})
