"""What of a request reaches the model, piece by piece, in no API's words: enough to count it and to know it again.

What moves or changes between two requests of one conversation (cache marks, ids, the way a lone text is written,
Claude Code's billing header) is no part of a piece.
"""

from __future__ import annotations

import msgspec

from .exact import Counter
from .media import Paper, Picture, Vendor, paper_tokens, picture_tokens, sealed_tokens

MESSAGE = 4  # tokens around a message
TOOL = 8  # around a tool's definition
ANTHROPIC_TOOLS = 346  # the instructions that Anthropic adds when there are tools (peers.md §11)


class Thought(msgspec.Struct, frozen=True):
    """Reasoning that is sent back: its text, if it is shown, and the length of its seal."""

    text: str
    sealed: int


class Piece(msgspec.Struct, frozen=True):
    """A message or item, or what stands before all of them. ``key`` is equal for what is equal to a model.

    ``fixed``: tokens that stand for structure. ``tools``: how many are defined here.
    """

    key: int = 0
    texts: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()
    papers: tuple[Paper, ...] = ()
    thoughts: tuple[Thought, ...] = ()
    fixed: int = 0
    tools: int = 0
    assistant: bool = False

    @property
    def length(self) -> int:
        """Characters of text."""
        return sum(map(len, self.texts)) + sum(len(thought.text) for thought in self.thoughts)

    def cost(self, count: Counter, vendor: Vendor) -> float:
        """Tokens: by ``count`` for texts, by rule for the rest."""
        cost = self.fixed + self.tools * TOOL + sum(map(count, self.texts))
        if self.tools and vendor == "anthropic":
            cost += ANTHROPIC_TOOLS
        cost += sum(picture_tokens(picture, vendor) for picture in self.pictures)
        cost += sum(paper_tokens(paper, vendor) for paper in self.papers)
        return cost + sum(max(count(thought.text), sealed_tokens(thought.sealed)) for thought in self.thoughts)


class Prompt(msgspec.Struct, frozen=True):
    """``header``: the system's text and the tools."""

    header: Piece
    pieces: tuple[Piece, ...]
