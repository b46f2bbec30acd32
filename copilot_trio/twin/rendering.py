"""What every renderer gets: the plan, the model, the counts, and where ids come from."""

from __future__ import annotations

import re

import msgspec

from .catalogue import Model, Usage
from .identifiers import Identifiers, Seal
from .plan import Plan, Text, Thinking
from .prompt import Prompt
from .reply import JSON, entries, members

LONG = 4000  # characters; beyond, pieces are large
LONG_PIECE = 200
ARGUMENT_PIECE = 9
TOKENS_PER_CALL = 8


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    plan: Plan
    prompt: Prompt
    model: Model
    usage: Usage
    login: str
    key: str  # of this answer alone
    created: int
    identifiers: Identifiers
    seal: Seal

    @property
    def binding(self) -> str:
        """Whom thinking signatures and sealed ids are good for: this account with this model."""
        return f"{self.login}/{self.model.id}"

    def has(self, variant: str) -> bool:
        return variant in self.plan.variants


def words_of(text: str) -> list[str]:
    """The pieces a text is streamed in: words with the space after them."""
    if len(text) > LONG:
        return [text[start : start + LONG_PIECE] for start in range(0, len(text), LONG_PIECE)]
    return re.findall(r"\s*\S+\s*", text) or ([text] if text else [])


def pieces_of(arguments: str) -> list[str]:
    size = LONG_PIECE if len(arguments) > LONG else ARGUMENT_PIECE
    return [arguments[start : start + size] for start in range(0, len(arguments), size)]


def count(prompt: Prompt, plan: Plan) -> Usage:
    """Token counts that behave: what was said before is read from a cache, marked blocks are written to one."""
    said = sum(len(words_of(block.text)) for block in plan.blocks if isinstance(block, Text | Thinking))
    thought = len(words_of(plan.thoughts))
    calls = sum(TOKENS_PER_CALL + len(call.wire_arguments) // 4 for call in plan.calls)
    output = max(1, said + calls)
    followed_up = any(event.kind != "user" for event in prompt.events)
    cached = prompt.tokens // 2 if followed_up else 0
    written = 0
    if prompt.surface == "messages" and marks(prompt.body):
        written = prompt.tokens - cached - min(3, prompt.tokens - cached)
    return Usage(
        fresh=prompt.tokens - cached - written,
        cache_read=cached,
        cache_write=written,
        output=output,
        reasoning=thought,
    )


def marks(body: JSON) -> int:
    """How many cache breakpoints a Messages request sets."""
    blocks = [*entries(body.get("system")), *entries(body.get("tools"))]
    for message in map(members, entries(body.get("messages"))):
        for block in entries(message.get("content")):
            blocks += [block, *entries(members(block).get("content"))]
    return sum(bool(members(block).get("cache_control")) for block in blocks)
