"""Who keeps sending wrong keys, by the socket's address: no header can speak for another."""

from __future__ import annotations

ALLOWED = 5  # failures in a window
WINDOW = 300.0  # seconds from the first of them
MAX_PEERS = 1000


class WrongKeys:
    """The right key is none of its business: it works at any moment, so it is its length that keeps guessers out."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[float, int]] = {}  # since when, how many; the latest peer last

    def count(self, peer: str, now: float) -> float | None:
        """One more. For how many seconds no other is to be tried; None while that does not matter yet."""
        since, failures = self._failures.pop(peer, (now, 0))
        if now >= since + WINDOW:
            since, failures = now, 0
        self._failures[peer] = since, failures + 1
        if len(self._failures) > MAX_PEERS:
            del self._failures[next(iter(self._failures))]
        return None if failures < ALLOWED else since + WINDOW - now
