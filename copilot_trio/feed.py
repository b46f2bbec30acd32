"""The newest of many entries, and whoever follows them at their own pace. Nobody who writes ever waits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import trio

Entry = TypeVar("Entry")


class Feed(Generic[Entry]):
    """``size``: how many entries are kept. Any thread may put; who follows too slowly misses some and is told so."""

    def __init__(self, size: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self._written = 0
        self._lock = threading.RLock()
        self._followers: set[Follower[Entry]] = set()

    @property
    def followers(self) -> int:
        return len(self._followers)

    def put(self, entry: Entry) -> None:
        with self._lock:
            self._entries.append(entry)
            self._written += 1
            followers = tuple(self._followers)
        for follower in followers:
            follower.wake()

    def entries(self) -> list[Entry]:
        """The oldest first."""
        with self._lock:
            return list(self._entries)

    @contextmanager
    def follow(self, *, history: bool = False) -> Iterator[Follower[Entry]]:
        """What comes from now on; with ``history`` what is kept, too."""
        with self._lock:
            follower = Follower(self, self._written - (len(self._entries) if history else 0))
            self._followers.add(follower)
        try:
            yield follower
        finally:
            with self._lock:
                self._followers.discard(follower)

    def since(self, number: int) -> tuple[list[Entry], int, int]:
        """The entries after the first ``number``, how many of them are lost, and how many were written in all."""
        with self._lock:
            new = self._written - number
            kept = min(new, len(self._entries))
            entries = list(self._entries)[-kept:] if kept else []
            return entries, new - kept, self._written


class Follower(Generic[Entry]):
    def __init__(self, feed: Feed[Entry], seen: int) -> None:
        self._feed = feed
        self._seen = seen
        self._news = trio.Event()
        self._loop = trio.lowlevel.current_trio_token()

    async def next(self) -> tuple[list[Entry], int]:
        """The next entries, one at least, and how many were missed before them."""
        await trio.lowlevel.checkpoint()
        while True:
            news = self._news = trio.Event()
            entries, missed, written = self._feed.since(self._seen)
            if entries:
                self._seen = written
                return entries, missed
            await news.wait()

    def wake(self) -> None:
        """From any thread."""
        with suppress(trio.RunFinishedError):
            self._loop.run_sync_soon(self._wake, idempotent=True)

    def _wake(self) -> None:
        self._news.set()
