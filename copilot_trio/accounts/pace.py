"""Whether a quota is used up faster than its time goes by. Pure (systems.md §3.6)."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from math import ceil
from typing import Literal

import msgspec

from .quota import Window

Stage = Literal["on_track", "slightly_ahead", "ahead", "far_ahead", "slightly_behind", "behind", "far_behind"]

HOUR, DAY = 3600.0, 86400.0
SPANS = {"session": 5 * HOUR, "weekly": 7 * DAY}  # upstream.md §5.2; all others are counted by the month
ON_TRACK, SLIGHT, CLEAR = 2.0, 6.0, 12.0  # percentage points from what was to be expected


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """``expected_percent`` is used by now if use is even; ``delta_percent`` is how much more was used, so negative
    where some is in reserve. ``runs_out_in`` is in seconds, None where the quota lasts until its reset.
    """

    expected_percent: float
    delta_percent: float
    runs_out_in: float | None

    @property
    def stage(self) -> Stage:
        apart, ahead = abs(self.delta_percent), self.delta_percent > 0
        if apart <= ON_TRACK:
            return "on_track"
        if apart <= SLIGHT:
            return "slightly_ahead" if ahead else "slightly_behind"
        if apart <= CLEAR:
            return "ahead" if ahead else "behind"
        return "far_ahead" if ahead else "far_behind"

    @property
    def summary(self) -> str:
        if self.stage == "on_track":
            return "On pace"
        return f"{abs(self.delta_percent):.0f}% in {'deficit' if self.delta_percent > 0 else 'reserve'}"

    @property
    def outlook(self) -> str:
        return "Lasts until reset" if self.runs_out_in is None else f"Runs out {countdown(self.runs_out_in)}"


def pace_of(window: Window, now: float, resets_at: float | None = None) -> Pace | None:
    """``now`` is in Unix seconds; ``resets_at`` counts where the window itself names no reset.

    None where there is nothing to foretell: no reset, one that has passed or is too far ahead, no limit, nothing left.
    """
    end = resets_at if window.resets_at is None else window.resets_at
    used = window.used_percent
    if end is None or used is None or window.unlimited or used >= 100:
        return None
    start = start_of(window.name, end)
    if start is None or not start < now < end:
        return None
    elapsed, left = now - start, end - now
    expected = 100.0 * elapsed / (end - start)
    empty_in = (100.0 - used) * elapsed / used if used > 0 else left
    return Pace(
        expected_percent=expected,
        delta_percent=used - expected,
        runs_out_in=None if empty_in >= left else empty_in,
    )


def start_of(name: str, resets_at: float) -> float | None:
    """When a window that ends at ``resets_at`` began: as a rule a calendar month earlier, UTC.

    None for an end that no calendar has.
    """
    if name in SPANS:
        return resets_at - SPANS[name]
    try:
        end = datetime.fromtimestamp(resets_at, UTC)
        year, month = (end.year - 1, 12) if end.month == 1 else (end.year, end.month - 1)
        day = min(end.day, calendar.monthrange(year, month)[1])
        return end.replace(year=year, month=month, day=day).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def countdown(seconds: float) -> str:
    """``in 2d 3h``, ``in 2d 5m``, ``in 3h 10m``, ``in 5m``, ``now``: its two greatest units, minutes rounded up."""
    if seconds < 1:
        return "now"
    minutes = ceil(seconds / 60)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    shown = [f"{count}{unit}" for count, unit in ((days, "d"), (hours, "h"), (minutes, "m")) if count]
    return f"in {' '.join(shown[:2])}"
