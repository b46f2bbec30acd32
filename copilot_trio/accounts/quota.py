"""What is left of an account's quota, in one form, whatever payload told it. Pure (systems.md §4, upstream.md §5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

Source = Literal["user", "headers", "frame"]

MAX_WINDOWS = 32
NANO = 1_000_000_000
DEAREST = 1e6  # units that one reply can cost, whatever it says
FARTHEST_RESET = 370 * 24 * 3600.0  # seconds
UNKNOWN_HEADROOM = 0.5
USED_UP = -1.0


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One counter: ``premium``, ``chat``, ``completions``, ``session``, ``weekly``, or upstream's own key.

    ``percent_remaining`` may be negative (overage) and is 100 where ``unlimited``; None where nobody knows. Amounts are
    premium requests, or credits where the account is billed by tokens. ``resets_at`` is in Unix seconds.
    """

    name: str
    entitlement: float | None = None
    remaining: float | None = None
    percent_remaining: float | None = None
    unlimited: bool = False
    overage_permitted: bool = False
    overage_count: float = 0.0
    resets_at: float | None = None

    @property
    def used_percent(self) -> float | None:
        """May exceed 100."""
        return None if self.percent_remaining is None else max(0.0, 100.0 - self.percent_remaining)

    @property
    def used_up(self) -> bool:
        """Nothing left, and no more may be bought."""
        left = self.percent_remaining
        return left is not None and left <= 0 and not self.unlimited and not self.overage_permitted


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """``read_at`` is in Unix seconds: the age of what is known. ``credits_used`` is upstream's own count."""

    windows: tuple[Window, ...] = ()
    plan: str = "unknown"
    sku: str = ""
    token_billing: bool = False
    credits_used: float | None = None
    resets_at: float | None = None
    source: Source = "user"
    read_at: float = 0.0

    def window(self, name: str) -> Window | None:
        for window in self.windows:  # asked of every account at every new conversation
            if window.name == name:
                return window
        return None

    @property
    def paying(self) -> Window | None:
        """What requests to models are counted in: ``premium``, or ``chat`` on the free plan (upstream.md §5.2)."""
        return self.window("premium") or self.window("chat")


def updated(quota: Quota | None, windows: Sequence[Window], *, now: float, source: Source) -> Quota:
    """``windows`` in the place of those with their names; the others stay. For a reply that told at least one."""
    before = quota or Quota()
    told = {window.name for window in windows}
    kept = [window for window in before.windows if window.name not in told]
    return msgspec.structs.replace(before, windows=(*windows, *kept)[:MAX_WINDOWS], source=source, read_at=now)


def cost_in_units(
    quota: Quota | None, *, nano_aiu: int | None, multiplier: float | None, user_initiated: bool
) -> float:
    """What a reply cost, in what the account's windows count.

    Credits by what the reply itself says (``copilot_usage``, upstream.md §5.3); premium requests by the model's
    multiplier, for what a person began only (§4.1).
    """
    if quota is not None and quota.token_billing:
        return max(0.0, min(nano_aiu or 0, DEAREST * NANO) / NANO)
    if not user_initiated:
        return 0.0
    return 1.0 if multiplier is None else max(0.0, min(multiplier, DEAREST))


def charged(quota: Quota, amount: float) -> Quota:
    """The quota less what a reply cost; below zero it goes on as overage, where that is permitted.

    A guess until the next snapshot, never a ledger: the headers lag by several calls (upstream.md §5.2), so the next
    snapshot may well give back what was taken here.
    """
    window = quota.paying
    if window is None or window.unlimited or not window.entitlement or not amount > 0:
        return quota
    left = window.remaining
    percent = _less(window.percent_remaining, 100.0 * amount / window.entitlement, window.overage_permitted)
    beyond = max(0.0, amount - max(0.0, left)) if left is not None and window.overage_permitted else 0.0
    now_left = msgspec.structs.replace(
        window,
        remaining=_less(left, amount, below_zero=False),
        percent_remaining=percent,
        overage_count=window.overage_count + beyond,
    )
    counted = None if quota.credits_used is None else quota.credits_used + amount
    return msgspec.structs.replace(
        quota,
        windows=tuple(now_left if other is window else other for other in quota.windows),
        credits_used=counted if quota.token_billing else quota.credits_used,
    )


def _less(left: float | None, amount: float, below_zero: bool) -> float | None:
    if left is None or below_zero:
        return None if left is None else left - amount
    return max(min(left, 0.0), left - amount)


def headroom(quota: Quota | None, reserved: float) -> float:
    """The fraction that is left once ``reserved`` units are taken too: 1 for full, the more the better.

    Where nothing was told, the middle: no better than a full account, no worse than an empty one. An account that has
    nothing left is at 0 while more may be bought, and at :data:`USED_UP` where it may not.
    """
    if quota is None:
        return UNKNOWN_HEADROOM
    window = quota.paying
    if window is None or window.unlimited:
        return 1.0
    if window.used_up:
        return USED_UP
    if window.entitlement and window.remaining is not None:
        left = (window.remaining - reserved) / window.entitlement
    else:
        left = UNKNOWN_HEADROOM if window.percent_remaining is None else window.percent_remaining / 100.0
    return min(1.0, max(0.0, left))


def back_at(quota: Quota, now: float) -> float | None:
    """When what requests are counted in starts afresh, in Unix seconds.

    None where nobody says, where it has passed, and where it is so far ahead that it cannot be meant.
    """
    window = quota.paying
    times = (window.resets_at if window else None, quota.resets_at)
    return next((time for time in times if time is not None and now < time <= now + FARTHEST_RESET), None)
