from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recordings import events_in

from copilot_trio.dialects.chat import error as chat_error
from copilot_trio.dialects.responses.error import render_error, render_stream_error
from copilot_trio.errors import (
    AccountPaused,
    BadRequest,
    ContentFiltered,
    ContextTooLong,
    NoAccount,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    StreamTruncated,
    UpstreamError,
    UpstreamRefused,
    UpstreamTimeout,
)


def failed(error: ProxyError, seed: str = "5eed") -> dict[str, Any]:
    (event,) = events_in(render_stream_error(error, seed))
    body: dict[str, Any] = msgspec.json.decode(event.data)
    assert event.name == body["type"] == "response.failed"
    return body


def test_the_envelope_is_chats() -> None:
    assert render_error is chat_error.render_error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ContextTooLong(5, 3), "context_length_exceeded"),
        (UpstreamError("x", code="context_length_exceeded"), "context_length_exceeded"),
        (RateLimited("x"), "rate_limit_exceeded"),
        (UpstreamError("x", code="rate_limit_exceeded"), "rate_limit_exceeded"),
        (QuotaExhausted("x"), "insufficient_quota"),
        (BadRequest("x"), "invalid_prompt"),
        (UpstreamRefused("x", status=400), "invalid_prompt"),
        (ContentFiltered("x"), "invalid_prompt"),
        (AccountPaused("x"), "invalid_prompt"),
        (StreamTruncated("x"), "server_error"),
        (UpstreamTimeout("x"), "server_error"),
        (NoAccount("x"), "server_error"),
        (UpstreamError("x", code="never_heard_of"), "server_error"),
        (ProxyError("x"), "server_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_failed_response_has_the_code_that_clients_act_upon(error: ProxyError, code: str) -> None:
    assert failed(error)["response"]["error"] == {"code": code, "message": str(error)}


def test_a_failed_response_is_a_response_of_the_answer_so_far() -> None:
    response = failed(ProxyError("x"))["response"]
    assert (response["id"], response["object"], response["status"]) == ("resp_5eed", "response", "failed")
    assert (response["output"], response["usage"]) == ([], None)


@pytest.mark.parametrize(("wait", "words"), [(0.2, "in 1s."), (11.1, "in 12s."), (None, None)])
def test_codex_reads_how_long_to_wait_in_the_words(wait: float | None, words: str | None) -> None:
    message = failed(RateLimited("slow down", retry_after=wait))["response"]["error"]["message"]
    assert message.startswith("slow down. Nothing was charged.")
    assert message.endswith(f"Please try again {words}" if words else "charged.")


def test_only_a_limit_is_waited_out() -> None:
    assert "try again" not in failed(NoAccount("x", retry_after=5))["response"]["error"]["message"]
