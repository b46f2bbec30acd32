"""What Copilot's chat answers lack for strict clients, put in by offset; what is whole stays as it is.

Oddities of its chunks: no ``object``, without which OpenAI's stream helper drops a chunk in silence; ``index`` 0 for
every parallel tool call of Claude's, which makes clients glue two calls into one (upstream.md §7.6); ``role`` in every
chunk, which that helper adds up to "assistantassistant" (§7.8); and null for no ``choices`` (§7.3), over which clients
try to go.
"""

from __future__ import annotations

import re

import msgspec

from copilot_trio.dialects import splice
from copilot_trio.dialects.surrogates import without_half_pairs
from copilot_trio.unreadable import UNREADABLE, UNREADABLE_OR_ODD

from .wire import Chunk, ToolCallOut

OBJECT = b'"object":"chat.completion.chunk",'
_NO_CHOICES = re.compile(rb'"choices"\s*:\s*null')
# A delta with nothing but more arguments of one call, as upstreams write it; its index stands before or behind.
_MORE = re.compile(
    rb'"delta":\{(?:"content":null,)?"tool_calls":\[\{(?:"index":(\d+),)?'
    rb'"function":\{"arguments":"[^"\\]*+(?:\\.[^"\\]*+)*+"\}(?:,"index":(\d+))?(?:,"type":"function")?\}\]\}'
)

_WORDS = {"content", "refusal", "reasoning_text", "reasoning_content"}

_decode_chunk = msgspec.json.Decoder(Chunk).decode
_encode = msgspec.json.Encoder().encode


class StrictChunks:
    """Of one stream. ``mend`` takes whole events and returns them mended."""

    def __init__(self) -> None:
        self._number_of: dict[str, int] = {}  # a call's id -> the index that the client sees
        self._latest_at: dict[int | None, int] = {}  # upstream's index -> ours, of the latest call there
        self._has_role = False

    def mend(self, block: bytes) -> bytes:
        odd = b'"tool_calls"' in block or b'"role"' in block or _NO_CHOICES.search(block)
        if not odd and block.count(b'"object":') >= block.count(b"data: {"):
            return block
        return b"\n".join(self._line(line) for line in block.split(b"\n"))

    def _line(self, line: bytes) -> bytes:
        if not line.startswith(b"data: {") or line.startswith(b'data: {"error"'):
            return line
        if _NO_CHOICES.search(line):
            line = b"data: " + _with_choices(line[6:])
        if b'"tool_calls"' in line or b'"role"' in line:
            line = self._with_more(line) or b"data: " + self._mend_deltas(line[6:])
        if b'"object"' not in line:
            line = b"data: {" + OBJECT + line[7:]
        return line

    def _with_more(self, line: bytes) -> bytes:
        """The line mended without reading it, where it brings but more of one call's arguments; else nothing."""
        found = _MORE.search(line)
        if found is None or line.count(b'"tool_calls"') > 1 or b'"role"' in line:
            return b""
        group = 1 if found[2] is None else 2
        index = found[group]
        if index is None or (group == 2 and found[1] is not None):
            return b""
        number = b"%d" % self._latest_at.get(int(index), int(index))
        return line if number == index else line[: found.start(group)] + number + line[found.end(group) :]

    def _mend_deltas(self, data: bytes) -> bytes:
        text = without_half_pairs(data)  # of the same length
        try:
            chunk = _decode_chunk(text)
        except UNREADABLE:
            return data
        choices = chunk.choices or []
        edit = splice.Splice(data)
        for at, choice in zip(_elements(text, splice.whole(text), "choices"), choices, strict=False):
            delta = splice.member(text, at, "delta")
            if delta is None:
                continue
            self._mend_role(edit, splice.members(text, delta))
            calls = choice.delta.tool_calls if choice.delta else None
            for place, call in zip(_elements(text, delta, "tool_calls"), calls or (), strict=False):
                number = self._number(call)
                index = splice.member(text, place, "index")
                if index is not None and splice.text_of(text, index) != b"%d" % number:
                    edit.replace(index, b"%d" % number)
        return edit.apply() if edit else data

    def _mend_role(self, edit: splice.Splice, siblings: list[splice.Value]) -> None:
        for value in siblings:
            if value.key == "role":
                if self._has_role:
                    edit.cut(siblings, value)
                self._has_role = True

    def _number(self, call: ToolCallOut) -> int:
        """A new id has an index of its own: upstream's, unless another call has that already."""
        if not call.id:
            return self._latest_at.get(call.index, call.index or 0)
        number = self._number_of.get(call.id)
        if number is None:
            taken = set(self._number_of.values())
            number = call.index or 0
            if number in taken:
                number = max(taken) + 1
            self._number_of[call.id] = number
        self._latest_at[call.index] = number
        return number


def _with_choices(data: bytes) -> bytes:
    """An empty list for a chunk's null."""
    text = without_half_pairs(data)
    try:
        choices = splice.member(text, splice.whole(text), "choices")
    except UNREADABLE_OR_ODD:
        return data
    if choices is None or splice.text_of(text, choices) != b"null":
        return data
    edit = splice.Splice(data)
    edit.replace(choices, b"[]")
    return edit.apply()


def mend_reply(body: bytes) -> bytes:
    """A whole reply, which Copilot sends without ``object`` too (upstream.md §7.2).

    One answer of Claude's comes split over several choices of one index: text in one, each tool call in others.
    Clients read the first alone, so they are made one.
    """
    if body.count(b'"message"') > 1:
        body = _joined(body)
    start = body.find(b"{")
    if start < 0 or b'"object"' in body:
        return body
    return b'%b"object":"chat.completion",%b' % (body[: start + 1], body[start + 1 :])


def _joined(body: bytes) -> bytes:
    text = without_half_pairs(body)
    try:
        at = splice.member(text, splice.whole(text), "choices")
        choices = msgspec.json.decode(splice.text_of(text, at)) if at is not None else None
    except UNREADABLE_OR_ODD:
        return body
    if at is None or not isinstance(choices, list) or len(choices) < 2:
        return body
    if not all(isinstance(choice, dict) and isinstance(choice.get("message"), dict) for choice in choices):
        return body
    if any(choice.get("index") not in (0, None) for choice in choices):
        return body
    edit = splice.Splice(body)
    edit.replace(at, _encode([_as_one(choices)]))
    return edit.apply()


def _as_one(choices: list[dict[str, object]]) -> dict[str, object]:
    """Words and calls one after another; of all else what was said first."""
    one: dict[str, object] = {}
    message: dict[str, object] = {}
    for choice in choices:
        _add(message, choice["message"])
        _add(one, choice)
    one["message"] = message
    if message.get("tool_calls") and one.get("finish_reason") == "stop":
        one["finish_reason"] = "tool_calls"
    return one


def _add(to: dict[str, object], more: object) -> None:
    for key, value in more.items() if isinstance(more, dict) else ():
        said = to.get(key)
        if said is None:
            to[key] = value
        elif isinstance(said, str) and isinstance(value, str):
            to[key] = said + value if key in _WORDS else said
        elif isinstance(said, list) and isinstance(value, list) and key == "tool_calls":
            to[key] = said + value


def _elements(data: bytes, of: splice.Value, name: str) -> list[splice.Value]:
    found = splice.member(data, of, name)
    return [] if found is None else splice.elements(data, found)
