"""What an account needs while it is there: new connections now and then, its quota, a warm tunnel (product.md §4.6).

Each account is kept in a scope of its own: removing it ends that one, and a failure in it is that account's alone.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from copilot_trio.config import AccountSettings
from copilot_trio.errors import ProxyError

from .account import Account, Pool

logger = logging.getLogger(__name__)

FIRST_QUOTA = 5.0  # seconds after the start, at most: accounts do not ask all at once
SPREAD = 0.1  # of the time between two questions

Ask = Callable[[Account], Awaitable[None]]
"""Something about one account that may fail with a ``ProxyError``."""


class Keepers:
    """``random`` is in [0, 1)."""

    def __init__(self, settings: AccountSettings, random: Callable[[], float], *, follow_quota: Ask, ping: Ask) -> None:
        self.settings = settings
        self._random = random
        self._ask_quota = follow_quota
        self._ping = ping
        self._nursery: trio.Nursery | None = None
        self._scopes: dict[str, trio.CancelScope] = {}

    async def run(
        self, accounts: list[Account], *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Until cancelled. Accounts that come later are handed to :meth:`start`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                for account in accounts:
                    self.start(account)
                task_status.started()
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def start(self, account: Account) -> None:
        """Also again, when its way out has changed. Nothing where nobody runs us."""
        self.stop(account)
        if self._nursery is not None:
            scope = self._scopes[account.id] = trio.CancelScope()
            self._nursery.start_soon(self._keep, account, scope)

    def adjust(self, settings: AccountSettings, accounts: list[Account]) -> None:
        """After these settings have changed. Only where a time of ours has, does every account's upkeep begin anew."""
        anew = _times(settings) != _times(self.settings)
        self.settings = settings
        if anew:
            for account in accounts:
                self.start(account)

    def stop(self, account: Account) -> None:
        scope = self._scopes.pop(account.id, None)
        if scope is not None:
            scope.cancel("the account is kept no longer")

    def retire(self, pool: Pool) -> None:
        """Let connections that nobody is given any more drain."""
        if self._nursery is not None:
            self._nursery.start_soon(pool.recycle)

    async def _keep(self, account: Account, scope: trio.CancelScope) -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                for duty in self._duties(account):
                    nursery.start_soon(self._do, duty, account)

    def _duties(self, account: Account) -> list[Ask]:
        tunnel = [self._keep_tunnel_warm] if account.proxied else []
        return [self._renew_connections, self._follow_quota, *tunnel]

    @staticmethod
    async def _do(duty: Ask, account: Account) -> None:
        """A bug in one account's upkeep must not end the others'."""
        try:
            await duty(account)
        except Exception:
            logger.exception("%s: its upkeep failed", account.label)

    async def _renew_connections(self, account: Account) -> None:
        while True:
            jitter = self.settings.pool_jitter * (2 * self._random() - 1)
            await trio.sleep(self.settings.pool_seconds * (1 + jitter))
            await account.pool.recycle()
            logger.debug("%s: new connections", account.label)

    async def _follow_quota(self, account: Account) -> None:
        """Where it was used since upstream last told; never per request."""
        await trio.sleep(FIRST_QUOTA * self._random())
        while True:
            told_to_wait = 0.0
            if account.ready and (account.quota_doubtful or account.exhausted):
                told_to_wait = await self._quietly(self._ask_quota, account, "its quota could not be read")
            await trio.sleep(max(told_to_wait, self.settings.quota_seconds * (1 + SPREAD * self._random())))

    async def _keep_tunnel_warm(self, account: Account) -> None:
        """While something streams through the proxy, a second connection stays open for the next request."""
        while True:
            await trio.sleep(self.settings.ping_seconds)
            if account.in_flight and account.ready:
                await self._quietly(self._ping, account, "no sign of life through its proxy")

    @staticmethod
    async def _quietly(ask: Ask, account: Account, complaint: str) -> float:
        """For how many seconds it must not be asked again, where it said so."""
        try:
            await ask(account)
        except ProxyError as error:
            logger.info("%s: %s: %s", account.label, complaint, error.cause)
            return error.retry_after or 0.0
        return 0.0


def _times(settings: AccountSettings) -> tuple[float, ...]:
    return settings.pool_seconds, settings.pool_jitter, settings.quota_seconds, settings.ping_seconds
