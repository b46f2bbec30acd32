"""The few fields of a request body that routing needs. The rest stays bytes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from copilot_trio.errors import BadRequest
from copilot_trio.unreadable import UNREADABLE

Initiator = Literal["user", "agent"]


class Block(msgspec.Struct, frozen=True):
    type: str = "text"
    text: str = ""
    content: msgspec.Raw = msgspec.Raw()


class Item(msgspec.Struct, frozen=True):
    """A message of the chat or the messages dialect, as far as billing and vision are concerned."""

    role: str = ""
    content: str | list[Block] | None = None


class Envelope(msgspec.Struct, frozen=True):
    model: str = ""
    stream: bool = False
    messages: list[msgspec.Raw] = []
    thinking: dict[str, Any] | None = None
    reasoning_effort: str | None = None

    @property
    def thinks(self) -> bool:
        """Does the client ask for reasoning? For the log line."""
        wanted = self.thinking is not None and self.thinking.get("type") != "disabled"
        return wanted or self.reasoning_effort not in {None, "none", "minimal"}


class _Form(msgspec.Struct, frozen=True):
    model: str | None = None
    stream: bool | None = None
    messages: list[msgspec.Raw] | None = None
    thinking: dict[str, Any] | None = None
    reasoning_effort: str | None = None


_decode = msgspec.json.Decoder(_Form).decode
_decode_item = msgspec.json.Decoder(Item).decode


def peek(body: bytes) -> Envelope:
    """Raises ``BadRequest`` naming the field, for what no upstream could make sense of."""
    try:
        if not body.isascii():
            body.decode()  # msgspec checks only what it reads, and a bad byte anywhere is an error
        form = _decode(body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the request has a field of the wrong type: {error}") from None
    except RecursionError:
        raise BadRequest("the request body is nested too deeply") from None
    except UNREADABLE as error:
        raise BadRequest(f"the request body is not valid JSON: {error}") from None
    if not form.model:
        raise BadRequest("the request names no model", remedy="GET /v1/models lists them.", param="model")
    if form.messages is None:
        raise BadRequest("the request has no messages", remedy="Send an array `messages`.", param="messages")
    if not form.messages:
        raise BadRequest("`messages` is empty", remedy="Send at least one message.", param="messages")
    return Envelope(form.model, bool(form.stream), form.messages, form.thinking, form.reasoning_effort)


def initiator(envelope: Envelope, *, subagent: bool) -> Initiator:
    """Who began this turn, truthfully: a person's turn is ``user``, and so is whatever is unclear (product.md §5.4)."""
    if subagent:
        return "agent"
    for raw in reversed(envelope.messages):
        item = _item(raw)
        if item is None:
            return "user"
        if item.role in {"system", "developer"}:
            continue  # clients append these to a person's turn as well as to a tool's
        if item.role in {"assistant", "tool", "function"}:
            return "agent"
        return "agent" if _is_tool_answer(item) else "user"
    return "user"


def _is_tool_answer(item: Item) -> bool:
    """Only tool results, and what clients themselves write beside them."""
    if not isinstance(item.content, list):
        return False
    kinds = [block.type for block in item.content]
    written = [block.text for block in item.content if block.type == "text"]
    return (
        "tool_result" in kinds
        and set(kinds) <= {"tool_result", "text"}
        and all(text.lstrip().startswith("<system-reminder>") for text in written)
    )


def has_image(envelope: Envelope, body: bytes) -> bool:
    """Is there an image among the messages, in a tool's result too?"""
    if b'"image' not in body:
        return False
    return any(_item_has_image(_item(raw)) for raw in envelope.messages if b'"image' in bytes(raw))


def _item_has_image(item: Item | None) -> bool:
    if item is None or not isinstance(item.content, list):
        return False
    return any(
        block.type in {"image", "image_url"} or (block.type == "tool_result" and _result_has_image(block.content))
        for block in item.content
    )


def _result_has_image(content: msgspec.Raw) -> bool:
    try:
        blocks = msgspec.json.decode(content, type=list[Block])
    except UNREADABLE:
        return False
    return any(block.type == "image" for block in blocks)


def _item(raw: msgspec.Raw) -> Item | None:
    try:
        return _decode_item(raw)
    except UNREADABLE:
        return None
