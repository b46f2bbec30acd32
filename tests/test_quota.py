from __future__ import annotations

from typing import Any

import pytest

from copilot_trio.accounts.quota import (
    UNKNOWN_HEADROOM,
    USED_UP,
    Quota,
    Window,
    back_at,
    charged,
    cost_in_units,
    headroom,
    updated,
)

NOW = 1_790_000_000.0
DAY = 24 * 3600.0


def window(remaining: float | None = 240, entitlement: float | None = 300, **fields: Any) -> Window:
    share = None if remaining is None or not entitlement else 100 * remaining / entitlement
    given = {"name": "premium", "entitlement": entitlement, "remaining": remaining, "percent_remaining": share}
    return Window(**{**given, **fields})


def quota(*windows: Window, **fields: Any) -> Quota:
    return Quota(windows=windows, **fields)


UNLIMITED = window(None, None, unlimited=True, percent_remaining=100.0)
CHAT_UNLIMITED = window(None, None, name="chat", unlimited=True, percent_remaining=100.0)


def test_what_a_reply_tells_replaces_the_windows_of_its_names() -> None:
    before = quota(
        window(240), window(50, 100, name="session"), CHAT_UNLIMITED, plan="business", sku="s", resets_at=5.0
    )
    after = updated(before, [window(230), window(40, 100, name="weekly")], now=NOW, source="headers")
    assert {found.name: found.remaining for found in after.windows} == {
        "premium": 230, "weekly": 40, "session": 50, "chat": None,
    }  # fmt: skip
    assert (after.source, after.read_at) == ("headers", NOW)
    assert (after.plan, after.sku, after.resets_at) == ("business", "s", 5.0)


def test_what_a_reply_tells_is_all_there_is_where_nothing_was_known() -> None:
    assert updated(None, [window(230)], now=NOW, source="frame") == quota(window(230), source="frame", read_at=NOW)


def test_windows_are_bounded() -> None:
    before = quota(*(window(1, name=f"w{number}") for number in range(32)))
    after = updated(before, [window(230), CHAT_UNLIMITED], now=NOW, source="headers")
    assert len(after.windows) == 32
    assert after.window("premium") == window(230)


def test_a_reply_is_charged_until_the_next_snapshot() -> None:
    before = quota(CHAT_UNLIMITED, window(240), read_at=NOW, credits_used=7.0)
    after = charged(before, 3)
    assert after.windows == (CHAT_UNLIMITED, window(237))
    assert (after.read_at, after.credits_used) == (NOW, 7.0)
    again = updated(after, [window(240)], now=NOW + 1, source="headers")
    assert again.window("premium") == window(240)


def test_credits_are_counted_where_they_are_the_unit() -> None:
    before = quota(window(240), token_billing=True, credits_used=7.0)
    assert charged(before, 1.5).credits_used == 8.5
    assert charged(quota(window(240), token_billing=True), 1.5).credits_used is None


def test_below_zero_it_goes_on_as_overage() -> None:
    after = charged(quota(window(2, overage_permitted=True, overage_count=1.0)), 5).window("premium")
    assert after == window(0, overage_permitted=True, overage_count=4.0, percent_remaining=pytest.approx(-1.0))
    further = charged(quota(window(-3, overage_permitted=True)), 3).window("premium")
    assert further == window(-3, overage_permitted=True, overage_count=3.0, percent_remaining=pytest.approx(-2.0))


def test_without_overage_zero_is_the_end() -> None:
    after = charged(quota(window(2)), 5)
    assert after.window("premium") == window(0)
    assert after.window("premium").used_up  # type: ignore[union-attr]
    assert charged(quota(window(-3)), 5).window("premium") == window(-3)


@pytest.mark.parametrize(
    "before",
    [
        quota(),
        quota(UNLIMITED),
        quota(window(None, None, percent_remaining=40.0)),
        quota(window(5, name="completions")),
    ],
    ids=["no windows", "unlimited", "a share of nobody knows what", "another lane"],
)
def test_what_has_no_amount_is_not_charged(before: Quota) -> None:
    assert charged(before, 5) is before


@pytest.mark.parametrize("amount", [0.0, -1.0, float("nan")])
def test_no_cost_changes_nothing(amount: float) -> None:
    before = quota(window(240))
    assert charged(before, amount) is before


