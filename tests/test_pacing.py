from __future__ import annotations

import pytest
import trio

from copilot_trio.accounts.pacing import Pacer
from copilot_trio.errors import RateLimited


async def test_without_a_gap_nobody_waits() -> None:
    pacer = Pacer()
    for _ in range(100):
        await pacer.turn()
    assert trio.current_time() == 0


async def test_starts_are_a_gap_apart_however_many_come_at_once(nursery: trio.Nursery) -> None:
    pacer, starts = Pacer(gap=1.0), []

    async def start() -> None:
        await pacer.turn()
        starts.append(trio.current_time())

    async with trio.open_nursery() as callers:
        for _ in range(5):
            callers.start_soon(start)
    assert starts == [0, 1, 2, 3, 4]


async def test_a_gap_that_has_passed_is_not_waited_for() -> None:
    pacer = Pacer(gap=1.0)
    await pacer.turn()
    await trio.sleep(0.4)
    await pacer.turn()
    assert trio.current_time() == 1
    await trio.sleep(100)
    await pacer.turn()
    assert trio.current_time() == 101


async def test_who_leaves_while_waiting_gives_the_turn_back(nursery: trio.Nursery) -> None:
    pacer = Pacer(gap=1.0)
    await pacer.turn()
    for _ in range(20):
        with trio.move_on_after(0.001):
            await pacer.turn()
    await pacer.turn()
    assert trio.current_time() == 1


async def test_who_would_wait_too_long_is_told_so() -> None:
    pacer = Pacer(gap=1.0, max_wait=3.5)
    starts: list[float] = []
    refused: list[RateLimited] = []

    async def start() -> None:
        try:
            await pacer.turn()
        except RateLimited as error:
            refused.append(error)
        else:
            starts.append(trio.current_time())

    async with trio.open_nursery() as callers:
        for _ in range(6):
            callers.start_soon(start)
    assert (starts, trio.current_time()) == ([0, 1, 2, 3], 3.5)
    assert [(error.code, error.cost, error.retry_after) for error in refused] == [("pacing_limit", "none", 3.5)] * 2
    assert "start_gap" in str(refused[0])
    await pacer.turn()
    assert trio.current_time() == 4  # and takes nobody's turn


@pytest.mark.parametrize("gap", [1.0, 10.0])
async def test_a_gap_can_be_changed_while_it_runs(gap: float) -> None:
    pacer = Pacer(gap=gap)
    await pacer.turn()
    pacer.gap = 0.0
    await pacer.turn()
    assert trio.current_time() == 0


async def test_who_waited_for_something_else_after_the_turn_does_not_start_with_others(nursery: trio.Nursery) -> None:
    pacer, starts = Pacer(gap=1.0), []

    async def go() -> None:
        await pacer.turn()
        await trio.sleep_until(10)  # for a slot, say
        await pacer.start()
        starts.append(trio.current_time())

    async with trio.open_nursery() as callers:
        for _ in range(3):
            callers.start_soon(go)
    assert starts == [10, 11, 12]


async def test_who_starts_in_turn_waits_once(nursery: trio.Nursery) -> None:
    pacer = Pacer(gap=1.0)
    for second in range(5):
        await pacer.turn()
        await pacer.start()
        assert trio.current_time() == second


async def test_without_a_gap_nobody_waits_to_start() -> None:
    pacer = Pacer()
    for _ in range(100):
        await pacer.start()
    assert trio.current_time() == 0
