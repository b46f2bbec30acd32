from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.github.budgets_json import (
    MAX_ON_A_PAGE,
    BudgetWindow,
    UnreadableBudgets,
    amount_of,
    parse_page,
    selector,
    windows_of,
)

NOW = datetime(2026, 7, 16, 12, tzinfo=UTC).timestamp()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["payload", "budgets", "id", "skus", "limit", "usage", "name"]), inner)
    ),
    max_leaves=12,
)


def windows(*budgets: dict[str, Any], now: float = NOW) -> tuple[BudgetWindow, ...]:
    return windows_of(parse_page(msgspec.json.encode({"budgets": budgets})).budgets, now)


def budget(**fields: Any) -> dict[str, Any]:
    return {"id": "b", "name": "Mine", "budget_product_skus": ["copilot"], "budget_amount": 100, **fields}


# ---- the fixtures of systems.md §3.5


def test_copilot_and_agent_and_one_of_nothing() -> None:
    found = windows(
        budget(id="product-budget", current_usage=15),
        budget(id="agent_budget", budget_product_skus="coding_agent_premium_request", budget_amount=20, spent=5),
        budget(id="spark-budget", budget_product_skus=["spark_premium_requests"], budget_amount=0, current_usage=0),
    )  # fmt: skip
    assert [one.id for one in found] == ["copilot-budget-product-budget", "copilot-budget-agent-budget"]
    assert [one.title for one in found] == ["Budget - Copilot", "Budget - Copilot Agent Premium Requests"]
    assert [one.used_percent for one in found] == [15, 25]
    assert {one.resets_at for one in found} == {datetime(2026, 8, 1, tzinfo=UTC).timestamp()}


def test_a_bundle_in_a_payload_in_camel_case() -> None:
    given = {
        "uuid": "budget-1",
        "pricingTargetType": "BundlePricing",
        "pricingTargetId": "premium_requests",
        "targetAmount": 30,
        "currentAmount": 0,
    }
    page = parse_page(msgspec.json.encode({"payload": {"budgets": [given], "has_next_page": False}}))
    assert not page.has_next
    (window,) = windows_of(page.budgets, NOW)
    assert (window.id, window.title) == ("copilot-budget-budget-1", "Budget - All Premium Request SKUs")
    assert (window.used_percent, window.amount, window.used) == (0, 30, 0)


def test_amounts_that_are_none() -> None:
    given = [budget(targetAmount=text, budget_amount=None) for text in ("1-5", "-$15.00")]
    page = parse_page(msgspec.json.encode({"budgets": given}))
    assert [one.amount for one in page.budgets] == [0, -15]
    assert windows_of(page.budgets, NOW) == ()


def test_one_that_matches() -> None:
    (window,) = windows(budget(id="budget-1", current_usage=40))
    assert (window.id, window.used_percent) == ("copilot-budget-budget-1", 40)


