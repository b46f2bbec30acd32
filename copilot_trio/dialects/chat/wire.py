"""What chat completions look like, asked by clients and answered by Copilot. Loose on purpose (upstream.md §7)."""

from __future__ import annotations

from typing import Any

import msgspec

from copilot_trio.turn import Usage

NOTHING = msgspec.Raw()
Mark = dict[str, Any] | None  # of a cache breakpoint


def absent(raw: msgspec.Raw) -> bool:
    return bytes(raw) in {b"", b"null"}


# ---- what is asked


class FunctionCallIn(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class CustomCallIn(msgspec.Struct, frozen=True):
    name: str | None = None
    input: str | None = None


class ToolCallIn(msgspec.Struct, frozen=True):
    id: str | None = None
    function: FunctionCallIn | None = None
    custom: CustomCallIn | None = None
    cache_control: Mark = None


class MessageIn(msgspec.Struct, frozen=True):
    role: str
    content: str | list[msgspec.Raw] | None = None
    refusal: str | None = None
    reasoning_text: str | None = None
    reasoning_content: str | None = None
    reasoning_opaque: str | None = None
    tool_calls: list[ToolCallIn] | None = None
    function_call: FunctionCallIn | None = None
    tool_call_id: str | None = None
    cache_control: Mark = None
    copilot_cache_control: Mark = None


class ImageUrl(msgspec.Struct, frozen=True):
    url: str = ""
    detail: str | None = None


class AudioIn(msgspec.Struct, frozen=True):
    data: str = ""
    format: str | None = None


class FileIn(msgspec.Struct, frozen=True):
    file_data: str | None = None
    filename: str | None = None


class PartIn(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    refusal: str = ""
    image_url: str | ImageUrl = ""
    input_audio: AudioIn = AudioIn()
    file: FileIn = FileIn()
    cache_control: Mark = None
    copilot_cache_control: Mark = None


class PartKind(msgspec.Struct, frozen=True):
    type: str = ""


class ToolSpec(msgspec.Struct, frozen=True):
    """A function or a custom tool: nested, or flat in the tool itself."""

    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = NOTHING
    strict: bool | None = None
    format: msgspec.Raw = NOTHING


class ToolIn(ToolSpec, frozen=True):
    type: str | None = None
    function: ToolSpec | None = None
    custom: ToolSpec | None = None


class Named(msgspec.Struct, frozen=True):
    """A tool by its name: nested, or flat."""

    name: str | None = None
    function: ToolSpec | None = None
    custom: ToolSpec | None = None

    @property
    def tool(self) -> str:
        nested = self.function or self.custom
        return (nested.name if nested else self.name) or ""


class Allowed(msgspec.Struct, frozen=True):
    mode: str = "auto"
    tools: list[Named] = []


class ToolChoiceIn(Named, frozen=True):
    type: str = ""
    allowed_tools: Allowed | None = None


class JsonSchema(msgspec.Struct, frozen=True):
    name: str | None = None
    schema: msgspec.Raw = NOTHING
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct, frozen=True):
    type: str = ""
    json_schema: JsonSchema = JsonSchema()


class RequestIn(msgspec.Struct, frozen=True):
    messages: list[MessageIn]
    tools: list[ToolIn] | None = None
    functions: list[msgspec.Raw] | None = None
    tool_choice: str | ToolChoiceIn | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    reasoning_effort: str | None = None
    thinking_budget: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    verbosity: str | None = None
    prompt_cache_key: str | None = None
    stream: bool | None = None


# ---- what is answered


class Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class ToolCallOut(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct, gc=False):
    """A chunk's delta, or the message of a whole reply."""

    content: str | None = None
    refusal: str | None = None
    reasoning_text: str | None = None
    reasoning_content: str | None = None
    reasoning_opaque: str | None = None
    tool_calls: list[ToolCallOut] | None = None


class Choice(msgspec.Struct, gc=False):
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class CopilotUsage(msgspec.Struct, gc=False):
    total_nano_aiu: int | None = None


class ChatUsage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    copilot_usage: CopilotUsage | None = None


class StreamError(msgspec.Struct, gc=False):
    message: str | None = None
    code: str | int | None = None


class Chunk(msgspec.Struct, gc=False):
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
