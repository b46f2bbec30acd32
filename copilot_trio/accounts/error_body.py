"""What an upstream error says: its body, its ``Retry-After``, and whether it is a warning. Pure (upstream.md §12)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec

from copilot_trio.unreadable import UNREADABLE

MIN_COOLDOWN, MAX_COOLDOWN, DEFAULT_COOLDOWN = 1.0, 3600.0, 60.0  # seconds (product.md §4.2)

WARNINGS = ("terms of service", "access to this endpoint is forbidden")
WARNING_IDS = ("spammy_user", "access_revoked", "programmatic_token_generation", "go_http_client", "suspended")


class ErrorBody(msgspec.Struct, frozen=True):
    message: str = ""
    code: str = ""
    param: str | None = None


def read_error_body(body: bytes) -> ErrorBody:
    """Mostly ``text/plain`` even when it is JSON, and not always wrapped in ``error`` (upstream.md §0.1 item 2)."""
    try:
        value = msgspec.json.decode(body)
    except UNREADABLE:
        text = body[:500].decode("utf-8", "replace").strip()
        return ErrorBody("" if text.lstrip().lower().startswith(("<!doctype", "<html")) else text)
    inner = value.get("error", value) if isinstance(value, dict) else value
    if not isinstance(inner, dict):
        return ErrorBody(str(inner)[:500])
    param = inner.get("param")
    return ErrorBody(
        str(inner.get("message") or "")[:500],
        str(inner.get("code") or ""),
        param if isinstance(param, str) else None,
    )


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Seconds from now: whole seconds or an HTTP date; what is negative or absurd is ignored (§12, end)."""
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    wait = (moment - datetime.fromtimestamp(now, UTC)).total_seconds()
    return wait if wait >= 0 else None


def clamp_cooldown(seconds: float | None) -> float:
    return DEFAULT_COOLDOWN if seconds is None else min(max(seconds, MIN_COOLDOWN), MAX_COOLDOWN)


def is_warning(status: int, body: bytes) -> bool:
    """GitHub's word that the account is judged abusive: nothing more may be sent on it."""
    text = body[:4000].decode("utf-8", "replace").lower()
    # A page is some proxy's on the way, and speaks of its own terms; GitHub's limits of its REST API point to them too.
    terms_alone = text.lstrip().startswith("<") or "rate limit" in text
    words = WARNING_IDS if terms_alone else (*WARNINGS, *WARNING_IDS)
    return status == 403 and any(found in text for found in words)
