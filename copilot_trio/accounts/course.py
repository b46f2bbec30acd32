"""One request's way over the accounts of its group: what it wants, what it has tried, and why it ends. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from copilot_trio.errors import (
    AccountPaused,
    AccountRejected,
    ModelNotFound,
    NoAccount,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    UpstreamOverloaded,
    UpstreamRefused,
)

from .account import Account
from .groups import NO_PIN, Pin

PASSING = (RateLimited, QuotaExhausted, UpstreamOverloaded)  # limits, that end by themselves
MENDED_BY_WAITING = (*PASSING, NoAccount)  # and an account that failed too often in a row


class Wanted(msgspec.Struct, frozen=True):
    """``model`` is the name that was asked for; ``conversation`` a key, empty where there is none to keep together."""

    model: str
    kind: str = "chat"
    conversation: str = ""
    pin: Pin = NO_PIN


class Course:
    """What this request has met so far. An account that refused it is not asked again."""

    def __init__(self) -> None:
        self.waited = 0.0  # seconds, for cooldowns
        self.failed: dict[str, ProxyError] = {}  # by the account's id, in order
        self.unreachable: set[str] = set()  # ways out that failed
        self.rounds = 0

    def leave(self, account: Account, error: ProxyError, *, egress: bool = False) -> None:
        """Go on without this account; ``egress``: without its way out."""
        self.failed[account.id] = error
        if egress:
            self.unreachable.add(account.egress)


class Survey:
    """Why none of a group's accounts can serve, kept while they are looked through."""

    def __init__(self, group: str, accounts: Sequence[Account]) -> None:
        self.group = group
        self._labels = {account.id: account.label for account in accounts}
        self.cooling: list[tuple[Account, float, ProxyError]] = []
        self.missing: list[ModelNotFound] = []
        self.paused: list[ProxyError] = []
        self.off: list[Account] = []

    def soonest(self) -> float | None:
        """Seconds until waiting may help."""
        return min((seconds for _, seconds, why in self.cooling if isinstance(why, MENDED_BY_WAITING)), default=None)

    def error(self, course: Course) -> ProxyError:
        """product.md §4.3: what the client gets when no account can serve."""
        if course.failed:
            return self._after_failures(course)
        if len(self._labels) == 1 and self.cooling:
            return cooling_down(*self.cooling[0])
        passing = [entry for entry in self.cooling if isinstance(entry[2], PASSING)]
        if passing:
            return self._all_cooling(passing)
        if self.cooling:  # one of these may offer what the others do not
            return self._out_of_order()
        if self.missing:
            return self._nobody_offers()
        if self.paused:
            return self.paused[0]
        if self.off and all(account.status == "banned" for account in self.off):
            return AccountRejected(self._reasons(), remedy="Sign in again: `copilot-trio add-account`.")
        if self.off:
            return NoAccount(
                f"no account is ready: {self._reasons()}", remedy="`copilot-trio list-accounts` shows them."
            )
        return NoAccount("no account is ready", remedy="Run `copilot-trio auth` to sign in to GitHub.")

    def _after_failures(self, course: Course) -> ProxyError:
        """What went wrong says more than that there is nowhere left to go."""
        errors = list(course.failed.values())
        last = errors[-1]
        if len(self._labels) == 1 or isinstance(last, AccountPaused):
            return last
        told = [f"{self._labels.get(key, key)}: {error.cause}" for key, error in course.failed.items()]
        told += [f"{account.label}: {_shortly(why, seconds)}" for account, seconds, why in self.cooling]
        waits = [error.retry_after for error in errors if error.retry_after is not None]
        waits += [seconds for _, seconds, _ in self.cooling]
        limit = next((error for error in reversed(errors) if isinstance(error, RateLimited | QuotaExhausted)), None)
        if limit is not None:
            combined = RateLimited(
                f"every account of the group {self.group} is limited: {'; '.join(told)}",
                remedy="Nothing was answered.",
                retry_after=min(waits, default=None),
                code=limit.code,
            )
            combined.headers = limit.headers
            return combined
        if len(errors) > 1:
            last.cause = f"{last.cause} (tried: {'; '.join(told)})"
        return last

    def _all_cooling(self, passing: list[tuple[Account, float, ProxyError]]) -> ProxyError:
        only_quota = all(isinstance(why, QuotaExhausted) for _, _, why in passing)
        return (QuotaExhausted if only_quota else RateLimited)(
            f"no account of the group {self.group} can take the request now: {self._reasons()}",
            remedy="Nothing was sent.",
            retry_after=self.soonest(),
            code=passing[0][2].code if len({why.code for _, _, why in passing}) == 1 else None,
        )

    def _out_of_order(self) -> ProxyError:
        if all(isinstance(why, UpstreamRefused) for _, _, why in self.cooling):  # a feature that is not to be had
            error = self.cooling[0][2].fresh()
            error.cause = self._reasons()
            return error
        soonest = min(seconds for _, seconds, _ in self.cooling)
        return NoAccount(f"no account can serve: {self._reasons()}", retry_after=soonest)

    def _nobody_offers(self) -> ProxyError:
        error = self.missing[0]
        if len(self._labels) > 1:
            error.cause = f"{error.cause}, in none of the accounts of the group {self.group} that can be asked"
        return error

    def _reasons(self) -> str:
        told = [f"{account.label}: {_shortly(why, seconds)}" for account, seconds, why in self.cooling]
        told += [
            f"{account.label} is {account.status}" + (f": {account.status_message}" if account.status_message else "")
            for account in self.off
        ]
        told += [error.cause for error in self.paused]
        return "; ".join(told)


def _shortly(why: ProxyError, seconds: float) -> str:
    return f"{why.cause} (for {seconds:.0f} s)"


def cooling_down(account: Account, seconds: float, why: ProxyError) -> ProxyError:
    if not isinstance(why, PASSING):
        error = why.fresh()
        error.retry_after = None if why.retry_after is None else seconds
        return error
    return (QuotaExhausted if isinstance(why, QuotaExhausted) else RateLimited)(
        f"account {account.label} is cooling down for {seconds:.0f} s: {why.cause}",
        remedy="Nothing was sent.",
        retry_after=seconds,
        code=why.code,
    )
