from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.accounts.error_body import DEFAULT_COOLDOWN, MAX_COOLDOWN
from copilot_trio.accounts.frame import STATUSES, classify_frame
from copilot_trio.accounts.outcome import (
    FEATURE_COOLDOWN,
    MAX_QUOTA_WAIT,
    PROVIDER_COOLDOWN,
    Repair,
    Scope,
    Status,
)
from copilot_trio.errors import (
    AccountPaused,
    AccountRejected,
    ContentFiltered,
    ContextTooLong,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    UpstreamOverloaded,
    UpstreamRefused,
)


def socket(code: str, message: str = "no", **more: Any) -> bytes:
    """As the gateway sends it on a WebSocket (upstream.md §9.3)."""
    return msgspec.json.encode({"type": "error", "error": {"code": code, "message": message, **more}})


def event(code: str, message: str = "no") -> bytes:
    """As the ``error`` event of an HTTP stream has it (§8.4)."""
    return msgspec.json.encode({"code": code, "message": message, "param": None, "sequence_number": 2, "type": "error"})


def failed(code: str, message: str = "no") -> bytes:
    response = {"status": "failed", "error": {"code": code, "message": message}}
    return msgspec.json.encode({"type": "response.failed", "response": response})


class Row(msgspec.Struct):
    code: str
    error: type[ProxyError]
    status: int  # the client's
    scope: Scope
    cooldown: float | None = None
    repair: Repair = "none"
    message: str = "no"
    becomes: Status | None = None


ROWS = [
    *(
        Row(code, RateLimited, 429, "account", DEFAULT_COOLDOWN, becomes="rate_limited")
        for code in ("rate_limited", "user_global_rate_limited:pro", "user_weekly_rate_limited",
                     "integration_rate_limited", "agent_mode_limit_exceeded", "rate_limit_exceeded")
    ),
    *(
        Row(code, RateLimited, 429, "model", DEFAULT_COOLDOWN)
        for code in ("user_model_rate_limited:pro", "model_overloaded", "upstream_provider_rate_limit")
    ),
    *(
        Row(code, QuotaExhausted, 429, "account", becomes="exhausted")
        for code in ("quota_exceeded", "free_quota_exceeded", "overage_limit_reached", "billing_not_configured",
                     "additional_spend_limit_reached")
    ),
    Row("content_filter", ContentFiltered, 400, "request"),
    Row("not_found", UpstreamRefused, 404, "request"),
    Row("request_too_large", UpstreamRefused, 413, "request"),
    Row("bad_request", UpstreamRefused, 400, "request"),
    Row("invalid_request_body", UpstreamRefused, 400, "request"),
    Row("previous_response_not_found", UpstreamRefused, 400, "request"),
    Row("context_length_exceeded", ContextTooLong, 400, "request"),
    Row("bad_request", ContextTooLong, 400, "request", message="prompt token count of 9 exceeds the limit of 6"),
    Row(
        "bad_request", UpstreamRefused, 400, "request", repair="strip_ids",
        message="input item ID does not belong to this connection",
    ),
    Row(
        "", UpstreamRefused, 400, "request", repair="strip_ids",
        message="input item ID does not belong to this connection",
    ),
    Row(
        "bad_request", UpstreamRefused, 400, "request", repair="drop_encrypted",
        message="The encrypted content gAAA could not be verified. Reason: it could not be decrypted or parsed.",
    ),
    Row(
        "invalid_request_body", UpstreamRefused, 400, "request", repair="drop_encrypted",
        message="Encrypted function output content could not be decrypted or decoded.",
    ),
    Row("unauthorized", AccountRejected, 502, "account", repair="refresh_token", cooldown=60, becomes="error"),
    Row("access_revoked", AccountPaused, 403, "warning", becomes="banned"),
    Row("forbidden", AccountPaused, 403, "warning", message="Please review our Terms of Service", becomes="banned"),
    Row(
        "forbidden", UpstreamRefused, 403, "model", FEATURE_COOLDOWN,
        message="not authorized to use this Copilot feature",
    ),
    Row("user_request_timeout", UpstreamRefused, 408, "request", repair="resend"),
    Row("service_unavailable", UpstreamOverloaded, 503, "model", PROVIDER_COOLDOWN),
    Row("session_expired", UpstreamOverloaded, 503, "model", PROVIDER_COOLDOWN),
    Row("internal_error", UpstreamOverloaded, 500, "upstream"),
    Row("server_error", UpstreamOverloaded, 500, "upstream"),
    Row("websocket_connection_limit_reached", UpstreamOverloaded, 500, "upstream"),
    Row("", UpstreamOverloaded, 500, "upstream"),
]  # fmt: skip


