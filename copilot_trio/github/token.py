"""The Copilot token of an account: exchanged, refreshed before it ends, one exchange at a time (product.md §4.7)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

import msgspec
import trio

from copilot_trio.accounts.account import Account, CopilotToken
from copilot_trio.accounts.outcome import clamp_cooldown, is_warning, parse_retry_after, paused, read_error_body
from copilot_trio.config import Identity
from copilot_trio.errors import (
    AccountPaused,
    AccountRejected,
    ProxyError,
    RateLimited,
    UpstreamError,
    UpstreamOverloaded,
)
from copilot_trio.unreadable import UNREADABLE
from copilot_trio.upstream.identity import github_headers

from .hosts import allowed_copilot_base

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


class _Details(msgspec.Struct):
    message: str = ""
    url: str = ""
    notification_id: str = ""


class _Refusal(msgspec.Struct):
    message: str = ""
    error_details: _Details | None = None


class _User(msgspec.Struct):
    login: str = ""


_decode_envelope = msgspec.json.Decoder(_Envelope, strict=False).decode
_decode_refusal = msgspec.json.Decoder(_Refusal).decode
_decode_user = msgspec.json.Decoder(_User).decode

OnWarning = Callable[[Account, AccountPaused], None]


class TokenSource:
    """``random`` gives jitter in [0, 1)."""

    def __init__(self, identity: Identity, random: Callable[[], float], on_warning: OnWarning) -> None:
        self._identity = identity
        self._random = random
        self._on_warning = on_warning

    async def token(self, account: Account, *, instead_of: CopilotToken | None = None) -> CopilotToken:
        """A token that is still good, and not ``instead_of``, which upstream refused.

        Raises ``AccountRejected``, ``AccountPaused``, ``RateLimited``, ``UpstreamError``. A refresh that fails
        while the old token is valid is logged, not raised. Who waits for an exchange that fails shares its failure:
        to dial again for each of them would make the last one wait as often as there are others.
        """
        if (found := self._usable(account, instead_of)) is not None:
            return found
        before = account.token_failure
        async with account.token_lock:
            if (found := self._usable(account, instead_of)) is not None:
                return found
            try:
                if account.token_failure is not None and account.token_failure is not before:
                    raise account.token_failure.fresh()
                account.token = await self._exchange(account)
            except UpstreamError as error:
                old = account.token
                if isinstance(error, AccountRejected) or old is None or old is instead_of:
                    raise
                if trio.current_time() >= old.expires:
                    raise
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

    async def _exchange(self, account: Account) -> CopilotToken:
        try:
            return await self._ask(account)
        except ProxyError as error:
            account.token_failure = error.fresh()
            raise

    async def _ask(self, account: Account) -> CopilotToken:
        if account.warning is not None:
            raise account.warning.fresh()
        url = f"{account.hosts.github_api}/copilot_internal/v2/token"
        try:
            body = await _get(account, url, self._identity)
        except AccountPaused as warning:
            self._on_warning(account, warning.fresh())
            raise
        except (RateLimited, AccountRejected) as error:
            # GitHub's limits are obeyed like Copilot's, and a credential that it refuses is not tried at every request.
            account.rest(clamp_cooldown(error.retry_after), error)
            raise
        try:
            envelope = _decode_envelope(body)
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
    body = await _get(account, f"{account.hosts.github_api}/user", identity)
    try:
        return _decode_user(body).login
    except UNREADABLE as error:
        raise UpstreamError(f"GitHub's user reply cannot be read: {error}", cost="none") from None


async def _get(account: Account, url: str, identity: Identity) -> bytes:
    """What GitHub answers with 200. Raises ``ProxyError``; none of these calls costs anything."""
    try:
        async with account.pool.send("GET", url, github_headers(identity, account.record.github_token)) as answer:
            body = await answer.read(MAX_REPLY)
            if answer.status != 200:
                raise _refusal(answer.status, answer.headers, body)
            return body
    except UpstreamError as error:
        error.cost = "none"
        raise


def _refusal(status: int, headers: dict[str, str], body: bytes) -> ProxyError:
    """upstream.md §3.2, the table at its end."""
    if is_warning(status, body):
        return paused(read_error_body(body).message)
    said = read_error_body(body).message
    if status == 401:
        return AccountRejected("GitHub refuses the account's token", remedy="Run `copilot-trio auth` to sign in again.")
    limited = status == 429 or (status == 403 and "rate limit" in said.lower())
    if limited:
        cooldown = clamp_cooldown(_until_reset(headers))
        return RateLimited(f"GitHub limits the rate: {said}", retry_after=cooldown)
    if status == 403:
        return _no_access(body)
    if status == 404:
        return AccountRejected(
            "GitHub does not know the token endpoint for this kind of token",
            remedy="Sign in with `copilot-trio auth` instead of a personal access token.",
        )
    return UpstreamOverloaded(f"GitHub answered {status} to the token exchange", status=503 if status >= 500 else 502)


def _until_reset(headers: dict[str, str]) -> float | None:
    retry_after = parse_retry_after(headers.get("retry-after"), time.time())
    reset = headers.get("x-ratelimit-reset", "")
    if retry_after is None and re.fullmatch(r"[0-9]{1,12}", reset):
        return max(0.0, float(reset) - time.time())
    return retry_after


def _no_access(body: bytes) -> AccountRejected:
    try:
        refusal = _decode_refusal(body)
    except UNREADABLE:
        refusal = _Refusal()
    details = refusal.error_details or _Details()
    cause = details.message or refusal.message or "GitHub grants this account no Copilot"
    return AccountRejected(
        cause, remedy=f"See {details.url}." if details.url else "", code=details.notification_id or None
    )
