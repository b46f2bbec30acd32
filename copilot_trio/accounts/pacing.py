"""When an account's next request may start: bursts are spread, and who waits in vain is told (product.md §4.6)."""

from __future__ import annotations

import trio

from copilot_trio.errors import RateLimited


class Pacer:
    """``gap`` seconds between the starts of two requests; 0 for none. ``max_wait`` bounds the turn one waits for."""

    def __init__(self, gap: float = 0.0, max_wait: float = 30.0) -> None:
        self.gap = gap
        self._max_wait = max_wait
        self._turn = trio.Lock()  # first come, first served; who leaves while waiting gives its turn back
        self._free_at = float("-inf")

    async def start(self, extra: float = 0.0) -> None:
        """Wait for one's turn, and ``extra`` seconds first. Raises ``RateLimited`` where none came in time."""
        if extra > 0:
            await trio.sleep(extra)
        if self.gap <= 0:
            return
        with trio.move_on_after(self._max_wait) as patience:
            async with self._turn:
                await trio.sleep_until(max(self._free_at, trio.current_time()))
                self._free_at = trio.current_time() + self.gap
                return
        assert patience.cancelled_caught
        raise RateLimited(
            f"this account starts a request every {self.gap:g} s, and more wait than fit into {self._max_wait:.0f} s",
            remedy="The pace is `accounts.start_gap` in config.json. Nothing was sent.",
            retry_after=self._max_wait,
            code="pacing_limit",
        )
