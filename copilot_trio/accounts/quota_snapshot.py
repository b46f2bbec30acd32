"""One counter as upstream writes it, and those that a reply's headers or frames tell. Pure (upstream.md §5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from urllib.parse import unquote

import msgspec

from copilot_trio.unreadable import UNREADABLE

from .quota import MAX_WINDOWS, Window

LARGEST, SMALLEST = 1e15, 1e-3  # amounts beyond these are no quota's
LONGEST_NAME = 64
LONGEST_HEADER = 500

# Of two names for one window the first wins.
HEADERS = {
    "x-quota-snapshot-premium_models": "premium",
    "x-quota-snapshot-premium_interactions": "premium",
    "x-quota-snapshot-chat": "chat",
    "x-quota-snapshot-completions": "completions",
    "x-usage-ratelimit-session": "session",
    "x-usage-ratelimit-weekly": "weekly",
}
KEYS = {
    "premium_models": "premium",
    "premium_interactions": "premium",
    "premium-chat-requests": "premium",
    "5Hour-Session-RateLimits": "session",
    "Weekly-Session-RateLimits": "weekly",
}
RATE_LIMITS = {"session", "weekly"}


def parse_headers(headers: Mapping[str, str]) -> tuple[Window, ...]:
    """What a reply's headers tell, their names in lower case. One that cannot be read tells nothing."""
    found: dict[str, Window] = {}
    for header, name in HEADERS.items():
        value = headers.get(header)
        if value is None or name in found or len(value) > LONGEST_HEADER:
            continue
        if (window := _header(name, value)) is not None:
            found[name] = window
    return tuple(found.values())


@lru_cache(maxsize=64)  # this runs at every reply, and most say word for word what the last one said
def _header(name: str, value: str) -> Window | None:
    fields = dict([pair.partition("=")[::2] for pair in value.split("&")])
    return _told(
        name,
        entitlement=number(fields.get("ent")),
        remaining=number(fields.get("totRem")),
        percent=number(fields.get("rem")),
        overage_permitted=fields.get("ovPerm") in {"true", "True"},
        overage_count=number(fields.get("ov")),
        resets_at=moment(unquote(fields.get("rst", ""))),
    )


def parse_snapshots(value: bytes | Mapping[str, object]) -> tuple[Window, ...]:
    """``copilot_quota_snapshots``, as a WebSocket's frames carry it. An entry that cannot be read tells nothing."""
    if isinstance(value, bytes):
        try:
            value = msgspec.json.decode(value, type=dict[str, object])
        except UNREADABLE:
            return ()
    found: dict[str, Window] = {}
    for key in (*KEYS, *value):
        name = KEYS.get(key, key)
        if name not in found and (window := _frame(name, value.get(key))) is not None:
            found[name] = window
        if len(found) == MAX_WINDOWS:
            break
    return tuple(found.values())


def _frame(name: str, value: object) -> Window | None:
    if not isinstance(value, Mapping) or not 0 < len(name) <= LONGEST_NAME:
        return None
    return _told(
        name,
        entitlement=number(value.get("entitlement")),
        remaining=None,
        percent=number(value.get("percent_remaining")),
        overage_permitted=value.get("overage_permitted") is True,
        overage_count=number(value.get("overage_count")),
        resets_at=moment(value.get("reset_date")),
    )


def _told(
    name: str,
    *,
    entitlement: float | None,
    remaining: float | None,
    percent: float | None,
    overage_permitted: bool,
    overage_count: float | None,
    resets_at: float | None,
) -> Window | None:
    if entitlement == 0:
        if name not in RATE_LIMITS:
            return None  # the plan has no such quota
        remaining = None  # of a rate limit upstream tells the share only
    return read_window(
        name,
        entitlement=entitlement,
        remaining=remaining,
        percent=percent,
        overage_permitted=overage_permitted,
        overage_count=overage_count,
        resets_at=resets_at,
    )


def read_window(
    name: str,
    *,
    entitlement: float | None,
    remaining: float | None,
    percent: float | None,
    unlimited: bool = False,
    overage_permitted: bool = False,
    overage_count: float | None = None,
    resets_at: float | None = None,
) -> Window | None:
    """One counter by the rules of systems.md §3.4, or None for one that tells nothing.

    That is where the share left is neither given nor to be reckoned, and where both amounts are zero: upstream fills in
    what the plan does not count. What is unlimited has zeros, too, or an entitlement of -1.
    """
    if unlimited or entitlement == -1:
        return Window(name=name, percent_remaining=100.0, unlimited=True, resets_at=resets_at)
    if entitlement == 0 and remaining == 0:
        return None
    if entitlement is not None and entitlement < SMALLEST:
        entitlement = None
    if entitlement is not None and percent is None and remaining is not None:
        percent = number(100.0 * remaining / entitlement)
    if percent is None:
        return None
    if entitlement is not None and remaining is None:
        remaining = entitlement * percent / 100.0
    return Window(
        name=name,
        entitlement=entitlement,
        remaining=remaining,
        percent_remaining=percent,
        overage_permitted=overage_permitted,
        overage_count=max(0.0, overage_count or 0.0),
        resets_at=resets_at,
    )


def number(value: object) -> float | None:
    """A JSON number, or one in a string; None for all else, and for what no quota can be."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if isfinite(found) and abs(found) <= LARGEST else None


def moment(value: object) -> float | None:
    """A date, or a date with a time, as Unix seconds; UTC where it names no zone."""
    if not isinstance(value, str) or not value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
