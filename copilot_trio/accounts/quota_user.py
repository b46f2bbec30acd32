"""``GET /copilot_internal/user``: every shape that it has had, told by the keys that are there. Pure.

The rules are those of systems.md §3.4, but for these: an entitlement of -1 is unlimited; a reset is read from whichever
of three keys has one; completions have a window of their own; a count of credits is kept whatever else is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from copilot_trio.unreadable import UNREADABLE

from .quota import MAX_WINDOWS, Quota, Window
from .quota_snapshot import LONGEST_NAME, moment, number, read_window

PREMIUM, CHAT, COMPLETIONS = "premium", "chat", "completions"
KNOWN = {"premium_interactions": PREMIUM, "chat": CHAT, "completions": COMPLETIONS}
STRICT = ("premium_interactions", "chat")  # keys whose snapshot must be readable
# What an unknown key is taken for where the known one has nothing to say; the first that it contains.
STAND_INS = {"chat": CHAT, "premium": PREMIUM, "completion": COMPLETIONS, "code": PREMIUM}
LONGEST_TEXT = 100


class QuotaUnreadable(ValueError):
    """The payload tells no quota; the text says why."""


class _Snapshot(msgspec.Struct):
    """Of the wrong type only a number may be."""

    entitlement: object = None
    remaining: object = None
    quota_remaining: object = None
    percent_remaining: object = None
    credits_used: object = None
    unlimited: bool | None = None
    quota_id: str | None = None
    overage_permitted: object = None
    overage_count: object = None

    def window(self, name: str, resets_at: float | None) -> Window | None:
        exact = number(self.quota_remaining)  # ``remaining`` is its floor
        return read_window(
            name,
            entitlement=number(self.entitlement),
            remaining=number(self.remaining) if exact is None else exact,
            percent=number(self.percent_remaining),
            unlimited=self.unlimited is True,
            overage_permitted=self.overage_permitted is True,
            overage_count=number(self.overage_count),
            resets_at=resets_at,
        )


class _User(msgspec.Struct):
    copilot_plan: str | None = None
    access_type_sku: object = None
    token_based_billing: bool | None = None
    quota_snapshots: dict[str, msgspec.Raw] | None = None
    monthly_quotas: dict[str, object] | None = None
    limited_user_quotas: dict[str, object] | None = None
    quota_reset_date: object = None
    quota_reset_date_utc: object = None
    limited_user_reset_date: object = None


_decode_user = msgspec.json.Decoder(_User).decode
_decode_snapshot = msgspec.json.Decoder(_Snapshot | None).decode


def parse_user(body: bytes, now: float) -> Quota:
    """Raises ``QuotaUnreadable`` where no window, no billing by tokens and no credits can be found in it."""
    try:
        user = _decode_user(body)
        snapshots = dict(_snapshots(user.quota_snapshots or {}))
    except UNREADABLE as error:
        raise QuotaUnreadable(f"the quota cannot be read: {error}") from None
    dates = (user.quota_reset_date, user.quota_reset_date_utc, user.limited_user_reset_date)
    resets_at = next((found for date in dates if (found := moment(date)) is not None), None)
    usable = {key: window for key, found in snapshots.items() if (window := found.window(key, resets_at)) is not None}
    windows = _lanes(usable)
    _add_monthly(windows, user, resets_at)
    for key, window in usable.items():
        if 0 < len(key) <= LONGEST_NAME:
            windows.setdefault(key, window)
    credits_used = _credits(snapshots)
    token_billing = user.token_based_billing is True
    if not windows and not token_billing and credits_used is None:
        raise QuotaUnreadable("neither quota_snapshots nor monthly_quotas with limited_user_quotas say what is left")
    sku = user.access_type_sku
    return Quota(
        windows=tuple(windows.values())[:MAX_WINDOWS],
        plan=(user.copilot_plan or "unknown")[:LONGEST_TEXT],
        sku=sku[:LONGEST_TEXT] if isinstance(sku, str) else "",
        token_billing=token_billing,
        credits_used=credits_used,
        resets_at=resets_at,
        source="user",
        read_at=now,
    )


def _snapshots(given: dict[str, msgspec.Raw]) -> Iterator[tuple[str, _Snapshot]]:
    """In the document's order, and what cannot be read left out: where that is allowed."""
    for key, raw in given.items():
        try:
            snapshot = _decode_snapshot(raw)
        except UNREADABLE:
            if key in STRICT:
                raise
            continue
        if snapshot is not None:
            yield key, snapshot


def _lanes(usable: dict[str, Window]) -> dict[str, Window]:
    """The known windows, or what stands in for those that are missing; taken out of ``usable``."""
    windows: dict[str, Window] = {}
    for key, name in KNOWN.items():
        if key in usable:
            windows[name] = _named(usable.pop(key), name)
    for key in list(usable):
        lane = next((lane for word, lane in STAND_INS.items() if word in key), None)
        if lane is not None and lane not in windows:
            windows[lane] = _named(usable.pop(key), lane)
    if usable and not windows:
        windows[CHAT] = _named(usable.pop(next(iter(usable))), CHAT)
    return windows


def _named(window: Window, name: str) -> Window:
    return msgspec.structs.replace(window, name=name)


def _add_monthly(windows: dict[str, Window], user: _User, resets_at: float | None) -> None:
    """The free plan's counters: where there is no other, or one that is unlimited."""
    monthly, limited = user.monthly_quotas or {}, user.limited_user_quotas or {}
    for name in (CHAT, COMPLETIONS):
        if name in windows and not windows[name].unlimited:
            continue
        entitlement, left = number(monthly.get(name)), number(limited.get(name))
        if entitlement is None or entitlement <= 0 or left is None:
            continue  # what is left must be said: it is not the whole because nothing is
        left = min(max(left, 0.0), entitlement)
        window = read_window(name, entitlement=entitlement, remaining=left, percent=None, resets_at=resets_at)
        if window is not None:
            windows[name] = window


def _credits(snapshots: dict[str, _Snapshot]) -> float | None:
    """Also of a snapshot that says nothing else."""
    first: Iterable[_Snapshot] = [snapshots[key] for key in STRICT if key in snapshots]
    counts = (number(snapshot.credits_used) for snapshot in (*first, *snapshots.values()))
    return next((count for count in counts if count is not None), None)
