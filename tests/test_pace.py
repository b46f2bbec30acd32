from __future__ import annotations

from datetime import UTC, datetime

import pytest

from copilot_trio.accounts.pace import Pace, countdown, pace_of, start_of
from copilot_trio.accounts.quota import Window


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def used(percent: float, *, resets: str | None = None, name: str = "premium") -> Window:
    return Window(name=name, percent_remaining=100 - percent, resets_at=None if resets is None else at(resets))


# systems.md §3.6
@pytest.mark.parametrize(
    ("now", "resets", "percent", "summary", "outlook"),
    [
        ("2026-07-16T12:00", "2026-08-01", 70, "20% in deficit", "Runs out in 6d 15h"),
        ("2026-07-16T12:00", "2026-08-01", 30, "20% in reserve", "Lasts until reset"),
        ("2026-02-15", "2026-03-01", 70, "20% in deficit", "Runs out in 6d"),
        ("2026-07-16T12:00", "2026-08-01", 50, "On pace", "Lasts until reset"),
        ("2026-07-16T12:00", "2026-08-01", 0, "50% in reserve", "Lasts until reset"),
    ],
)
def test_half_a_month_has_gone_by(now: str, resets: str, percent: float, summary: str, outlook: str) -> None:
    pace = pace_of(used(percent, resets=resets), at(now))
    assert pace is not None
    assert pace.expected_percent == pytest.approx(50)
    assert (pace.summary, pace.outlook) == (summary, outlook)


@pytest.mark.parametrize(
    ("delta", "stage"),
    [
        (0, "on_track"),
        (2, "on_track"),
        (-2, "on_track"),
        (2.1, "slightly_ahead"),
        (-6, "slightly_behind"),
        (12, "ahead"),
        (-6.1, "behind"),
        (12.1, "far_ahead"),
        (-40, "far_behind"),
    ],
)
def test_stages(delta: float, stage: str) -> None:
    assert Pace(expected_percent=50, delta_percent=delta, runs_out_in=None).stage == stage


@pytest.mark.parametrize(
    ("window", "why"),
    [
        (used(70), "no reset"),
        (used(70, resets="2026-07-16T12:00"), "it is being reset"),
        (used(70, resets="2026-07-01"), "the reset has passed"),
        (used(70, resets="2026-08-17"), "the window has not begun"),
        (used(115, resets="2026-08-01"), "more than all is used"),
        (used(100, resets="2026-08-01"), "all is used"),
        (Window(name="premium", percent_remaining=None, resets_at=at("2026-08-01")), "nobody knows"),
        (Window(name="chat", percent_remaining=100, unlimited=True, resets_at=at("2026-08-01")), "no limit"),
        (Window(name="premium", percent_remaining=30, resets_at=1e18), "no such date"),
        (Window(name="premium", percent_remaining=30, resets_at=float("nan")), "no date at all"),
        (Window(name="premium", percent_remaining=30, resets_at=-62135596800.0), "before the first year"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_to_foretell(window: Window, why: str) -> None:
    assert pace_of(window, at("2026-07-16T12:00")) is None, why


def test_the_accounts_reset_counts_where_the_window_names_none() -> None:
    now, end = at("2026-07-16T12:00"), at("2026-08-01")
    assert pace_of(used(70), now, end) == pace_of(used(70, resets="2026-08-01"), now)
    assert pace_of(used(70, resets="2026-08-01"), now, at("2026-09-01")) == pace_of(used(70), now, end)


@pytest.mark.parametrize(
    ("name", "end", "start"),
    [
        ("premium", "2026-08-01", "2026-07-01"),
        ("chat", "2026-01-01", "2025-12-01"),
        ("premium", "2026-03-31", "2026-02-28"),
        ("premium", "2024-03-30T06:30", "2024-02-29T06:30"),
        ("session", "2026-08-01T02:00", "2026-07-31T21:00"),
        ("weekly", "2026-08-01", "2026-07-25"),
    ],
)
def test_where_a_window_began(name: str, end: str, start: str) -> None:
    assert start_of(name, at(end)) == at(start)


def test_a_session_is_paced_by_its_hours() -> None:
    pace = pace_of(used(90, resets="2026-07-16T14:30", name="session"), at("2026-07-16T12:00"))
    assert pace is not None
    assert (pace.summary, pace.outlook) == ("40% in deficit", "Runs out in 17m")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (15.5 * 86400, "in 15d 12h"),
        (2 * 86400 + 3 * 3600 + 59, "in 2d 3h"),
        (2 * 86400 + 5 * 60, "in 2d 5m"),
        (2 * 86400, "in 2d"),
        (3 * 3600 + 10 * 60, "in 3h 10m"),
        (3600 - 1, "in 1h"),
        (241, "in 5m"),
        (1, "in 1m"),
        (0.9, "now"),
        (-5, "now"),
    ],
)
def test_countdowns(seconds: float, text: str) -> None:
    assert countdown(seconds) == text
