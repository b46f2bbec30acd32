"""What ``/v1/messages`` refuses in the conversation itself: roles, blocks, signatures, pairs of calls and results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from . import errors
from .catalogue import Model
from .identifiers import Seal
from .reply import JSON, entries, members

EXTRA = "Extra inputs are not permitted"
BLOCKS = (
    "document", "image", "redacted_thinking", "search_result", "server_tool_use", "text", "thinking", "tool_result",
    "tool_use", "web_search_tool_result",
)  # fmt: skip
RESULT_BLOCKS = ("document", "image", "search_result", "text")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    model: Model
    login: str
    seal: Seal
    betas: tuple[str, ...]

    def allows(self, prefix: str) -> bool:
        return any(beta.startswith(prefix) for beta in self.betas)

    @property
    def binding(self) -> str:
        return f"{self.login}/{self.model.id}"


def history_problems(given: list[Any], context: Context, *, tool_search: bool) -> Iterator[str]:
    messages = [members(message) for message in given]
    for number, message in enumerate(messages):
        if message.get("role") not in {"user", "assistant"}:
            yield f"messages.{number}.role: Input should be 'user' or 'assistant'"
        for name in message:
            if name not in {"role", "content"}:
                yield f"messages.{number}.{name}: {EXTRA}"
        yield from _content(number, message, context, tool_search=tool_search)
    yield from _pairing(messages)
    if messages[-1].get("role") == "assistant":
        yield "This model does not support assistant message prefill. The conversation must end with a user message."


def _content(number: int, message: JSON, context: Context, *, tool_search: bool) -> Iterator[str]:
    content = message.get("content")
    if not isinstance(content, str | list):
        yield f"messages.{number}.content: Field required"
    elif not content:
        yield f"messages.{number}: all messages must have non-empty content"
    for index, block in enumerate(map(members, entries(content))):
        place, kind = f"messages.{number}.content.{index}", block.get("type")
        if kind not in BLOCKS:
            yield _unknown_tag(place, kind, BLOCKS)
        match kind:
            case "thinking":
                text, signature = str(block.get("thinking", "")), str(block.get("signature", ""))
                if not context.seal.signed(signature, text, context.binding):
                    yield f"{place}: {errors.FOREIGN_SIGNATURE}"
            case "redacted_thinking":
                known = context.seal.open(str(block.get("data", "")))
                if known is None or known[0] != context.binding:
                    yield f"{place}: Invalid `data` in `redacted_thinking` block"
            case "text" if not block.get("text"):
                yield f"messages.{number}: text content blocks must be non-empty"
            case "tool_use" if not isinstance(block.get("input"), dict):
                yield f"{place}.tool_use.input: Input should be a valid dictionary"
            case "tool_result":
                yield from _result(f"{place}.tool_result", block, tool_search=tool_search)


def _result(place: str, block: JSON, *, tool_search: bool) -> Iterator[str]:
    known = (*RESULT_BLOCKS, "tool_reference") if tool_search else RESULT_BLOCKS
    for index, part in enumerate(map(members, entries(block.get("content")))):
        if part.get("type") not in known:
            yield _unknown_tag(f"{place}.content.{index}", part.get("type"), known)
        elif part["type"] == "text" and not part.get("text"):
            yield f"{place}: text content blocks must be non-empty"


def _unknown_tag(place: str, kind: object, known: tuple[str, ...]) -> str:
    tags = ", ".join(f"'{tag}'" for tag in known)
    return f"{place}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {tags}"


def _pairing(messages: list[JSON]) -> Iterator[str]:
    """Every ``tool_use`` is answered in the very next message, and nothing else is (upstream.md §12 row 13)."""
    for number, message in enumerate(messages):
        used = _ids(message, "tool_use", "id")
        following = messages[number + 1] if number + 1 < len(messages) else {}
        missing = [each for each in used if each not in _ids(following, "tool_result", "tool_use_id")]
        if missing:
            yield f"messages.{number}: {errors.UNPAIRED}{', '.join(missing)}"
        before = _ids(messages[number - 1], "tool_use", "id") if number else []
        stray = [each for each in _ids(message, "tool_result", "tool_use_id") if each not in before]
        if stray:
            yield (
                f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(stray)}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )


def _ids(message: JSON, kind: str, key: str) -> list[str]:
    blocks = map(members, entries(message.get("content")))
    return [str(block.get(key)) for block in blocks if block.get("type") == kind]
