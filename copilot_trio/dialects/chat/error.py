"""OpenAI's error envelope."""

from __future__ import annotations

import msgspec

from copilot_trio.errors import Kind, ProxyError

_encode = msgspec.json.Encoder().encode

# ``type`` is free text to OpenAI's SDKs, which go by status; these are the names OpenAI itself uses.
TYPES: dict[Kind, str] = {
    "internal": "server_error",
    "no_account": "server_error",
    "upstream": "server_error",
    "timeout": "server_error",
    "overloaded": "server_error",
    "account_rejected": "server_error",
    "rate_limited": "rate_limit_error",
    "quota": "insufficient_quota",
    "paused": "permission_error",
    "forbidden": "permission_error",
}


def render_error(error: ProxyError) -> bytes:
    kind = TYPES.get(error.kind, "invalid_request_error")
    return _encode({"error": {"message": str(error), "type": kind, "param": error.param, "code": error.code}})


def render_stream_error(error: ProxyError) -> bytes:
    """An error in mid-stream, then the end that clients wait for."""
    return b"data: " + render_error(error) + b"\n\ndata: [DONE]\n\n"
