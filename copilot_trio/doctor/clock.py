"""How far this machine's clock is from GitHub's, by the dates of replies that come in anyway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

from copilot_trio.accounts.account import Answer, Pool


class DatedPool:
    """An account's pool that notes in ``skews`` by how many seconds the clock was ahead at each reply."""

    def __init__(self, pool: Pool, now: Callable[[], float]) -> None:
        self._pool = pool
        self._now = now
        self.skews: list[float] = []
        self.send_frame = pool.send_frame
        self.recycle = pool.recycle
        self.aclose = pool.aclose

    @asynccontextmanager
    async def send(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> AsyncIterator[Answer]:
        async with self._pool.send(method, url, headers, body) as answer:
            moment = parse_date(answer.headers.get("date", ""))
            if moment is not None:
                self.skews.append(self._now() - moment)
            yield answer


def parse_date(text: str) -> float | None:
    """Unix seconds; None for what is no HTTP date."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
