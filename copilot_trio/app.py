"""The composition root: settings in, running server out. The only module that knows everything."""

from __future__ import annotations

import logging
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec
import trio

from copilot_trio.accounts.account import Account, AccountRecord, Hosts
from copilot_trio.accounts.health import Health
from copilot_trio.accounts.keeper import Keepers
from copilot_trio.accounts.pacing import Pacer
from copilot_trio.accounts.registry import Accounts
from copilot_trio.accounts.sync import Sync
from copilot_trio.admin import accounts as admin_accounts
from copilot_trio.admin.office import Office
from copilot_trio.api import compact, count_tokens, embeddings, generate, health, models, websocket
from copilot_trio.attempt import Attempts
from copilot_trio.config import Config
from copilot_trio.dialects.gate import GateSettings
from copilot_trio.github.quota import fetch_quota
from copilot_trio.github.token import TokenSource
from copilot_trio.models.catalogue import Catalogue
from copilot_trio.models.queue import ModelQueues
from copilot_trio.relay import Relay, RelaySettings
from copilot_trio.server.auth import Access
from copilot_trio.server.dispatch import Dispatcher, refuse
from copilot_trio.server.listen import Limits, Server
from copilot_trio.server.router import Router
from copilot_trio.tokens.exact import exact_counter
from copilot_trio.tokens.ledger import TokenLedger
from copilot_trio.upstream.copilot import Copilot
from copilot_trio.upstream.egress import Egress, direct
from copilot_trio.upstream.pool import AccountPool, Timeouts
from copilot_trio.upstream.tls import shared_context
from copilot_trio.websearch import SearchRouting

logger = logging.getLogger(__name__)

DESCRIPTORS_KEPT = 64  # for files, the loop, GitHub calls
DESCRIPTORS_PER_CONNECTION = 2  # a client's and the upstream's


class CannotListen(Exception):
    """The address is taken, not ours, or unknown."""


class Seat(msgspec.Struct, frozen=True):
    """An account as it is to be used: by which hosts and which way out."""

    record: AccountRecord
    hosts: Hosts
    egress: Egress = msgspec.field(default_factory=direct)


