"""A request in any of the three APIs, boiled down to what a plan for the answer needs to know."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .reply import JSON, encode, entries, members

Surface = Literal["chat", "messages", "responses", "embeddings"]
Kind = Literal["user", "assistant", "call", "result"]

BYTES_PER_TOKEN = 4  # rough, as for English text
TOKENS_PER_IMAGE = 1000


class Event(msgspec.Struct, frozen=True):
    """One thing that was said: by whom, and the text of it (for a call, the tool's name)."""

    kind: Kind
    text: str


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    kind: str = "function"
    schema: JSON = msgspec.field(default_factory=dict)
    deferred: bool = False
    namespace: str = ""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    surface: Surface
    model: str
    stream: bool
    events: tuple[Event, ...]
    tools: tuple[Tool, ...]
    thinking: bool  # was reasoning asked for?
    tokens: int
    body: JSON


def text_of(content: object) -> str:
    """The words of a content field, whether a string, a part, or a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return text_of(content.get("text") or content.get("content"))
    return "\n".join(filter(None, (text_of(part) for part in entries(content))))


def _tokens(body: JSON) -> int:
    images = _images(body)
    size = len(encode(body)) - sum(images)
    return max(1, size // BYTES_PER_TOKEN + len(images) * TOKENS_PER_IMAGE)


def _images(value: object) -> list[int]:
    """The sizes of the encoded images in a body, which do not count by their bytes."""
    if isinstance(value, list):
        return [size for item in value for size in _images(item)]
    if not isinstance(value, dict):
        return []
    found = [size for item in value.values() for size in _images(item)]
    payloads = (value.get(name) for name in ("url", "image_url", "data"))
    return found + [len(text) for text in payloads if isinstance(text, str) and len(text) > TOKENS_PER_IMAGE]


def read_chat(body: JSON) -> Prompt:
    events: list[Event] = []
    for message in map(members, entries(body.get("messages"))):
        role, words = message.get("role"), text_of(message.get("content"))
        if role == "user":
            events.append(Event("user", words))
        elif role == "tool":
            events.append(Event("result", words))
        elif role == "assistant":
            if words:
                events.append(Event("assistant", words))
            calls = map(members, entries(message.get("tool_calls")))
            events += [Event("call", _name(members(call.get("function")))) for call in calls]
    return Prompt(
        surface="chat",
        model=_model(body),
        stream=body.get("stream") is True,
        events=tuple(events),
        tools=tuple(_chat_tool(members(tool)) for tool in entries(body.get("tools"))),
        thinking=bool(body.get("thinking_budget") or body.get("reasoning_effort") or body.get("thinking")),
        tokens=_tokens(body),
        body=body,
    )


def _chat_tool(tool: JSON) -> Tool:
    function = members(tool.get("function")) or tool
    return Tool(name=_name(function), schema=members(function.get("parameters")))


def read_messages(body: JSON) -> Prompt:
    events: list[Event] = []
    for message in map(members, entries(body.get("messages"))):
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else entries(content)
        for part in map(members, parts):
            events += _messages_events(part, asked=message.get("role") == "user")
    thinking = members(body.get("thinking")).get("type") in {"enabled", "adaptive"}
    return Prompt(
        surface="messages",
        model=_model(body),
        stream=body.get("stream") is True,
        events=tuple(events),
        tools=tuple(_messages_tool(members(tool)) for tool in entries(body.get("tools"))),
        thinking=thinking,
        tokens=_tokens(body),
        body=body,
    )


def _messages_events(part: JSON, *, asked: bool) -> list[Event]:
    match part.get("type"):
        case "text":
            return [Event("user" if asked else "assistant", text_of(part))]
        case "tool_use":
            return [Event("call", _name(part))]
        case "tool_result":
            return [Event("result", text_of(part.get("content")))]
    return []


def _messages_tool(tool: JSON) -> Tool:
    return Tool(
        name=_name(tool),
        kind=str(tool.get("type", "custom")),
        schema=members(tool.get("input_schema")),
        deferred=tool.get("defer_loading") is True,
    )


def read_responses(body: JSON) -> Prompt:
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else entries(given)
    events = [event for item in map(members, items) for event in _responses_events(item)]
    tools = [tool for item in entries(body.get("tools")) for tool in _responses_tools(members(item), "")]
    for item in map(members, items):  # some clients bring their tools as an input item
        if item.get("type") == "additional_tools":
            tools += [tool for entry in entries(item.get("tools")) for tool in _responses_tools(members(entry), "")]
    return Prompt(
        surface="responses",
        model=_model(body),
        stream=body.get("stream") is True,
        events=tuple(events),
        tools=tuple(tools),
        thinking=bool(members(body.get("reasoning")).get("effort")),
        tokens=_tokens(body),
        body=body,
    )


def _responses_events(item: JSON) -> list[Event]:
    kind = str(item.get("type", "message"))
    if kind == "message":
        role, words = item.get("role"), text_of(item.get("content"))
        return [Event("user" if role == "user" else "assistant", words)] if role in {"user", "assistant"} else []
    if kind.endswith("_call"):
        return [Event("call", _name(item) or kind)]
    if kind.endswith("_output"):
        output = item.get("output")
        return [Event("result", text_of(output))]
    return []


def _responses_tools(tool: JSON, namespace: str) -> list[Tool]:
    if tool.get("type") == "namespace":
        inner = map(members, entries(tool.get("tools")))
        return [found for entry in inner for found in _responses_tools(entry, _name(tool))]
    function = members(tool.get("function")) or tool
    return [
        Tool(
            name=_name(function) or str(tool.get("type", "")),
            kind=str(tool.get("type", "function")),
            schema=members(function.get("parameters")),
            deferred=tool.get("defer_loading") is True,
            namespace=namespace,
        )
    ]


def read_embeddings(body: JSON) -> Prompt:
    """For counting: each text is an event of its own."""
    texts = [text for text in entries(body.get("input")) if isinstance(text, str)]
    return Prompt(
        surface="embeddings",
        model=_model(body),
        stream=False,
        events=tuple(Event("user", text) for text in texts),
        tools=(),
        thinking=False,
        tokens=sum(max(1, len(text) // BYTES_PER_TOKEN) for text in texts),
        body=body,
    )


def _name(value: JSON) -> str:
    name: Any = value.get("name")
    return name if isinstance(name, str) else ""


def _model(body: JSON) -> str:
    model = body.get("model")
    return model if isinstance(model, str) else ""
