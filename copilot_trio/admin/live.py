"""``GET /api/live``: a WebSocket that tells a dashboard what goes on. It is never waited for.

Messages are JSON objects with ``type`` and ``at`` (Unix ms). First a ``snapshot``: ``accounts`` as ``/api/accounts``
shows them, ``queues`` as ``/api/stats`` does, and ``requests`` under way. Then, as they happen: ``request_begun`` and
``request_ended`` with the ``request`` as ``/api/requests`` shows it, without headers and body; ``account`` with the
``account`` and the ``cause`` of the change; ``queues``, at most one a second; and ``pulse`` where nothing else was said
for a while. Who reads too slowly gets ``lost`` with the number of ``events``, and a new snapshot.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from copilot_trio.accounts.account import Account
from copilot_trio.models.queue import ModelQueues
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router
from copilot_trio.server.upgrade import GOING_AWAY, check_handshake
from copilot_trio.usage.journal import Journal, event

from .office import Office
from .refused import Refused
from .stats import shown_queues

if TYPE_CHECKING:
    from copilot_trio.server.websocket import Socket

MAX_CLIENTS = 20
MAX_MESSAGE = 4096  # of a client, which has nothing to say
LOOK = 1.0  # seconds between two looks at the queues
PULSE = 15.0

Shown = Callable[[], dict[str, Any]]


class Watcher:
    """One client. ``snapshot`` and ``queues`` make what it is told."""

    def __init__(
        self,
        exchange: Exchange,
        socket: Socket,
        journal: Journal,
        snapshot: Shown,
        queues: Shown,
        now: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._socket = socket
        self._journal = journal
        self._snapshot = snapshot
        self._queues = queues
        self._now = now
        self._queues_told: dict[str, Any] = {}
        self._spoke = trio.current_time()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, nursery.cancel_scope)
            await self._tell()
            nursery.cancel_scope.cancel("the server stops")

    async def _listen(self, scope: trio.CancelScope) -> None:
        while await self._socket.receive() is not None:
            pass
        scope.cancel("the client left")

    async def _tell(self) -> None:
        with self._journal.events.follow() as follower:
            await self._send_snapshot()
            while True:
                events: list[bytes] = []
                missed = 0
                with self._exchange.idle() as stop, trio.move_on_after(LOOK):
                    events, missed = await follower.next()
                if stop.cancelled_caught:
                    self._socket.close_code = GOING_AWAY
                    return
                if missed:
                    await self._send(event("lost", self._now(), events=missed))
                    await self._send_snapshot()
                    continue
                for each in events:
                    await self._send(each)
                await self._send_rest()

    async def _send_snapshot(self) -> None:
        self._queues_told = self._queues()
        await self._send(event("snapshot", self._now(), **self._snapshot(), queues=self._queues_told))

    async def _send_rest(self) -> None:
        queues = self._queues()
        if queues != self._queues_told:
            self._queues_told = queues
            await self._send(event("queues", self._now(), queues=queues))
        elif trio.current_time() >= self._spoke + PULSE:
            await self._send(event("pulse", self._now()))

    async def _send(self, message: bytes) -> None:
        """Raises ``trio.BrokenResourceError`` once the client is gone, or has not read for a minute."""
        await self._socket.send(message)
        self._spoke = trio.current_time()


def add_routes(router: Router, office: Office, queues: ModelQueues, journal: Journal) -> None:
    def changed(account: Account, cause: str) -> None:
        if journal.events.followers:
            journal.tell("account", account=office.shown(account), cause=cause)

    office.accounts.changed.append(changed)

    def snapshot() -> dict[str, Any]:
        accounts = [office.shown(account) for account in office.accounts.accounts]
        return {"accounts": accounts, "requests": journal.under_way()}

    def shown() -> dict[str, Any]:
        return shown_queues(queues.snapshot(), {})

    async def live(exchange: Exchange) -> None:
        check_handshake(exchange.request)
        if journal.events.followers >= MAX_CLIENTS:
            raise Refused(503, f"{MAX_CLIENTS} clients watch already, as many as may", retry_after=10)

        from copilot_trio.server.websocket import serve_websocket  # 40 ms and 2 MiB that many never need

        async def run(socket: Socket) -> None:
            await Watcher(exchange, socket, journal, snapshot, shown, office.now).run()

        await serve_websocket(exchange, MAX_MESSAGE, run)

    router.add("GET", "/api/live", live, scope="admin")
