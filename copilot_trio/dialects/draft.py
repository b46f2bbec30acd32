"""A request body under edit: the places that the gate's rules ask for, each found once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

import msgspec

from copilot_trio.models.model import Model

from . import splice
from .splice import Splice, Value

Sign = bytes | re.Pattern[bytes]

LEFT_OUT = b'[{"type":"text","text":"(left out)"}]'  # a message must say something

# A thinking block with a signature of Anthropic's, its members in the usual order; others are walked to.
SIGNED = re.compile(
    rb'"type"\s*:\s*"thinking"\s*,\s*"thinking"\s*:\s*"[^"\\]*+(?:\\.[^"\\]*+)*+"\s*,\s*"signature"\s*:\s*"[^"\\@]++"'
)


class GateSettings(msgspec.Struct, frozen=True):
    """``keep_billing_header``: leave Claude Code's attribution block in the prompt, though it spoils the cache.

    ``auto_thinking``: let models think where the client says nothing about it (:mod:`.thinking`). ``web_search``: let
    the provider's own search tools through, which not every model and plan has (upstream.md §8.1).
    """

    keep_billing_header: bool = False
    auto_thinking: bool = True
    web_search: bool = False


class Draft:
    """Lists of members and elements are made once, so that cuts by several rules know of each other."""

    def __init__(self, body: bytes, model: Model, settings: GateSettings) -> None:
        self.body = body
        self.model = model
        self.settings = settings
        self.splice = Splice(body)
        self._members: dict[int, list[Value]] = {}
        self._elements: dict[int, list[Value]] = {}
        self._shown: dict[tuple[Value, Sign], bool] = {}
        self._dropped: dict[int, tuple[Value, set[Value]]] = {}
        self._tools_cut: set[Value] = set()

    @cached_property
    def root(self) -> Value:
        return splice.whole(self.body)

    @cached_property
    def top(self) -> list[Value]:
        return self.members(self.root)

    def members(self, of: Value) -> list[Value]:
        found = self._members.get(of.value)
        if found is None:
            found = self._members[of.value] = splice.members(self.body, of)
        return found

    def elements(self, of: Value | None) -> list[Value]:
        if of is None:
            return []
        found = self._elements.get(of.value)
        if found is None:
            found = self._elements[of.value] = splice.elements(self.body, of)
        return found

    def field(self, name: str, of: Value | None = None) -> Value | None:
        siblings = self.top if of is None else self.members(of)
        return next((value for value in reversed(siblings) if value.key == name), None)

    def cut_field(self, name: str, of: Value | None = None) -> None:
        siblings = self.top if of is None else self.members(of)
        for value in siblings:
            if value.key == name:
                self.splice.cut(siblings, value)

    def text(self, at: Value) -> bytes:
        return splice.text_of(self.body, at)

    def string(self, at: Value | None) -> str | None:
        return splice.string_at(self.body, at)

    def kind(self, of: Value) -> str | None:
        """The string ``type`` of an object."""
        return self.string(self.field("type", of))

    def role(self, message: Value) -> str | None:
        return self.string(self.field("role", message))

    def number(self, at: Value | None) -> int | None:
        """A whole number; None for anything else."""
        if at is None:
            return None
        text = self.text(at)
        return int(text) if text.removeprefix(b"-").isdigit() and len(text) < 20 else None

    def decimal(self, at: Value) -> float | None:
        """Any number; None for anything else."""
        text = self.text(at)
        return float(text) if text[:1] in b"-0123456789" else None

    def shows(self, at: Value, sign: Sign) -> bool:
        """Does ``sign`` occur in a member at the top? Asked by several rules, searched once."""
        shown = self._shown.get((at, sign))
        if shown is None:
            shown = self._shown[at, sign] = self._occurs(at, sign)
        return shown

    def _occurs(self, at: Value, sign: Sign) -> bool:
        if isinstance(sign, bytes):
            return self.body.find(sign, at.value, at.end) >= 0
        return sign.search(self.body, at.value, at.end) is not None

    def holding(self, owners: list[Value], *signs: Sign) -> Iterator[Value]:
        """Those of ``owners`` in whose text one of ``signs`` occurs."""
        for owner in owners:
            if any(self._occurs(owner, sign) for sign in signs):
                yield owner

    def marked(self, *names: str) -> bool:
        """Is there a ``cache_control`` in, or as, one of these members at the top?"""
        return any(
            value.key in names and (value.key == "cache_control" or self.shows(value, b'"cache_control"'))
            for value in self.top
        )

    @cached_property
    def messages(self) -> list[Value]:
        return self.elements(self.field("messages"))

    @cached_property
    def items(self) -> list[Value]:
        return self.elements(self.field("input"))

    @cached_property
    def system(self) -> list[Value]:
        return self.elements(self.field("system"))

    @cached_property
    def tools(self) -> list[Value]:
        return self.elements(self.field("tools"))

    @cached_property
    def streams(self) -> bool:
        at = self.field("stream")
        return at is not None and self.text(at) == b"true"

    @cached_property
    def foreign_thinking(self) -> list[tuple[Value, Value]]:
        """Anthropic's thinking blocks that it would not know again, each with the array it stands in: without a
        signature, or with one that a Responses model made, which has an ``@`` (:class:`copilot_trio.turn.Thinking`)."""
        at = self.field("messages")
        if at is None or not self.shows(at, b'"thinking"'):
            return []
        known = sum(1 for _ in SIGNED.finditer(self.body, at.value, at.end))
        if self.body.count(b'"thinking"', at.value, at.end) == 2 * known:
            return []
        found: list[tuple[Value, Value]] = []
        for message in self.holding(self.messages, b'"thinking"'):
            content = self.field("content", message)
            for block in self.holding(self.elements(content), b'"thinking"'):
                signature = self.string(self.field("signature", block)) or "@"
                if content is not None and self.kind(block) == "thinking" and "@" in signature:
                    found.append((content, block))
        return found

    def drop(self, content: Value, block: Value) -> None:
        """Cut one block of the array ``content``. :meth:`finish` sees to it that no message ends up empty."""
        self.splice.cut(self.elements(content), block)
        self._dropped.setdefault(content.value, (content, set()))[1].add(block)

    def is_dropped(self, content: Value, block: Value) -> bool:
        return content.value in self._dropped and block in self._dropped[content.value][1]

    def cut_tool(self, tool: Value) -> None:
        """Cut one of the tools. :meth:`finish` sees to it that nobody has to choose among none."""
        self.splice.cut(self.tools, tool)
        self._tools_cut.add(tool)

    def finish(self) -> bytes:
        """The new body; the same object where nothing needed to change."""
        if self._tools_cut and len(self._tools_cut) == len(self.tools):
            self.cut_field("tools")
            self.cut_field("tool_choice")
        for content, dropped in self._dropped.values():
            if len(dropped) < len(self.elements(content)):
                continue
            if content == self.field("system"):
                self.cut_field("system")
            else:
                self.splice.replace(content, LEFT_OUT)
        return self.splice.apply() if self.splice else self.body
