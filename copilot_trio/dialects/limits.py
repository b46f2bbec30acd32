"""What a model allows, read from upstream's list; names decide only where the list is silent."""

from __future__ import annotations

import re

from copilot_trio.models.model import Model

OPENAI = {"OpenAI", "Azure OpenAI"}
MIN_OUTPUT = 16  # the Responses API's least max_output_tokens (peers.md §8.1)

# Claude models that take neither sampling parameters nor thinking budgets (peers.md §6.1).
_NEWEST_CLAUDE = re.compile(r"claude-(?:(?:opus|sonnet|fable)-[5-9]|opus-4[.-][78]|mythos)")
_COMPLETION_TOKENS = ("gpt-5", "gpt-6", "o1", "o3", "o4")


def is_openai(model: Model) -> bool:
    return model.vendor in OPENAI


def wants_completion_tokens(model: Model) -> bool:
    """GPT-5 and the o-series know only ``max_completion_tokens`` on chat; everything else knows ``max_tokens``."""
    return (model.capabilities.family or model.id).startswith(_COMPLETION_TOKENS)


def refuses_sampling(model: Model) -> bool:
    """OpenAI's reasoning models and the newest Claude models take no temperature but 1."""
    if _NEWEST_CLAUDE.match(model.id) or not model.supports.sampling_parameters:
        return True
    return bool(model.supports.reasoning_effort) and wants_completion_tokens(model)


def knows_budgets(model: Model) -> bool:
    return model.supports.max_thinking_budget > 0 and not _NEWEST_CLAUDE.match(model.id)


def most_output(model: Model, *, streams: bool) -> int | None:
    """Tokens; None where the list does not say."""
    limits = [model.limits.max_output_tokens]
    if not streams:
        limits.append(model.limits.max_non_streaming_output_tokens)
    return min((limit for limit in limits if limit > 0), default=None)


def thinking_budget(model: Model, wanted: int, max_tokens: int | None) -> int | None:
    """Within the model's bounds and below ``max_tokens``; None if there is no room for the least one."""
    supports = model.supports
    ceiling = supports.max_thinking_budget if max_tokens is None else min(supports.max_thinking_budget, max_tokens - 1)
    budget = max(min(wanted, ceiling), supports.min_thinking_budget)
    return budget if 0 < budget <= ceiling else None
