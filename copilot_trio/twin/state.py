"""Everything the twin remembers, in one place that the routes read and change. No I/O, and no clock but the given."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from .accounts import Account, Accounts
from .devices import DeviceCodes
from .faults import Faults
from .identifiers import Identifiers, Seal
from .prompt import Prompt
from .records import Records, TokenKind
from .reply import Reply
from .scenario import Counters
from .tokens import CopilotTokens


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whose token came with a request. ``expired``: a Copilot token past its time."""

    kind: TokenKind = "none"
    scheme: str = ""
    secret: str = ""
    account: Account | None = None
    expired: bool = False
    token_age: float | None = None

    @property
    def login(self) -> str:
        return self.account.login if self.account else ""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the routes see it."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    caller: Caller
    scenario: str = ""  # set by a fault: as if the prompt had said so

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


Route = Callable[["State", Call], Reply]
CountTokens = Callable[[Prompt], int]


class State:
    def __init__(
        self,
        accounts: Iterable[Account],
        *,
        seed: int,
        now: Callable[[], float],
        pace: float,
        device_interval: float,
        count_tokens: CountTokens | None = None,
    ) -> None:
        self.now = now
        self.pace = pace
        self.base_url = ""
        self._count_tokens = count_tokens
        self.rest_calls = 0
        self.identifiers = Identifiers(seed)
        self.seal = Seal(self.identifiers)
        self.accounts = Accounts(accounts)
        self.devices = DeviceCodes(self.identifiers, device_interval)
        self.tokens = CopilotTokens(self.identifiers)
        self.faults = Faults()
        self.records = Records()
        self.counters = Counters()

    def counted(self, prompt: Prompt) -> Prompt:
        """The prompt with its exact size, if somebody gave us a tokenizer."""
        if self._count_tokens is None:
            return prompt
        return msgspec.structs.replace(prompt, tokens=self._count_tokens(prompt))

    def identify(self, authorization: str) -> Caller:
        """Who is it? Nothing is refused here: the two hosts refuse in different words."""
        if not authorization:
            return Caller()
        scheme, _, secret = authorization.strip().partition(" ")
        secret = secret.strip()
        if account := self.accounts.by_token(secret):
            return Caller(kind="github", scheme=scheme, secret=secret, account=account)
        token = self.tokens.find(secret)
        if token is None or token.login not in self.accounts:
            return Caller(kind="unknown", scheme=scheme, secret=secret)
        now = self.now()
        return Caller(
            kind="copilot",
            scheme=scheme,
            secret=secret,
            account=self.accounts[token.login],
            expired=now >= token.expires_at,
            token_age=now - token.issued_at,
        )
