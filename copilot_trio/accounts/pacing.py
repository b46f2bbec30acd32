"""When an account's next request may start: bursts are spread, and who waits in vain is told (product.md §4.6)."""

from __future__ import annotations

import trio

from copilot_trio.errors import RateLimited


class Pacer:
    """``gap`` seconds between the starts of two requests; 0 for none. ``max_wait`` bounds the turn one waits for."""

    def __init__(self, gap: float = 0.0, max_wait: float = 30.0) -> None:
        self.gap = gap
        self.max_wait = max_wait
        self._queue = trio.Lock()  # first come, first served; who leaves while waiting gives its turn back
        self._next_turn = float("-inf")
        self._starting = trio.Lock()
        self._next_start = float("-inf")

    async def turn(self) -> None:
        """Wait for one's turn. Raises ``RateLimited`` where it did not come in time."""
        if self.gap <= 0:
            return
        with trio.move_on_after(self.max_wait):
            async with self._queue:
                await trio.sleep_until(max(self._next_turn, trio.current_time()))
                self._next_turn = trio.current_time() + self.gap
                return
        raise RateLimited(
            f"this account starts a request every {self.gap:g} s, and more wait than fit into {self.max_wait:.0f} s",
            remedy="The pace is `accounts.start_gap` in config.json. Nothing was sent.",
            retry_after=self.max_wait,
            code="pacing_limit",
        )

    async def start(self) -> None:
        """Just before sending: those who waited for something else after their turn do not start together."""
        if self.gap <= 0:
            return
        async with self._starting:
            await trio.sleep_until(max(self._next_start, trio.current_time()))
            self._next_start = trio.current_time() + self.gap
