"""The budgets that a person has set at GitHub, as its billing page's JSON tells them. Pure (systems.md §3.5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from copilot_trio.unreadable import UNREADABLE

MOST_USED = 999.0  # percent
MAX_ON_A_PAGE = 50  # ten are asked for
LONGEST_TEXT = 200
LARGEST = 1e15

COPILOT = "copilot"
PREMIUM = "copilot_premium_request"
AGENT = "copilot_agent_premium_request"
SPARK = "spark_premium_request"
# The first that is among a budget's selectors names it.
TITLES = {
    AGENT: "Copilot Agent Premium Requests",
    SPARK: "Spark Premium Requests",
    PREMIUM: "All Premium Request SKUs",
}
# Words that must all be in a selector, the most particular first: an agent's requests are Copilot's too.
MEANINGS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"spark", "premium", "request"}), SPARK),
    (frozenset({"cloud", "agent", "premium", "request"}), AGENT),
    (frozenset({"coding", "agent", "premium", "request"}), AGENT),
    (frozenset({"copilot", "agent", "premium", "request"}), AGENT),
    (frozenset({"bundled", "premium", "request"}), PREMIUM),
    (frozenset({"copilot", "premium", "request"}), PREMIUM),
)
ALONE = {"premium_request": PREMIUM, "premium_requests": PREMIUM}  # these words and no others

IDS = ("id", "uuid", "budget_id")
NAMES = ("name", "display_name", "title", "budget_entity_name", "entity_name", "target_name")
TYPES = ("budget_type", "type", "pricing_target_type")
SKUS = (
    "budget_product_skus", "budget_product_sku", "product_skus", "product_sku", "skus", "sku", "product",
    "product_name", "pricing_target_id",
)  # fmt: skip
AMOUNTS = ("budget_amount", "target_amount", "spending_limit", "limit", "amount", "max")
CURRENT = ("current_usage", "current_amount", "usage_amount", "usage", "spent", "amount_used")
IN_AMOUNT = ("amount", "value", "total", "cents", "formatted")
IN_SKU = ("sku", "name", "id", "product", "value", "display_name", "title")

_MONEY = re.compile(r"(-?)[^\d.\-]*(-?)(\d[\d,]*(?:\.\d*)?|\.\d+)[^\d.\-]*")


class UnreadableBudgets(ValueError):
    """This is no page of budgets."""


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """As set: ``amount`` and ``used`` in the account's currency. ``skus`` are as written, ``selectors`` normalised."""

    id: str
    name: str
    skus: tuple[str, ...]
    selectors: frozenset[str]
    amount: float
    used: float


class BudgetWindow(msgspec.Struct, frozen=True, kw_only=True):
    """``used_percent`` is between 0 and 999; ``resets_at`` in Unix seconds."""

    id: str
    title: str
    used_percent: float
    amount: float
    used: float
    resets_at: float


class Page(msgspec.Struct, frozen=True):
    budgets: tuple[Budget, ...]
    has_next: bool


def parse_page(body: bytes) -> Page:
    """Raises ``UnreadableBudgets``."""
    try:
        outer = msgspec.json.decode(body)
    except UNREADABLE as error:
        raise UnreadableBudgets(str(error)) from None
    inner = outer.get("payload", outer) if isinstance(outer, dict) else None
    given = inner.get("budgets") if isinstance(inner, dict) else None
    if not isinstance(outer, dict) or not isinstance(inner, dict) or not isinstance(given, list):
        raise UnreadableBudgets("it has no list of budgets")
    budgets = tuple(_budget(one) for one in given[:MAX_ON_A_PAGE] if isinstance(one, dict))
    return Page(budgets, any(where.get(key) is True for where in (outer, inner) for key in _spelt("has_next_page")))


def windows_of(budgets: Iterable[Budget], now: float) -> tuple[BudgetWindow, ...]:
    """Those that limit what Copilot costs. They start afresh with the month, as nearly as can be told."""
    resets_at, found, taken = _next_month(now), [], set[str]()
    for budget in budgets:
        if budget.amount <= 0 or not budget.selectors & {COPILOT, *TITLES}:
            continue
        title = _title(budget)
        slug = _slug(budget.id) or _slug(" ".join(budget.skus)) or _slug(title)
        name, number = f"copilot-budget-{slug}", 1
        while name in taken:
            number += 1
            name = f"copilot-budget-{slug}-{number}"
        taken.add(name)
        found.append(
            BudgetWindow(
                id=name,
                title=f"Budget - {title}",
                used_percent=min(max(100.0 * budget.used / budget.amount, 0.0), MOST_USED),
                amount=budget.amount,
                used=budget.used,
                resets_at=resets_at,
            )
        )
    return tuple(found)


def selector(text: str) -> str:
    """What a product, SKU or type means, in one spelling, say ``copilot_premium_request``."""
    slug = _slug(text).replace("-", "_")
    words = {word.removesuffix("s") if word.startswith("request") else word for word in slug.split("_")}
    return ALONE.get(slug) or next((meaning for needed, meaning in MEANINGS if needed <= words), slug)


def amount_of(value: object) -> float:
    """A number, a text such as ``-$1,234.50``, or an object around one of these; 0 for what is none of them."""
    if isinstance(value, Mapping):
        key = next((key for key in IN_AMOUNT if value.get(key) is not None), None)
        within = None if key is None else value[key]
        return 0.0 if isinstance(within, Mapping) else amount_of(within) / (100.0 if key == "cents" else 1.0)
    if isinstance(value, str):
        match = _MONEY.fullmatch(value.strip()[:LONGEST_TEXT])
        if match is None or (match[1] and match[2]):
            return 0.0
        value = float(f"{match[1] or match[2]}{match[3].replace(',', '')}")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST:
        return 0.0
    return float(value)


def _budget(given: dict[str, Any]) -> Budget:
    skus = tuple(_texts(_first(given, SKUS)))
    return Budget(
        id=_text(_first(given, IDS)),
        name=_text(_first(given, NAMES)),
        skus=skus,
        selectors=frozenset(map(selector, filter(_slug, (*skus, *_texts(_first(given, TYPES)))))),
        amount=amount_of(_first(given, AMOUNTS)),
        used=amount_of(_first(given, CURRENT)),
    )


def _title(budget: Budget) -> str:
    if budget.selectors == {COPILOT}:
        return "Copilot"
    known = next((title for meaning, title in TITLES.items() if meaning in budget.selectors), None)
    return known or budget.name or "Copilot Premium Requests"


def _first(given: Mapping[str, Any], names: Iterable[str]) -> Any:
    """What the first of these members holds that holds anything; each may be spelt in camel case."""
    spellings = (key for name in names for key in _spelt(name))
    return next((given[key] for key in spellings if given.get(key) not in (None, "", [])), None)


def _spelt(name: str) -> tuple[str, str]:
    first, *others = name.split("_")
    return name, first + "".join(map(str.capitalize, others))


def _texts(value: object) -> list[str]:
    """Of a text, an object that names something, or a list of either."""
    found = value[:MAX_ON_A_PAGE] if isinstance(value, list) else [value]
    named = (_first(one, IN_SKU) if isinstance(one, dict) else one for one in found)
    return [text for one in named if (text := _text(one))]


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).strip()[:LONGEST_TEXT]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _next_month(now: float) -> float:
    today = datetime.fromtimestamp(now, UTC)
    year, month = (today.year + 1, 1) if today.month == 12 else (today.year, today.month + 1)
    return datetime(year, month, 1, tzinfo=UTC).timestamp()
