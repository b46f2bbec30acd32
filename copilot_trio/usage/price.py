"""What a request cost: upstream's own figure, else by the prices of the model list (upstream.md §5.3, §6.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from copilot_trio.turn import Usage

NANO = 1_000_000_000
CACHE_READ = ("cache_price", "cache_read_price")
CONTEXT = ("context_max", "max_prompt_tokens")
"""Older and newer spelling."""


def price(usage: Usage, billing: Mapping[str, Any]) -> int | None:
    """Nano-AIU; 1e9 are one credit. ``billing`` is a ``Model``'s.

    None where it cannot be known: the list has no prices (the older shape counts premium requests, not tokens), or none
    for a kind of token that was used. The list cuts prices down to whole AIU, so the result may be a little too low.
    """
    if usage.nano_aiu is not None:
        return usage.nano_aiu
    prices = billing.get("token_prices")
    if not isinstance(prices, Mapping):
        return None
    batch = _number(prices, "batch_size")
    if batch == 0:
        return 0
    tier = _tier(prices, usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens)
    parts = (
        (usage.input_tokens, ("input_price",)),
        (usage.cache_read_tokens, CACHE_READ),
        (usage.cache_write_tokens, ("cache_write_price",)),
        (usage.output_tokens, ("output_price",)),
    )
    cost = Fraction(0)
    for tokens, names in parts:
        each = _number(tier, *names)
        if tokens and (each is None or batch is None):
            return None
        cost += tokens * (each or 0)
    return round(cost * NANO / (batch or 1))


def _tier(prices: Mapping[str, Any], prompt: int) -> Mapping[str, Any]:
    """A prompt that the default tier's context cannot hold has the long context's prices."""
    default, longer = prices.get("default"), prices.get("long_context")
    if not isinstance(default, Mapping):
        return {}
    most = _number(default, *CONTEXT)
    return longer if isinstance(longer, Mapping) and most is not None and prompt > most else default


def _number(fields: Mapping[str, Any], *names: str) -> Fraction | None:
    """The first that is there and can be a price; ``True`` and NaN cannot."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
            return Fraction(value)
    return None
