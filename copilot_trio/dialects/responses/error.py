"""Errors of the Responses API: the envelope is chat's, a stream ends with ``response.failed``, which Codex obeys."""

from __future__ import annotations

import math

import msgspec

from copilot_trio.dialects.chat.error import render_error
from copilot_trio.errors import Kind, ProxyError
from copilot_trio.turn import AnswerContext

from .answer import response_fields

__all__ = ["CODES", "render_error", "render_stream_error"]

# Of the codes that a failed response may have, those that tell a client what to do: shorten, wait, pay, or ask
# something else. At any other Codex asks the same again, five times (clients.md §4.5).
SHORTEN, WAIT, PAY, OTHERWISE = "context_length_exceeded", "rate_limit_exceeded", "insufficient_quota", "invalid_prompt"
CODES: dict[Kind, str] = {
    "context_too_long": SHORTEN,
    "rate_limited": WAIT,
    "quota": PAY,
    "bad_request": OTHERWISE,
    "too_large": OTHERWISE,
    "unauthorized": OTHERWISE,
    "forbidden": OTHERWISE,
    "not_found": OTHERWISE,
    "model_not_found": OTHERWISE,
    "refused": OTHERWISE,
    "filtered": OTHERWISE,
    "paused": OTHERWISE,
    "account_rejected": OTHERWISE,
}

_encode = msgspec.json.Encoder().encode


def code_of(error: ProxyError) -> str:
    """Upstream's own code where it is one of these, else by kind."""
    if error.code in set(CODES.values()):
        return str(error.code)
    return CODES.get(error.kind) or (OTHERWISE if error.final else "server_error")


def render_stream_error(error: ProxyError, seed: str = "") -> bytes:
    """``seed`` is that of the answer so far: OpenAI's SDK refuses a failed response with another id."""
    code = code_of(error)
    failure = {"code": code, "message": _message(error, code)}
    response = response_fields(AnswerContext("", seed=seed), "failed") | {"error": failure}
    event = {"type": "response.failed", "sequence_number": 0, "response": response}
    return b"event: response.failed\ndata: %b\n\n" % _encode(event)


def _message(error: ProxyError, code: str) -> str:
    """Codex waits as long as these words say, and has no header to read here (clients.md §4.5)."""
    if code != WAIT or error.retry_after is None:
        return str(error)
    return f"{error} Please try again in {_seconds(error.retry_after)}s."


def _seconds(wait: float) -> int:
    return max(1, math.ceil(wait))
