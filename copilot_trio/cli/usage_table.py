"""A quota for a person at a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from copilot_trio.accounts.pace import countdown, pace_of
from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.accounts.quota_view import (
    AccountUsage,
    beyond,
    in_order,
    plan_label,
    remaining_percent,
    reset_of,
    window_label,
)
from copilot_trio.github.budgets_json import BudgetWindow

from .list_accounts import printable

BAR = 20  # characters
COLUMN = 13
RED, YELLOW, GREEN, PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[32m", "\x1b[0m"
FROM_RED, FROM_YELLOW = 90.0, 75.0  # percent used


def usage_lines(usage: AccountUsage, now: float, *, colour: bool) -> Iterator[str]:
    """``now`` is in Unix seconds. What others have named is made printable."""
    quota = usage.quota
    name = f"{usage.label} ({usage.login or 'login unknown'})"
    yield printable(name if quota is None else f"{name}: {plan_label(quota)}")
    if usage.problem:
        yield printable(f"  {usage.problem}")
    if quota is not None:
        if quota.resets_at is not None:
            yield _row("Resets", f"{_date(quota.resets_at)}, {countdown(quota.resets_at - now)}")
        for window in in_order(quota):
            yield from _window_lines(window, quota, now, colour=colour)
        if quota.credits_used is not None:
            yield _row("Credits", f"{_number(quota.credits_used)} used")
        if not quota.windows:
            yield "  GitHub names no limit."
    for budget in usage.budgets:
        yield _row(budget.title, _budget(budget, colour=colour))
    if usage.budget_problem:
        yield _row("Budgets", printable(usage.budget_problem))


def _window_lines(window: Window, quota: Quota, now: float, *, colour: bool) -> Iterator[str]:
    label, used = window_label(window.name), window.used_percent
    if window.unlimited or used is None:
        yield _row(label, "unlimited" if window.unlimited else "not known")
        return
    yield _row(label, f"{_bar(used, colour=colour)}  {_how_much(window, used, quota)}")
    reset = reset_of(window, quota)
    pace = pace_of(window, now, reset)
    told = [] if pace is None else [pace.summary, pace.outlook]
    if reset is not None and reset != quota.resets_at:
        told.append(f"Resets {countdown(reset - now)}")
    if window.overage_permitted:
        more = f", {_number(window.overage_count)} so far" if window.overage_count else ""
        told.append(f"More may be bought{more}")
    if told:
        yield _row("", ". ".join(told))


def _how_much(window: Window, used: float, quota: Quota) -> str:
    shares = (
        f"{beyond(window) or f'{_percent(used)} used'}, {_percent(max(0.0, remaining_percent(window) or 0.0))} left"
    )
    if window.entitlement is None:
        return shares
    left = window.remaining
    amount = window.entitlement * used / 100 if left is None or left <= 0 else max(0.0, window.entitlement - left)
    unit = " credits" if quota.token_billing and window.name == "premium" else ""
    return f"{_number(amount)} of {_number(window.entitlement)}{unit} used ({shares})"


def _budget(budget: BudgetWindow, *, colour: bool) -> str:
    spent = f"{_number(budget.used)} of {_number(budget.amount)}"
    return f"{_bar(budget.used_percent, colour=colour)}  {spent} spent ({_percent(budget.used_percent)} used)"


def _row(label: str, text: str) -> str:
    return f"  {printable(label):<{COLUMN}}{' ' if len(label) >= COLUMN else ''}{text}"


def _bar(used: float, *, colour: bool) -> str:
    filled = round(BAR * min(used, 100.0) / 100.0)
    bar = f"[{'#' * filled}{'-' * (BAR - filled)}]"
    if not colour:
        return bar
    return f"{RED if used >= FROM_RED else YELLOW if used >= FROM_YELLOW else GREEN}{bar}{PLAIN}"


def _percent(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0") + "%"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
