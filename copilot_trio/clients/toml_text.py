"""TOML, changed statement by statement; the standard library only reads it, and so checks every step. Pure."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Self

import msgspec

from .document import Path, Refused, dotted

MARK = "  # copilot-trio setup"

_SPACE = re.compile(r"(?:[ \t]|\r?\n|#[^\n]*)*")
_PART = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_HEADER = re.compile(rf"(\[\[?)[ \t]*({_KEY.pattern})[ \t]*\]\]?[^\n]*(?:\n|\Z)")
_ASSIGN = re.compile(rf"({_KEY.pattern})[ \t]*=[ \t]*")
_STRING = re.compile(
    r"""\"{3}(?:[^\\]|\\.)*?"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*'""",
    re.DOTALL,
)
_REST_OF_LINE = re.compile(r"[^\n]*(?:\n|\Z)")


class Statement(msgspec.Struct, frozen=True):
    """A table's header, or a key with the place of its value. ``start`` to ``end``: its whole lines."""

    path: Path
    start: int
    end: int
    header: str = ""
    value: tuple[int, int] = (0, 0)
    table: Path = ()


class TomlDocument:
    """Raises ``Refused`` for what is no TOML."""

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._content = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise Refused(str(error) or type(error).__name__) from None
        self._statements = _scan(text)
        self._newline = "\r\n" if "\r\n" in text else "\n"

    def content(self) -> dict[str, Any]:
        return self._content

    def render(self, path: Path, value: Any) -> str:
        """Strings, whole numbers, true and false: as in JSON, but for DEL."""
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007F")

    def same(self, one: str, other: str) -> bool:
        first, second = (tomllib.loads(f"v = {text}") for text in (one, other))
        return repr(first) == repr(second)

    def find(self, path: Path) -> str | None:
        found = self._key(path)
        return None if found is None else self.text[slice(*found.value)]

    def put(self, path: Path, value: str) -> Self:
        found = self._key(path)
        if found is not None:
            start, end = found.value
            return self._with(start, end, value)
        line = f"{_key_text(path[-1:])} = {value}"
        table = path[:-1]
        if not table:
            return self._add_line((), line + MARK)
        if self._header(table) is None:
            gap = self._newline if self.text.strip() else ""
            head = f"{gap}[{_key_text(table)}]{MARK}{self._newline}"
            return self._with(
                len(self.text), len(self.text), f"{self._ended(len(self.text))}{head}{line}{self._newline}"
            )
        return self._add_line(table, line)

    def drop(self, path: Path) -> Self:
        found = self._key(path)
        return self if found is None else self._with(found.start, found.end, "")

    def drop_empty(self, path: Path) -> Self:
        header = self._header(path)
        if header is None or any(statement.table == path and not statement.header for statement in self._statements):
            return self
        before = self.text[: header.start]
        start = header.start - (len(self._newline) if before.endswith(self._newline * 2) else 0)
        return self._with(start, header.end, "")

    def _key(self, path: Path) -> Statement | None:
        """Its one statement. Raises ``Refused`` where the path is a table, or lies inside an inline one or an array."""
        found = None
        for statement in self._statements:
            inside = statement.path == path[: len(statement.path)]
            if statement.header == "[[" and inside:
                raise Refused(f"line {self._line(statement)}: {dotted(statement.path)} is an array of tables")
            if statement.header:
                if statement.path[: len(path)] == path:
                    raise Refused(f"line {self._line(statement)}: {dotted(path)} is a table")
            elif statement.path == path:
                found = statement
            elif inside or statement.path[: len(path)] == path:
                raise Refused(
                    f"line {self._line(statement)}: {dotted(statement.path)} is written in a form that cannot be "
                    f"changed safely; write it as [{_key_text(path[:-1])}] with a line for each key"
                )
        return found

    def _header(self, path: Path) -> Statement | None:
        return next((found for found in self._statements if found.header == "[" and found.path == path), None)

    def _add_line(self, table: Path, line: str) -> Self:
        """Behind what the table has; at the top of the file where that is nothing."""
        own = [found for found in self._statements if (found.path if found.header else found.table) == table]
        position = own[-1].end if own else 0
        gap = "" if own or not self.text else self._newline
        return self._with(position, position, f"{self._ended(position)}{line}{self._newline}{gap}")

    def _ended(self, position: int) -> str:
        return "" if self.text[:position].endswith("\n") or not position else self._newline

    def _with(self, start: int, end: int, new: str) -> Self:
        return type(self)(self.text[:start] + new + self.text[end:])

    def _line(self, statement: Statement) -> int:
        return self.text.count("\n", 0, statement.start) + 1


def _scan(text: str) -> list[Statement]:
    """The statements of a text that is valid TOML."""
    found: list[Statement] = []
    table: Path = ()
    position = 0
    while (position := _skip(_SPACE, text, position)) < len(text):
        start = text.rfind("\n", 0, position) + 1
        if header := _HEADER.match(text, position):
            table = _parts(header[2])
            position = header.end()
            found.append(Statement(table, start, position, header=header[1], table=table))
            continue
        assign = _ASSIGN.match(text, position)
        if assign is None:
            raise Refused(f"line {text.count(chr(10), 0, position) + 1}: a statement that is not understood")
        end = _end_of_value(text, assign.end())
        position = _skip(_REST_OF_LINE, text, end)
        path = (*table, *_parts(assign[1]))
        found.append(Statement(path, start, position, value=(assign.end(), end), table=table))
    return found


def _end_of_value(text: str, position: int) -> int:
    depth = 0
    end = position
    while position < len(text):
        letter = text[position]
        if depth == 0 and letter in "#\n":
            break
        if string := _STRING.match(text, position):
            position = end = string.end()
            continue
        if letter == "#":
            position = _skip(_REST_OF_LINE, text, position)
            continue
        depth += (letter in "[{") - (letter in "]}")
        position += 1
        if not letter.isspace():
            end = position
    return end


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    return found.end() if found else position


def _parts(key: str) -> Path:
    """As TOML itself reads a dotted key."""
    content: Any = tomllib.loads(f"{key} = 0")
    path: list[str] = []
    while isinstance(content, dict):
        ((part, content),) = content.items()
        path.append(part)
    return tuple(path)


def _key_text(path: Path) -> str:
    bare = re.compile(r"[A-Za-z0-9_-]+")
    return ".".join(part if bare.fullmatch(part) else msgspec.json.encode(part).decode() for part in path)
