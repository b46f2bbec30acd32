from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.accounts.error_body import (
    DEFAULT_COOLDOWN,
    MAX_COOLDOWN,
    MIN_COOLDOWN,
    ErrorBody,
    clamp_cooldown,
    is_warning,
    parse_retry_after,
    read_error_body,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp()
TERMS = b"Access to this endpoint is forbidden. Please review our [Terms of Service](https://docs.github.com/en/site-policy)."
UNICORN = b"<!DOCTYPE html><html><title>Unicorn! &middot; GitHub</title></html>"

# ---- Retry-After


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("1234800", 1234800),  # 343 hours
        ("343 hours", None),
        ("-9223372036", None),
        ("-1", None),
        ("+5", None),
        ("1.5", None),
        ("1e9", None),
        ("٣", None),
        ("9" * 40, None),
        ("soon", None),
        (format_datetime(datetime(2026, 11, 20, 12, 1, tzinfo=UTC), usegmt=True), 60),
        ("Fri, 20 Nov 2026 12:00:30 -0000", 30),
        ("Fri, 20 Nov 2026 13:00:30 +0100", 30),
        (format_datetime(datetime(2026, 11, 20, 11, 59, tzinfo=UTC), usegmt=True), None),
        ("Mon, 01 Jan 99999 00:00:00 GMT", None),
        ("Wed, 21 Oct 2026 07:28:00 +99999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds


@given(st.text(max_size=40))
def test_retry_after_is_never_negative_and_never_raises(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("seconds", "cooldown"),
    [(None, DEFAULT_COOLDOWN), (0, MIN_COOLDOWN), (20, 20), (1234800, MAX_COOLDOWN)],
    ids=["none", "zero", "plain", "343 hours"],
)
def test_a_cooldown_has_bounds(seconds: float | None, cooldown: float) -> None:
    assert clamp_cooldown(seconds) == cooldown


# ---- warnings


@pytest.mark.parametrize(
    ("status", "body", "answer"),
    [
        (403, TERMS, True),
        (403, b'{"error_details":{"notification_id":"access_revoked"}}', True),
        (403, b'{"error_details":{"notification_id":"spammy_user"}}', True),
        (403, b'{"error_details":{"notification_id":"programmatic_token_generation"}}', True),
        (403, b'{"error_details":{"notification_id":"go_http_client"}}', True),
        (403, b'{"message":"Sorry. Your account was SUSPENDED"}', True),
        (403, b'{"error_details":{"notification_id":"no_copilot_access"}}', False),
        (403, b"unauthorized: not authorized to use this Copilot feature", False),
        (429, b"Please review our Terms of Service.", False),
        (400, TERMS, False),
        (403, b"<html>Blocked. See the terms of service of Example Corp.</html>", False),
        (403, b'<p>{"notification_id":"access_revoked"}</p>', True),
        (403, b'{"message":"You have exceeded a secondary rate limit. Please review our Terms of Service."}', False),
        (403, b'{"message":"Rate limit. Your account was suspended."}', True),
        (403, b" " * 5000 + TERMS, False),
        (403, b"\xff\xfe", False),
        (403, b"", False),
    ],
    ids=["terms", "revoked", "spammy", "programmatic", "go client", "suspended", "no seat", "feature", "a limit",
         "another status", "a proxy's page", "a page with a reason", "a REST limit", "a limit and a suspension",
         "far behind", "no text", "empty"],
)  # fmt: skip
def test_a_warning_is_known_by_its_words(status: int, body: bytes, answer: bool) -> None:
    assert is_warning(status, body) is answer


# ---- bodies


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b'{"error":{"message":"m","code":"c","param":"p"}}', ErrorBody("m", "c", "p")),
        (b'{"message":"m","code":"c"}', ErrorBody("m", "c")),
        (b'{"error":{"message":"m","code":500,"param":7}}', ErrorBody("m", "500")),
        (b'{"error":{"message":null,"code":null}}', ErrorBody()),
        (b'{"error":"just text"}', ErrorBody("just text")),
        (b'"text"', ErrorBody("text")),
        (b"[1]", ErrorBody("[1]")),
        (b"{}", ErrorBody()),
        (b" Bad Request\n", ErrorBody("Bad Request")),
        (b"", ErrorBody()),
        (UNICORN, ErrorBody()),
        (b"\n <html>x", ErrorBody()),
        (b"\xff", ErrorBody("�")),
        (b"x" * 1000, ErrorBody("x" * 500)),
        (b'{"message":"%b"}' % (b"x" * 1000), ErrorBody("x" * 500)),
        (b"[" * 100_000, ErrorBody("[" * 500)),
    ],
    ids=["wrapped", "bare", "odd types", "nulls", "a string", "JSON string", "a list", "empty object", "text",
         "nothing", "HTML", "HTML after space", "no text", "long text", "long message", "deep"],
)  # fmt: skip
def test_an_error_body_is_read_by_trying(body: bytes, read: ErrorBody) -> None:
    assert read_error_body(body) == read