def test_the_free_plan_pays_in_chats() -> None:
    free = quota(window(450, 500, name="chat"), window(10, 4000, name="completions"))
    assert charged(free, 1).window("chat") == window(449, 500, name="chat")
    assert headroom(free, 0) == 0.9


@pytest.mark.parametrize(
    ("nano_aiu", "multiplier", "user_initiated", "expected"),
    [
        (1_210_027_500, 3.0, True, 1.2100275),
        (1_000_000_000, 0.0, False, 1.0),
        (None, 3.0, True, 0.0),
        (-5, None, True, 0.0),
        (10**400, None, True, 1e6),
    ],
)
def test_tokens_are_billed_by_what_the_reply_says(
    nano_aiu: int | None, multiplier: float | None, user_initiated: bool, expected: float
) -> None:
    cost = cost_in_units(
        quota(token_billing=True), nano_aiu=nano_aiu, multiplier=multiplier, user_initiated=user_initiated
    )
    assert cost == pytest.approx(expected)


@pytest.mark.parametrize("known", [None, quota()])
@pytest.mark.parametrize(
    ("multiplier", "user_initiated", "expected"),
    [(3.0, True, 3.0), (0.0, True, 0.0), (0.33, True, 0.33), (None, True, 1.0), (3.0, False, 0.0), (None, False, 0.0),
     (-1.0, True, 0.0), (1e300, True, 1e6)],
)  # fmt: skip
def test_premium_requests_are_what_a_person_began(
    known: Quota | None, multiplier: float | None, user_initiated: bool, expected: float
) -> None:
    cost = cost_in_units(known, nano_aiu=9_000_000_000, multiplier=multiplier, user_initiated=user_initiated)
    assert cost == expected


@pytest.mark.parametrize(
    ("known", "reserved", "expected"),
    [
        (quota(window(240)), 0, 0.8),
        (quota(window(240)), 90, 0.5),
        (quota(window(240)), 500, 0.0),
        (quota(window(450)), 0, 1.0),
        (quota(window(0)), 0, USED_UP),
        (quota(window(-3)), 0, USED_UP),
        (quota(window(0, overage_permitted=True)), 0, 0.0),
        (quota(window(-30, overage_permitted=True)), 5, 0.0),
        (quota(UNLIMITED), 1000, 1.0),
        (quota(CHAT_UNLIMITED), 1000, 1.0),
        (quota(token_billing=True), 1000, 1.0),
        (quota(window(None, None, percent_remaining=40.0)), 5, 0.4),
        (quota(window(None, None)), 0, UNKNOWN_HEADROOM),
        (None, 7, UNKNOWN_HEADROOM),
    ],
    ids=["left", "reserved", "all reserved", "more than all", "used up", "below zero", "overage", "in overage",
         "unlimited", "unlimited chat", "no window", "a share", "nothing known of it", "unknown"],
)  # fmt: skip
def test_headroom(known: Quota | None, reserved: float, expected: float) -> None:
    assert headroom(known, reserved) == pytest.approx(expected)


def test_the_unknown_is_between_the_full_and_the_empty() -> None:
    full, overage, empty = window(300), window(0, overage_permitted=True), window(0)
    order = [quota(full), None, quota(overage), quota(empty)]
    assert sorted(order, key=lambda known: -headroom(known, 0)) == order


@pytest.mark.parametrize(
    ("of_window", "of_quota", "expected"),
    [
        (NOW + 5, NOW + 9, NOW + 5),
        (None, NOW + 9, NOW + 9),
        (NOW - 5, NOW + 9, NOW + 9),
        (NOW, None, None),
        (None, None, None),
        (NOW + 371 * DAY, None, None),
        (NOW + 371 * DAY, NOW + 31 * DAY, NOW + 31 * DAY),
    ],
)
def test_when_it_starts_afresh(of_window: float | None, of_quota: float | None, expected: float | None) -> None:
    assert back_at(quota(window(0, resets_at=of_window), resets_at=of_quota), NOW) == expected


def test_a_quota_without_windows_starts_afresh_when_it_says() -> None:
    assert back_at(quota(resets_at=NOW + 9), NOW) == NOW + 9


def test_used_percent_may_exceed_a_hundred() -> None:
    assert [window(left).used_percent for left in (345, 240, -30, None)] == [0, 20, 110, None]
