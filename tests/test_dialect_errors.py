from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest
from recordings import events_in

from copilot_trio.dialects.dialect import CHAT, MESSAGES, Dialect, dialect_for
from copilot_trio.errors import (
    COST_SENTENCES,
    AccountPaused,
    BadRequest,
    ContextTooLong,
    MethodNotAllowed,
    NoAccount,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    StreamTruncated,
    TooLarge,
    Unauthorized,
    UpstreamOverloaded,
    UpstreamRefused,
    UpstreamTimeout,
)

CAUSE = 'it "broke"\n\u2028 \\ é'
MAKERS: dict[type[ProxyError], Callable[[], ProxyError]] = {
    MethodNotAllowed: lambda: MethodNotAllowed(CAUSE, allow="POST"),
    UpstreamOverloaded: lambda: UpstreamOverloaded(CAUSE, status=502),
    UpstreamRefused: lambda: UpstreamRefused(CAUSE, status=404, param="model"),
    ContextTooLong: lambda: ContextTooLong(5, 3),
}


def family(of: type[ProxyError]) -> Iterator[type[ProxyError]]:
    yield of
    for child in of.__subclasses__():
        yield from family(child)


# What the admin API alone says never gets into a dialect.
SPOKEN = {kind for kind in family(ProxyError) if not kind.__module__.startswith("copilot_trio.admin.")}
ERRORS = sorted(SPOKEN, key=lambda kind: kind.__name__)


def make(kind: type[ProxyError]) -> ProxyError:
    return MAKERS[kind]() if kind in MAKERS else kind(CAUSE)


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_the_message_ends_with_the_cost(kind: type[ProxyError]) -> None:
    error = make(kind)
    assert str(error).endswith(COST_SENTENCES[error.cost])


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_status_and_a_code(kind: type[ProxyError]) -> None:
    error = make(kind)
    assert 400 <= error.status < 600
    assert error.code or kind is ProxyError


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_is_an_openai_envelope(kind: type[ProxyError]) -> None:
    error = make(kind)
    envelope = msgspec.json.decode(CHAT.render_error(error))
    assert set(envelope) == {"error"}
    assert envelope["error"]["message"] == str(error)
    assert (envelope["error"]["code"], envelope["error"]["param"]) == (error.code, error.param)
    assert envelope["error"]["type"].isidentifier()


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_is_an_anthropic_envelope(kind: type[ProxyError]) -> None:
    error = make(kind)
    envelope = msgspec.json.decode(MESSAGES.render_error(error))
    assert set(envelope) == {"type", "error"}
    assert envelope["type"] == "error"
    assert envelope["error"] == {"type": envelope["error"]["type"], "message": str(error)}
    assert envelope["error"]["type"] in {
        "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
        "request_too_large", "rate_limit_error", "api_error", "timeout_error", "overloaded_error",
    }  # fmt: skip


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_in_a_chat_stream_is_a_frame_and_the_end(kind: type[ProxyError]) -> None:
    error = make(kind)
    frame, end = events_in(CHAT.render_stream_error(error, ""))
    assert frame.data == CHAT.render_error(error)
    assert (frame.name, end.data) == ("", b"[DONE]")


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_in_a_messages_stream_is_a_named_event(kind: type[ProxyError]) -> None:
    error = make(kind)
    (event,) = events_in(MESSAGES.render_stream_error(error, ""))
    assert (event.name, event.data) == ("error", MESSAGES.render_error(error))


@pytest.mark.parametrize(
    ("error", "openai", "anthropic"),
    [
        (BadRequest("x"), "invalid_request_error", "invalid_request_error"),
        (TooLarge("x"), "invalid_request_error", "request_too_large"),
        (Unauthorized("x"), "invalid_request_error", "authentication_error"),
        (RateLimited("x"), "rate_limit_error", "rate_limit_error"),
        (QuotaExhausted("x"), "insufficient_quota", "billing_error"),
        (NoAccount("x"), "server_error", "api_error"),
        (AccountPaused("x"), "permission_error", "permission_error"),
        (UpstreamTimeout("x"), "server_error", "timeout_error"),
        (StreamTruncated("x"), "server_error", "api_error"),
        (ProxyError("x"), "server_error", "api_error"),
        (ContextTooLong(5, 3), "invalid_request_error", "invalid_request_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, ProxyError) else str(value),
)
def test_errors_have_the_type_names_of_their_dialect(error: ProxyError, openai: str, anthropic: str) -> None:
    assert msgspec.json.decode(CHAT.render_error(error))["error"]["type"] == openai
    assert msgspec.json.decode(MESSAGES.render_error(error))["error"]["type"] == anthropic


def test_a_prompt_that_is_too_long_begins_with_the_words_that_clients_know() -> None:
    message = msgspec.json.decode(MESSAGES.render_error(ContextTooLong(210194, 200000)))["error"]["message"]
    assert message.startswith("prompt is too long: 210194 tokens > 200000 maximum")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (BadRequest("it broke"), "it broke. Nothing was charged."),
        (BadRequest("it broke!"), "it broke! Nothing was charged."),
        (BadRequest("it broke", remedy="Mend it."), "it broke. Mend it. Nothing was charged."),
        (StreamTruncated("it broke"), "it broke. It may have been charged."),
        (StreamTruncated("it broke", cost="none"), "it broke. Nothing was charged."),
        (MethodNotAllowed("it broke", allow="POST"), "it broke. Use POST. Nothing was charged."),
    ],
    ids=["cause", "with a mark", "remedy", "unknown cost", "cost given", "method"],
)
def test_an_error_reads_cause_remedy_cost(error: ProxyError, text: str) -> None:
    assert str(error) == text


def test_what_a_stream_had_brought_is_not_in_the_message() -> None:
    error = StreamTruncated("it broke")
    error.partial = b"secret words"
    error.account = "work"
    assert "secret" not in str(error) + repr(error)


@pytest.mark.parametrize(
    ("path", "headers", "dialect"),
    [
        ("/v1/messages", {}, MESSAGES),
        ("/v1/messages/count_tokens", {}, MESSAGES),
        ("/v1/chat/completions", {}, CHAT),
        ("/v1/models", {}, CHAT),
        ("/v1/models", {"anthropic-version": "2023-06-01"}, MESSAGES),
    ],
    ids=["messages", "count", "chat", "models", "models for Anthropic"],
)
def test_the_route_or_the_headers_choose_the_words(path: str, headers: dict[str, str], dialect: Dialect) -> None:
    assert dialect_for(path, headers) is dialect
