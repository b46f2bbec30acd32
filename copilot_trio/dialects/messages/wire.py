"""What an Anthropic Messages request and reply look like. Loose on purpose: a missing field is no error."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from copilot_trio.turn import Usage
from copilot_trio.unreadable import UNREADABLE

NOTHING = msgspec.Raw()
WEB_SEARCH = "web_search"
FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")

_encode = msgspec.json.Encoder().encode


def valid_id(text: str) -> str:
    """Anthropic accepts no other characters in a tool call's id, and none without any."""
    return FOREIGN.sub("_", text) or "_"


def tool_input(arguments: str) -> msgspec.Raw:
    """Anthropic wants an object. What the model left unfinished is handed over, marked, not dropped."""
    if not arguments.strip():
        return msgspec.Raw(b"{}")
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return msgspec.Raw(_encode({"INVALID_JSON": arguments}))
    return msgspec.Raw(arguments.encode())


# ---- what is asked


class Source(msgspec.Struct, frozen=True):
    type: str = ""
    media_type: str = ""
    data: str = ""
    url: str = ""
    content: msgspec.Raw = NOTHING


class Block(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    title: str | None = None
    input: msgspec.Raw = NOTHING
    tool_use_id: str = ""
    tool_name: str = ""
    content: msgspec.Raw = NOTHING
    is_error: bool | None = None
    source: Source = Source()
    cache_control: dict[str, Any] | None = None


class BlockKind(msgspec.Struct, frozen=True):
    type: str = ""


class MessageIn(msgspec.Struct, frozen=True):
    role: str
    content: str | list[msgspec.Raw]


class ToolIn(msgspec.Struct, frozen=True):
    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = NOTHING
    strict: bool | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    user_location: msgspec.Raw = NOTHING


class SearchInput(msgspec.Struct, frozen=True):
    query: str = ""


class SearchResult(msgspec.Struct, frozen=True):
    """One found page, or what went wrong."""

    type: str = ""
    url: str = ""
    title: str | None = None
    page_age: str | None = None
    error_code: str = ""


class ToolChoiceIn(msgspec.Struct, frozen=True):
    type: str = "auto"
    name: str = ""
    disable_parallel_tool_use: bool = False


class ThinkingIn(msgspec.Struct, frozen=True):
    type: str = ""
    budget_tokens: int | None = None


class Format(msgspec.Struct, frozen=True):
    type: str = ""
    schema: msgspec.Raw = NOTHING


class OutputConfig(msgspec.Struct, frozen=True):
    effort: str | None = None
    format: Format | None = None


class RequestIn(msgspec.Struct, frozen=True):
    messages: list[MessageIn]
    system: str | list[Block] | None = None
    tools: list[ToolIn] | None = None
    tool_choice: ToolChoiceIn | None = None
    thinking: ThinkingIn | None = None
    output_config: OutputConfig | None = None
    output_format: Format | None = None  # what a beta called output_config.format
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None


# ---- what is answered


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    thinking_tokens: int | None = None


class UsageOut(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class CopilotUsage(msgspec.Struct, frozen=True, gc=False):
    total_nano_aiu: int | None = None


class MessageOut(msgspec.Struct, frozen=True):
    """A whole reply, or the ``message`` of ``message_start``."""

    usage: UsageOut | None = None
    copilot_usage: CopilotUsage | None = None


class StreamEvent(msgspec.Struct, frozen=True):
    """The events that carry usage."""

    type: str | None = None
    message: MessageOut | None = None
    usage: UsageOut | None = None
    copilot_usage: CopilotUsage | None = None


class StopDetails(msgspec.Struct, frozen=True, gc=False):
    explanation: str | None = None


class ErrorOut(msgspec.Struct, frozen=True, gc=False):
    type: str | None = None
    message: str | None = None


class AnswerOut(msgspec.Struct, frozen=True):
    """A whole reply, or the ``message`` of ``message_start``, as far as a turn needs it."""

    id: str | None = None
    model: str | None = None
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None
    stop_details: StopDetails | None = None
    usage: UsageOut | None = None
    copilot_usage: CopilotUsage | None = None
    error: ErrorOut | None = None


class DeltaOut(msgspec.Struct, frozen=True, gc=False):
    """Of a content block, or of the message."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


class AnswerEvent(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    index: int | None = None
    delta: DeltaOut | None = None
    content_block: msgspec.Raw = NOTHING
    message: AnswerOut | None = None
    usage: UsageOut | None = None
    copilot_usage: CopilotUsage | None = None
    error: ErrorOut | None = None


def merge_usage(before: Usage, now: UsageOut | None, cost: CopilotUsage | None) -> Usage:
    """``message_delta`` repeats what it knows; what it leaves out stays as ``message_start`` had it."""
    now = now or UsageOut()
    thinking = now.output_tokens_details.thinking_tokens if now.output_tokens_details else None
    nano_aiu = cost.total_nano_aiu if cost else None
    return Usage(
        before.input_tokens if now.input_tokens is None else now.input_tokens,
        before.output_tokens if now.output_tokens is None else now.output_tokens,
        before.cache_read_tokens if now.cache_read_input_tokens is None else now.cache_read_input_tokens,
        before.cache_write_tokens if now.cache_creation_input_tokens is None else now.cache_creation_input_tokens,
        before.reasoning_tokens if thinking is None else thinking,
        before.nano_aiu if nano_aiu is None else nano_aiu,
    )
