"""What Copilot's chat chunks lack for strict clients, put in by offset; chunks that are whole stay as they are.

Three oddities of Claude and Gemini: no ``object``, without which OpenAI's stream helper drops a chunk in silence;
``index`` 0 for every parallel tool call, which makes clients glue two calls into one (upstream.md §7.6); and ``role``
in every chunk, which that helper adds up to "assistantassistant" (§7.8).
"""

from __future__ import annotations

import msgspec

from copilot_trio.dialects import splice
from copilot_trio.unreadable import UNREADABLE

from .wire import Chunk, ToolCallOut

OBJECT = b'"object":"chat.completion.chunk",'

_decode_chunk = msgspec.json.Decoder(Chunk).decode


class StrictChunks:
    """Of one stream. ``mend`` takes whole events and returns them mended."""

    def __init__(self) -> None:
        self._number_of: dict[str, int] = {}  # a call's id -> the index that the client sees
        self._latest_at: dict[int | None, int] = {}  # upstream's index -> ours, of the latest call there
        self._has_role = False

    def mend(self, block: bytes) -> bytes:
        odd = b'"tool_calls"' in block or b'"role"' in block
        if not odd and block.count(b'"object":') >= block.count(b"data: {"):
            return block
        return b"\n".join(self._line(line) for line in block.split(b"\n"))

    def _line(self, line: bytes) -> bytes:
        if not line.startswith(b"data: {") or line.startswith(b'data: {"error"'):
            return line
        if b'"tool_calls"' in line or b'"role"' in line:
            line = b"data: " + self._mend_deltas(line[6:])
        if b'"object"' not in line:
            line = b"data: {" + OBJECT + line[7:]
        return line

    def _mend_deltas(self, data: bytes) -> bytes:
        try:
            chunk = _decode_chunk(data)
        except UNREADABLE:
            return data
        choices = chunk.choices or []
        edit = splice.Splice(data)
        for at, choice in zip(_elements(data, splice.whole(data), "choices"), choices, strict=False):
            delta = splice.member(data, at, "delta")
            if delta is None:
                continue
            self._mend_role(edit, delta)
            calls = choice.delta.tool_calls if choice.delta else None
            for place, call in zip(_elements(data, delta, "tool_calls"), calls or (), strict=False):
                number = self._number(call)
                index = splice.member(data, place, "index")
                if index is not None and splice.text_of(data, index) != b"%d" % number:
                    edit.replace(index, b"%d" % number)
        return edit.apply() if edit else data

    def _mend_role(self, edit: splice.Splice, delta: splice.Value) -> None:
        siblings = splice.members(edit.body, delta)
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


def mend_reply(body: bytes) -> bytes:
    """A whole reply, which Copilot sends without ``object`` too (upstream.md §7.2)."""
    start = body.find(b"{")
    if start < 0 or b'"object"' in body:
        return body
    return b'%b"object":"chat.completion",%b' % (body[: start + 1], body[start + 1 :])


def _elements(data: bytes, of: splice.Value, name: str) -> list[splice.Value]:
    found = splice.member(data, of, name)
    return [] if found is None else splice.elements(data, found)
