"""What a refusal from upstream means, from endpoint, status, headers and body; never from the status alone. Pure.

The rows are those of upstream.md §12; the scopes and permitted repairs those of product.md §4.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qs

import msgspec

from copilot_trio.errors import (
    AccountPaused,
    AccountRejected,
    ContentFiltered,
    ContextTooLong,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRefused,
)
from copilot_trio.unreadable import UNREADABLE

from .error_body import (
    DEFAULT_COOLDOWN,
    MAX_COOLDOWN,
    MIN_COOLDOWN,
    ErrorBody,
    clamp_cooldown,
    is_warning,
    parse_retry_after,
    read_error_body,
)

Status = Literal["active", "exhausted", "rate_limited", "banned", "error", "disabled"]
Scope = Literal["request", "model", "account", "upstream", "warning"]
Repair = Literal[
    "none", "resend", "refresh_token", "reread_host", "switch_endpoint", "drop_thinking", "strip_ids", "drop_encrypted"
]

QUOTA_ENDPOINT = "/copilot_internal/user"
WARNED = "GitHub warned about this account: "
GITHUB_ENDPOINTS = {"/copilot_internal/v2/token", QUOTA_ENDPOINT, "/user"}
GHES_PREFIX = "/api/v3"
PROVIDER_COOLDOWN = 5.0  # seconds without a word of upstream's; a client that waits for it still gets its status
FEATURE_COOLDOWN = 300.0  # seconds until a model that the account may not use is tried on it again
NO_SEAT_COOLDOWN = MAX_COOLDOWN  # an account without Copilot is not asked about every minute (upstream.md §3.2)
MAX_QUOTA_WAIT = 32 * 24 * 3600.0  # a month
MAX_WINDOW = 7 * 24 * 3600.0  # the longest of upstream's windows is a week
QUOTA_CODES = {
    "quota_exceeded", "free_quota_exceeded", "overage_limit_reached", "billing_not_configured",
    "additional_spend_limit_reached",
}  # fmt: skip
WINDOWS = {
    "user_global_rate_limited": "x-usage-ratelimit-session",
    "user_weekly_rate_limited": "x-usage-ratelimit-weekly",
}
MODEL_RATE_LIMITS = {"user_model_rate_limited", "model_overloaded", "upstream_provider_rate_limit"}
TOO_LONG_CODES = {"context_length_exceeded", "model_max_prompt_tokens_exceeded"}

_PROMPT_TOKENS = re.compile(r"prompt token count of (\d+) exceeds the limit of (\d+)")
_PROMPT_TOO_LONG = re.compile(r"prompt is too long: (\d+) tokens > (\d+)")
_OVER_CONTEXT = re.compile(r"maximum context length is (\d+) tokens\D+(\d+) tokens")  # the limit comes first
_CONTEXT_WINDOW = re.compile(r"exceeds the context window|prompt is too long|maximum context length", re.IGNORECASE)
_SIGNATURE = re.compile(r"invalid [`'\"]?signature[`'\"]? in [`'\"]?thinking[`'\"]? block", re.IGNORECASE)
_FEATURE = re.compile(r"not authorized to use this copilot feature|forbidden: access denied", re.IGNORECASE)
_NOT_THE_TOKEN = re.compile(r"invalid auto-mode selector", re.IGNORECASE)
_ITEM_ID = re.compile(r"does not belong to this connection|item_id did not match", re.IGNORECASE)
_ENCRYPTED = re.compile(
    r"encrypted (?:function output )?content\b.*\bcould not be (?:verified|decrypted)", re.IGNORECASE | re.DOTALL
)
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")
_WRONG_ENDPOINT = re.compile(r"not accessible via the \S+ endpoint")


class Outcome(msgspec.Struct, frozen=True):
    """``repair`` names the one thing that may be done before sending once more; ``cooldown`` is in seconds.

    ``becomes`` is the account's status from now on, where the failure is the account's; ``exhausted`` without a
    cooldown lasts until the quota's reset, which the account may know.
    """

    error: UpstreamError | AccountPaused
    scope: Scope
    repair: Repair = "none"
    cooldown: float | None = None
    becomes: Status | None = None


class Refusal(Exception):
    """Upstream answered with something other than 200. For the relay, which knows what may be done about it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome.error))
        self.outcome = outcome


def _window(said: ErrorBody, headers: Mapping[str, str], now: float) -> float | None:
    """Until the session or weekly window ends, where the reply says when (upstream.md §5.2)."""
    header = headers.get(WINDOWS.get(said.code.partition(":")[0], ""), "")
    try:
        reset = datetime.fromisoformat(parse_qs(header)["rst"][0])
    except (KeyError, ValueError):
        return None
    if reset.tzinfo is None:
        reset = reset.replace(tzinfo=UTC)
    wait = (reset - datetime.fromtimestamp(now, UTC)).total_seconds()
    return min(wait, MAX_WINDOW) if wait > 0 else None


