from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.accounts.error_body import DEFAULT_COOLDOWN, MAX_COOLDOWN, MIN_COOLDOWN
from copilot_trio.accounts.outcome import (
    MAX_QUOTA_WAIT,
    MAX_WINDOW,
    NO_SEAT_COOLDOWN,
    PROVIDER_COOLDOWN,
    Repair,
    Scope,
    Status,
    classify,
    paused,
)
from copilot_trio.accounts.resend import Move, next_move
from copilot_trio.errors import (
    AccountPaused,
    AccountRejected,
    ContentFiltered,
    ContextTooLong,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRefused,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC).timestamp()


def said(message: str, code: str | None = None, **more: str) -> bytes:
    fields = {"message": message} | ({} if code is None else {"code": code}) | more
    return msgspec.json.encode({"error": fields}) + b"\n"


class Row(msgspec.Struct):
    """A row of upstream.md §12 and what becomes of it."""

    id: str
    status: int
    body: bytes
    error: type[ProxyError]
    shown: int  # the client's status
    scope: Scope
    repair: Repair = "none"
    cooldown: float | None = None
    headers: dict[str, str] = {}
    becomes: Status | None = None
    move: Move = "stop"  # once its repair has been tried, or where there is none


QUOTA_CODES = ("quota_exceeded", "free_quota_exceeded", "overage_limit_reached", "billing_not_configured",
               "additional_spend_limit_reached")  # fmt: skip
SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"
NOT_OURS = "input item ID does not belong to this connection"
TERMS = b"Access to this endpoint is forbidden. Please review our [Terms of Service](https://docs.github.com/en/site-policy)."
UNICORN = b"<!DOCTYPE html><html><title>Unicorn! &middot; GitHub</title></html>"

