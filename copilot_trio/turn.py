"""A conversation, and what a model says in one turn, in no API's words.

Each dialect parses its own requests into a :class:`Conversation` and decodes its own stream into the events below;
each renders and encodes from these. Usage is counted here, so it is counted in one place.
"""

from __future__ import annotations

from typing import Literal

import msgspec

StopReason = Literal["end_turn", "max_tokens", "tool_use", "stop_sequence", "refusal"]
Role = Literal["system", "user", "assistant"]

# A redacted block among turn events, and in dialects that know none, is a signature that begins so. No real one does:
# they are base64. Whatever dialect the client speaks, the block finds its way back.
REDACTED = "redacted:"


# ---- what is asked


class Text(msgspec.Struct, frozen=True):
    text: str


class Image(msgspec.Struct, frozen=True):
    """Either ``data`` (base64) with its media type, or a ``url``."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""  # OpenAI's: low, high, auto


class Document(msgspec.Struct, frozen=True):
    media_type: str = ""
    data: str = ""
    url: str = ""
    text: str = ""
    title: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """What a model says when it declines, where its API tells that from an answer."""

    text: str


class Thinking(msgspec.Struct, frozen=True):
    """``signature`` is upstream's opaque proof; text and signature go back exactly as they came.

    A Responses model's proof is ``<encrypted content>@<item id>``, both of the same ``output_item.done``
    (upstream.md §8.3); no other provider's has an ``@``.
    """

    text: str
    signature: str = ""


class RedactedThinking(msgspec.Struct, frozen=True):
    data: str


class ToolCall(msgspec.Struct, frozen=True):
    """``custom``: a freeform tool's, whose input is text as it stands. ``namespace``: of the Responses API's tools."""

    id: str
    name: str
    arguments: str  # JSON, as the model or the client wrote it; the raw input of a custom tool
    custom: bool = False
    namespace: str = ""


class ToolResult(msgspec.Struct, frozen=True):
    call_id: str
    parts: tuple[Text | Image | Document, ...] = ()
    is_error: bool = False
    custom: bool = False  # answers a custom call


class SearchHit(msgspec.Struct, frozen=True):
    url: str
    title: str = ""


class WebSearch(msgspec.Struct, frozen=True):
    """A search that upstream ran by itself, and what it found."""

    id: str
    query: str
    hits: tuple[SearchHit, ...] = ()
    error: str = ""  # Anthropic's code, where there was no search


Part = Text | Refusal | Image | Document | Thinking | RedactedThinking | ToolCall | ToolResult | WebSearch


class Message(msgspec.Struct, frozen=True):
    role: Role
    parts: tuple[Part, ...]
    cache_breakpoint: bool = False  # the client marked the prompt cacheable up to here


class Tool(msgspec.Struct, frozen=True):
    """A function, or with ``custom`` a freeform tool whose input follows ``format`` (a grammar's JSON, or nothing)."""

    name: str
    description: str
    schema: msgspec.Raw  # JSON Schema, byte for byte; empty for a custom tool
    strict: bool | None = None
    custom: bool = False
    format: msgspec.Raw = msgspec.Raw()
    namespace: str = ""
    flat: bool = False  # a custom tool on the chat route that wants its calls as functions with raw text: Cursor's


class SearchTool(msgspec.Struct, frozen=True):
    """The provider's own web search. ``location`` is the client's JSON, byte for byte."""

    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    location: msgspec.Raw = msgspec.Raw()


class ToolChoice(msgspec.Struct, frozen=True):
    mode: Literal["auto", "any", "none", "tool"]
    name: str = ""


class Reasoning(msgspec.Struct, frozen=True):
    """``wanted`` is None where the client is silent."""

    wanted: bool | None = None
    budget: int | None = None
    effort: str | None = None
    summary: str | None = None  # of the Responses API: auto, concise, detailed


class Conversation(msgspec.Struct, frozen=True):
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    reasoning: Reasoning = Reasoning()
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    output_schema: msgspec.Raw | None = None
    output_name: str = ""  # what the client calls that schema
    output_description: str = ""
    output_strict: bool | None = None
    output_json: bool = False  # any JSON object will do
    verbosity: str | None = None
    cache_key: str = ""
    search: SearchTool | None = None
    stream: bool = False


# ---- what is answered


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Tokens. ``input_tokens`` excludes what was read from or written to the cache; output includes reasoning."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    nano_aiu: int | None = None  # upstream's exact cost; 1e9 are one credit (upstream.md §5.3)


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base class. Don't subclass outside this module: encoders match exhaustively."""


class Started(Event, frozen=True, gc=False):
    id: str
    model: str


class TextDelta(Event, frozen=True, gc=False):
    text: str


class RefusalDelta(Event, frozen=True, gc=False):
    text: str


class ThinkingDelta(Event, frozen=True, gc=False):
    text: str


class ThinkingSigned(Event, frozen=True, gc=False):
    """The signature of the thinking before it, or, without any, of thinking that upstream keeps to itself."""

    signature: str


class ToolCallStarted(Event, frozen=True, gc=False):
    """``index`` counts a turn's calls from 0. A call's deltas follow it at once: calls never interleave."""

    index: int
    id: str
    name: str
    custom: bool = False
    namespace: str = ""


class ToolCallDelta(Event, frozen=True, gc=False):
    index: int
    arguments: str


class Searched(Event, frozen=True, gc=False):
    search: WebSearch


class Finished(Event, frozen=True, gc=False):
    reason: StopReason
    usage: Usage


class AnswerContext(msgspec.Struct, frozen=True):
    """What the writer of an answer has to know: nothing of it comes from upstream.

    ``model`` is the name the client asked for, ``created`` Unix seconds, ``seed`` the stem of the ids we make up.
    """

    model: str
    created: int = 0
    seed: str = ""
    conversation: Conversation = Conversation(())


class Turn(msgspec.Struct, frozen=True):
    """A whole answer."""

    id: str
    model: str
    parts: tuple[Part, ...]
    reason: StopReason
    usage: Usage
