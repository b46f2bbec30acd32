"""The Copilot token of an account: exchanged, refreshed before it ends, one exchange at a time (product.md §4.7)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
import trio

from copilot_trio.accounts.account import Account, CopilotToken
from copilot_trio.accounts.outcome import Outcome, classify
from copilot_trio.config import Identity
from copilot_trio.errors import AccountRejected, ProxyError, UpstreamError
from copilot_trio.unreadable import UNREADABLE
from copilot_trio.upstream.identity import github_headers

from .hosts import DEFAULT_COPILOT, allowed_copilot_base

logger = logging.getLogger(__name__)

MAX_REPLY = 256 * 1024
SKEW = 60.0  # seconds kept in hand before a token's stated end
LONGEST_REFRESH = 24 * 3600.0


class _Endpoints(msgspec.Struct):
    api: str | None = None


class _Envelope(msgspec.Struct):
    token: str
    expires_at: float = 0
    refresh_in: float = 1500
    endpoints: _Endpoints | None = None


class _User(msgspec.Struct):
    login: str = ""


_decode_envelope = msgspec.json.Decoder(_Envelope, strict=False).decode
_decode_user = msgspec.json.Decoder(_User).decode

Judge = Callable[[Account, Outcome], None]
"""Lets a refusal have its effect on the account."""


class TokenSource:
    """``random`` gives jitter in [0, 1); ``now`` is wall-clock seconds."""

    def __init__(
        self,
        identity: Identity,
        random: Callable[[], float],
        judge: Judge,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._identity = identity
        self._random = random
        self._judge = judge
        self._now = now
        self._outcomes: dict[str, Outcome] = {}  # of exchanges that failed, not judged yet

    async def token(self, account: Account, *, instead_of: CopilotToken | None = None) -> CopilotToken:
        """A token that is still good, and not ``instead_of``, which upstream refused.

        Raises ``AccountRejected``, ``AccountPaused``, ``RateLimited``, ``UpstreamError``. A refresh that fails
        while the old token is valid is logged, not raised. Who waits for an exchange that fails shares its failure:
        to dial again for each of them would make the last one wait as often as there are others.
        """
        if (found := self._usable(account, instead_of)) is not None:
            return found
        old = account.token
        if (
            account.token_lock.locked()
            and old is not None
            and old is not instead_of
            and trio.current_time() < old.expires
        ):
            return old  # somebody is fetching the next one, and this one still holds
        before = account.token_failure
        async with account.token_lock:
            if (found := self._usable(account, instead_of)) is not None:
                return found
            try:
                if account.token_failure is not None and account.token_failure is not before:
                    raise account.token_failure.fresh()
                account.token = await self._exchange(account, instead_of)
            except UpstreamError as error:
                old = account.token
                if isinstance(error, AccountRejected) or not self._still_holds(old, instead_of):
                    self._judge_last(account)
                    raise
                assert old is not None
                logger.warning(
                    "%s: the token could not be refreshed, the old one still holds: %s", account.label, error
                )
                old.refresh = trio.current_time() + SKEW  # the same object: who was refused it is not given it again
                return old
            return account.token

    def _usable(self, account: Account, instead_of: CopilotToken | None) -> CopilotToken | None:
        token = account.token
        if token is None or token is instead_of or trio.current_time() >= token.refresh:
            return None
        return token

    @staticmethod
    def _still_holds(token: CopilotToken | None, instead_of: CopilotToken | None) -> bool:
        return token is not None and token is not instead_of and trio.current_time() < token.expires

    def _judge_last(self, account: Account) -> None:
        """What an exchange that failed does to the account, once however many waited for it."""
        outcome = self._outcomes.pop(account.id, None)
        if outcome is not None:
            self._judge(account, outcome)

    async def _exchange(self, account: Account, instead_of: CopilotToken | None) -> CopilotToken:
        try:
            if account.warning is not None:
                raise account.warning.fresh()
            return self._direct(account, instead_of) if account.record.direct else await self._ask(account)
        except ProxyError as error:
            account.token_failure = error.fresh()
            raise

    def _direct(self, account: Account, instead_of: CopilotToken | None) -> CopilotToken:
        """The GitHub token is the bearer (upstream.md §3.3): there is no other to be had."""
        if instead_of is not None:
            rejected = AccountRejected(
                "Copilot refuses the account's token",
                remedy="Add the account again without --direct, or with a token that may request from Copilot.",
            )
            self._outcomes[account.id] = Outcome(rejected.fresh(), "account", becomes="banned")
            raise rejected
        api = account.hosts.copilot or DEFAULT_COPILOT
        return CopilotToken(account.record.github_token, float("inf"), float("inf"), api)

    def _remember(self, account: Account, outcome: Outcome) -> None:
        """A warning holds at once; what else failed matters where the old token does not hold any more (§3.2)."""
        if outcome.scope == "warning":
            self._judge(account, outcome)
        else:
            self._outcomes[account.id] = outcome

    async def _ask(self, account: Account) -> CopilotToken:
        url = f"{account.hosts.github_api}/copilot_internal/v2/token"
        try:
            envelope = _decode_envelope(await github_get(account, url, self._identity, self._remember, self._now))
        except UNREADABLE as error:
            raise UpstreamError(f"GitHub's token reply cannot be read: {error}", cost="none") from None
        return self._accept(account, envelope)

    def _accept(self, account: Account, envelope: _Envelope) -> CopilotToken:
        now = trio.current_time()
        # refresh_in is a duration, so it holds whatever our wall clock says; expires_at does not.
        lifetime = min(max(envelope.refresh_in, 2 * SKEW), LONGEST_REFRESH)
        refresh = now + lifetime * (0.9 + 0.1 * self._random())
        offered = envelope.endpoints.api if envelope.endpoints else None
        api = allowed_copilot_base(offered, account.hosts, account.record.account_type)
        if offered and api != offered.rstrip("/") and account.hosts.copilot is None:
            logger.warning("%s: GitHub offers a Copilot host that is not on the list; using %s", account.label, api)
        return CopilotToken(envelope.token, now + lifetime + SKEW, refresh, api)


async def fetch_login(account: Account, identity: Identity) -> str:
    """The account's login. Raises ``AccountRejected`` or ``UpstreamError``."""
    body = await github_get(account, f"{account.hosts.github_api}/user", identity)
    try:
        return _decode_user(body).login
    except UNREADABLE as error:
        raise UpstreamError(f"GitHub's user reply cannot be read: {error}", cost="none") from None


async def github_get(
    account: Account,
    url: str,
    identity: Identity,
    judge: Judge | None = None,
    now: Callable[[], float] = time.time,
) -> bytes:
    """What GitHub answers with 200. Raises ``ProxyError``, after ``judge`` has seen it; none of these calls costs."""
    try:
        headers = github_headers(identity, account.record.github_token, account)
        async with account.pool.send("GET", url, headers) as answer:
            body = await answer.read(MAX_REPLY)
            if answer.status == 200:
                return body
            outcome = classify(urlsplit(url).path, answer.status, answer.headers, body, now=now())
    except UpstreamError as error:
        error.cost = "none"
        if judge is not None:
            judge(account, Outcome(error, "upstream"))
        raise
    if judge is not None:
        judge(account, outcome)
    raise outcome.error
