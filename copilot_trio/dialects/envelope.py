"""The few fields of a request body that routing needs. The rest stays bytes."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from copilot_trio.errors import BadRequest
from copilot_trio.unreadable import UNREADABLE

from . import DialectName

Initiator = Literal["user", "agent"]
NOTHING = msgspec.Raw()

# What Codex says in a user's place when an agent of its own has finished (clients.md §4.3).
NOTIFICATION = "<subagent_notification>"
MODELS_OWN = {"reasoning", "compaction", "compaction_trigger"}  # and all calls, and all that answers one


class Block(msgspec.Struct, frozen=True):
    type: str = "text"
    text: str = ""
    content: msgspec.Raw = msgspec.Raw()


class Item(msgspec.Struct, frozen=True):
    """A message of any dialect, or another item of the Responses API, as far as billing and vision are concerned."""

    type: str = "message"
    role: str = ""
    content: str | list[Block] | None = None
    output: msgspec.Raw = msgspec.Raw()


class Envelope(msgspec.Struct, frozen=True):
    """``messages`` are the items where the request is of the Responses API; none where its input is a string."""

    model: str = ""
    stream: bool = False
    messages: list[msgspec.Raw] = []
    thinking: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    reasoning: dict[str, Any] | None = None
    instructions: str | None = None
    of_responses: bool = False
    metadata: msgspec.Raw = NOTHING
    prompt_cache_key: msgspec.Raw = NOTHING
    system: msgspec.Raw = NOTHING

    @property
    def thinks(self) -> bool:
        """Does the client ask for reasoning? For the log line."""
        if self.thinking is not None and self.thinking.get("type") != "disabled":
            return True
        asked = self.reasoning.get("effort", "medium") if self.reasoning else None
        return any(effort not in {None, "none", "minimal"} for effort in (self.reasoning_effort, asked))


class _Form(msgspec.Struct, frozen=True):
    model: str | None = None
    stream: bool | None = None
    messages: list[msgspec.Raw] | str | None = None
    input: list[msgspec.Raw] | str | None = None
    thinking: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    reasoning: dict[str, Any] | None = None
    instructions: str | None = None
    metadata: msgspec.Raw = NOTHING
    prompt_cache_key: msgspec.Raw = NOTHING
    system: msgspec.Raw = NOTHING


_decode = msgspec.json.Decoder(_Form).decode
_decode_item = msgspec.json.Decoder(Item).decode
_decode_blocks = msgspec.json.Decoder(list[Block]).decode


def peek(body: bytes, dialect: DialectName = "chat") -> Envelope:
    """Raises ``BadRequest`` naming the field, for what no upstream could make sense of.

    On the chat route a body of the Responses API is let through as such (``of_responses``).
    """
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
    of_responses = dialect == "responses" or (
        dialect == "chat" and form.input is not None and not isinstance(form.messages, list)
    )
    return Envelope(
        form.model,
        bool(form.stream),
        _input(form) if of_responses else _messages(form),
        form.thinking,
        form.reasoning_effort,
        form.reasoning,
        form.instructions,
        of_responses,
        form.metadata,
        form.prompt_cache_key,
        form.system,
    )


def _messages(form: _Form) -> list[msgspec.Raw]:
    if form.messages is None:
        raise BadRequest("the request has no messages", remedy="Send an array `messages`.", param="messages")
    if isinstance(form.messages, str):
        raise BadRequest("the request has a field of the wrong type: Expected `array` - at `$.messages`")
    if not form.messages:
        raise BadRequest("`messages` is empty", remedy="Send at least one message.", param="messages")
    return form.messages


def _input(form: _Form) -> list[msgspec.Raw]:
    if form.input is None:
        raise BadRequest("the request has no input", remedy="Send a string or an array `input`.", param="input")
    if not form.input:
        raise BadRequest("`input` is empty", remedy="Send at least one item.", param="input")
    return [] if isinstance(form.input, str) else form.input


def initiator(envelope: Envelope, *, subagent: bool) -> Initiator:
    """Who began this turn, truthfully: a person's turn is ``user``, and so is whatever is unclear (product.md §5.4)."""
    if subagent:
        return "agent"
    for raw in reversed(envelope.messages):
        item = _item(raw)
        if item is None:
            return "user"
        if item.type in MODELS_OWN or item.type.endswith(("_call", "_output")):
            return "agent"
        if item.role in {"system", "developer"} or _is_notification(item):
            continue  # clients append these to a person's turn as well as to a tool's
        if item.role in {"assistant", "tool", "function"}:
            return "agent"
        return "agent" if _is_tool_answer(item) else "user"
    return "user"


def _is_notification(item: Item) -> bool:
    if not isinstance(item.content, list) or not item.content:
        return False
    return all(block.type == "input_text" and block.text.startswith(NOTIFICATION) for block in item.content)


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
    """Is there an image in the conversation, in a tool's result too?"""
    if b'"image' not in body and b'"input_image"' not in body:
        return False
    return any(
        _item_has_image(_item(raw))
        for raw in envelope.messages
        if b'"image' in bytes(raw) or b'"input_image"' in bytes(raw)
    )


def _item_has_image(item: Item | None) -> bool:
    if item is None:
        return False
    blocks = item.content if isinstance(item.content, list) else []
    return _holds_image(item.output) or any(
        block.type in {"image", "image_url", "input_image"}
        or (block.type == "tool_result" and _holds_image(block.content))
        for block in blocks
    )


def _holds_image(content: msgspec.Raw) -> bool:
    """The content of a tool's result, which may be anything."""
    try:
        blocks = _decode_blocks(content)
    except UNREADABLE:
        return False
    return any(block.type in {"image", "input_image"} for block in blocks)


def _item(raw: msgspec.Raw) -> Item | None:
    try:
        return _decode_item(raw)
    except UNREADABLE:
        return None
