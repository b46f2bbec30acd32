"""What an Anthropic Messages request and reply look like. Loose on purpose: a missing field is no error."""

from __future__ import annotations

from typing import Any

import msgspec

NOTHING = msgspec.Raw()


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
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None


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