def classify(endpoint: str, status: int, headers: Mapping[str, str], body: bytes, *, now: float) -> Outcome:
    """``endpoint`` is the path that was asked; ``status`` is not 200; ``now`` is wall-clock seconds."""
    said = read_error_body(body)
    retry_after = parse_retry_after(headers.get("retry-after"), now)
    if is_warning(status, body):
        return Outcome(paused(said.message), "warning", becomes="banned")
    endpoint = endpoint.removeprefix(GHES_PREFIX)
    if endpoint in GITHUB_ENDPOINTS:
        outcome = _github(status, headers, body, said, retry_after, now)
        if endpoint == QUOTA_ENDPOINT and status != 401:  # nothing that it tells is needed for an answer
            return Outcome(outcome.error, "request")
        return outcome
    if status in {402, 403, 429} and (status == 402 or said.code.partition(":")[0] in QUOTA_CODES):
        return _quota(said, retry_after)
    match status:
        case 400:
            return bad_request(said)
        case 401:
            return _unauthorized(said, body)
        case 403 if _FEATURE.search(said.message):
            return Outcome(_refused(said, 403), "model", cooldown=FEATURE_COOLDOWN)
        case 408:
            return Outcome(_refused(said, 408, "upstream timed out reading the request"), "request", "resend")
        case 421:
            return Outcome(_refused(said, 421, "this host does not serve the account"), "request", "reread_host")
        case 422:
            message = said.message or "upstream's filter refused the prompt"
            return Outcome(ContentFiltered(message, code=said.code or None), "request")
        case 499:
            message = said.message or "upstream cancelled the request"
            return Outcome(UpstreamError(message), "upstream")
        case 429:
            return _rate_limit(said, _window(said, headers, now) or clamp_cooldown(retry_after))
        case _ if status >= 500:
            message = f"upstream answered {status}" + (f": {said.message}" if said.message else "")
            return overloaded(message, status, retry_after)
        case _ if status < 400:  # a page on the way, or an answer that nobody knows how to read
            return Outcome(UpstreamError(f"upstream answered {status}, which is no answer to a request"), "upstream")
        case _:
            return Outcome(_refused(said, status if status in {403, 404, 405, 413, 424} else 400), "request")


def overloaded(message: str, status: int, retry_after: float | None) -> Outcome:
    """A 5xx. 503 is the model's provider, not Copilot itself."""
    wait = None if retry_after is None else clamp_cooldown(retry_after)
    error = UpstreamOverloaded(message, status=status, retry_after=wait)
    if status == 503:
        return Outcome(error, "model", cooldown=PROVIDER_COOLDOWN if wait is None else wait)
    return Outcome(error, "upstream")


def paused(message: str) -> AccountPaused:
    return AccountPaused(
        f"{WARNED}{message or 'its terms of service forbid what it did'}",
        remedy="Nothing more is sent on it. Read https://docs.github.com/en/site-policy, then run "
        "`copilot-trio acknowledge` once it is cleared.",
    )


def _refused(said: ErrorBody, status: int, default: str = "") -> UpstreamRefused:
    fallback = default or f"upstream refused the request with {status} and no reason"
    return UpstreamRefused(said.message or fallback, status=status, code=said.code or None, param=said.param)


def bad_request(said: ErrorBody) -> Outcome:
    """A 400."""
    if too_long := context_too_long(said):
        return Outcome(too_long, "request")
    if "Personal Access Tokens are not supported" in said.message:
        unfit = AccountRejected(
            f"upstream does not take the account's kind of token: {said.message}",
            remedy="Sign in with `copilot-trio add-account` instead of a personal access token.",
        )
        return Outcome(unfit, "account", becomes="banned")
    if said.code == "unsupported_api_for_model" or _WRONG_ENDPOINT.search(said.message):
        return Outcome(_refused(said, 400), "request", "switch_endpoint")
    if _SIGNATURE.search(said.message):
        return Outcome(_refused(said, 400), "request", "drop_thinking")
    if _ITEM_ID.search(said.message):
        return Outcome(_refused(said, 400), "request", "strip_ids")
    if said.code == "invalid_encrypted_content" or _ENCRYPTED.search(said.message):
        return Outcome(_refused(said, 400), "request", "drop_encrypted")
    if said.code in {"model_not_supported", "model_not_available_for_integrator"}:
        return Outcome(_refused(ErrorBody(said.message, "model_not_found", "model"), 404), "request")
    if "off_topic" in said.code or "off_topic" in said.message:
        return Outcome(
            ContentFiltered(said.message or "upstream finds the prompt off topic", code=said.code or None), "request"
        )
    return Outcome(_refused(said, 400), "request")


