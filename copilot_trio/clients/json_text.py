"""JSON, with comments and trailing commas where a client allows them, changed by offsets. Pure."""

from __future__ import annotations

import re
from typing import Any, Self

import msgspec

from copilot_trio.dialects.splice import Value, members, whole
from copilot_trio.unreadable import UNREADABLE

from .document import Path, Refused, dotted

_STRING = rb'"(?:[^"\\]|\\.)*+"'
_STRING_OR_COMMENT = re.compile(_STRING + rb"|(//[^\r\n]*|/\*.*?\*/)", re.DOTALL)
_STRING_OR_LAST_COMMA = re.compile(_STRING + rb"|(,)(?=[ \t\r\n]*[}\]])", re.DOTALL)
_COMMA = re.compile(rb"[ \t\r\n]*,")
_REST_OF_LINE = re.compile(rb"(?:[ \t]|//[^\r\n]*|/\*[^\r\n]*?\*/)*")
_NOT_NEWLINE = re.compile(rb"[^\r\n]")
_OFFSET = re.compile(r" \(byte (\d+)\)$")
_SPACE = b" \t\r\n"
_MARK = "\ufeff".encode()


class JsonDocument:
    """An object. ``lenient``: comments and trailing commas are no mistakes. Raises ``Refused``."""

    def __init__(self, text: str, *, lenient: bool = False) -> None:
        self.text = text
        self._lenient = lenient
        self._bytes = text.encode()
        self._uncommented = _blank(_STRING_OR_COMMENT, self._bytes) if lenient else self._bytes
        # The same length as the text, so that every offset holds in both.
        self._plain = _blank(_STRING_OR_LAST_COMMA, self._uncommented) if lenient else self._bytes
        if self._plain.startswith(_MARK):  # as Windows' editors put it; clients read over it
            self._plain = b" " * len(_MARK) + self._plain[len(_MARK) :]
        try:
            content = msgspec.json.decode(self._plain)
        except UNREADABLE as error:
            raise Refused(self._explain(error)) from None
        if not isinstance(content, dict):
            raise Refused(f"it holds {type(content).__name__}, where an object should be")
        self._content = content
        self._newline = b"\r\n" if b"\r\n" in self._bytes else b"\n"
        self._unit = self._indent_of_members()

    def content(self) -> dict[str, Any]:
        return self._content

    def render(self, path: Path, value: Any) -> str:
        formatted = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
        lines = [
            self._unit * (len(line) - len(line.lstrip(" ")) >> 1) + line.lstrip(" ") for line in formatted.split("\n")
        ]
        return f"{self._newline.decode()}{self._unit * len(path)}".join(lines)

    def same(self, one: str, other: str) -> bool:
        """A member that is at hand is valid, so this is too."""
        first, second = (JsonDocument(f'{{"v":{text}}}', lenient=self._lenient).content() for text in (one, other))
        return _canonical(first) == _canonical(second)

    def find(self, path: Path) -> str | None:
        at = self._at(path)
        return None if at is None else self._bytes[at.value : at.end].decode()

    def put(self, path: Path, value: str) -> Self:
        at = self._at(path)
        if at is not None:
            self._refuse_comments(at, path)
            return self._with((at.value, at.end, value.encode()))
        depth = max(length for length in range(len(path)) if self._at(path[:length]) is not None)
        text = value
        for level in range(len(path) - 1, depth, -1):
            text = self._object(path[level], text, level)
        return self._insert(path[:depth], f"{_quoted(path[depth])}: {text}".encode())

    def drop(self, path: Path) -> Self:
        at, holder = self._at(path), self._at(path[:-1])
        if at is None or holder is None:
            return self
        self._refuse_comments(at, path)
        around = self._bytes[holder.value + 1 : at.start] + self._bytes[at.end : holder.end - 1]
        if len(members(self._plain, holder)) == 1 and not around.strip(_SPACE + b","):
            return self._with((holder.value, holder.end, b"{}"))
        following = _COMMA.match(self._uncommented, at.end)
        if following:
            return self._with(*self._whole_line(at.start, at.end, following.end() - 1))
        comma = len(self._uncommented[: at.start].rstrip(_SPACE)) - 1
        if self._uncommented[comma : comma + 1] != b",":
            return self._with(*self._whole_line(at.start, at.end))
        if not self._bytes[comma + 1 : at.start].strip(_SPACE):
            return self._with((comma, at.end, b""))
        return self._with((comma, comma + 1, b""), *self._whole_line(at.start, at.end))

    def drop_empty(self, path: Path) -> Self:
        at = self._at(path)
        empty = at is not None and re.fullmatch(rb"\{[ \t\r\n]*\}", self._bytes[at.value : at.end])
        return self.drop(path) if empty else self

    def _at(self, path: Path) -> Value | None:
        at = whole(self._plain)
        for depth, key in enumerate(path):
            if self._plain[at.value : at.value + 1] != b"{":
                raise Refused(f"line {self._line(at.value)}: {dotted(path[:depth])} is no object")
            found = [member for member in members(self._plain, at) if member.key == key]
            if len(found) > 1:
                raise Refused(f"line {self._line(found[-1].start)}: {dotted(path[: depth + 1])} is there twice")
            if not found:
                return None
            at = found[0]
        return at

    def _refuse_comments(self, at: Value, path: Path) -> None:
        if self._bytes[at.start : at.end] != self._uncommented[at.start : at.end]:
            raise Refused(
                f"line {self._line(at.start)}: comments inside {dotted(path)} would be lost; move them outside"
            )

    def _insert(self, path: Path, member: bytes) -> Self:
        holder = self._at(path)
        if holder is None:
            raise LookupError(path)
        siblings = members(self._plain, holder)
        unit, closing = self._unit.encode(), holder.end - 1
        if not siblings:
            begin = len(self._bytes[:closing].rstrip(_SPACE))
            inside = self._newline + unit * (len(path) + 1) + member + self._newline + unit * len(path)
            return self._with((begin, closing, inside))
        first, last = siblings[0], siblings[-1]
        if b"\n" not in self._bytes[holder.value : first.start]:
            return self._with((last.end, last.end, b", " + member))
        comma = _COMMA.match(self._uncommented, last.end, closing)
        rest = _REST_OF_LINE.match(self._bytes, comma.end() if comma else last.end, closing)
        position = rest.end() if rest else last.end
        line = self._bytes.rfind(b"\n", 0, first.start) + 1
        text = self._newline + _indent(self._bytes[line : first.start]) + member
        if comma:
            return self._with((position, position, text + b","))
        return self._with((last.end, position, b"," + self._bytes[last.end : position] + text))

    def _object(self, key: str, value: str, level: int) -> str:
        newline = self._newline.decode()
        inside = f"{newline}{self._unit * (level + 1)}{_quoted(key)}: {value}"
        return f"{{{inside}{newline}{self._unit * level}}}"

    def _whole_line(self, start: int, end: int, comma: int | None = None) -> list[tuple[int, int, bytes]]:
        """Cut a member, the comma behind it, and its line if nothing else is on it."""
        cuts: list[tuple[int, int, bytes]] = []
        if comma is not None:
            if self._bytes[end:comma].strip(_SPACE):
                cuts.append((comma, comma + 1, b""))
            else:
                end = comma + 1
        left = len(self._bytes[:start].rstrip(b" \t"))
        right = re.compile(rb"[ \t]*(\r?\n)?").match(self._bytes, end)
        if right and right.group(1) and self._bytes[left - 1 : left] == b"\n":
            start, end = left, right.end()
        elif right and self._bytes[left - 1 : left] != b"\n":
            end = right.start(1) if right.group(1) else right.end()
        return [(start, end, b""), *cuts]

    def _with(self, *edits: tuple[int, int, bytes]) -> Self:
        new = self._bytes
        for start, end, text in sorted(edits, reverse=True):
            new = new[:start] + text + new[end:]
        return type(self)(new.decode(), lenient=self._lenient)

    def _indent_of_members(self) -> str:
        first = next(iter(members(self._plain, whole(self._plain))), None)
        if first is None:
            return "  "
        line = self._bytes.rfind(b"\n", 0, first.start) + 1
        return (
            self._bytes[line : first.start].decode() if line and not self._bytes[line : first.start].strip() else "  "
        )

    def _line(self, offset: int) -> int:
        return self._bytes.count(b"\n", 0, offset) + 1

    def _explain(self, error: Exception) -> str:
        text = str(error) or type(error).__name__
        if found := _OFFSET.search(text):
            return f"line {self._line(int(found[1]))}: {text[: found.start()]}"
        return text


def _blank(pattern: re.Pattern[bytes], text: bytes) -> bytes:
    """What the pattern's group matched becomes white space of the same length."""
    return pattern.sub(lambda found: _NOT_NEWLINE.sub(b" ", found[0]) if found[1] else found[0], text)


def _indent(text: bytes) -> bytes:
    return text[: len(text) - len(text.lstrip(b" \t"))]


def _quoted(key: str) -> str:
    return msgspec.json.encode(key).decode()


def _canonical(content: dict[str, Any]) -> bytes:
    return msgspec.json.encode(content, order="sorted")
