from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.accounts.quota_view import AccountUsage
from copilot_trio.cli.usage_table import usage_lines
from copilot_trio.github.budgets_json import BudgetWindow

NOW = datetime(2026, 7, 16, 12, tzinfo=UTC).timestamp()
RESET = datetime(2026, 8, 1, tzinfo=UTC).timestamp()


def lines(*windows: Window, colour: bool = False, **fields: Any) -> list[str]:
    quota = Quota(windows=windows, **{"plan": "individual_pro", "resets_at": RESET, **fields})
    return list(usage_lines(AccountUsage(id="a", label="work", login="octo", quota=quota), NOW, colour=colour))


def premium(remaining: float, entitlement: float = 1500, **fields: Any) -> Window:
    share = 100 * remaining / entitlement
    return Window(name="premium", entitlement=entitlement, remaining=remaining, percent_remaining=share, **fields)


def test_an_account_from_plan_to_credits() -> None:
    shown = lines(
        Window(name="chat", percent_remaining=100, unlimited=True),
        premium(450),
        Window(name="session", percent_remaining=60, resets_at=NOW + 7200),
        credits_used=31.005,
    )
    assert shown == [
        "work (octo): Individual Pro",
        "  Resets       2026-08-01 00:00 UTC, in 15d 12h",
        "  Premium      [##############------]  1050 of 1500 used (70% used, 30% left)",
        "               20% in deficit. Runs out in 6d 15h",
        "  Chat         unlimited",
        "  Session      [########------------]  40% used, 60% left",
        "               20% in reserve. Lasts until reset. Resets in 2h",
        "  Credits      31 used",
    ]


@pytest.mark.parametrize(
    ("window", "fields", "text"),
    [
        (premium(-75, 500), {}, "[####################]  575 of 500 used (115% used, 0% left)"),
        (premium(0, 500), {}, "[####################]  500 of 500 used (100% used, 0% left)"),
        (
            Window(name="premium", entitlement=500, remaining=0, percent_remaining=-15),
            {},
            "[####################]  575 of 500 used (115% used, 0% left)",
        ),
        (premium(1054.25), {}, "[######--------------]  445.75 of 1500 used (29.7% used, 70.3% left)"),
        (
            premium(30, 40),
            {"token_billing": True},
            "[#####---------------]  10 of 40 credits used (25% used, 75% left)",
        ),
        (Window(name="premium"), {}, "not known"),
    ],
)
def test_how_much_is_used(window: Window, fields: dict[str, Any], text: str) -> None:
    assert lines(window, **fields)[2] == f"  Premium      {text}"


def test_what_goes_beyond() -> None:
    assert (
        lines(premium(-75, 500, overage_permitted=True, overage_count=75))[3].strip() == "More may be bought, 75 so far"
    )
    assert lines(premium(750, overage_permitted=True))[3].strip() == "On pace. Lasts until reset. More may be bought"


def test_no_limit_is_named() -> None:
    assert lines(resets_at=None, token_billing=True, credits_used=3.14159) == [
        "work (octo): Individual Pro", "  Credits      3.14 used", "  GitHub names no limit.",
    ]  # fmt: skip


def test_colours_by_what_is_used() -> None:
    for used, code in ((10, "32"), (75, "33"), (90, "31"), (115, "31")):
        window = Window(name="chat", percent_remaining=100 - used)
        assert f"\x1b[{code}m[" in lines(window, colour=True)[2]
        assert "]\x1b[0m  " in lines(window, colour=True)[2]
        assert "\x1b" not in lines(window)[2]


def test_what_went_wrong_is_told() -> None:
    usage = AccountUsage(id="a", label="work", problem="GitHub is away.", budget_problem="no cookies")
    assert list(usage_lines(usage, NOW, colour=True)) == [
        "work (login unknown)", "  GitHub is away.", "  Budgets      no cookies",
    ]  # fmt: skip


def test_budgets() -> None:
    budget = BudgetWindow(id="b", title="Budget - Copilot", used_percent=40, amount=100, used=40, resets_at=RESET)
    usage = AccountUsage(id="a", label="work", budgets=(budget,))
    assert list(usage_lines(usage, NOW, colour=False))[1:] == [
        "  Budget - Copilot [########------------]  40 of 100 spent (40% used)"
    ]


def test_names_do_not_speak_to_the_terminal() -> None:
    evil = "\x1b]0;x\x07"
    quota = Quota(windows=(Window(name=evil, percent_remaining=1),), plan=evil)
    budget = BudgetWindow(id="b", title=evil, used_percent=40, amount=100, used=40, resets_at=RESET)
    usage = AccountUsage(
        id="a", label=evil, login=evil, quota=quota, problem=evil, budgets=(budget,), budget_problem=evil
    )
    assert all(line.isprintable() for line in usage_lines(usage, NOW, colour=False))