# ---- the rules


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        (15, 15), (2.5, 2.5), ("15", 15), ("$1,234.50", 1234.5), ("€ 7", 7), ("12 USD", 12), ("$-3", -3), (".5", 0.5),
        ("1e5", 0), ("1.2.3", 0), ("--1", 0), ("-$-1", 0), ("", 0), ("free", 0), (None, 0), (True, 0), ([], 0),
        (1e300, 0), ("9" * 400, 0),
        ({"amount": "15.00", "currency": "USD"}, 15), ({"value": 3}, 3), ({"total": 4}, 4), ({"cents": 1500}, 15),
        ({"formatted": "$8.00"}, 8), ({"amount": None, "cents": "250"}, 2.5), ({"amount": {"value": 1}}, 0), ({}, 0),
    ],
)  # fmt: skip
def test_amounts(value: object, amount: float) -> None:
    assert amount_of(value) == amount


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Copilot", "copilot"),
        ("premium_request", "copilot_premium_request"),
        ("Premium Requests", "copilot_premium_request"),
        ("bundled-premium-requests", "copilot_premium_request"),
        ("copilot_premium_request", "copilot_premium_request"),
        ("coding_agent_premium_request", "copilot_agent_premium_request"),
        ("cloud-agent-premium-requests", "copilot_agent_premium_request"),
        ("Copilot Agent Premium Request", "copilot_agent_premium_request"),
        ("Spark Premium Requests", "spark_premium_request"),
        ("copilot_for_business", "copilot_for_business"),
        ("other_premium_request", "other_premium_request"),
        ("actions", "actions"),
    ],
)
def test_selectors(text: str, meaning: str) -> None:
    assert selector(text) == meaning


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({}, "Budget - Copilot"),
        ({"budget_type": "ProductPricing"}, "Budget - Mine"),
        ({"budget_type": "ProductPricing", "name": ""}, "Budget - Copilot Premium Requests"),
        ({"name": None, "budget_entity_name": "acme", "type": "x"}, "Budget - acme"),
        ({"budget_product_skus": ["copilot", "spark_premium_request"]}, "Budget - Spark Premium Requests"),
        ({"budget_product_skus": [{"name": "copilot"}]}, "Budget - Copilot"),
        ({"budget_product_skus": {"sku": "premium_requests"}}, "Budget - All Premium Request SKUs"),
    ],
)
def test_titles(fields: dict[str, Any], title: str) -> None:
    assert [one.title for one in windows(budget(**fields))] == [title]


def test_other_products_are_none_of_ours() -> None:
    assert windows(budget(budget_product_skus=["actions"]), budget(budget_product_skus=None)) == ()


def test_use_is_kept_between_nothing_and_999_percent() -> None:
    found = windows(budget(current_usage=-5), budget(current_usage=115), budget(current_usage=1e6))
    assert [one.used_percent for one in found] == [0, 115, 999]


def test_ids_are_unique_and_never_empty() -> None:
    found = windows(budget(), budget(), budget(id=None), budget(id="!!", budget_product_skus=["copilot", "copilot"]))
    assert [one.id for one in found] == [
        "copilot-budget-b", "copilot-budget-b-2", "copilot-budget-copilot", "copilot-budget-copilot-copilot",
    ]  # fmt: skip


def test_december_ends_with_the_year() -> None:
    now = datetime(2026, 12, 31, 23, tzinfo=UTC).timestamp()
    assert windows(budget(), now=now)[0].resets_at == datetime(2027, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("page", "has_next"),
    [
        ({"budgets": [], "hasNextPage": True}, True),
        ({"budgets": [], "has_next_page": True}, True),
        ({"payload": {"budgets": []}, "has_next_page": True}, True),
        ({"payload": {"budgets": [], "hasNextPage": True}}, True),
        ({"budgets": [], "has_next_page": "true"}, False),
        ({"budgets": []}, False),
    ],
)
def test_whether_there_are_more_pages(page: dict[str, Any], has_next: bool) -> None:
    assert parse_page(msgspec.json.encode(page)).has_next is has_next


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"payload":[]}', b'{"budgets":{}}', b"[" * 100_000, b'"\xff"']
)
def test_what_is_no_page_of_budgets(body: bytes) -> None:
    with pytest.raises(UnreadableBudgets):
        parse_page(body)


def test_a_page_is_bounded() -> None:
    page = parse_page(msgspec.json.encode({"budgets": [budget(id=str(n)) for n in range(MAX_ON_A_PAGE + 9)] + [3]}))
    assert len(page.budgets) == MAX_ON_A_PAGE


@given(JSON)
def test_whatever_github_says_is_read_or_refused(value: object) -> None:
    try:
        page = parse_page(msgspec.json.encode({"budgets": value}))
    except UnreadableBudgets:
        return
    for window in windows_of(page.budgets, NOW):
        assert 0 <= window.used_percent <= 999