class App:
    """Everything but the sockets. ``handle`` and ``refuse`` go into a :class:`Server`.

    ``seats`` are accounts of this run alone; ``equip`` makes seats of those in ``accounts_file``, which are followed
    while it runs. Raises ``DamagedFile``.
    """

    def __init__(
        self,
        config: Config,
        seats: Sequence[Seat],
        access: Access,
        limits: Limits,
        *,
        accounts_file: Path | None = None,
        equip: Callable[[AccountRecord], Seat] | None = None,
        ca_file: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._now = now
        self._ca_file = ca_file
        self._equip = equip
        self.accounts = Accounts(
            settings=config.accounts,
            groups=config.groups,
            max_wait=config.timeouts.wait,
            now=now,
            random=random.random,
        )
        tokens = TokenSource(config.identity, random.random, self.accounts.judge, now)
        self._copilot = Copilot(config.identity, tokens, self.accounts, now)
        for seat in seats:
            self.accounts.add(self._account(seat))
        self.keepers = self.accounts.keepers = Keepers(
            config.accounts, random.random, follow_quota=self.follow_quota, ping=self._copilot.ping
        )
        self.sync: Sync | None = None
        if accounts_file is not None:
            self.sync = Sync(accounts_file, self.accounts, self._of_file, self._reroute, now, follow=equip is not None)
            self.sync.load()
        gate = GateSettings(
            keep_billing_header=config.keep_billing_header,
            auto_thinking=config.auto_thinking,
            web_search=config.web_search_model is not None,
        )
        self.queues = ModelQueues(config.concurrency, config.timeouts.wait)
        attempts = Attempts(self.accounts, self._copilot, self.queues, websocket=config.upstream_websocket)
        ledger = TokenLedger(exact_counter)
        search = SearchRouting(config.web_search_model)
        relay = Relay(attempts, RelaySettings(config.timeouts.silence, gate), ledger, search)
        router = Router()
        generate.add_routes(router, relay)
        websocket.add_routes(router, relay, limits.max_body, served=config.websocket)
        compact.add_routes(router, attempts, gate, config.timeouts.silence)
        embeddings.add_routes(router, attempts, config.timeouts.silence)
        count_tokens.add_routes(router, self.accounts, ledger)
        models.add_routes(router, self.accounts)
        health.add_routes(router, self.accounts)
        temporary = frozenset(seat.record.id for seat in seats)
        open_account = None if equip is None else self._of_file
        office = Office(config, self.accounts, self.sync, open_account, tokens, self.follow_quota, temporary, now)
        admin_accounts.add_routes(router, office)
        self.router = router
        dispatcher = Dispatcher(router, access, limits.max_body)
        self.server = Server(dispatcher.handle, limits, refuse, dispatcher.admit_head)

    async def keep(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """What goes on beside the requests: the accounts' upkeep and their file. Until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.keepers.run, self.accounts.accounts)
            if self.sync is not None:
                await nursery.start(self.sync.run)
            task_status.started()

    async def aclose(self) -> None:
        for account in self.accounts.accounts:
            await account.pool.aclose()

    async def follow_quota(self, account: Account) -> None:
        """Ask GitHub what is left. Raises ``ProxyError``."""
        quota = await fetch_quota(account, self._config.identity, self.accounts.judge, self._now)
        self.accounts.told(account, quota)

    def _of_file(self, record: AccountRecord) -> Account:
        assert self._equip is not None
        return self._account(self._equip(record))

    def _account(self, seat: Seat) -> Account:
        settings = self._config.accounts
        account = Account(
            seat.record,
            seat.hosts,
            self._pool(seat),
            egress=seat.egress.key,
            proxied=seat.egress.proxied,
            health=Health(settings.failures_allowed, settings.error_seconds),
            pacer=Pacer(max_wait=self._config.timeouts.wait),
        )

        async def fetch() -> bytes:
            return await self._copilot.fetch_models(account)

        account.catalogue = Catalogue(fetch, self._config.model_mapping)
        return account

    def _pool(self, seat: Seat) -> AccountPool:
        timeouts = Timeouts(connect=self._config.timeouts.connect, read=self._config.timeouts.response_headers)
        return AccountPool(seat.egress.dial, lambda: shared_context(self._ca_file), timeouts)

    def _reroute(self, account: Account) -> None:
        """After a change of its record: other hosts or another way out. What streams goes on where it began."""
        assert self._equip is not None
        seat = self._equip(account.record)
        self.keepers.retire(account.pool)
        account.hosts, account.pool = seat.hosts, self._pool(seat)
        account.egress, account.proxied = seat.egress.key, seat.egress.proxied
        if account.catalogue is not None:
            account.catalogue.doubt()
        self.keepers.start(account)


async def serve(
    app: App,
    host: str,
    port: int,
    *,
    on_listening: Callable[[str, int], None],
    beside: Callable[[], Awaitable[None]] | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Listen and serve until SIGTERM or Ctrl-C; a second signal cancels what still runs. Raises ``CannotListen``.

    ``beside`` runs once the server does; what it raises is logged and harms nobody.
    """
    try:
        listeners = await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    bound = listeners[0].socket.getsockname()
    on_listening(bound[0], bound[1])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_obey_signals, app.server, nursery.cancel_scope)
        await nursery.start(app.keep)
        await nursery.start(_serve_then_cancel, app, listeners, nursery.cancel_scope)
        if beside is not None:
            nursery.start_soon(_harmless, beside)
        task_status.started()
    await app.aclose()


async def _harmless(run: Callable[[], Awaitable[None]]) -> None:
    try:
        await run()
    except Exception:
        logger.exception("a task beside the server failed")


async def _serve_then_cancel(
    app: App,
    listeners: list[trio.SocketListener],
    scope: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    await app.server.serve(listeners, task_status=task_status)
    scope.cancel("the server has stopped")


async def _obey_signals(server: Server, scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            logger.info("stopping; answers under way may finish, a second signal cuts them off")
            server.stop()
            break
        async for _ in signals:
            scope.cancel("second signal")
            break


def connection_cap(wanted: int) -> int:
    """As many connections as the descriptors carry, the soft limit raised towards the hard one."""
    try:
        import resource
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    if soft < target:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
            soft = target
        except (OSError, ValueError):
            logger.debug("the descriptor limit stays at %d", soft)
    return max(1, min(wanted, (soft - DESCRIPTORS_KEPT) // DESCRIPTORS_PER_CONNECTION))
