"""What chat completions look like on Copilot's wire. Loose on purpose (upstream.md §7)."""

from __future__ import annotations

import msgspec

from copilot_trio.turn import Usage


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class ToolCallOut(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    """A chunk's delta, or the message of a whole reply."""

    content: str | None = None
    refusal: str | None = None
    reasoning_text: str | None = None
    reasoning_content: str | None = None
    reasoning_opaque: str | None = None
    tool_calls: list[ToolCallOut] | None = None


class Choice(msgspec.Struct):
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class CopilotUsage(msgspec.Struct, gc=False):
    total_nano_aiu: int | None = None


class ChatUsage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    copilot_usage: CopilotUsage | None = None


class StreamError(msgspec.Struct):
    message: str | None = None
    code: str | int | None = None


class Chunk(msgspec.Struct):
    """A chunk of a stream, or a whole reply."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: ChatUsage | None = None
    copilot_usage: CopilotUsage | None = None
    error: StreamError | None = None


def usage_of(chunk: Chunk) -> Usage | None:
    """None where the chunk says nothing, and for the zeroes that Gemini puts into every chunk (§7.8)."""
    usage = chunk.usage
    if usage is None or not (usage.prompt_tokens or usage.completion_tokens or usage.total_tokens):
        return None
    prompt = usage.prompt_tokens or 0
    output = usage.completion_tokens or 0
    cached = (usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else None) or 0
    details = usage.completion_tokens_details.reasoning_tokens if usage.completion_tokens_details else None
    reasoning = usage.reasoning_tokens or details or 0
    if usage.total_tokens and usage.total_tokens == prompt + output + reasoning:
        output += reasoning  # Gemini counts reasoning beside the completion, others within it
    cost = chunk.copilot_usage or usage.copilot_usage
    return Usage(
        input_tokens=max(0, prompt - cached),
        output_tokens=output,
        cache_read_tokens=cached,
        reasoning_tokens=reasoning,
        nano_aiu=cost.total_nano_aiu if cost else None,
    )
