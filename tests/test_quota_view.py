from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.accounts.quota_user import parse_user
from copilot_trio.accounts.quota_view import (
    AccountUsage,
    beyond,
    in_order,
    plan_label,
    remaining_percent,
    reset_of,
    shown_usage,
    shown_usages,
    window_label,
)
from copilot_trio.github.budgets_json import BudgetWindow

NOW = datetime(2026, 7, 16, 12, tzinfo=UTC).timestamp()
RESET = datetime(2026, 8, 1, tzinfo=UTC).timestamp()
RESET_MS = round(RESET * 1000)


def shown(payload: dict[str, Any]) -> dict[str, Any]:
    quota = parse_user(msgspec.json.encode(payload), NOW - 12.34)
    return shown_usage(AccountUsage(id="a", label="work", login="octo", quota=quota), NOW)


def user(*, reset: str = "2026-08-01", **snapshots: Any) -> dict[str, Any]:
    return {"copilot_plan": "business", "quota_reset_date": reset, "quota_snapshots": snapshots}


def test_a_window_and_its_pace() -> None:
    told = shown(user(premium_interactions={"entitlement": 1000, "remaining": 300, "overage_permitted": True}))
    (window,) = told.pop("windows")
    assert told == {
        "id": "a",
        "label": "work",
        "login": "octo",
        "plan": "business",
        "planLabel": "Business",
        "tokenBilling": False,
        "credits": None,
        "resetsAt": RESET_MS,
        "source": "user",
        "readAt": round((NOW - 12.34) * 1000),
        "ageSeconds": 12.3,
        "budgets": [],
        "error": None,
        "budgetError": None,
    }
    assert window == {
        "name": "premium",
        "label": "Premium",
        "usedPercent": 70,
        "remainingPercent": 30,
        "entitlement": 1000,
        "remaining": 300,
        "unlimited": False,
        "overagePermitted": True,
        "overageCount": 0,
        "resetsAt": RESET_MS,
        "description": None,
        "pace": {
            "expectedUsedPercent": 50,
            "deltaPercent": 20,
            "stage": "far_ahead",
            "lastsUntilReset": False,
            "runsOutAt": round((NOW + 15.5 * 86400 * 30 / 70) * 1000),
            "summary": "20% in deficit",
            "outlook": "Runs out in 6d 15h",
        },
    }


def test_a_window_that_lasts() -> None:
    (window,) = shown(user(premium_interactions={"percent_remaining": 70}))["windows"]
    assert (window["entitlement"], window["pace"]["lastsUntilReset"], window["pace"]["runsOutAt"]) == (None, True, None)


def test_more_than_all_is_used() -> None:
    (window,) = shown(user(premium_interactions={"entitlement": 500, "remaining": -75, "percent_remaining": -15}))[
        "windows"
    ]
    assert (window["usedPercent"], window["remainingPercent"], window["description"]) == (115, -15, "115% used")
    assert window["pace"] is None


def test_what_is_unlimited() -> None:
    told = shown(user(chat={"entitlement": 0, "remaining": 0, "unlimited": True}))["windows"][0]
    assert (told["unlimited"], told["usedPercent"], told["remainingPercent"], told["pace"]) == (True, 0, 100, None)


def test_credits_without_any_window() -> None:
    snapshot = {"entitlement": 0, "remaining": 0, "credits_used": 31.254}
    told = shown({**user(premium_interactions=snapshot), "token_based_billing": True})
    assert (told["windows"], told["tokenBilling"], told["credits"]) == ([], True, {"used": 31.25, "resetsAt": RESET_MS})


def test_an_account_of_which_nothing_is_known() -> None:
    usage = AccountUsage(id="a", label="work", problem="GitHub is away", budget_problem="no cookies")
    told = shown_usages([usage], NOW)
    (account,) = told["accounts"]
    assert (account["error"], account["budgetError"], account["windows"]) == ("GitHub is away", "no cookies", [])
    assert {
        account[name] for name in ("login", "plan", "planLabel", "credits", "resetsAt", "readAt", "ageSeconds")
    } == {None}
    assert msgspec.json.encode(told)


def test_budgets_are_told_beside() -> None:
    budget = BudgetWindow(
        id="copilot-budget-x", title="Budget - Copilot", used_percent=40, amount=100, used=40, resets_at=RESET
    )
    told = shown_usage(AccountUsage(id="a", label="work", budgets=(budget,)), NOW)["budgets"]
    assert told == [
        {
            "id": "copilot-budget-x",
            "label": "Budget - Copilot",
            "usedPercent": 40,
            "amount": 100,
            "used": 40,
            "resetsAt": RESET_MS,
        }
    ]


@pytest.mark.parametrize(
    ("plan", "sku", "label"),
    [
        ("business", "", "Business"),
        ("individual", "monthly_subscriber_quota", "Individual"),
        ("individual", "free_limited_copilot", "Free"),
        ("individual_pro", "", "Individual Pro"),
        ("pro", "", "Individual"),
        ("free", "", "Free"),
        ("unknown", "", "Unknown"),
        ("", "", ""),
    ],
)
def test_plans(plan: str, sku: str, label: str) -> None:
    assert plan_label(Quota(plan=plan, sku=sku)) == label


def test_windows_have_labels_and_an_order() -> None:
    names = ("mystery_bucket", "weekly", "chat", "completions", "code-review", "premium", "session")
    ordered = in_order(Quota(windows=tuple(Window(name=name) for name in names)))
    assert [window_label(window.name) for window in ordered] == [
        "Premium", "Chat", "Completions", "Session", "Weekly", "Mystery Bucket", "Code Review",
    ]  # fmt: skip


def test_a_window_without_reset_ends_with_the_account_unless_it_is_shorter() -> None:
    quota = Quota(resets_at=RESET)
    assert reset_of(Window(name="premium"), quota) == RESET
    assert reset_of(Window(name="premium", resets_at=5.0), quota) == 5
    assert reset_of(Window(name="session"), quota) is None
    assert reset_of(Window(name="weekly", resets_at=5.0), quota) == 5


@pytest.mark.parametrize(
    ("left", "remaining", "text"), [(None, None, None), (150, 100, None), (0, 0, None), (-0.6, -0.6, "101% used")]
)
def test_what_is_left(left: float | None, remaining: float | None, text: str | None) -> None:
    window = Window(name="premium", percent_remaining=left)
    told = remaining_percent(window)
    assert told == (None if remaining is None else pytest.approx(remaining))
    assert beyond(window) == text
