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
from copilot_trio.admin import codex_proxy, management, monitoring, page
from copilot_trio.admin import config as admin_config
from copilot_trio.admin import models as admin_models
from copilot_trio.admin.codex_proxy import Home
from copilot_trio.admin.config import Facts
from copilot_trio.admin.office import Office
from copilot_trio.admin.sign_in import SignIns
from copilot_trio.admin.traffic import Traffic
from copilot_trio.admission import Admission, Approval, Pace, Person
from copilot_trio.api import compact, count_tokens, embeddings, generate, health, models, websocket
from copilot_trio.attempt import Attempts
from copilot_trio.config import Config
from copilot_trio.dialects.gate import GateSettings
from copilot_trio.github.quota import fetch_quota
from copilot_trio.github.token import TokenSource
from copilot_trio.logs import LogRing
from copilot_trio.models.catalogue import Catalogue
from copilot_trio.models.queue import ModelQueues
from copilot_trio.relay import Relay, RelaySettings
from copilot_trio.reload import Amend, Reloader
from copilot_trio.server.auth import Access
from copilot_trio.server.dispatch import Dispatcher, refuse
from copilot_trio.server.listen import Limits, Server
from copilot_trio.server.router import Router
from copilot_trio.server.sessions import Sessions
from copilot_trio.tokens.exact import exact_counter
from copilot_trio.tokens.ledger import TokenLedger
from copilot_trio.upstream.copilot import Copilot
from copilot_trio.upstream.egress import Egress, direct
from copilot_trio.upstream.pool import AccountPool, Timeouts
from copilot_trio.upstream.tls import shared_context
from copilot_trio.usage.journal import Journal
from copilot_trio.usage.ledger import Ledger
from copilot_trio.usage.record import UsageRecord
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
    while it runs. So is ``config_file``, of which ``config`` is what it says now: ``amend`` puts flags above it, and
    ``access_of`` says who may call then, raising ``ValueError`` for what would let everybody in; without it ``access``
    holds whatever the file says. ``approve``: who is asked before each model request. Requests are recorded in
    ``usage_file``. ``ring`` has the newest log lines; ``show_token`` lets ``GET /token`` answer. ``home``: which
    of a person's own files may be looked into. Raises ``DamagedFile``.
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
        config_file: Path | None = None,
        amend: Amend = lambda config: config,
        access_of: Callable[[Config], Access] | None = None,
        approve: Person | None = None,
        pace: Pace | None = None,
        usage_file: Path | None = None,
        ring: LogRing | None = None,
        show_token: bool = False,
        home: Home | None = None,
        ca_file: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._reloader: Reloader | None = None
        self._access_of = access_of or (lambda _: access)
        if config_file is not None:
            self._reloader = Reloader(config_file, config, apply=self._apply, check=self._access_of, amend=amend)
            config = self._reloader.running
        self.chosen: tuple[str, str] | None = None  # Claude Code's main and fast model, where somebody was asked
        self._config = config
        self._mapping = dict(config.model_mapping)  # kept by every catalogue, so that a change holds for all
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
        self.queues = ModelQueues(config.concurrency, config.timeouts.wait)
        self._attempts = attempts = Attempts(
            self.accounts, self._copilot, self.queues, websocket=config.upstream_websocket
        )
        ledger = TokenLedger(exact_counter)
        self._search = SearchRouting(config.web_search_model)
        self._settings = settings = RelaySettings(config.timeouts.silence, _gate(config))
        approval = None if approve is None else Approval(approve, lambda pin: self.accounts.of_group(pin)[0])
        admission = Admission(pace, approval)
        relay = Relay(attempts, settings, ledger, self._search, admission)
        router = Router()
        generate.add_routes(router, relay)
        websocket.add_routes(router, relay, limits.max_body, served=lambda: self._config.websocket)
        compact.add_routes(router, attempts, settings, admission)
        embeddings.add_routes(router, attempts, settings)
        count_tokens.add_routes(router, self.accounts, ledger)
        models.add_routes(router, self.accounts)
        temporary = frozenset(seat.record.id for seat in seats)
        open_account = None if equip is None else self._of_file
        office = Office(config, self.accounts, self.sync, open_account, tokens, self.follow_quota, temporary, now)
        self.sign_ins = SignIns(office)
        admin_accounts.add_routes(router, office, self.sign_ins)
        health.add_routes(router, self.accounts, lambda: codex_proxy.health_fields(office))
        traffic = Traffic()
        management.add_routes(router, office, self.sign_ins, traffic)
        codex_proxy.add_routes(router, office, self.sign_ins, self._reloader, home or Home())
        if self._reloader is not None:
            admin_models.add_routes(router, self.accounts, self._reloader)
            admin_config.add_routes(router, self._reloader, self._facts)
        self.usage = None if usage_file is None else Ledger(usage_file, now)
        record = (lambda _: None) if self.usage is None else self.usage.put

        def ended(request: UsageRecord) -> None:
            record(request)
            traffic.put(request)

        self.journal = Journal(ended, now, inspecting=config.inspect_bodies)
        monitoring.add_routes(
            router, office, self.queues, self.journal, self.usage, ring or LogRing(), tokens, show_token=show_token
        )
        sessions = Sessions()
        page.add_routes(router, sessions, lambda: self._dispatcher.access)
        self.router = router
        self._dispatcher = dispatcher = Dispatcher(router, access, limits.max_body, self.journal, sessions)
        self.server = Server(dispatcher.handle, limits, refuse, dispatcher.admit_head)

    async def keep(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """What goes on beside the requests: the accounts' upkeep and their file. Until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.keepers.run, self.accounts.accounts)
            await nursery.start(self.sign_ins.run)
            if self.sync is not None:
                await nursery.start(self.sync.run)
            if self._reloader is not None:
                await nursery.start(self._reloader.run)
            task_status.started()

    async def record(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Store what requests were. Until cancelled, which should be after the last of them."""
        if self.usage is None:
            task_status.started()
        else:
            await self.usage.run(task_status=task_status)

    async def aclose(self) -> None:
        for account in self.accounts.accounts:
            await account.pool.aclose()

    @property
    def keyed(self) -> bool:
        """Whether callers need a key."""
        return bool(self._dispatcher.access.keys)

    def _facts(self) -> Facts:
        return Facts(self.keyed, *(self.chosen or (None, None)))

    def _apply(self, config: Config) -> None:
        """Other settings hold from the next request on; what runs is not touched."""
        self._config = config
        self.accounts.adjust(config.accounts, config.groups, config.timeouts.wait)
        self.queues.max_wait = config.timeouts.wait
        self.queues.set_limits(config.concurrency)
        self._mapping.clear()
        self._mapping.update(config.model_mapping)
        self._settings.silence, self._settings.gate = config.timeouts.silence, _gate(config)
        self._search.model = config.web_search_model
        self._attempts.websocket = config.upstream_websocket
        self.journal.inspect(on=config.inspect_bodies)
        access = self._access_of(config)
        if self._dispatcher.access.keys and not access.keys:
            logger.warning("no API key is left: whoever reaches this server may use it")
        self._dispatcher.access = access

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

        account.catalogue = Catalogue(fetch, self._mapping)
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


def _gate(config: Config) -> GateSettings:
    return GateSettings(
        keep_billing_header=config.keep_billing_header,
        auto_thinking=config.auto_thinking,
        web_search=config.web_search_model is not None,
    )


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
    async with trio.open_nursery() as last:
        await last.start(app.record)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_obey_signals, app.server, nursery.cancel_scope)
            await nursery.start(app.keep)
            await nursery.start(_serve_then_cancel, app, listeners, nursery.cancel_scope)
            if beside is not None:
                nursery.start_soon(_harmless, beside)
            task_status.started()
        last.cancel_scope.cancel("no request is left to be recorded")
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
