"""What the rest of the proxy needs to know of each dialect, in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from copilot_trio.errors import ProxyError
from copilot_trio.models.model import Model
from copilot_trio.turn import Usage

from . import DialectName
from .chat import error as chat_error
from .messages import error as messages_error
from .messages.encode import PING
from .passthrough import ChatWatch, MessagesWatch, Watch, chat_usage, messages_usage


class Dialect(msgspec.Struct, frozen=True):
    name: DialectName
    endpoint: str  # where upstream speaks it
    render_error: Callable[[ProxyError], bytes]
    render_stream_error: Callable[[ProxyError], bytes]
    heartbeat: bytes
    watch: Callable[[], Watch]
    usage: Callable[[bytes], Usage | None]  # of a whole reply


CHAT = Dialect(
    "chat",
    "/chat/completions",
    chat_error.render_error,
    chat_error.render_stream_error,
    b": keep-alive\n\n",
    ChatWatch,
    chat_usage,
)
MESSAGES = Dialect(
    "messages",
    "/v1/messages",
    messages_error.render_error,
    messages_error.render_stream_error,
    PING,
    MessagesWatch,
    messages_usage,
)
DIALECTS: tuple[Dialect, ...] = (CHAT, MESSAGES)


def dialect_for(path: str, headers: Mapping[str, str]) -> Dialect:
    """Whose words an error should have: by the route, else by what the client's headers give away."""
    if "/messages" in path or "anthropic-version" in headers:
        return MESSAGES
    return CHAT


def upstream_dialect(downstream: Dialect, model: Model) -> Dialect | None:
    """In which dialect to ask upstream: the client's own if the model offers it, else one we translate to."""
    if downstream.endpoint in model.endpoints:
        return downstream
    if downstream is MESSAGES and CHAT.endpoint in model.endpoints:
        return CHAT
    return None
