"""What an error inside a stream means: an SSE event's data, or a WebSocket's frame. Pure.

It has a code and no status (upstream.md §7.10, §8.4, §9.3). The code is read as the status that it would have come
with, and the rest is :mod:`.outcome`.
"""

from __future__ import annotations

import re

import msgspec

from copilot_trio.unreadable import UNREADABLE

from .error_body import WARNING_IDS, ErrorBody, read_error_body
from .outcome import (
    MODEL_RATE_LIMITS,
    QUOTA_CODES,
    WINDOWS,
    Outcome,
    bad_request,
    classify,
    context_too_long,
    overloaded,
)

RATE_LIMITS = {
    *MODEL_RATE_LIMITS, *WINDOWS, "rate_limited", "integration_rate_limited", "agent_mode_limit_exceeded",
    "extension_blocked", "rate_limit_exceeded", "rate_limit_error",
}  # fmt: skip
STATUSES: dict[int, set[str]] = {
    400: {
        "bad_request", "invalid_request_body", "invalid_request_error", "invalid_encrypted_content", "invalid_prompt",
        "previous_response_not_found", "context_length_exceeded", "model_max_prompt_tokens_exceeded",
        "model_not_supported", "model_not_available_for_integrator", "unsupported_api_for_model", "invalid_value",
        "unsupported_value", "unknown_parameter", "unsupported_parameter", "missing_required_parameter",
    },
    401: {"unauthorized", "authentication_error", "token_expired"},
    402: QUOTA_CODES,
    403: {"forbidden", "permission_error", *WARNING_IDS},
    404: {"not_found", "not_found_error"},
    408: {"user_request_timeout"},
    413: {"request_too_large"},
    422: {"content_filter"},
    429: RATE_LIMITS,
    503: {"service_unavailable", "session_expired", "overloaded_error", "server_is_overloaded"},
}  # fmt: skip
STATUS_OF = {code: status for status, codes in STATUSES.items() for code in codes}

_WAIT = re.compile(r"(?:retry after|try again in) (\d{1,9})(?:\.\d+)? ?s", re.IGNORECASE)
_STATUS = re.compile(r"[45][0-9]{2}")
_encode = msgspec.json.Encoder().encode


def classify_frame(data: bytes) -> Outcome:
    """What nobody knows is upstream's failure. ``repair`` is for a frame that comes before the first event only."""
    said, status = _read(data)
    if status is None:
        status = STATUS_OF.get(said.code.partition(":")[0], 500)
    if status >= 500 and (context_too_long(said) or bad_request(said).repair != "none"):
        status = 400
    wait = _WAIT.search(said.message)
    if status >= 500:
        message = f"upstream failed: {said.message or said.code or 'no reason given'}"
        return overloaded(message, status, float(wait[1]) if wait else None)
    body = _encode({"error": {"message": said.message, "code": said.code, "param": said.param}})
    return classify("", status, {"retry-after": wait[1]} if wait else {}, body, now=0)


def _read(data: bytes) -> tuple[ErrorBody, int | None]:
    """The error, wherever the frame has it, and the status where it names one."""
    try:
        value = msgspec.json.decode(data)
    except UNREADABLE:
        return read_error_body(data), None
    if isinstance(value, dict) and isinstance(response := value.get("response"), dict):
        value = response
    said = read_error_body(_encode(value))
    if not isinstance(value, dict):
        return said, None
    inner = value.get("error")
    if isinstance(inner, dict) and not said.code:  # Anthropic's errors have a type only
        said = msgspec.structs.replace(said, code=str(inner.get("type") or ""))
    numbers = (said.code, str(value.get("status")), str(value.get("status_code")))
    return said, next((int(number) for number in numbers if _STATUS.fullmatch(number)), None)
