"""What a Responses request looks like (upstream.md §8.1, clients.md §4.3). Loose on purpose, as clients are."""

from __future__ import annotations

import msgspec

NOTHING = msgspec.Raw()
FOREIGN = "foreign:"  # before a proof that is not a Responses model's, which a client keeps for us as one


class Kind(msgspec.Struct, frozen=True):
    """As much of an item, a part or a tool as tells how to read the rest."""

    type: str | None = None
    role: str | None = None


class ImageUrl(msgspec.Struct, frozen=True):
    """Chat's way to name an image."""

    url: str = ""
    detail: str | None = None


class PartIn(msgspec.Struct, frozen=True):
    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    image_url: str | ImageUrl | None = None
    detail: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    file_data: str | None = None
    filename: str | None = None


class SourceIn(msgspec.Struct, frozen=True):
    url: str | None = None
    title: str | None = None


class SearchAction(msgspec.Struct, frozen=True):
    """``type`` is search, open_page or find_in_page."""

    type: str | None = None
    query: str | None = None
    queries: list[str] | None = None
    sources: list[SourceIn] | None = None


class ItemIn(msgspec.Struct, frozen=True):
    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: msgspec.Raw = NOTHING
    summary: list[PartIn] | None = None
    encrypted_content: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: msgspec.Raw = NOTHING
    input: str | None = None
    output: msgspec.Raw = NOTHING
    action: SearchAction | None = None
    tools: list[msgspec.Raw] | None = None


class FunctionIn(msgspec.Struct, frozen=True):
    """Chat's nesting of a function, or the one that ``tool_choice`` names."""

    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = NOTHING
    strict: bool | None = None


class Filters(msgspec.Struct, frozen=True):
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None


class ToolIn(msgspec.Struct, frozen=True):
    type: str | None = None
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = NOTHING
    strict: bool | None = None
    format: msgspec.Raw = NOTHING
    tools: list[msgspec.Raw] | None = None
    function: FunctionIn | None = None
    filters: Filters | None = None
    user_location: msgspec.Raw = NOTHING


class ToolName(msgspec.Struct, frozen=True):
    type: str | None = None
    name: str | None = None
    function: FunctionIn | None = None


class ToolChoiceIn(msgspec.Struct, frozen=True):
    type: str | None = None
    name: str | None = None
    function: FunctionIn | None = None
    mode: str | None = None
    tools: list[ToolName] | None = None


class ReasoningIn(msgspec.Struct, frozen=True):
    effort: str | None = None
    summary: str | None = None


class FormatIn(msgspec.Struct, frozen=True):
    type: str | None = None
    name: str | None = None
    schema: msgspec.Raw = NOTHING
    description: str | None = None
    strict: bool | None = None


class TextIn(msgspec.Struct, frozen=True):
    format: FormatIn | None = None
    verbosity: str | None = None


class RequestIn(msgspec.Struct, frozen=True):
    input: str | list[msgspec.Raw] | None = None
    instructions: str | None = None
    tools: list[msgspec.Raw] | None = None
    tool_choice: str | ToolChoiceIn | None = None
    parallel_tool_calls: bool | None = None
    reasoning: ReasoningIn | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    text: TextIn | None = None
    prompt_cache_key: str | None = None
    stream: bool | None = None
    background: bool | None = None
    previous_response_id: msgspec.Raw = NOTHING
    conversation: msgspec.Raw = NOTHING
    prompt: msgspec.Raw = NOTHING


def absent(raw: msgspec.Raw) -> bool:
    return bytes(raw) in {b"", b"null"}
