"""How an account fares: what rests on it until when, and how often it failed in a row. Pure: ``now`` comes in.

Times are of whatever clock the caller uses; the account uses Trio's, which no wall clock can move.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from copilot_trio.errors import NoAccount, ProxyError

from .outcome import Status

ALL = ""  # the key of what rests on every model
PAID = "$paid"  # of what rests on the models that cost; no model is called so


class Rest(msgspec.Struct, frozen=True):
    """Why something is not sent, and until when. The reason is kept: raise a fresh one."""

    until: float
    status: Status
    why: ProxyError


class Health:
    """``failures_allowed`` in a row, then the account rests as ``error`` (product.md §4.3)."""

    def __init__(self, failures_allowed: int, error_seconds: float) -> None:
        self.failures = 0
        self.failures_allowed = failures_allowed
        self.error_seconds = error_seconds
        self._rests: dict[str, Rest] = {}

    def rest(self, key: str, until: float, status: Status, why: ProxyError) -> None:
        """Of two for the same key the one that ends later holds."""
        old = self._rests.get(key)
        if old is None or until > old.until:
            self._rests[key] = Rest(until, status, why.fresh())

    def resting(self, model: str, now: float, *, free: bool = False) -> Rest | None:
        """What forbids ``model`` now; of several what ends last. ``free``: the model costs nothing."""
        if not self._rests:
            return None
        found: Rest | None = None
        for key in (ALL, model) if free else (ALL, PAID, model):
            rest = self._rests.get(key)
            if rest is None:
                continue
            if rest.until <= now:
                del self._rests[key]
            elif found is None or rest.until > found.until:
                found = rest
        return found

    def failed(self, now: float, why: ProxyError) -> bool:
        """A failure of upstream or the network. True where it was one too many."""
        self.failures += 1
        if self.failures < self.failures_allowed:
            return False
        self.failures = 0
        told = NoAccount(
            f"upstream failed {self.failures_allowed} times in a row, at last: {why.cause}",
            remedy="Nothing was sent now.",
            retry_after=self.error_seconds,
        )
        self.rest(ALL, now + self.error_seconds, "error", told)
        return True

    def succeeded(self) -> None:
        self.failures = 0
        rest = self._rests.get(ALL)
        if rest is not None and rest.status == "error":
            del self._rests[ALL]

    def forget(self, *statuses: Status) -> None:
        """End the rests of these statuses, or all of them."""
        self._rests = {key: rest for key, rest in self._rests.items() if statuses and rest.status not in statuses}
        if not statuses:
            self.failures = 0

    def rests(self, now: float) -> Iterator[tuple[str, Rest]]:
        return ((key, rest) for key, rest in self._rests.items() if rest.until > now)
