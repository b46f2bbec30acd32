"""Calls to Copilot over one account's connections. What is not 200 is raised as a ``Refusal``."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import msgspec
import trio

from copilot_trio.accounts.account import Account, Answer, CopilotToken
from copilot_trio.accounts.outcome import Outcome, Refusal, classify
from copilot_trio.config import Identity
from copilot_trio.dialects.responses.session import request_frame
from copilot_trio.errors import NoWebSocket, UpstreamError
from copilot_trio.github.token import TokenSource

from .identity import Headers, call_headers, copilot_headers, models_headers

logger = logging.getLogger(__name__)

WEBSOCKET_PAUSE = 600.0  # seconds over HTTP after a refused upgrade
MAX_ERROR = 64 * 1024
PASSED_ON = ("x-github-request-id", "retry-after")
PASSED_ON_PREFIXES = ("x-ratelimit-", "x-quota-snapshot-", "x-usage-ratelimit-")
MAX_MODELS = 8 * 1024 * 1024


class Call(msgspec.Struct, frozen=True):
    """One model call. ``initiator`` stays the same over our own permitted re-sends."""

    endpoint: str
    body: bytes
    initiator: str
    request_id: str
    vision: bool = False
    betas: str | None = None
    stream: bool = False
    extra_headers: tuple[tuple[str, str], ...] = ()  # what upstream's own list says the model needs
    intent: str | None = None  # instead of the identity's
    interaction: str | None = None
    websocket: bool = False  # over a WebSocket, if upstream lets us


class Observer(Protocol):
    """Learns from every reply what becomes of the account."""

    def judge(self, account: Account, outcome: Outcome) -> None: ...
    def heard(self, account: Account, headers: Mapping[str, str]) -> None: ...


class Copilot:
    """``now`` is wall-clock seconds."""

    def __init__(
        self, identity: Identity, tokens: TokenSource, observer: Observer, now: Callable[[], float] = time.time
    ) -> None:
        self._identity = identity
        self._tokens = tokens
        self._observer = observer
        self._now = now

    async def token(self, account: Account, *, instead_of: CopilotToken | None = None) -> CopilotToken:
        return await self._tokens.token(account, instead_of=instead_of)

    @asynccontextmanager
    async def send(self, account: Account, call: Call, token: CopilotToken) -> AsyncIterator[Answer]:
        """Yield a 200. Raises ``Refusal`` for anything else, and the pool's errors."""
        headers: Headers = [
            *call_headers(
                self._identity,
                account,
                token.value,
                call.request_id,
                initiator=call.initiator,
                vision=call.vision,
                betas=call.betas,
                stream=call.stream,
                intent=call.intent,
                interaction=call.interaction,
            ),
            *call.extra_headers,
        ]
        if call.websocket and trio.current_time() >= account.no_websocket_until:
            try:
                async with self._send_frame(account, call, token, headers) as answer:
                    await self._look_at(account, call.endpoint, answer)
                    yield answer
                return
            except NoWebSocket as error:
                account.no_websocket_until = trio.current_time() + WEBSOCKET_PAUSE
                logger.info("%s: %s; over HTTP for a while", account.label, error)
        async with account.pool.send("POST", token.api + call.endpoint, headers, call.body) as answer:
            await self._look_at(account, call.endpoint, answer)
            yield answer

    async def _look_at(self, account: Account, endpoint: str, answer: Answer) -> None:
        self._observer.heard(account, answer.headers)
        if answer.status != 200:
            raise await self._refusal(endpoint, answer)

    def _send_frame(
        self, account: Account, call: Call, token: CopilotToken, headers: Headers
    ) -> AbstractAsyncContextManager[Answer]:
        """Over a WebSocket the initiator is in the frame (upstream.md §9.1)."""
        unwanted = {"X-Initiator", "Content-Type", "Accept"}
        shown = [(name, value) for name, value in headers if name not in unwanted]
        return account.pool.send_frame(token.api + call.endpoint, shown, request_frame(call.body, call.initiator))

    async def fetch_models(self, account: Account) -> bytes:
        """The raw list, which costs nothing. A 401 is answered by one refresh. Raises ``ProxyError``."""
        try:
            return await self._fetch_models_or_refresh(account)
        except UpstreamError as error:
            error.cost = "none"
            raise

    async def _ask_for_models(self, account: Account, token: CopilotToken) -> bytes:
        try:
            return await self._fetch_models(account, token)
        except UpstreamError as error:
            self._observer.judge(account, Outcome(error, "upstream"))
            raise

    async def _fetch_models_or_refresh(self, account: Account) -> bytes:
        token = await self.token(account)
        try:
            return await self._ask_for_models(account, token)
        except Refusal as refusal:
            if refusal.outcome.repair not in {"refresh_token", "reread_host"}:
                self._observer.judge(account, refusal.outcome)
                raise refusal.outcome.error from None
        fresh = await self.token(account, instead_of=token)
        try:
            return await self._ask_for_models(account, fresh)
        except Refusal as refusal:
            self._observer.judge(account, refusal.outcome)
            raise refusal.outcome.error from None

    async def _fetch_models(self, account: Account, token: CopilotToken) -> bytes:
        headers = models_headers(self._identity, account, token.value, str(uuid.uuid4()))
        async with account.pool.send("GET", f"{token.api}/models", headers) as answer:
            if answer.status != 200:
                raise await self._refusal("/models", answer)
            return await answer.read(MAX_MODELS)

    async def ping(self, account: Account) -> None:
        """A sign of life through the account's own proxy, which costs nothing. Raises ``ProxyError``."""
        token = await self.token(account)
        headers = copilot_headers(self._identity, account, token.value, str(uuid.uuid4()))
        async with account.pool.send("GET", f"{token.api}/_ping", headers) as answer:
            await answer.read_beginning(MAX_ERROR)

    async def _refusal(self, endpoint: str, answer: Answer) -> Refusal:
        body = await answer.read_beginning(MAX_ERROR)
        outcome = classify(endpoint, answer.status, answer.headers, body, now=self._now())
        outcome.error.headers = [(name, value) for name, value in passed_on(answer) if name != "retry-after"]
        return Refusal(outcome)


def passed_on(answer: Answer) -> list[tuple[str, str]]:
    """What of upstream's headers a client gets to see (product.md §5.10)."""
    return [
        (name, value)
        for name, value in answer.headers.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_PREFIXES)
    ]