@pytest.mark.parametrize("shape", [socket, event, failed])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.code} {row.repair}")
def test_a_frame_means_what_the_reply_would_have(row: Row, shape: Any) -> None:
    outcome = classify_frame(shape(row.code, row.message))
    assert type(outcome.error) is row.error
    assert outcome.error.status == row.status
    assert (outcome.scope, outcome.repair) == (row.scope, row.repair)
    assert (outcome.cooldown, outcome.becomes) == (row.cooldown, row.becomes)
    assert outcome.error.cause.strip()


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Sorry, you've exceeded your limits. Please retry after 2733 seconds.", 2733),
        ("Rate limit reached. Please try again in 1.5s.", 1),
        ("Please retry after 999999 seconds.", MAX_COOLDOWN),
        ("Please retry after -5 seconds.", DEFAULT_COOLDOWN),
        ("Please retry later.", DEFAULT_COOLDOWN),
    ],
)
def test_the_wait_is_in_the_words(message: str, seconds: float) -> None:
    outcome = classify_frame(socket("user_global_rate_limited:pro", message))
    assert outcome.cooldown == outcome.error.retry_after == seconds


@pytest.mark.parametrize(
    ("data", "error", "status"),
    [
        (b'{"error":{"code":500,"message":"it failed","metadata":{}},"model":"gpt-4.1"}', UpstreamOverloaded, 500),
        (b'{"error":{"code":429,"message":"slow down"}}', RateLimited, 429),
        (b'{"type":"error","status":429,"error":{"type":"usage_limit_reached","message":"no"}}', RateLimited, 429),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', UpstreamOverloaded, 503),
        (b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}', UpstreamRefused, 400),
        (b'{"type":"error","error":{"type":"rate_limit_error","message":"no"}}', RateLimited, 429),
        (b"upstream connect error", UpstreamOverloaded, 500),
        (b"", UpstreamOverloaded, 500),
        (b"[]", UpstreamOverloaded, 500),
        (b"null", UpstreamOverloaded, 500),
        (b'{"response":{"error":null,"status":"failed"}}', UpstreamOverloaded, 500),
    ],
    ids=["chat", "chat with another status", "a status beside", "Anthropic overloaded", "Anthropic bad request",
         "Anthropic limit", "text", "nothing", "a list", "null", "failed without a reason"],
)  # fmt: skip
def test_other_shapes_are_understood(data: bytes, error: type[ProxyError], status: int) -> None:
    outcome = classify_frame(data)
    assert type(outcome.error) is error
    assert outcome.error.status == status
    assert outcome.error.cause.strip(" :")


def test_a_used_up_quota_may_say_when_it_is_back() -> None:
    outcome = classify_frame(socket("quota_exceeded", "You have no quota. Please retry after 86400 seconds."))
    assert (outcome.cooldown, outcome.error.retry_after, outcome.becomes) == (86400, 86400, "exhausted")


def test_a_frame_is_upstreams_failure_as_it_said() -> None:
    error = classify_frame(socket("service_unavailable", "service temporarily unavailable, please retry")).error
    assert error.cause == "upstream failed: service temporarily unavailable, please retry"


def test_no_code_stands_for_two_statuses() -> None:
    codes = [code for codes in STATUSES.values() for code in codes]
    assert len(codes) == len(set(codes))


JSON = st.recursive(
    st.none() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "type", "response", "status", "param"]), inner)
    ),
    max_leaves=8,
)


@given(JSON.map(msgspec.json.encode) | st.binary(max_size=40))
def test_every_frame_has_an_outcome(data: bytes) -> None:
    outcome = classify_frame(data)
    assert 400 <= outcome.error.status < 600
    assert outcome.cooldown is None or 0 < outcome.cooldown <= MAX_QUOTA_WAIT
    assert outcome.becomes is None or outcome.scope in {"account", "warning"}
