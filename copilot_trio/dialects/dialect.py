"""What the rest of the proxy needs to know of each dialect, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from copilot_trio.errors import ProxyError
from copilot_trio.models.model import Model
from copilot_trio.turn import AnswerContext, Conversation, Turn, Usage

from . import DialectName
from .chat import decode as chat_decode
from .chat import encode as chat_encode
from .chat import error as chat_error
from .chat import parse as chat_parse
from .chat import render as chat_render
from .chat.strict import mend_reply
from .messages import decode as messages_decode
from .messages import encode as messages_encode
from .messages import error as messages_error
from .messages import parse as messages_parse
from .messages import render as messages_render
from .passthrough import (
    ChatWatch,
    MessagesWatch,
    Watch,
    chat_usage,
    messages_usage,
    rename_in_events,
    rename_in_reply,
)
from .responses import decode as responses_decode
from .responses import encode as responses_encode
from .responses import error as responses_error
from .responses import parse as responses_parse
from .responses import pins
from .responses import render as responses_render
from .responses import watch as responses_watch
from .stream import StreamDecoder, StreamEncoder

KEEP_ALIVE = b": keep-alive\n\n"


class Dialect(msgspec.Struct, frozen=True, eq=False):
    """One API format, as client and as upstream speak it. Two of them are the same only if they are identical."""

    name: DialectName
    endpoint: str  # where upstream speaks it
    prompt_field: str  # where a request holds its prompt
    parse_request: Callable[[bytes], Conversation]
    render_request: Callable[[Conversation, Model], bytes]
    decoder: Callable[[], StreamDecoder]
    encoder: Callable[[AnswerContext], StreamEncoder]
    parse_answer: Callable[[bytes], Turn]
    render_answer: Callable[[Turn, AnswerContext], bytes]
    render_error: Callable[[ProxyError], bytes]
    render_stream_error: Callable[[ProxyError, str], bytes]  # with the seed of the answer so far
    heartbeat: bytes
    watch: Callable[[str], Watch]  # from the seed of our own ids
    usage: Callable[[bytes], Usage | None]  # of a whole reply
    rename_events: Callable[[bytes, str], bytes] = rename_in_events
    rename_reply: Callable[[bytes, str], bytes] = rename_in_reply
    pin_reply: Callable[[bytes, str], bytes] = lambda body, _: body  # what a strict client needs in a whole reply


CHAT = Dialect(
    name="chat",
    endpoint="/chat/completions",
    prompt_field="messages",
    parse_request=chat_parse.parse_request,
    render_request=chat_render.render_request,
    decoder=chat_decode.ChatStreamDecoder,
    encoder=chat_encode.ChatStreamEncoder,
    parse_answer=chat_decode.parse_answer,
    render_answer=chat_encode.render_answer,
    render_error=chat_error.render_error,
    render_stream_error=lambda error, _: chat_error.render_stream_error(error),
    heartbeat=KEEP_ALIVE,
    watch=lambda _: ChatWatch(),
    usage=chat_usage,
    pin_reply=lambda body, _: mend_reply(body),
)
MESSAGES = Dialect(
    name="messages",
    endpoint="/v1/messages",
    prompt_field="messages",
    parse_request=messages_parse.parse_request,
    render_request=messages_render.render_request,
    decoder=messages_decode.MessagesStreamDecoder,
    encoder=messages_encode.MessagesStreamEncoder,
    parse_answer=messages_decode.parse_answer,
    render_answer=messages_encode.render_answer,
    render_error=messages_error.render_error,
    render_stream_error=lambda error, _: messages_error.render_stream_error(error),
    heartbeat=messages_encode.PING,
    watch=lambda _: MessagesWatch(),
    usage=messages_usage,
)
RESPONSES = Dialect(
    name="responses",
    endpoint="/responses",
    prompt_field="input",
    parse_request=responses_parse.parse_request,
    render_request=responses_render.render_request,
    decoder=responses_decode.ResponsesStreamDecoder,
    encoder=responses_encode.ResponsesStreamEncoder,
    parse_answer=responses_decode.parse_answer,
    render_answer=responses_encode.render_answer,
    render_error=responses_error.render_error,
    render_stream_error=responses_error.render_stream_error,
    heartbeat=KEEP_ALIVE,
    watch=responses_watch.ResponsesWatch,
    usage=responses_watch.responses_usage,
    rename_events=responses_watch.rename_in_response_events,
    rename_reply=rename_in_reply,
    pin_reply=pins.pin_answer,
)
DIALECTS: tuple[Dialect, ...] = (CHAT, MESSAGES, RESPONSES)


def dialect_for(path: str, headers: Mapping[str, str]) -> Dialect:
    """Whose words an error should have: by the route, else by what the client's headers give away."""
    if "/messages" in path or "anthropic-version" in headers:
        return MESSAGES
    return RESPONSES if "/responses" in path else CHAT
