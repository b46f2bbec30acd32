"""How many requests a model gets at once: beyond its limit they wait, first come first served (product.md §7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

import msgspec
import trio

from copilot_trio.errors import RateLimited

DEFAULT_LIMIT = 10
RETRY_AFTER = 5.0  # seconds, for a client that waited in vain
MAX_KEPT = 256  # models of which the count is kept though nothing runs


class QueueState(msgspec.Struct, frozen=True):
    """``total``: the requests that had a slot, since the start."""

    active: int
    queued: int
    limit: int
    total: int


class ModelQueues:
    """``limits`` by model id, and for all others by ``default``; ``max_wait`` is in seconds.

    An id is expected to come from a catalogue, never from a client as it is.
    """

    def __init__(self, limits: Mapping[str, int], max_wait: float) -> None:
        self._limits = dict(limits)
        self.max_wait = max_wait
        self._queues: dict[str, _Queue] = {}

    def __repr__(self) -> str:
        return f"<ModelQueues {self.snapshot()!r}>"

    def slot(self, model_id: str) -> Slot:
        """``async with`` holds one. Raises ``RateLimited`` to whom none was free in ``max_wait``.

        No checkpoint where a slot is free. Who is cancelled while waiting is out of the queue at once.
        """
        return Slot(self, model_id)

    def set_limits(self, limits: Mapping[str, int]) -> None:
        """A higher limit lets waiting requests go at once; a lower one lets those under way finish."""
        self._limits = dict(limits)
        for model_id, queue in self._queues.items():
            queue.limit = self._limit(model_id)
            queue.let_in()

    def snapshot(self) -> dict[str, QueueState]:
        return {
            model_id: QueueState(queue.active, len(queue.waiting), queue.limit, queue.total)
            for model_id, queue in self._queues.items()
        }

    async def enter(self, model_id: str) -> _Queue:
        queue = self._queues.get(model_id) or self._add(model_id)
        if queue.active < queue.limit:  # then nobody waits, see let_in
            queue.active += 1
            queue.total += 1
            return queue
        with trio.move_on_after(self.max_wait) as patience:
            await queue.waiting.park()  # who lets us go counts us in, so that nobody slips in between
        if patience.cancelled_caught:
            raise RateLimited(
                f"{model_id} has {queue.limit} requests under way, as many as it may, "
                f"and none made room for this one in {self.max_wait:.0f} s",
                remedy="The limit is `concurrency` in config.json, by model id or as `default`. Nothing was sent.",
                retry_after=RETRY_AFTER,
                code="concurrency_limit",
            )
        return queue

    def _limit(self, model_id: str) -> int:
        return self._limits.get(model_id) or self._limits.get("default") or DEFAULT_LIMIT

    def _add(self, model_id: str) -> _Queue:
        if len(self._queues) >= MAX_KEPT:
            idle = next((key for key, queue in self._queues.items() if not queue.active), None)
            if idle is not None:
                del self._queues[idle]
        queue = self._queues[model_id] = _Queue(self._limit(model_id))
        return queue


class Slot:
    __slots__ = ("_model_id", "_queue", "_queues")
    _queue: _Queue  # once entered

    def __init__(self, queues: ModelQueues, model_id: str) -> None:
        self._queues = queues
        self._model_id = model_id

    async def __aenter__(self) -> None:
        self._queue = await self._queues.enter(self._model_id)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._queue.leave()


class _Queue:
    __slots__ = ("active", "limit", "total", "waiting")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.active = 0
        self.total = 0
        self.waiting = trio.lowlevel.ParkingLot()

    def leave(self) -> None:
        self.active -= 1
        if self.waiting:
            self.let_in()

    def let_in(self) -> None:
        """Leaves nobody waiting where a slot is free."""
        free = min(self.limit - self.active, len(self.waiting))
        if free > 0:
            self.active += free
            self.total += free
            self.waiting.unpark(count=free)
