"""Requests that the demo pretends to have carried, so that there is something to see of the past (product.md §3)."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Sequence

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.usage.record import UsageRecord

HOURS = 30 * 24
HOUR_MS = 3_600_000
ENDPOINTS = {"claude-sonnet-4.5": "/v1/messages", "gpt-5.3-codex": "/v1/responses", "gpt-4.1": "/v1/chat/completions"}
ERRORS = {429: "user_model_rate_limited", 502: "upstream"}
STATUSES = (200,) * 28 + (429, 502)


def past_usage(accounts: Sequence[AccountRecord], now: float) -> Iterator[UsageRecord]:
    """Of a month of working days, the oldest first; the same at each start but for ``now``, in Unix seconds."""
    dice = random.Random(1)  # noqa: S311 (no secret)
    for hours_ago in range(HOURS, 0, -1):
        began = int(now * 1000) - hours_ago * HOUR_MS
        if began // HOUR_MS % 24 not in range(8, 18) or began // (24 * HOUR_MS) % 7 in {
            2,
            3,
        }:  # 1970 began on a Thursday
            continue
        for minute in sorted(dice.sample(range(60), dice.randrange(5))):
            model, status = dice.choice(list(ENDPOINTS)), dice.choice(STATUSES)
            yield _record(dice, began + minute * 60_000, model, dice.choice(accounts), status)


def _record(dice: random.Random, time_ms: int, model: str, account: AccountRecord, status: int) -> UsageRecord:
    good = status == 200
    return UsageRecord(
        time_ms=time_ms,
        endpoint=ENDPOINTS[model],
        requested_model=model,
        upstream_model=model,
        account=account.label,
        group=f"github.com/{account.account_type}",
        stream=True,
        initiator=dice.choice(("user", "agent", "agent")),
        input_tokens=dice.randrange(200, 4000) if good else 0,
        output_tokens=dice.randrange(50, 1500) if good else 0,
        cache_read_tokens=dice.randrange(60_000) if good else 0,
        nano_aiu=dice.randrange(50_000_000, 900_000_000) if good else None,
        status=status,
        error=ERRORS.get(status, ""),
        ttft_ms=dice.randrange(300, 4000) if good else None,
        duration_ms=dice.randrange(4000, 40_000) if good else dice.randrange(100, 900),
        request_id=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
    )
