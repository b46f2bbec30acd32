"""Where things stand in a JSON text, and editing it by byte offsets.

Re-serialising a prompt would change key order and white space and so miss the provider's prompt cache. Here only
the spans that must change are replaced; every other byte, duplicate keys and escapes included, stays.

msgspec finds the extent of each value at C speed; the offsets are then confirmed byte by byte against the text, so a
duplicate key can mislead it no further than into the slow path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

_KEY = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*+")[ \t\r\n]*:[ \t\r\n]*', re.DOTALL)
_NEXT = re.compile(rb"[ \t\r\n]*([,\]}])")
_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb'"(?:[^"\\]|\\.)*+"|[^][{}," \t\r\n]++', re.DOTALL)
_BRACKET = re.compile(rb'(?:[^][{}"]|"(?:[^"\\]|\\.)*+")*+([][{}])', re.DOTALL)

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class Value(msgspec.Struct, frozen=True):
    """A value's place in the text; ``start`` is that of its key where it has one."""

    start: int
    value: int
    end: int
    key: str = ""


def whole(body: bytes) -> Value:
    """The text's one top-level value. The text must be valid JSON."""
    start = _skip_space(body, 0)
    return Value(start, start, len(body.rstrip(b" \t\r\n")))


def members(body: bytes, of: Value) -> list[Value]:
    """The members of the object ``of``, in order, duplicates included; nothing for any other value."""
    if body[of.value : of.value + 1] != b"{":
        return []
    hints = _decode_object(memoryview(body)[of.value : of.end])
    found: list[Value] = []
    position = of.value + 1
    while (match := _KEY.match(body, position)) is not None:
        key = _decode_string(match.group(1))
        end = _end_of(body, match.end(), hints.get(key))
        found.append(Value(match.start(1), match.end(), end, key))
        position = _after_separator(body, end)
    return found


def elements(body: bytes, of: Value) -> list[Value]:
    """The elements of the array ``of``; nothing for any other value."""
    if body[of.value : of.value + 1] != b"[":
        return []
    found: list[Value] = []
    position = of.value + 1
    for raw in _decode_array(memoryview(body)[of.value : of.end]):
        start = _skip_space(body, position)
        end = _end_of(body, start, raw)
        found.append(Value(start, start, end))
        position = _after_separator(body, end)
    return found


def member(body: bytes, of: Value, key: str) -> Value | None:
    """The member named ``key``; of duplicates the last, which is the one that parsers keep."""
    return next((found for found in reversed(members(body, of)) if found.key == key), None)


def text_of(body: bytes, at: Value) -> bytes:
    return body[at.value : at.end]


def string_at(body: bytes, at: Value | None) -> str | None:
    """The string at ``at``, or None where there is no string."""
    if at is None or body[at.value : at.value + 1] != b'"':
        return None
    return _decode_string(memoryview(body)[at.value : at.end])


def _end_of(body: bytes, start: int, hint: msgspec.Raw | None) -> int:
    if hint is not None:
        raw = bytes(hint)
        # A number may be the beginning of a longer one: a separator must follow.
        if body.startswith(raw, start) and _NEXT.match(body, start + len(raw)):
            return start + len(raw)
    return _skip_value(body, start)


def _skip_value(body: bytes, start: int) -> int:
    if body[start : start + 1] not in {b"{", b"["}:
        match = _SCALAR.match(body, start)
        if match is None:
            raise ValueError(f"no JSON value at byte {start}")
        return match.end()
    depth = 0
    position = start
    while (match := _BRACKET.match(body, position)) is not None:
        depth += 1 if match.group(1) in b"[{" else -1
        position = match.end()
        if depth == 0:
            return position
    raise ValueError(f"unclosed bracket at byte {start}")


def _skip_space(body: bytes, position: int) -> int:
    match = _SPACE.match(body, position)
    return match.end() if match else position


def _after_separator(body: bytes, position: int) -> int:
    match = _NEXT.match(body, position)
    return match.end() if match else position


class Splice:
    """Collects edits of one text; :meth:`apply` makes the new one. An edit inside a cut is dropped with it."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self._edits: list[tuple[int, int, bytes]] = []
        self._cuts: dict[int, tuple[Sequence[Value], set[Value]]] = {}

    def replace(self, at: Value, new: bytes) -> None:
        self._edits.append((at.value, at.end, new))

    def rename(self, at: Value, key: str) -> None:
        """Give the member ``at`` another key; its value stays."""
        match = _SCALAR.match(self.body, at.start)
        if match is not None and at.start < at.value:
            self._edits.append((at.start, match.end(), _encode(key)))

    def insert(self, position: int, new: bytes) -> None:
        self._edits.append((position, position, new))

    def append(self, of: Value, new: bytes) -> None:
        """Put ``new`` behind the last of what the object or array ``of`` has; something of it must stay."""
        self.insert(of.end - 1, b"," + new)

    def cut(self, siblings: Sequence[Value], unwanted: Value) -> None:
        """Remove one of the members or elements ``siblings``, with one comma. Pass the same list for each of them."""
        self._cuts.setdefault(id(siblings), (siblings, set()))[1].add(unwanted)

    def __bool__(self) -> bool:
        return bool(self._edits or self._cuts)

    def apply(self) -> bytes:
        edits = [*self._edits, *(edit for siblings, cut in self._cuts.values() for edit in _cuts(siblings, cut))]
        parts: list[bytes] = []
        position = 0
        # An outer cut sorts before what it contains, an insertion before what follows it.
        for start, end, new in sorted(edits, key=lambda edit: (edit[0], edit[0] == edit[1] and -1, -edit[1])):
            if start < position:
                continue
            parts += [self.body[position:start], new]
            position = end
        parts.append(self.body[position:])
        return b"".join(parts)


def _cuts(siblings: Sequence[Value], unwanted: set[Value]) -> list[tuple[int, int, bytes]]:
    edits: list[tuple[int, int, bytes]] = []
    kept = False
    for number, value in enumerate(siblings):
        if value not in unwanted:
            kept = True
        elif kept:
            edits.append((siblings[number - 1].end, value.end, b""))
        else:
            following = siblings[number + 1].start if number + 1 < len(siblings) else value.end
            edits.append((value.start, following, b""))
    return edits
