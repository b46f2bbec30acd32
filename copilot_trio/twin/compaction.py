"""A trailing ``compaction_trigger`` asks ``/responses`` to make the conversation short (upstream.md §8.3)."""

from __future__ import annotations

from .plan import Compaction
from .prompt import Prompt
from .reply import entries, members

WRITES_TWO = "gpt-5-mini"


def compacts(prompt: Prompt) -> bool:
    items = entries(prompt.body.get("input")) if prompt.surface == "responses" else []
    return bool(items) and members(items[-1]).get("type") == "compaction_trigger"


def compactions(prompt: Prompt) -> tuple[Compaction, ...]:
    return (Compaction(),) * (2 if prompt.model == WRITES_TWO else 1)
