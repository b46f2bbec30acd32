"""One GitHub identity with its hosts, token, connections, models and state."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol

import msgspec
import trio

from copilot_trio.errors import AccountPaused, ProxyError
from copilot_trio.models.catalogue import Catalogue

from .quota import Quota

AccountType = Literal["individual", "business", "enterprise"]
Status = Literal["active", "exhausted", "rate_limited", "banned", "error", "disabled"]


class StoredCooldown(msgspec.Struct, frozen=True, omit_defaults=True):
    """``until`` is in Unix seconds, so that it holds over a restart."""

    until: float
    status: Status
    why: str = ""
    code: str | None = None


class AccountRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of an account (product.md §4.1). ``machine_id`` is the account's own, made once.

    ``direct``: the GitHub token itself is Copilot's bearer (upstream.md §3.3). ``status`` is what a person chose or has
    to mend (active, disabled, banned); what passes by itself is in ``cooldowns``, by model id, by :data:`PAID` for the
    models that cost, or by ``""`` for all. ``last_used`` is in Unix seconds.
    """

    id: str
    label: str
    github_token: str
    login: str = ""
    account_type: AccountType = "individual"
    enterprise_host: str | None = None
    proxy: str | None = None
    direct: bool = False
    status: Status = "active"
    status_message: str = ""
    cooldowns: dict[str, StoredCooldown] = {}
    quota: Quota | None = None
    machine_id: str = ""
    added: str = ""
    last_used: float = 0.0

    def __repr__(self) -> str:
        return f"<AccountRecord {self.id} {self.label!r} {self.status}>"  # never the token


class Hosts(msgspec.Struct, frozen=True):
    """Base URLs. ``copilot`` None: where the token reply says, if that is an allowed host."""

    github: str = "https://github.com"
    github_api: str = "https://api.github.com"
    copilot: str | None = None


class CopilotToken(msgspec.Struct):
    """Times are on Trio's clock, so a wrong or jumping wall clock does no harm. Only ``refresh`` changes."""

    value: str
    expires: float
    refresh: float
    api: str  # base URL to use it at

    def __repr__(self) -> str:
        return f"<CopilotToken for {self.api}>"


class Answer(Protocol):
    status: int
    headers: dict[str, str]

    async def receive(self) -> bytes: ...
    async def read(self, limit: int) -> bytes: ...
    async def read_beginning(self, limit: int) -> bytes: ...


class Pool(Protocol):
    """All that an account knows of its connections."""

    def send(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> AbstractAsyncContextManager[Answer]: ...
    def send_frame(
        self, url: str, headers: Sequence[tuple[str, str]], frame: bytes
    ) -> AbstractAsyncContextManager[Answer]: ...
    async def recycle(self) -> None: ...
    async def aclose(self) -> None: ...


class Account:
    def __init__(self, record: AccountRecord, hosts: Hosts, pool: Pool) -> None:
        self.record = record
        self.hosts = hosts
        self.pool = pool
        self.session_id = secrets.token_hex(16)
        self.token: CopilotToken | None = None
        self.token_lock = trio.Lock()  # single-flight: a second caller waits and finds the token, or:
        self.token_failure: ProxyError | None = None  # of the last exchange that failed; never raised itself
        self.warning: AccountPaused | None = None  # never raised itself
        self.catalogue: Catalogue | None = None
        self.in_flight = 0
        self.no_websocket_until = float("-inf")  # upstream refused one lately
        self._resting: dict[str, tuple[float, ProxyError]] = {}  # model ("" for all) -> until when, and why

    def __repr__(self) -> str:
        return f"<Account {self.record.label!r} {self.record.status}, {self.in_flight} in flight>"

    @property
    def label(self) -> str:
        return self.record.label

    @property
    def ready(self) -> bool:
        return self.record.status == "active" and self.warning is None

    def rest(self, seconds: float, why: ProxyError, *, model: str = "") -> None:
        """Cool down, for one model or for all. Of two cooldowns the one that ends later holds."""
        until = trio.current_time() + seconds
        if model not in self._resting or until > self._resting[model][0]:
            self._resting[model] = (until, why.fresh())

    def usable(self, model: str) -> bool:
        """Whether it may be sent on for ``model`` right now; ``Accounts.check`` raises what forbids it."""
        return self.ready and self.resting(model) is None

    def resting(self, model: str) -> tuple[float, ProxyError] | None:
        """For how many more seconds it must not be used for ``model``, and why; None if it may be.

        The reason is kept here: raise a fresh one.
        """
        now = trio.current_time()
        self._resting = {key: (until, why) for key, (until, why) in self._resting.items() if until > now}
        found = [self._resting[key] for key in ("", model) if key in self._resting]
        if not found:
            return None
        until, why = max(found, key=lambda pair: pair[0])
        return until - now, why
