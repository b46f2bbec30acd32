"""Anthropic's error envelope."""

from __future__ import annotations

import msgspec

from copilot_trio.errors import Kind, ProxyError

_encode = msgspec.json.Encoder().encode

TYPES: dict[Kind, str] = {
    "internal": "api_error",
    "too_large": "request_too_large",
    "unauthorized": "authentication_error",
    "forbidden": "permission_error",
    "paused": "permission_error",
    "not_found": "not_found_error",
    "model_not_found": "not_found_error",
    "no_account": "api_error",  # Claude Code tries again whatever says overloaded, hint or not
    "upstream": "api_error",
    "account_rejected": "api_error",
    "timeout": "timeout_error",
    "request_timeout": "timeout_error",
    "rate_limited": "rate_limit_error",
    "quota": "billing_error",
}


# Where upstream answered with a status of its own, that is what Anthropic names the type by.
BY_STATUS = {
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    500: "api_error",
    502: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def render_error(error: ProxyError) -> bytes:
    kind = TYPES.get(error.kind) or BY_STATUS.get(error.status)
    kind = kind or ("api_error" if error.status >= 500 else "invalid_request_error")
    return _encode({"type": "error", "error": {"type": kind, "message": str(error)}})


def render_stream_error(error: ProxyError) -> bytes:
    return b"event: error\ndata: " + render_error(error) + b"\n\n"