ROWS = [
    Row("1", 400, b"bad request: missing Authorization header", UpstreamRefused, 400, "request"),
    Row("2", 400, b"bad request: Authorization header is badly formatted", UpstreamRefused, 400, "request"),
    Row("3", 400, b"bad request: missing Editor-Version header for IDE auth\n", UpstreamRefused, 400, "request"),
    Row("4", 400, b"bad request: unknown Editor-Version header for IDE auth", UpstreamRefused, 400, "request"),
    Row(
        "5",
        400,
        b"checking third-party user token: bad request: Personal Access Tokens are not supported for this endpoint\n",
        AccountRejected,
        502,
        "account",
        becomes="banned",
        move="next_account",
    ),
    Row(
        "6",
        400,
        said("The requested model is not supported.", "model_not_supported", param="model"),
        UpstreamRefused,
        404,
        "request",
        move="next_account",
    ),
    Row(
        "7",
        400,
        said('The requested model is not available for integrator "x".', "model_not_available_for_integrator"),
        UpstreamRefused,
        404,
        "request",
        move="next_account",
    ),
    Row(
        "8",
        400,
        said('model "gpt-5.3-codex" is not accessible via the /chat/completions endpoint', "unsupported_api_for_model"),
        UpstreamRefused,
        400,
        "request",
        "switch_endpoint",
    ),
    Row(
        "8 older",
        400,
        said("model gpt-5.3-codex is not accessible via the /chat/completions endpoint", ""),
        UpstreamRefused,
        400,
        "request",
        "switch_endpoint",
    ),
    Row(
        "9",
        400,
        said("prompt token count of 138898 exceeds the limit of 64000", "model_max_prompt_tokens_exceeded"),
        ContextTooLong,
        400,
        "request",
    ),
    Row("9 older", 400, said("prompt token count of 9 exceeds the limit of 6", ""), ContextTooLong, 400, "request"),
    Row(
        "10",
        400,
        b'{"type":"error","error":{"type":"invalid_request_error",'
        b'"message":"prompt is too long: 210194 tokens > 200000 maximum"},"request_id":"req_1"}',
        ContextTooLong,
        400,
        "request",
    ),
    Row(
        "9 without figures",
        400,
        said("too many", "model_max_prompt_tokens_exceeded"),
        ContextTooLong,
        400,
        "request",
    ),
    Row(
        "10 as OpenAI says it",
        400,
        said("Your input exceeds the context window of this model.", "context_length_exceeded"),
        ContextTooLong,
        400,
        "request",
    ),
    Row("10 by its code", 400, said("", "context_length_exceeded"), ContextTooLong, 400, "request"),
    Row(
        "10 as OpenAI said it",
        400,
        said("This model's maximum context length is 6 tokens. However, your messages resulted in 9 tokens.", ""),
        ContextTooLong,
        400,
        "request",
    ),
    Row("11", 400, said("invalid request body", "invalid_request_body"), UpstreamRefused, 400, "request"),
    Row("12", 400, said("", "invalid_request_body"), UpstreamRefused, 400, "request"),
    Row(
        "13",
        400,
        said("messages.208: `tool_use` ids were found without `tool_result` blocks", "invalid_request_body"),
        UpstreamRefused,
        400,
        "request",
    ),
    Row("14", 400, said(SIGNATURE, "invalid_request_body"), UpstreamRefused, 400, "request", "drop_thinking"),
    Row(
        "14 anthropic",
        400,
        msgspec.json.encode({"type": "error", "error": {"type": "invalid_request_error", "message": SIGNATURE}}),
        UpstreamRefused,
        400,
        "request",
        "drop_thinking",
    ),
    Row("14 bare", 400, msgspec.json.encode({"message": SIGNATURE}), UpstreamRefused, 400, "request", "drop_thinking"),
    Row(
        "15",
        400,
        said("The encrypted content for item rs_1 could not be verified. Reason: item_id did not match."),
        UpstreamRefused,
        400,
        "request", "strip_ids",
    ),
    Row(
        "16",
        400,
        said("The encrypted content gAAA could not be verified.", "invalid_request_body"),
        UpstreamRefused,
        400,
        "request", "drop_encrypted",
    ),
    Row(
        "17",
        400,
        said("Encrypted function output content could not be decrypted or decoded.", "invalid_request_body"),
        UpstreamRefused,
        400,
        "request", "drop_encrypted",
    ),
    Row(
        "16 by its code",
        400,
        said("no", "invalid_encrypted_content"),
        UpstreamRefused,
        400,
        "request",
        "drop_encrypted",
    ),
    Row("18 as 400", 400, said(NOT_OURS, ""), UpstreamRefused, 400, "request", "strip_ids"),
    Row("18 as 401", 401, said(NOT_OURS, ""), UpstreamRefused, 400, "request", "strip_ids"),
    Row("18 as text", 401, NOT_OURS.encode(), UpstreamRefused, 400, "request", "strip_ids"),
    Row("19", 400, said("gone", "previous_response_not_found"), UpstreamRefused, 400, "request"),
    Row("20", 400, said("no", "off_topic"), ContentFiltered, 400, "request"),
    Row("21", 400, b"Bad Request\n", UpstreamRefused, 400, "request"),
    Row(
        "22",
        401,
        b"IDE token expired: unauthorized: token expired\n",
        AccountRejected,
        502,
        "account",
        "refresh_token",
        60,
        becomes="error",
        move="next_account",
    ),
    Row(
        "22 older",
        401,
        b"unauthorized: token expired",
        AccountRejected,
        502,
        "account",
        "refresh_token",
        60,
        becomes="error",
        move="next_account",
    ),
    Row(
        "23",
        401,
        b"unauthorized: unauthorized: AuthenticateToken authentication failed",
        AccountRejected,
        502,
        "account",
        "refresh_token",
        60,
        becomes="error",
        move="next_account",
    ),
    Row(
        "24",
        401,
        b"unauthorized: Personal Access Token does not have Copilot Requests permission\n",
        AccountRejected,
        502,
        "account",
        becomes="banned",
        move="next_account",
    ),
    Row("25", 401, b'{"authorize_url":"https://example.com/oauth"}', UpstreamRefused, 400, "request"),
    Row("26", 401, b"Invalid auto-mode selector", UpstreamRefused, 400, "request"),
    *(
        Row(
            f"27 {code}", 402, said("You have no quota", code), QuotaExhausted, 429, "account",
            becomes="exhausted", move="next_account",
        )
        for code in QUOTA_CODES
    ),
    *(
        Row(
            f"27 as {status} {code}", status, said("no", code), QuotaExhausted, 429, "account",
            becomes="exhausted", move="next_account",
        )
        for status, code in [(429, "overage_limit_reached"), (403, "billing_not_configured"),
                             (429, "quota_exceeded:pro_plus")]
    ),
    Row(
        "27 with seconds",
        402,
        said("You have exceeded your monthly quota", "free_quota_exceeded"),
        QuotaExhausted,
        429,
        "account",
        cooldown=120,
        headers={"retry-after": "120"},
        becomes="exhausted",
        move="next_account",
    ),
    Row(
        "27 with a date",
        402,
        said("You have no quota", "quota_exceeded"),
        QuotaExhausted,
        429,
        "account",
        cooldown=10 * 86400,
        headers={"retry-after": "Mon, 30 Nov 2026 12:00:00 GMT"},
        becomes="exhausted",
        move="next_account",
    ),
    Row("27 without a body", 402, b"", QuotaExhausted, 429, "account", becomes="exhausted", move="next_account"),
    Row("28", 403, TERMS, AccountPaused, 403, "warning", becomes="banned"),
    Row("28 older", 403, b"access to this endpoint is forbidden", AccountPaused, 403, "warning", becomes="banned"),
    *(
        Row(f"29{name}", 403, body, UpstreamRefused, 403, "model", cooldown=300, move="next_account")
        for name, body in [("", b"unauthorized: not authorized to use this Copilot feature\n"),
                           (" other", b"forbidden: access denied")]
    ),
    Row("30", 404, b"404 page not found\n", UpstreamRefused, 404, "request"),
    Row("31", 405, b"Method Not Allowed\n", UpstreamRefused, 405, "request"),
    Row(
        "32",
        408,
        said("Timed out reading request body.", "user_request_timeout"),
        UpstreamRefused,
        408,
        "request",
        "resend",
    ),
    Row("33", 413, b"Request Entity Too Large\n", UpstreamRefused, 413, "request"),
    Row("33 as JSON", 413, said("failed to parse request", ""), UpstreamRefused, 413, "request"),
    Row("33 from a proxy", 413, b"<html>Too big</html>", UpstreamRefused, 413, "request"),
    Row("34", 421, b"Misdirected Request\n", UpstreamRefused, 421, "request", "reread_host"),
    Row("35", 422, b"", ContentFiltered, 400, "request"),
    Row("36", 424, b"dependency failed", UpstreamRefused, 424, "request"),
    Row(
        "37",
        429,
        said("rate limit exceeded", "rate_limited"),
        RateLimited,
        429,
        "account",
        cooldown=7,
        headers={"retry-after": "7"},
        becomes="rate_limited",
        move="next_account",
    ),
    Row(
        "37 no hint", 429, said("no", "rate_limited"), RateLimited, 429, "account", cooldown=DEFAULT_COOLDOWN,
        becomes="rate_limited", move="next_account",
    ),
    Row(
        "38",
        429,
        said("You've exceeded your 5 hour session limits. Terms of Service.", "user_global_rate_limited:pro_plus"),
        RateLimited,
        429,
        "account",
        cooldown=7200,
        headers={"x-usage-ratelimit-session": "ent=0&rem=0.0&rst=2026-11-20T14%3A00%3A00Z", "retry-after": "5"},
        becomes="rate_limited",
        move="next_account",
    ),
    Row(
        "39",
        429,
        said("Sorry, you've exceeded your weekly rate limit.", "user_weekly_rate_limited"),
        RateLimited,
        429,
        "account",
        cooldown=86400,
        headers={"x-usage-ratelimit-weekly": "rem=0.0&rst=2026-11-21T12%3A00%3A00Z"},
        becomes="rate_limited",
        move="next_account",
    ),
    *(
        Row(
            f"40 {code}", 429, said("no", code), RateLimited, 429, "model", cooldown=DEFAULT_COOLDOWN,
            move="next_account",
        )
        for code in ("user_model_rate_limited", "user_model_rate_limited:pro", "model_overloaded",
                     "upstream_provider_rate_limit")
    ),
    *(
        Row(
            f"40 {code}", 429, said("no", code), RateLimited, 429, "account", cooldown=DEFAULT_COOLDOWN,
            becomes="rate_limited", move="next_account",
        )
        for code in ("integration_rate_limited", "agent_mode_limit_exceeded", "extension_blocked")
    ),
    Row("41", 466, b"upgrade your client", UpstreamRefused, 400, "request"),
    Row("42", 499, b"", UpstreamError, 502, "upstream"),
    Row("43", 500, UNICORN, UpstreamOverloaded, 500, "upstream"),
    Row("43 as 502", 502, b"bad gateway", UpstreamOverloaded, 502, "upstream"),
    Row("44", 503, b"overloaded", UpstreamOverloaded, 503, "model", cooldown=PROVIDER_COOLDOWN),
    Row(
        "44 with a time", 503, b"no", UpstreamOverloaded, 503, "model", cooldown=20, headers={"retry-after": "20"}
    ),
    Row("45", 504, b"", UpstreamOverloaded, 504, "upstream"),
    Row("unknown", 418, b"teapot", UpstreamRefused, 400, "request"),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_refusal_means(row: Row) -> None:
    outcome = classify("/chat/completions", row.status, row.headers, row.body, now=NOW)
    assert type(outcome.error) is row.error
    assert outcome.error.status == row.shown
    assert (outcome.scope, outcome.repair) == (row.scope, row.repair)
    assert (outcome.cooldown, outcome.becomes) == (row.cooldown, row.becomes)


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_refusal_is_sent_again(row: Row) -> None:
    outcome = classify("/chat/completions", row.status, row.headers, row.body, now=NOW)
    assert next_move("refused", outcome) == row.move
    if outcome.repair != "none":
        assert next_move("refused", outcome, repairable=True) == "repair"


def test_every_row_of_the_catalogue_is_here() -> None:
    assert {row.id.split()[0] for row in ROWS} == {"unknown", *map(str, range(1, 46))}


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_a_refusal_says_why(row: Row) -> None:
    error = classify("/chat/completions", row.status, row.headers, row.body, now=NOW).error
    assert error.cause.strip(" :")
    assert not error.cause.endswith(": ")
    assert "<html" not in str(error)


@pytest.mark.parametrize("status", [402, 429])
def test_a_cooldown_is_the_clients_retry_after_too(status: int) -> None:
    outcome = classify("/chat/completions", status, {"retry-after": "33"}, b"", now=NOW)
    assert outcome.cooldown == outcome.error.retry_after == 33


@pytest.mark.parametrize("status", [499, 500, 502])
def test_what_upstream_may_have_run_may_have_been_charged(status: int) -> None:
    assert classify("/chat/completions", status, {}, b"", now=NOW).error.cost == "unknown"


@pytest.mark.parametrize("row", [row for row in ROWS if row.status < 499], ids=lambda row: row.id)
def test_a_4xx_was_not_charged(row: Row) -> None:
    assert classify("/chat/completions", row.status, row.headers, row.body, now=NOW).error.cost == "none"


def test_a_model_that_is_not_offered_is_named_as_openai_does() -> None:
    error = classify("/chat/completions", 400, {}, said("no such model", "model_not_supported"), now=NOW).error
    assert (error.code, error.param) == ("model_not_found", "model")


def test_a_prompt_that_is_too_long_is_said_in_the_words_that_clients_compact_at() -> None:
    body = said("prompt token count of 138898 exceeds the limit of 64000", "")
    assert str(classify("/chat/completions", 400, {}, body, now=NOW).error).startswith(
        "prompt is too long: 138898 tokens > 64000 maximum"
    )


@pytest.mark.parametrize(
    ("message", "code", "shown"),
    [
        (
            "This model's maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens.",
            "context_length_exceeded",
            "prompt is too long: 130001 tokens > 128000 maximum.",
        ),
        (
            "Your input exceeds the context window of this model.",
            "context_length_exceeded",
            "prompt is too long: Your input exceeds the context window of this model.",
        ),
        ("", "context_length_exceeded", "prompt is too long: context_length_exceeded."),
    ],
    ids=["figures", "words", "a code"],
)
def test_a_prompt_too_long_in_a_vendors_words_is_said_in_those_too(message: str, code: str, shown: str) -> None:
    error = classify("/chat/completions", 400, {}, said(message, code), now=NOW).error
    assert str(error).startswith(shown)
    assert error.code == "context_length_exceeded"


def test_a_lost_response_keeps_its_code() -> None:
    error = classify("/chat/completions", 400, {}, said("gone", "previous_response_not_found"), now=NOW).error
    assert (error.status, error.code) == (400, "previous_response_not_found")


@pytest.mark.parametrize("message", [NOT_OURS, NOT_OURS.upper(), f"bad request: {NOT_OURS}\n"])
@pytest.mark.parametrize("status", [400, 401])
def test_a_foreign_item_is_never_the_tokens_fault(status: int, message: str) -> None:
    for body in (message.encode(), said(message, ""), said(message, "bad_request", type="websocket_error")):
        assert classify("/chat/completions", status, {}, body, now=NOW).repair == "strip_ids"


@pytest.mark.parametrize("status", [429, 503, 500])
def test_an_absurd_retry_after_does_not_reach_the_client(status: int) -> None:
    error = classify("/chat/completions", status, {"retry-after": "1234800"}, b"", now=NOW).error
    assert error.retry_after == MAX_COOLDOWN


@pytest.mark.parametrize(
    ("header", "cooldown"),
    [
        ("rst=2026-11-20T14%3A00%3A00Z", 7200),
        ("rst=2026-11-20T14%3A00%3A00", 7200),
        ("rst=2099-01-01T00%3A00%3A00Z", MAX_WINDOW),
        ("rst=2026-11-20T11%3A00%3A00Z", DEFAULT_COOLDOWN),
        ("rst=never", DEFAULT_COOLDOWN),
        ("rem=5", DEFAULT_COOLDOWN),
        ("", DEFAULT_COOLDOWN),
    ],
    ids=["plain", "no zone", "far", "past", "garbage", "absent", "empty"],
)
def test_a_session_limit_lasts_until_its_window_ends(header: str, cooldown: float) -> None:
    body = said("no", "user_global_rate_limited:pro")
    assert classify("/chat/completions", 429, {"x-usage-ratelimit-session": header}, body, now=NOW).cooldown == cooldown


@pytest.mark.parametrize(
    ("retry_after", "cooldown"), [("1", 1), ("0", 1), ("99999999", MAX_QUOTA_WAIT), ("-5", None), ("soon", None)]
)
def test_a_quota_without_a_usable_time_lasts_until_its_reset(retry_after: str, cooldown: float | None) -> None:
    outcome = classify("/chat/completions", 402, {"retry-after": retry_after}, b"", now=NOW)
    assert outcome.cooldown == cooldown
    assert outcome.error.retry_after == (MAX_COOLDOWN if cooldown is None else cooldown)


def test_a_warning_without_words_of_its_own_still_says_something() -> None:
    assert "account: ." not in str(paused(""))


@given(st.integers(201, 599), st.binary(max_size=60), st.text(max_size=10))
def test_every_refusal_has_an_outcome(status: int, body: bytes, retry_after: str) -> None:
    outcome = classify("/chat/completions", status, {"retry-after": retry_after}, body, now=NOW)
    assert 400 <= outcome.error.status < 600
    assert outcome.cooldown is None or MIN_COOLDOWN <= outcome.cooldown <= MAX_QUOTA_WAIT
    assert outcome.becomes is None or outcome.scope in {"account", "warning"}


# ---- GitHub's own endpoints (upstream.md §3.2)

EXCHANGE, QUOTA, USER = "/copilot_internal/v2/token", "/copilot_internal/user", "/user"
REST_LIMIT = (
    b'{"message":"API rate limit exceeded for user ID 12345. If you reach out to GitHub Support for help, please '
    b'include the request ID 7609:225AE6.","documentation_url":"https://x","status":"403"}'
)
SECONDARY = (
    b'{"message":"You have exceeded a secondary rate limit. Please wait a few minutes. For more on how it may affect '
    b'your rights, please review our Terms of Service (https://docs.github.com/x)."}'
)
BAD_CREDENTIALS = b'{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest","status":"401"}'
NOT_FOUND = b'{"message":"Not Found","documentation_url":"https://docs.github.com/rest","status":"404"}'


def no_access(reason: str, message: str = "No access to GitHub Copilot found.") -> bytes:
    details = {"message": message, "notification_id": reason, "title": "Sign up", "url": "https://github.com/x"}
    return msgspec.json.encode({"can_signup_for_limited": True, "error_details": details, "message": "Not accessible"})


NO_SEAT = [
    "no_copilot_access", "not_signed_up", "subscription_ended", "enterprise_managed_user_account",
    "feature_flag_blocked", "billing_locked", "trade_restricted", "trade_restricted_country",
    "codespaces_demo_inactive", "snippy_not_configured", "expired_coupon", "revoked_coupon",
]  # fmt: skip
ABUSE = ["spammy_user", "go_http_client", "programmatic_token_generation", "access_revoked"]

GITHUB_ROWS = [
    Row("401", 401, BAD_CREDENTIALS, AccountRejected, 502, "account", becomes="banned", move="next_account"),
    *(
        Row(
            f"403 {reason}", 403, no_access(reason), AccountRejected, 502, "account", cooldown=NO_SEAT_COOLDOWN,
            becomes="error", move="next_account",
        )
        for reason in NO_SEAT
    ),
    *(
        Row(f"403 {reason}", 403, no_access(reason), AccountPaused, 403, "warning", becomes="banned")
        for reason in ABUSE
    ),
    Row(
        "403 server_error", 403, no_access("server_error"), AccountRejected, 502, "account", cooldown=DEFAULT_COOLDOWN,
        becomes="error", move="next_account",
    ),
    Row(
        "403 without an envelope", 403, b"no", AccountRejected, 502, "account", cooldown=NO_SEAT_COOLDOWN,
        becomes="error", move="next_account",
    ),
    *(
        Row(
            f"{status} limit, {name}", status, body, RateLimited, 429, "account", cooldown=cooldown, headers=headers,
            becomes="rate_limited", move="next_account",
        )
        for status, body in [(403, REST_LIMIT), (403, SECONDARY), (429, b"slow down")]
        for name, headers, cooldown in [
            ("no hint", {}, DEFAULT_COOLDOWN),
            ("retry-after", {"retry-after": "77", "x-ratelimit-reset": str(int(NOW) + 900)}, 77),
            ("reset", {"x-ratelimit-reset": str(int(NOW) + 900)}, 900),
            ("reset in the past", {"x-ratelimit-reset": str(int(NOW) - 900)}, MIN_COOLDOWN),
            ("reset far away", {"x-ratelimit-reset": str(int(NOW) + 90_000)}, MAX_COOLDOWN),
            ("reset unreadable", {"x-ratelimit-reset": "soon"}, DEFAULT_COOLDOWN),
        ]
    ),
    Row("404", 404, NOT_FOUND, AccountRejected, 502, "account", becomes="banned", move="next_account"),
    Row("500", 500, UNICORN, UpstreamOverloaded, 503, "upstream"),
    Row("502", 502, b"", UpstreamOverloaded, 503, "upstream"),
    Row("an odd one", 418, b"teapot", UpstreamOverloaded, 502, "upstream"),
]  # fmt: skip


@pytest.mark.parametrize("endpoint", [EXCHANGE, "/api/v3" + EXCHANGE, USER])
@pytest.mark.parametrize("row", GITHUB_ROWS, ids=[row.id for row in GITHUB_ROWS])
def test_githubs_refusal_means(row: Row, endpoint: str) -> None:
    outcome = classify(endpoint, row.status, row.headers, row.body, now=NOW)
    assert type(outcome.error) is row.error
    assert outcome.error.status == row.shown
    assert (outcome.scope, outcome.repair) == (row.scope, "none")
    assert (outcome.cooldown, outcome.becomes) == (row.cooldown, row.becomes)
    assert outcome.error.cost == "none"
    assert outcome.error.cause.strip(" :")
    assert next_move("refused", outcome) == row.move


@pytest.mark.parametrize("row", GITHUB_ROWS, ids=[row.id for row in GITHUB_ROWS])
def test_a_quota_that_is_not_told_punishes_nobody(row: Row) -> None:
    outcome = classify(QUOTA, row.status, row.headers, row.body, now=NOW)
    assert type(outcome.error) is row.error
    if row.status == 401 or row.scope == "warning":
        assert (outcome.scope, outcome.becomes) == (row.scope, "banned")
    else:
        assert (outcome.scope, outcome.cooldown, outcome.becomes) == ("request", None, None)


def test_why_there_is_no_seat_is_said_with_where_to_go() -> None:
    error = classify(EXCHANGE, 403, {}, no_access("billing_locked", "Payment failed."), now=NOW).error
    assert (error.cause, error.remedy, error.code) == ("Payment failed.", "See https://github.com/x.", "billing_locked")
