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

from .groups import Member
from .health import ALL, PAID, Health
from .outcome import Status as Status
from .pacing import Pacer
from .quota import Quota

AccountType = Literal["individual", "business", "enterprise"]


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
    models that cost, or by ``""`` for all. ``last_used`` is in Unix seconds. ``preferred``: a person wants new
    conversations of its group to go there first.
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
    preferred: bool = False

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
    """``quota_snapshots``: JSON that came with the last of a WebSocket's frames, once that has been received."""

    status: int
    headers: dict[str, str]
    quota_snapshots: bytes

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
    """``egress`` tells by which way its connections leave; two accounts with the same one fail together."""

    def __init__(
        self,
        record: AccountRecord,
        hosts: Hosts,
        pool: Pool,
        *,
        egress: str = "direct",
        proxied: bool = False,
        health: Health | None = None,
        pacer: Pacer | None = None,
    ) -> None:
        self.record = record
        self.hosts = hosts
        self.pool = pool
        self.egress = egress
        self.proxied = proxied
        self.health = health or Health(failures_allowed=3, error_seconds=60)
        self.pacer = pacer or Pacer()
        self.session_id = secrets.token_hex(16)
        self.token: CopilotToken | None = None
        self.token_lock = trio.Lock()  # single-flight: a second caller waits and finds the token, or:
        self.token_failure: ProxyError | None = None  # of the last exchange that failed; never raised itself
        self.warning: AccountPaused | None = None  # never raised itself
        self.catalogue: Catalogue | None = None
        self.quota: Quota | None = record.quota
        self.quota_doubtful = True  # used since upstream last told in full
        self.in_flight = 0
        self.reserved = 0.0  # of its quota, by what is under way
        self.typical_cost = 1.0  # credits of a request, as they have been lately
        self.last_used = record.last_used  # Unix seconds
        self.last_turn = 0  # which of this run's requests was its latest: clocks may stand still
        self.leases: set[trio.CancelScope] = set()
        self.no_websocket_until = float("-inf")  # upstream refused one lately

    def __repr__(self) -> str:
        return f"<Account {self.record.label!r} {self.status}, {self.in_flight} in flight>"

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def label(self) -> str:
        return self.record.label

    def change(self, **fields: object) -> None:
        """Of what is stored."""
        self.record = msgspec.structs.replace(self.record, **fields)

    @property
    def member(self) -> Member:
        record = self.record
        return Member(record.id, record.label, record.enterprise_host, record.account_type)

    @property
    def ready(self) -> bool:
        """Whether neither a person nor GitHub has switched it off."""
        return self.record.status == "active" and self.warning is None

    @property
    def status(self) -> Status:
        """product.md §4.2. A model's own cooldown leaves it ``active``."""
        if self.warning is not None:
            return "banned"
        if self.record.status != "active":
            return self.record.status
        rest = self.health.resting(PAID, trio.current_time())
        return "active" if rest is None else rest.status

    @property
    def status_message(self) -> str:
        """Why it is not active; empty where it is."""
        if self.warning is not None:
            return self.warning.cause
        if self.record.status != "active":
            return self.record.status_message
        rest = self.health.resting(PAID, trio.current_time())
        return "" if rest is None else rest.why.cause

    @property
    def exhausted(self) -> bool:
        return self.status == "exhausted"

    def rest(self, seconds: float, why: ProxyError, *, model: str = ALL, status: Status = "rate_limited") -> None:
        """Cool down: for one model, for those that cost (``health.PAID``), or for all."""
        self.health.rest(model, trio.current_time() + seconds, status, why)

    def usable(self, model: str, *, free: bool = False) -> bool:
        """Whether it may be sent on for ``model`` right now."""
        return self.ready and self.health.resting(model, trio.current_time(), free=free) is None

    def resting(self, model: str, *, free: bool = False) -> tuple[float, ProxyError] | None:
        """For how many more seconds it must not be used for ``model``, and why; None if it may be.

        The reason is kept here: raise a fresh one.
        """
        now = trio.current_time()
        rest = self.health.resting(model, now, free=free)
        return None if rest is None else (rest.until - now, rest.why)

    def cooldowns(self) -> list[tuple[str, float, Status, ProxyError]]:
        """What rests, for how many more seconds, as what and why."""
        now = trio.current_time()
        return [(key, rest.until - now, rest.status, rest.why) for key, rest in self.health.rests(now)]
