"""An account's quota as ``GET /api/quota`` and ``check-usage --json`` tell it. Pure (systems.md §3.4, §3.6).

Moments are Unix milliseconds. ``usedPercent`` may exceed 100 and ``remainingPercent`` be negative: that is overage.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from copilot_trio.github.budgets_json import BudgetWindow

from .pace import SPANS, Pace, pace_of
from .quota import Quota, Window

LABELS = {"premium": "Premium", "chat": "Chat", "completions": "Completions", "session": "Session", "weekly": "Weekly"}
PLANS = {"pro": "Individual"}  # GitHub has called it so
FREE_SKU = "free_"  # the free plan's ``copilot_plan`` says "individual", too (systems.md §4.2)


class AccountUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an account. ``problem``: why its quota is not, or no longer; ``budget_problem`` likewise."""

    id: str
    label: str
    login: str = ""
    quota: Quota | None = None
    problem: str = ""
    budgets: tuple[BudgetWindow, ...] = ()
    budget_problem: str = ""


def shown_usages(usages: Iterable[AccountUsage], now: float) -> dict[str, Any]:
    """``now`` is in Unix seconds."""
    return {"accounts": [shown_usage(usage, now) for usage in usages]}


def shown_usage(usage: AccountUsage, now: float) -> dict[str, Any]:
    """Without a quota all that comes of it is null, and ``windows`` empty."""
    quota = usage.quota
    return {
        "id": usage.id,
        "label": usage.label,
        "login": usage.login or None,
        "plan": None if quota is None else quota.plan,
        "planLabel": None if quota is None else plan_label(quota),
        "tokenBilling": None if quota is None else quota.token_billing,
        "windows": [] if quota is None else [_shown_window(window, quota, now) for window in in_order(quota)],
        "credits": None if quota is None else _credits(quota),
        "resetsAt": None if quota is None else _milliseconds(quota.resets_at),
        "source": None if quota is None else quota.source,
        "readAt": None if quota is None else _milliseconds(quota.read_at),
        "ageSeconds": None if quota is None else round(max(0.0, now - quota.read_at), 1),
        "budgets": [_shown_budget(budget) for budget in usage.budgets],
        "error": usage.problem or None,
        "budgetError": usage.budget_problem or None,
    }


def plan_label(quota: Quota) -> str:
    """``individual_pro`` → ``Individual Pro``."""
    if quota.sku.startswith(FREE_SKU):
        return "Free"
    return PLANS.get(quota.plan, _words(quota.plan))


def window_label(name: str) -> str:
    return LABELS.get(name) or _words(name)


def in_order(quota: Quota) -> list[Window]:
    """The known ones first, each in its place; then the others as they came."""
    places = list(LABELS)
    return sorted(quota.windows, key=lambda window: places.index(window.name) if window.name in LABELS else len(places))


def reset_of(window: Window, quota: Quota) -> float | None:
    """Its own, else the account's, in Unix seconds; windows of hours and days do not end with the account's month."""
    if window.resets_at is not None or window.name in SPANS:
        return window.resets_at
    return quota.resets_at


def remaining_percent(window: Window) -> float | None:
    """Negative where more was used than there was."""
    used = window.used_percent
    return None if used is None else 100.0 - used


def beyond(window: Window) -> str | None:
    """``115% used``, of a window of which more than all is."""
    used = window.used_percent
    return f"{used:.0f}% used" if used is not None and used > 100 else None


def _shown_window(window: Window, quota: Quota, now: float) -> dict[str, Any]:
    resets_at = reset_of(window, quota)
    pace = pace_of(window, now, resets_at)
    return {
        "name": window.name,
        "label": window_label(window.name),
        "usedPercent": _rounded(window.used_percent),
        "remainingPercent": _rounded(remaining_percent(window)),
        "entitlement": window.entitlement,
        "remaining": window.remaining,
        "unlimited": window.unlimited,
        "overagePermitted": window.overage_permitted,
        "overageCount": window.overage_count,
        "resetsAt": _milliseconds(resets_at),
        "description": beyond(window),
        "pace": None if pace is None else _shown_pace(pace, now),
    }


def _shown_pace(pace: Pace, now: float) -> dict[str, Any]:
    return {
        "expectedUsedPercent": _rounded(pace.expected_percent),
        "deltaPercent": _rounded(pace.delta_percent),
        "stage": pace.stage,
        "lastsUntilReset": pace.runs_out_in is None,
        "runsOutAt": None if pace.runs_out_in is None else _milliseconds(now + pace.runs_out_in),
        "summary": pace.summary,
        "outlook": pace.outlook,
    }


def _shown_budget(budget: BudgetWindow) -> dict[str, Any]:
    return {
        "id": budget.id,
        "label": budget.title,
        "usedPercent": _rounded(budget.used_percent),
        "amount": budget.amount,
        "used": budget.used,
        "resetsAt": _milliseconds(budget.resets_at),
    }


def _credits(quota: Quota) -> dict[str, Any] | None:
    if quota.credits_used is None:
        return None
    return {"used": round(quota.credits_used, 2), "resetsAt": _milliseconds(quota.resets_at)}


def _words(name: str) -> str:
    return " ".join(word.capitalize() for word in name.replace("_", " ").replace("-", " ").split())


def _rounded(percent: float | None) -> float | None:
    return None if percent is None else round(percent, 4)


def _milliseconds(seconds: float | None) -> int | None:
    return round(seconds * 1000) if seconds else None
