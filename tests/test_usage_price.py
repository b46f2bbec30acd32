"""What a request costs: upstream's figure first, the list's prices else."""

from __future__ import annotations

from typing import Any

import pytest

from copilot_trio.turn import Usage
from copilot_trio.usage.price import price

OPUS: dict[str, Any] = {
    "token_prices": {
        "batch_size": 1_000_000,
        "default": {"cache_price": 33, "cache_write_price": 412, "context_max": 200_000, "input_price": 330,
                    "output_price": 1650},
        "long_context": {"cache_price": 66, "cache_write_price": 825, "context_max": 936_000, "input_price": 660,
                         "output_price": 2475},
    }
}  # fmt: skip


def prices(**changes: Any) -> dict[str, Any]:
    default = {**OPUS["token_prices"]["default"], **changes}
    return {"token_prices": {"batch_size": 1_000_000, "default": default}}


def test_upstreams_own_figure_wins() -> None:
    assert price(Usage(input_tokens=3, nano_aiu=77), OPUS) == 77
    assert price(Usage(input_tokens=3, nano_aiu=0), OPUS) == 0


def test_else_tokens_are_priced_by_the_list() -> None:
    usage = Usage(input_tokens=3, cache_read_tokens=18725, cache_write_tokens=409, output_tokens=256)
    counted = 3 * 330_000 + 18725 * 33_000 + 409 * 412_000 + 256 * 1_650_000
    assert price(usage, OPUS) == counted
    assert abs(counted - 1_210_027_500) / counted < 0.005  # the recorded figure: upstream prices writes at 412.5


def test_reasoning_is_part_of_the_output() -> None:
    assert price(Usage(output_tokens=105, reasoning_tokens=44), OPUS) == 105 * 1_650_000


def test_the_newer_spelling() -> None:
    newer = {"cache_read_price": 33, "cache_write_price": 412, "max_prompt_tokens": 10, "input_price": 330,
             "output_price": 1650}  # fmt: skip
    billing = {"token_prices": {"batch_size": 1_000_000, "default": newer, "long_context": {**newer, "input_price": 1}}}
    assert price(Usage(input_tokens=5, cache_read_tokens=5), billing) == 5 * 330_000 + 5 * 33_000
    assert price(Usage(input_tokens=6, cache_read_tokens=5), billing) == 6 * 1_000 + 5 * 33_000


@pytest.mark.parametrize(("usage", "cost"), [
    (Usage(input_tokens=200_000), 200_000 * 330_000),
    (Usage(input_tokens=200_001), 200_001 * 660_000),
    (Usage(input_tokens=1, cache_read_tokens=200_000), 660_000 + 200_000 * 66_000),
    (Usage(input_tokens=1, cache_write_tokens=200_000), 660_000 + 200_000 * 825_000),
    (Usage(input_tokens=1, output_tokens=300_000), 330_000 + 300_000 * 1_650_000),
])  # fmt: skip
def test_a_prompt_beyond_the_default_context_has_the_other_tier(usage: Usage, cost: int) -> None:
    assert price(usage, OPUS) == cost


def test_without_another_tier_the_default_one_holds() -> None:
    assert price(Usage(input_tokens=900_000), prices()) == 900_000 * 330_000


def test_no_batch_means_free() -> None:
    assert price(Usage(input_tokens=5), {"token_prices": {"batch_size": 0}}) == 0


@pytest.mark.parametrize("billing", [{}, {"multiplier": 1, "is_premium": True}, {"multiplier": 0}, {"token_prices": 7}])
def test_the_older_shape_prices_no_tokens(billing: dict[str, Any]) -> None:
    assert price(Usage(input_tokens=5), billing) is None


@pytest.mark.parametrize("odd", [None, True, "330", -1, float("nan"), float("inf"), [330]])
def test_an_odd_price_is_none(odd: object) -> None:
    assert price(Usage(input_tokens=5), prices(input_price=odd)) is None
    assert price(Usage(output_tokens=1), prices(input_price=odd)) == 1_650_000  # and matters only where it is needed


@pytest.mark.parametrize("odd", [None, "many", -5])
def test_an_odd_batch_prices_nothing(odd: object) -> None:
    assert price(Usage(input_tokens=5), {"token_prices": {**OPUS["token_prices"], "batch_size": odd}}) is None
    assert price(Usage(input_tokens=5), {"token_prices": {"batch_size": 1, "default": "none"}}) is None


def test_fractions_are_rounded_once() -> None:
    assert price(Usage(cache_write_tokens=409), prices(cache_write_price=412.5)) == 168_712_500
    assert price(Usage(input_tokens=1, output_tokens=1), prices(input_price=0.0004, output_price=0.0004)) == 1
