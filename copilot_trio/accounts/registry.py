"""The configured accounts, and the lease: the right to send one request through one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio

from copilot_trio.errors import AccountPaused, NoAccount, ProxyError, QuotaExhausted, RateLimited, UpstreamOverloaded

from .account import Account
from .outcome import Outcome

Paused = Callable[[Account], None]
"""Told when GitHub warned about an account, so that it stays paused over a restart."""

PASSING = (RateLimited, QuotaExhausted, UpstreamOverloaded)  # what waiting mends


class Accounts:
    def __init__(
        self, accounts: Sequence[Account], *, max_wait: float = 30.0, on_paused: Paused = lambda _: None
    ) -> None:
        self.accounts = list(accounts)
        self._max_wait = max_wait
        self._on_paused = on_paused

    def __repr__(self) -> str:
        return f"<Accounts {self.accounts!r}>"

    def preferred(self) -> Account:
        """The account that requests go to: the first that is active. Raises ``AccountPaused`` or ``NoAccount``."""
        for account in self.accounts:
            if account.warning is not None:
                raise account.warning.fresh()  # what was its to answer does not move on to another (product.md §4.5)
            if account.record.status == "active":
                return account
        raise NoAccount("no account is ready", remedy="Run `copilot-trio auth` to sign in to GitHub.")

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[Account]:
        """The right to send one request through an account that may be used now, see :meth:`rested`."""
        account = self.preferred()
        await self.rested(account)
        account.in_flight += 1
        try:
            yield account
        finally:
            account.in_flight -= 1

    async def rested(self, account: Account, model: str = "") -> None:
        """Wait out a cooldown, of the account or of one model on it, if it is short enough.

        Raises what :meth:`check` does where there is no waiting, or no more of it.
        """
        waited = 0.0
        while account.ready and (rest := account.resting(model)) is not None:
            seconds, why = rest
            if not isinstance(why, PASSING) or waited + seconds > self._max_wait:
                break
            waited += seconds
            await trio.sleep(seconds)
        self.check(account, model)

    def check(self, account: Account, model: str = "") -> None:
        """Raise what forbids sending on the account for the model right now; nothing where it is usable.

        ``AccountPaused`` for a warning, ``NoAccount`` where it is disabled, ``RateLimited`` with the time that is left
        of a cooldown; what no waiting mends is raised again as it was.
        """
        if account.warning is not None:
            raise account.warning.fresh()
        if not account.ready:
            raise NoAccount(f"account {account.label} is disabled")
        if (rest := account.resting(model)) is not None:
            raise _cooling_down(account, *rest)

    def judge(self, account: Account, outcome: Outcome, model: str) -> None:
        """Let a refusal have its effect on the account that it came from."""
        if isinstance(outcome.error, AccountPaused):
            account.warning = outcome.error.fresh()
            self._on_paused(account)
        elif outcome.cooldown is not None and outcome.scope in {"model", "account"}:
            account.rest(outcome.cooldown, outcome.error, model=model if outcome.scope == "model" else "")


def _cooling_down(account: Account, seconds: float, why: ProxyError) -> ProxyError:
    if not isinstance(why, PASSING):
        return why.fresh()
    return RateLimited(
        f"account {account.label} is cooling down for {seconds:.0f} s: {why.cause}",
        remedy="Nothing was sent.",
        retry_after=seconds,
        code=why.code,
    )
