from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.errors import RateLimited
from copilot_trio.models.queue import MAX_KEPT, ModelQueues, QueueState


class Requests:
    """Starts requests that note when they get their slot, and hold it for ``seconds``."""

    def __init__(self, nursery: trio.Nursery, queues: ModelQueues) -> None:
        self._nursery = nursery
        self._queues = queues
        self.entered: list[str] = []
        self.times: list[float] = []  # of those in ``entered``
        self.refused: list[str] = []
        self.most = 0

    async def start(self, name: str, seconds: float = 10, *, model: str = "m") -> trio.CancelScope:
        """Returns once the request runs or waits."""
        scope = trio.CancelScope()
        self._nursery.start_soon(self._run, name, seconds, model, scope)
        await trio.testing.wait_all_tasks_blocked()
        return scope

    async def _run(self, name: str, seconds: float, model: str, scope: trio.CancelScope) -> None:
        with scope:
            try:
                async with self._queues.slot(model):
                    self.entered.append(name)
                    self.times.append(trio.current_time())
                    self.most = max(self.most, self._queues.snapshot()[model].active)
                    await trio.sleep(seconds)
            except RateLimited:
                self.refused.append(name)


@pytest.mark.parametrize(
    ("limits", "limit"), [({"m": 1, "default": 2}, 1), ({"default": 2, "n": 1}, 2), ({}, 10), ({"n": 1}, 10)]
)
async def test_the_limit_is_the_models_own_or_the_default_or_ten(
    nursery: trio.Nursery, limits: dict[str, int], limit: int
) -> None:
    queues = ModelQueues(limits, 30)
    requests = Requests(nursery, queues)
    for number in range(12):
        await requests.start(str(number))
    assert queues.snapshot() == {"m": QueueState(limit, 12 - limit, limit, limit)}


async def test_who_waits_goes_in_the_order_of_coming(nursery: trio.Nursery) -> None:
    requests = Requests(nursery, ModelQueues({"m": 1}, 1000))
    names = [str(number) for number in range(20)]
    for name in names:
        await requests.start(name, 1)
    await trio.sleep(30)
    assert requests.entered == names
    assert requests.most == 1


async def test_nobody_slips_in_before_who_waits(nursery: trio.Nursery) -> None:
    queues = ModelQueues({"m": 1}, 30)
    requests = Requests(nursery, queues)
    async with queues.slot("m"):
        await requests.start("waiting", 1)
    async with queues.slot("m"):  # nobody was scheduled in between
        assert requests.entered == ["waiting"]


async def test_models_do_not_wait_for_each_other(nursery: trio.Nursery) -> None:
    requests = Requests(nursery, ModelQueues({"default": 1}, 30))
    for model in "abc":
        await requests.start(model, model=model)
    assert requests.entered == ["a", "b", "c"]


async def test_a_free_slot_costs_no_checkpoint() -> None:
    queues = ModelQueues({}, 30)
    with trio.testing.assert_no_checkpoints():
        async with queues.slot("m"):
            assert queues.snapshot()["m"].active == 1
    assert queues.snapshot()["m"] == QueueState(0, 0, 10, 1)


async def test_the_slot_is_given_back_whatever_happens(nursery: trio.Nursery) -> None:
    queues = ModelQueues({"m": 1}, 30)
    requests = Requests(nursery, queues)

    async def fail() -> None:
        async with queues.slot("m"):
            await requests.start("next")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await trio.testing.wait_all_tasks_blocked()
    assert requests.entered == ["next"]


async def test_who_leaves_while_waiting_is_out_of_the_queue_at_once(nursery: trio.Nursery) -> None:
    queues = ModelQueues({"m": 1}, 30)
    requests = Requests(nursery, queues)
    await requests.start("first")
    leaving = await requests.start("leaving")
    await requests.start("last")
    assert queues.snapshot()["m"] == QueueState(1, 2, 1, 1)
    leaving.cancel("the client left")
    await trio.testing.wait_all_tasks_blocked()
    assert queues.snapshot()["m"] == QueueState(1, 1, 1, 1)
    await trio.sleep(11)
    assert requests.entered == ["first", "last"]


async def test_who_leaves_as_the_slot_is_handed_over_hands_it_on(nursery: trio.Nursery) -> None:
    queues = ModelQueues({"m": 1}, 30)
    requests = Requests(nursery, queues)
    async with queues.slot("m"):
        leaving = await requests.start("leaving")
        await requests.start("last")
    leaving.cancel("in the same moment")
    await trio.testing.wait_all_tasks_blocked()
    assert requests.entered == ["leaving", "last"]
    assert queues.snapshot()["m"].active == 1