def context_too_long(said: ErrorBody) -> ContextTooLong | None:
    """Rows 9 and 10, and the vendors' own words for it."""
    if found := _PROMPT_TOKENS.search(said.message) or _PROMPT_TOO_LONG.search(said.message):
        return ContextTooLong(int(found[1]), int(found[2]))
    if found := _OVER_CONTEXT.search(said.message):
        return ContextTooLong(int(found[2]), int(found[1]))
    if said.code not in TOO_LONG_CODES and not _CONTEXT_WINDOW.search(said.message):
        return None
    error = ContextTooLong(0, 0)
    error.cause = f"prompt is too long: {said.message or said.code}"  # in figures upstream does not say it
    return error


def _unauthorized(said: ErrorBody, body: bytes) -> Outcome:
    if _ITEM_ID.search(said.message):
        return Outcome(_refused(said, 400), "request", "strip_ids")
    if _NOT_THE_TOKEN.search(said.message) or b'"authorize_url"' in body:  # (§0.1 item 4)
        return Outcome(_refused(said, 400), "request")
    error = AccountRejected(
        f"upstream refuses the account's credential: {said.message or 'no reason given'}",
        remedy="Run `copilot-trio auth` to sign in again.",
    )
    if "Copilot Requests permission" in said.message or "Personal Access Token" in said.message:
        return Outcome(error, "account", becomes="banned")
    return Outcome(error, "account", "refresh_token", DEFAULT_COOLDOWN, "error")


def _quota(said: ErrorBody, retry_after: float | None) -> Outcome:
    cooldown = None if retry_after is None else min(max(retry_after, MIN_COOLDOWN), MAX_QUOTA_WAIT)
    error = QuotaExhausted(
        f"the account's Copilot quota is used up: {said.message or said.code or 'no reason given'}",
        remedy="A model without extra cost may still answer.",
        retry_after=MAX_COOLDOWN if cooldown is None else cooldown,
    )
    return Outcome(error, "account", cooldown=cooldown, becomes="exhausted")


def _rate_limit(said: ErrorBody, cooldown: float) -> Outcome:
    error = RateLimited(
        f"upstream limits the rate: {said.message or said.code or 'no reason given'}",
        remedy=f"Wait {cooldown:.0f} s.",
        retry_after=cooldown,
    )
    if said.code.partition(":")[0] in MODEL_RATE_LIMITS:
        return Outcome(error, "model", cooldown=cooldown)
    return Outcome(error, "account", cooldown=cooldown, becomes="rate_limited")


class _Details(msgspec.Struct):
    message: str = ""
    url: str = ""
    notification_id: str = ""


class _NoAccess(msgspec.Struct):
    message: str = ""
    error_details: _Details | None = None


_decode_no_access = msgspec.json.Decoder(_NoAccess).decode


def _github(
    status: int, headers: Mapping[str, str], body: bytes, said: ErrorBody, retry_after: float | None, now: float
) -> Outcome:
    """upstream.md §3.2, the table at its end. None of GitHub's calls costs anything."""
    if status == 401:
        rejected = AccountRejected(
            "GitHub refuses the account's token", remedy="Run `copilot-trio auth` to sign in again."
        )
        return Outcome(rejected, "account", becomes="banned")
    if status == 429 or (status == 403 and "rate limit" in said.message.lower()):
        cooldown = clamp_cooldown(_until_reset(headers, now) if retry_after is None else retry_after)
        limited = RateLimited(f"GitHub limits the rate: {said.message}", retry_after=cooldown)
        return Outcome(limited, "account", cooldown=cooldown, becomes="rate_limited")
    if status == 403:
        no_access = _no_access(body)
        wait = DEFAULT_COOLDOWN if no_access.code == "server_error" else NO_SEAT_COOLDOWN
        return Outcome(no_access, "account", cooldown=wait, becomes="error")
    if status == 404:
        unknown = AccountRejected(
            "GitHub does not know the token endpoint for this kind of token",
            remedy="Sign in with `copilot-trio auth` instead of a personal access token.",
        )
        return Outcome(unknown, "account", becomes="banned")
    error = UpstreamOverloaded(f"GitHub answered {status}", status=503 if status >= 500 else 502)
    error.cost = "none"
    return Outcome(error, "upstream")


def _until_reset(headers: Mapping[str, str], now: float) -> float | None:
    reset = headers.get("x-ratelimit-reset", "")
    return max(0.0, float(reset) - now) if _UNIX_SECONDS.fullmatch(reset) else None


def _no_access(body: bytes) -> AccountRejected:
    try:
        refusal = _decode_no_access(body)
    except UNREADABLE:
        refusal = _NoAccess()
    details = refusal.error_details or _Details()
    cause = details.message or refusal.message or "GitHub grants this account no Copilot"
    return AccountRejected(
        cause, remedy=f"See {details.url}." if details.url else "", code=details.notification_id or None
    )
