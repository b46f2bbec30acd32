"""The error catalogue of upstream.md §12: each row by its number and by a name of its own, bodies to the byte."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate
from urllib.parse import quote

import msgspec

from .reply import Headers, Reply, text_reply

UNICORN = (
    "<!DOCTYPE html>\n<html><head><title>Unicorn! &middot; GitHub</title></head>"
    "<body><p><strong>We had issues producing the response to your request.</strong></p></body></html>\n"
)
SESSION_LIMIT = "Sorry, you've exceeded your 5 hour session limits. Please review our Terms of Service."
WEEKLY_LIMIT = "Sorry, you've exceeded your weekly rate limit. Please review our Terms of Service."
TERMS = (
    "Access to this endpoint is forbidden. Please review our [Terms of Service]"
    "(https://docs.github.com/en/site-policy/github-terms/github-terms-of-service)."
)
FOREIGN_SIGNATURE = "Invalid `signature` in `thinking` block"
FOREIGN_ITEM = "input item ID does not belong to this connection"
UNPAIRED = "`tool_use` ids were found without `tool_result` blocks immediately after: "


class Row(msgspec.Struct, frozen=True):
    number: int
    name: str
    status: int
    body: str
    headers: Headers = ()
    content_type: str = ""

    def reply(self, headers: Headers = ()) -> Reply:
        reply = text_reply(self.status, self.body, (*self.headers, *headers))
        return msgspec.structs.replace(reply, content_type=self.content_type) if self.content_type else reply


# Which header tells when a window opens again (upstream.md §5.2), and how far ahead ours does.
WINDOWS = {38: ("x-usage-ratelimit-session", 2 * 3600.0), 39: ("x-usage-ratelimit-weekly", 3 * 86_400.0)}


def window_headers(row: Row, now: float) -> Headers:
    """The rate-limit window that a session or weekly limit comes with."""
    if row.number not in WINDOWS:
        return ()
    name, ahead = WINDOWS[row.number]
    opens = quote(datetime.fromtimestamp(now + ahead, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), safe="")
    return ((name, f"ent=0&ov=0.0&ovPerm=false&rem=0.0&rst={opens}"),)


def envelope(message: str, code: str, *, param: str = "", kind: str = "") -> str:
    error = {"message": message, "code": code}
    if param:
        error["param"] = param
    if kind:
        error["type"] = kind
    return msgspec.json.encode({"error": error}).decode() + "\n"


def vendor_envelope(message: str, kind: str = "invalid_request_error") -> str:
    """The shape of an error that the gateway passes on from Anthropic."""
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_vrtx_SYNTHETIC"}
    return msgspec.json.encode(error).decode()


def _limited(number: int, name: str, message: str, code: str, *headers: tuple[str, str]) -> Row:
    return Row(number, name, 429, envelope(message, code), headers)


def _quota(name: str, message: str, code: str) -> Row:
    return Row(27, name, 402, envelope(message, code))


_ROWS = [
    Row(1, "missing_authorization", 400, "bad request: missing Authorization header"),
    Row(2, "malformed_authorization", 400, "bad request: Authorization header is badly formatted"),
    Row(3, "missing_editor_version", 400, "bad request: missing Editor-Version header for IDE auth\n"),
    Row(4, "unknown_editor_version", 400, "bad request: unknown Editor-Version header for IDE auth"),
    Row(
        5,
        "classic_pat",
        400,
        "checking third-party user token: bad request: Personal Access Tokens are not supported for this endpoint\n",
    ),
    Row(
        6,
        "model_not_supported",
        400,
        envelope(
            "The requested model is not supported.", "model_not_supported", param="model", kind="invalid_request_error"
        ),
    ),
    Row(
        7,
        "model_not_available_for_integrator",
        400,
        envelope(
            'The requested model is not available for integrator "copilot-developer-cli". Available models: '
            "[gpt-4.1 claude-opus-4.6]. Verify the correct Copilot-Integration-Id header is being sent.",
            "model_not_available_for_integrator",
            param="model",
            kind="invalid_request_error",
        ),
    ),
    Row(
        8,
        "unsupported_api_for_model",
        400,
        envelope(
            'model "gpt-5.3-codex" is not accessible via the /chat/completions endpoint', "unsupported_api_for_model"
        ),
    ),
    Row(
        9,
        "model_max_prompt_tokens_exceeded",
        400,
        envelope("prompt token count of 138898 exceeds the limit of 64000", "model_max_prompt_tokens_exceeded"),
    ),
    Row(10, "prompt_too_long", 400, vendor_envelope("prompt is too long: 210194 tokens > 200000 maximum")),
    Row(11, "invalid_request_body", 400, envelope("invalid request body", "invalid_request_body")),
    Row(12, "empty_message", 400, envelope("", "invalid_request_body")),
    Row(13, "tool_pairing", 400, envelope(f"messages.208: {UNPAIRED}toolu_vrtx_SYNTH1", "invalid_request_body")),
    Row(14, "thinking_signature", 400, envelope(f"messages.1.content.0: {FOREIGN_SIGNATURE}", "invalid_request_body")),
    Row(14, "thinking_signature_vendor", 400, vendor_envelope(f"messages.1.content.0: {FOREIGN_SIGNATURE}")),
    Row(14, "thinking_signature_bare", 400, f'{{"message":"messages.3.content.3: {FOREIGN_SIGNATURE}"}}'),
    Row(
        15,
        "encrypted_item_mismatch",
        400,
        envelope(
            "The encrypted content for item rs_SYNTH could not be verified. "
            "Reason: Encrypted content item_id did not match the target item id.",
            "invalid_request_body",
        ),
    ),
    Row(
        16,
        "encrypted_content",
        400,
        envelope(
            "The encrypted content gAAA...Qw== could not be verified. "
            "Reason: Encrypted content could not be decrypted or parsed.",
            "invalid_request_body",
        ),
    ),
    Row(
        17,
        "encrypted_output",
        400,
        envelope("Encrypted function output content could not be decrypted or decoded.", "invalid_request_body"),
    ),
    Row(18, "item_id", 400, envelope(FOREIGN_ITEM, "")),
    Row(18, "item_id_401", 401, f"{FOREIGN_ITEM}\n"),
    Row(
        19,
        "previous_response_not_found",
        400,
        envelope("Previous response with id 'resp_SYNTH' not found.", "previous_response_not_found"),
    ),
    Row(20, "off_topic", 400, envelope("off_topic", "off_topic")),
    Row(21, "bad_request", 400, "Bad Request\n"),
    Row(22, "token_expired", 401, "IDE token expired: unauthorized: token expired\n"),
    Row(22, "token_expired_old", 401, "unauthorized: token expired\n"),
    Row(23, "bad_token", 401, "unauthorized: unauthorized: AuthenticateToken authentication failed"),
    Row(
        24,
        "pat_permission",
        401,
        "unauthorized: Personal Access Token does not have Copilot Requests permission\n",
    ),
    Row(25, "authorize_url", 401, '{"authorize_url":"https://github.com/login/oauth/authorize?client_id=SYNTHETIC"}'),
    Row(26, "auto_mode_selector", 401, "Invalid auto-mode selector"),
    _quota("quota_exceeded", "You have no quota", "quota_exceeded"),
    _quota("free_quota_exceeded", "You have exceeded your free monthly quota", "free_quota_exceeded"),
    _quota("overage_limit_reached", "You have reached your overage limit", "overage_limit_reached"),
    _quota("billing_not_configured", "Billing is not configured for this account", "billing_not_configured"),
    _quota(
        "additional_spend_limit_reached",
        "You have reached your additional spend limit",
        "additional_spend_limit_reached",
    ),
    Row(28, "tos_block", 403, TERMS),
    Row(28, "tos_block_old", 403, "access to this endpoint is forbidden"),
    Row(29, "feature_not_authorized", 403, "unauthorized: not authorized to use this Copilot feature\n"),
    Row(29, "access_denied", 403, "forbidden: access denied"),
    Row(30, "page_not_found", 404, "404 page not found\n"),
    Row(
        30,
        "repository_access",
        404,
        "Could not verify access to this repository. Check that the repository exists and you have access to it.",
    ),
    Row(31, "method_not_allowed", 405, "Method Not Allowed\n", (("allow", "POST"),)),
    Row(
        32,
        "user_request_timeout",
        408,
        envelope("Timed out reading request body. Try again, or use a smaller request size.", "user_request_timeout"),
    ),
    Row(33, "request_too_large", 413, "Request Entity Too Large\n"),
    Row(33, "request_too_large_json", 413, envelope("failed to parse request", "")),
    Row(34, "misdirected", 421, "Misdirected Request\n"),
    Row(35, "prompt_filtered", 422, envelope("The prompt was filtered.", "content_filter")),
    Row(36, "agent_dependency", 424, "Failed Dependency\n"),
    _limited(37, "rate_limited", "rate limit exceeded", "rate_limited"),
    _limited(38, "user_global_rate_limited", SESSION_LIMIT, "user_global_rate_limited:pro_plus"),
    _limited(39, "user_weekly_rate_limited", WEEKLY_LIMIT, "user_weekly_rate_limited"),
    *(
        _limited(40, code, f"{code.replace('_', ' ')}", code, ("x-ratelimit-exceeded", code))
        for code in (
            "user_model_rate_limited",
            "integration_rate_limited",
            "model_overloaded",
            "agent_mode_limit_exceeded",
            "upstream_provider_rate_limit",
        )
    ),
    Row(40, "extension_blocked", 429, envelope("extension blocked", "extension_blocked", kind="rate_limit_error")),
    Row(41, "client_not_supported", 466, "client version not supported\n"),
    Row(42, "cancelled", 499, "client closed request\n"),
    Row(43, "unicorn", 500, UNICORN, content_type="text/html; charset=utf-8"),
    Row(43, "internal_error", 500, envelope("internal server error", "internal_error")),
    Row(43, "bad_gateway", 502, "Bad Gateway\n"),
    Row(44, "overloaded", 503, "service temporarily unavailable, please retry\n"),
    Row(45, "gateway_timeout", 504, "Gateway Timeout\n"),
]

NAMED = {row.name: row for row in _ROWS}
# A row's first entry is what SCENARIO:row<N> means; the others have names only.
NUMBERED = {row.number: row for row in reversed(_ROWS)}


def named(name: str) -> Row | None:
    if name.startswith("row") and name[3:].isdigit():
        return NUMBERED.get(int(name[3:]))
    return NAMED.get(name)


def error(name: str, headers: Headers = ()) -> Reply:
    return NAMED[name].reply(headers)


def rejected(message: str) -> Reply:
    """A schema error in the wording of rows 11 and 13."""
    return text_reply(400, envelope(message, "invalid_request_body"))


def wrong_endpoint(model: str, path: str) -> Reply:
    message = f'model "{model}" is not accessible via the {path} endpoint'
    return text_reply(400, envelope(message, "unsupported_api_for_model"))


def too_many_tokens(count: int, limit: int, *, vendor: bool) -> Reply:
    if vendor:
        return text_reply(400, vendor_envelope(f"prompt is too long: {count} tokens > {limit} maximum"))
    message = f"prompt token count of {count} exceeds the limit of {limit}"
    return text_reply(400, envelope(message, "model_max_prompt_tokens_exceeded"))


# Codes of a status without a scenario of its own (``SCENARIO:err<status>``).
_CODES = {400: "invalid_request_body", 401: "unauthorized", 403: "forbidden", 404: "not_found", 429: "rate_limited"}
_VENDOR_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def of_status(status: int, headers: Headers = (), *, vendor: bool = False, message: str = "") -> Reply:
    """Some error of that status. ``vendor``: as Anthropic would say it."""
    message = message or f"the twin was asked to answer with status {status}"
    if vendor:
        body = vendor_envelope(message, _VENDOR_KINDS.get(status, "api_error"))
    else:
        body = envelope(message, _CODES.get(status, "internal_error"))
    return text_reply(status, body, headers)


RETRY_VARIANTS = {"retryafter": "1", "retrynegative": "-9223372036", "retryhuge": str(343 * 3600)}
RETRY_DATE_AHEAD = 30.0


def retry_headers(variants: frozenset[str], now: float) -> Headers:
    """``Retry-After`` in the forms that were seen: seconds, a date, negative, absurd (upstream.md §0.1 fact 18)."""
    headers = [("retry-after", value) for variant, value in RETRY_VARIANTS.items() if variant in variants]
    if "retrydate" in variants:
        headers.append(("retry-after", formatdate(now + RETRY_DATE_AHEAD, usegmt=True)))
    for variant, value in (("noretry", "false"), ("doretry", "true")):
        if variant in variants:
            headers.append(("x-should-retry", value))
    return tuple(headers)
