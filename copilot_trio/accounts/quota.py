"""What is left of an account's quota, in one form, whatever payload told it. Pure (systems.md §4, upstream.md §5)."""

from __future__ import annotations

from typing import Literal

import msgspec

Source = Literal["user", "headers", "frame"]


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
    """``read_at`` is in Unix seconds: the age of what is known. ``credits_used`` is upstream's own count, if it has one."""

    windows: tuple[Window, ...] = ()
    plan: str = "unknown"
    sku: str = ""
    token_billing: bool = False
    credits_used: float | None = None
    resets_at: float | None = None
    source: Source = "user"
    read_at: float = 0.0

    def window(self, name: str) -> Window | None:
        return next((window for window in self.windows if window.name == name), None)
