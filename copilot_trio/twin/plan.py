"""What to answer: decided from the prompt alone, before any byte of it is rendered.

A ``SCENARIO:`` word in the newest prompt chooses; the words are listed in :mod:`.scenario`. Without one the twin
answers as a polite model would (:mod:`.answers`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .delivery import PLAIN, Delivery
from .reply import Reply

Stop = Literal["end", "tool", "length", "refusal"]


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Which characters of a text a page stands behind."""

    start: int
    end: int
    title: str
    url: str


class Text(msgspec.Struct, frozen=True):
    text: str
    citations: tuple[Citation, ...] = ()


class Thinking(msgspec.Struct, frozen=True):
    text: str
    redacted: bool = False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A tool call. A custom tool gets ``text``, all others get ``arguments``."""

    name: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    text: str | None = None
    namespace: str = ""

    @property
    def wire_arguments(self) -> str:
        return self.text if self.text is not None else msgspec.json.encode(self.arguments).decode()


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A look into the web, which only ``/responses`` has."""

    query: str
    urls: tuple[str, ...] = ()


class Compaction(msgspec.Struct, frozen=True):
    """The conversation so far, in a form that only the account and model can read; only ``/responses`` has it."""


Block = Text | Thinking | Call | Search | Compaction


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    scenario: str = ""
    blocks: tuple[Block, ...] = ()
    stop: Stop = "end"
    variants: frozenset[str] = frozenset()
    failure: Reply | None = None  # answer with this and nothing else
    broken: bool = False  # an error event in the middle of the stream
    special: str = ""  # a shape that only one kind of model has
    delivery: Delivery = PLAIN

    @property
    def text(self) -> str:
        return "".join(block.text for block in self.blocks if isinstance(block, Text))

    @property
    def thoughts(self) -> str:
        return "".join(block.text for block in self.blocks if isinstance(block, Thinking))

    @property
    def calls(self) -> list[Call]:
        return [block for block in self.blocks if isinstance(block, Call)]
