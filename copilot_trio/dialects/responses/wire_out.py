"""What a Responses answer looks like on Copilot's wire. Loose on purpose (upstream.md §8.2 to §8.4)."""

from __future__ import annotations

import msgspec

from copilot_trio.turn import Usage

NOTHING = msgspec.Raw()

PREFIXES = {
    "reasoning": "rs_",
    "message": "msg_",
    "function_call": "fc_",
    "custom_tool_call": "ctc_",
    "web_search_call": "ws_",
}
UNKNOWN = "item_"


def item_id(kind: str, seed: str, index: int) -> str:
    """The id that a client sees for an output item, here and in a stream that we only pass on."""
    return f"{PREFIXES.get(kind, UNKNOWN)}{seed}{index}"


def response_id(seed: str) -> str:
    return f"resp_{seed}"


class Annotation(msgspec.Struct, frozen=True):
    type: str = ""
    url: str | None = None
    title: str | None = None


class Piece(msgspec.Struct, frozen=True):
    """A content part of a message, or a piece of a reasoning item's summary or content."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[Annotation] | None = None


class Source(msgspec.Struct, frozen=True):
    url: str | None = None


class Action(msgspec.Struct, frozen=True):
    type: str = "search"
    query: str | None = None
    queries: list[str] | None = None
    sources: list[Source] | None = None


class OutputItem(msgspec.Struct, frozen=True):
    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | None = None
    input: str | None = None
    encrypted_content: str | None = None
    summary: list[Piece] | None = None
    content: list[Piece] | None = None
    action: Action | None = None


class Kind(msgspec.Struct, frozen=True):
    type: str = ""


class Failure(msgspec.Struct, frozen=True):
    code: str | int | None = None
    message: str | None = None


class InputDetails(msgspec.Struct, frozen=True, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class OutputDetails(msgspec.Struct, frozen=True, gc=False):
    reasoning_tokens: int | None = None


class ResponsesUsage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class CopilotUsage(msgspec.Struct, frozen=True, gc=False):
    total_nano_aiu: int | None = None


class Incomplete(msgspec.Struct, frozen=True, gc=False):
    reason: str | None = None


class Response(msgspec.Struct, frozen=True):
    """The ``response`` of an event, or a whole reply, which has ``copilot_usage`` within (§8.5)."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    error: Failure | None = None
    incomplete_details: Incomplete | None = None
    output: list[msgspec.Raw] | None = None
    usage: ResponsesUsage | None = None
    copilot_usage: CopilotUsage | None = None


class StreamEvent(msgspec.Struct, frozen=True):
    type: str = ""
    output_index: int = 0
    content_index: int | None = None
    summary_index: int | None = None
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    annotation: Annotation | None = None
    item: msgspec.Raw = NOTHING
    response: Response | None = None
    copilot_usage: CopilotUsage | None = None
    code: str | int | None = None
    message: str | None = None
    error: Failure | None = None


def usage_of(response: Response, cost: CopilotUsage | None) -> Usage | None:
    """None where nothing is said. ``cost`` stands beside ``response`` in an event (§5.3)."""
    cost = cost or response.copilot_usage
    counts = response.usage
    if counts is None and cost is None:
        return None
    counts = counts or ResponsesUsage()
    details = counts.input_tokens_details or InputDetails()
    read, written = details.cached_tokens or 0, details.cache_write_tokens or 0
    return Usage(
        input_tokens=max(0, (counts.input_tokens or 0) - read - written),
        output_tokens=counts.output_tokens or 0,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=(counts.output_tokens_details.reasoning_tokens if counts.output_tokens_details else None) or 0,
        nano_aiu=cost.total_nano_aiu if cost else None,
    )