async def test_who_leaves_while_running_frees_the_slot(nursery: trio.Nursery) -> None:
    queues = ModelQueues({"m": 1}, 30)
    requests = Requests(nursery, queues)
    leaving = await requests.start("leaving")
    await requests.start("next")
    leaving.cancel("the client left")
    await trio.testing.wait_all_tasks_blocked()
    assert requests.entered == ["leaving", "next"]


async def test_waiting_has_an_end_that_says_what_to_do() -> None:
    queues = ModelQueues({"m": 1}, 30)
    async with queues.slot("m"):
        before = trio.current_time()
        with pytest.raises(
            RateLimited, match=r"^m has 1 requests .* in 30 s\. .*`concurrency` in config\.json"
        ) as caught:
            async with queues.slot("m"):
                raise AssertionError
        assert trio.current_time() - before == pytest.approx(30)
    error = caught.value
    assert (error.status, error.code, error.retry_after, error.cost) == (429, "concurrency_limit", 5, "none")
    assert queues.snapshot()["m"] == QueueState(0, 0, 1, 1)


async def test_a_slot_that_frees_as_the_patience_ends_is_not_lost(nursery: trio.Nursery) -> None:
    queues = ModelQueues({"m": 1}, 30)
    requests = Requests(nursery, queues)
    await requests.start("first", 30)
    await requests.start("second", 1)
    await trio.sleep(100)
    assert requests.entered + requests.refused == ["first", "second"]
    assert queues.snapshot()["m"].active == 0


async def test_a_higher_limit_lets_them_in_at_once(nursery: trio.Nursery) -> None:
    queues = ModelQueues({"m": 1}, 30)
    requests = Requests(nursery, queues)
    for name in "abcde":
        await requests.start(name)
    queues.set_limits({"m": 3})
    await trio.testing.wait_all_tasks_blocked()
    assert set(requests.entered) == {"a", "b", "c"}
    assert queues.snapshot()["m"] == QueueState(3, 2, 3, 3)
    queues.set_limits({})
    await trio.testing.wait_all_tasks_blocked()
    assert set(requests.entered) == {"a", "b", "c", "d", "e"}


async def test_a_lower_limit_lets_them_finish(nursery: trio.Nursery) -> None:
    queues = ModelQueues({"m": 3}, 100)
    requests = Requests(nursery, queues)
    for name in "abcd":
        await requests.start(name)
    queues.set_limits({"m": 1})
    assert queues.snapshot()["m"] == QueueState(3, 1, 1, 3)
    await trio.sleep(11)
    assert requests.entered == ["a", "b", "c", "d"]
    await requests.start("e")
    assert queues.snapshot()["m"] == QueueState(1, 1, 1, 4)


async def test_changing_the_mapping_given_changes_nothing_by_itself(nursery: trio.Nursery) -> None:
    limits = {"m": 1}
    queues = ModelQueues(limits, 30)
    limits["m"] = 5
    requests = Requests(nursery, queues)
    await requests.start("a")
    await requests.start("b")
    assert requests.entered == ["a"]


async def test_busy_models_are_never_dropped() -> None:
    queues = ModelQueues({}, 30)
    async with AsyncExitStack() as stack:
        for number in range(MAX_KEPT + 5):
            await stack.enter_async_context(queues.slot(str(number)))
        assert len(queues.snapshot()) == MAX_KEPT + 5
    assert repr(ModelQueues({}, 30)) == "<ModelQueues {}>"


async def test_only_so_many_idle_models_are_kept() -> None:
    queues = ModelQueues({}, 30)
    async with queues.slot("busy"):
        for number in range(MAX_KEPT * 2):
            async with queues.slot(str(number)):
                pass
        kept = queues.snapshot()
    assert len(kept) == MAX_KEPT
    assert kept["busy"].active == 1
    assert str(MAX_KEPT * 2 - 1) in kept


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20), st.none() | st.integers(0, 30)), max_size=30),
)
def test_limits_hold_and_no_slot_is_ever_lost(limit: int, plans: list[tuple[int, int, int | None]]) -> None:
    """Each plan: seconds until the request comes, how long it runs, and when its client leaves if ever."""
    queues = ModelQueues({"m": limit}, 15)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            requests = Requests(nursery, queues)
            for number, (pause, seconds, leaves) in enumerate(plans):
                await trio.sleep(pause)
                scope = await requests.start(str(number), seconds)
                if leaves is not None:
                    scope.deadline = trio.current_time() + leaves
                assert queues.snapshot()["m"].active <= limit
        assert requests.most <= limit
        numbers = [int(name) for name in requests.entered]
        in_order = [number for _, number in sorted(zip(requests.times, numbers, strict=True))]  # in a moment, any order
        assert in_order == sorted(numbers)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    assert all((state.active, state.queued) == (0, 0) for state in queues.snapshot().values())
