"""The twin: takes a request, asks the pure parts what to answer, and writes it out step by step."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial

import msgspec
import trio
from trio_websocket import WebSocketConnection

from copilot_trio.server.exchange import Exchange

from . import copilot_routes, github, github_routes
from .accounts import Account, AccountChange, Accounts, sample_accounts
from .control import control
from .copilot_routes import Served
from .delivery import Delivery, Finish, Head, Pause, Reset, Step, Write, script, script_messages
from .devices import CodeState, DeviceCode
from .faults import Fault, Scenarios
from .frames import Session
from .records import Record, Records
from .reply import Headers, members, text_reply
from .sockets import hold, perform
from .state import Call, CountTokens, State

PACE = 0.015  # seconds between words: quick, yet one sees it stream
DEVICE_INTERVAL = 5.0


class Twin:
    """GitHub and the Copilot API on one port, told apart by path.

    ``base_url`` is what ``endpoints`` and ``verification_uri`` say; whoever opens the port sets it.
    ``count_tokens`` gives the size of a prompt in tokens where a quarter of its bytes is not exact enough.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        accounts: Iterable[Account] | None = None,
        pace: float = PACE,
        device_interval: float = DEVICE_INTERVAL,
        count_tokens: CountTokens | None = None,
    ) -> None:
        self.state = State(
            sample_accounts() if accounts is None else accounts,
            seed=seed,
            now=now,
            pace=pace,
            device_interval=device_interval,
            count_tokens=count_tokens,
        )
        self._monotonic = monotonic

    @property
    def base_url(self) -> str:
        return self.state.base_url

    @base_url.setter
    def base_url(self, url: str) -> None:
        self.state.base_url = url.rstrip("/")

    @property
    def accounts(self) -> Accounts:
        return self.state.accounts

    @property
    def records(self) -> Records:
        return self.state.records

    def add_fault(self, fault: Fault) -> None:
        self.state.faults.add(fault)

    def clear_faults(self) -> None:
        self.state.faults.clear()

    def load(self, scenarios: Scenarios) -> None:
        """Apply what :func:`.load_scenarios` has read."""
        for change in scenarios.accounts:
            self.change_account(change)
        for fault in scenarios.faults:
            self.add_fault(fault)

    def change_account(self, change: AccountChange) -> Account:
        return self.accounts.apply(change)

    def approve(self, user_code: str, login: str = "") -> DeviceCode:
        """Raises KeyError for an unknown code, ValueError for one that has been decided or an unknown login."""
        return self.decide(user_code, "approved", login)

    def decide(self, user_code: str, state: CodeState, login: str = "") -> DeviceCode:
        return github_routes.decide(self.state, user_code, state, login)

    def expire_tokens(self, login: str) -> None:
        """The account's Copilot tokens are refused from now on, until it asks for a new one."""
        self.state.tokens.expire(login)

    async def control(self, exchange: Exchange) -> None:
        """The control API (:mod:`.control`), for a port of its own."""
        await control(self, exchange)

    async def handle(self, exchange: Exchange) -> None:
        request = exchange.request
        call = Call(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            body=request.body,
            caller=self.state.identify(request.headers.get("authorization", "")),
        )
        with self._recording(call) as record:
            served, delivery = self._respond(call, record, _route)
            steps = script(served.reply, delivery, ping=served.ping)
            await _perform(exchange, steps, record, partial(self._converse, exchange, call, record))

    async def _converse(self, exchange: Exchange, handshake: Call, record: Record, headers: Headers) -> None:
        """What follows a 101."""
        session = Session(self.state, handshake)

        async def hear(connection: WebSocketConnection, message: str | bytes) -> None:
            call = session.call_of(message)
            with self._recording(call, websocket=True) as heard:
                served, delivery = self._respond(call, heard, session.answer)
                frames = session.frames(served)
                heard.status = served.reply.status
                ending = next((index for index, frame in enumerate(frames) if frame.ending), len(frames))
                steps = script_messages([frame.data for frame in frames], ending, delivery)
                await perform(exchange, connection, steps, heard)
                session.settle(frames, delivered=heard.outcome == "finished")

        record.outcome = await hold(exchange, headers, hear)

    @contextmanager
    def _recording(self, call: Call, *, websocket: bool = False) -> Iterator[Record]:
        record = self.records.open(
            call.method, call.path, call.query, call.headers, call.body, self._monotonic(), websocket=websocket
        )
        caller = call.caller
        record.account, record.token_kind, record.token_age = caller.login, caller.kind, caller.token_age
        record.model = _model_of(call.body)
        try:
            yield record
        finally:  # cancelled if the peer leaves
            record.ended = self._monotonic()
            record.outcome = record.outcome or "peer left"

    def _respond(self, call: Call, record: Record, route: Callable[[State, Call], Served]) -> tuple[Served, Delivery]:
        fault = self.state.faults.take(call.method, call.path, record.account, record.model, call.body)
        record.fault = fault is not None
        if fault:
            call = msgspec.structs.replace(call, scenario=fault.scenario)
        instead = fault.reply(self.state.now()) if fault else None
        served = Served(reply=instead, scripted=True) if instead else route(self.state, call)
        record.scenario = served.scenario
        return served, fault.delivery.over(served.delivery) if fault else served.delivery


def _model_of(body: bytes) -> str:
    try:
        return str(members(msgspec.json.decode(body)).get("model", ""))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _route(state: State, call: Call) -> Served:
    methods = github_routes.ROUTES.get(call.path)
    if methods and (route := methods.get(call.method)):
        return Served(reply=route(state, call))
    if methods:
        allowed = (("allow", ", ".join(methods)),)
        return Served(reply=text_reply(405, "Method Not Allowed\n", allowed))
    if call.path.startswith(github_routes.PREFIXES):
        return Served(reply=github.rest_error(404, "Not Found"))
    return copilot_routes.serve(state, call)


async def _perform(
    exchange: Exchange, steps: list[Step], record: Record, upgrade: Callable[[Headers], Awaitable[None]]
) -> None:
    for step in steps:
        match step:
            case Head(status=101, headers=headers):
                record.status = 101
                await upgrade(headers)
                return
            case Head(status=status, headers=headers):
                record.status = status
                await exchange.start(status, headers)
            case Write(data=data):
                await exchange.send(data)
                record.sent += len(data)
            case Pause(seconds=seconds):
                await trio.sleep(seconds)
            case Finish(complete=complete):
                # Said beforehand: a client may hang up as soon as it has the last byte.
                record.outcome = "finished" if complete else "truncated"
                await exchange.finish()
            case Reset():
                record.outcome = "reset"
                await exchange.abort()
