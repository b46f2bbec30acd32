"""What ``/responses`` refuses, over HTTP and over a WebSocket (upstream.md §8.1, §9.2, §12 rows 15 to 19)."""

from __future__ import annotations

from collections.abc import Iterator

from . import errors
from .catalogue import Model
from .identifiers import Seal
from .prompt import Prompt
from .reply import JSON, Reply, entries, members
from .rules import check_size, invalid_value, missing, refusal, unknown_members, unsupported_effort
from .search import is_search

MIN_OUTPUT = 16
FIELDS = frozenset(
    {
        "model", "input", "instructions", "stream", "tools", "tool_choice", "parallel_tool_calls", "max_tool_calls",
        "temperature", "top_p", "top_logprobs", "max_output_tokens", "store", "text", "truncation", "reasoning",
        "include", "prompt_cache_key", "prompt_cache_retention", "context_management", "metadata", "client_metadata",
        "user", "safety_identifier", "previous_response_id",
    }
)  # fmt: skip
REASONING_FIELDS = {"effort", "summary", "generate_summary", "context"}
ROLES = ("user", "assistant", "system", "developer")
PARTS = ("input_text", "input_image", "input_file", "output_text", "refusal", "encrypted_content")
ITEMS = ("message", "reasoning", "compaction", "compaction_trigger", "additional_tools", "item_reference")
TOOLS = (
    "function", "custom", "namespace", "tool_search", "web_search", "web_search_preview", "local_shell", "shell",
    "apply_patch", "image_generation", "code_interpreter", "file_search", "computer_use_preview", "mcp",
)  # fmt: skip
CHOICES = ("none", "auto", "required")
CALLS = {"function_call": "function call", "custom_tool_call": "custom tool call"}


def check_responses(prompt: Prompt, model: Model, login: str, seal: Seal) -> Reply | None:
    body = prompt.body
    if not isinstance(body.get("input"), str | list):
        return errors.error("invalid_request_body")
    if body.get("previous_response_id"):  # the server keeps no state over HTTP (upstream.md §8.1)
        return errors.error("previous_response_not_found")
    problem = refusal(_settings(body, model)) or refusal(_tools(body, model))
    if problem is None:
        items = [members(item) for item in entries(body.get("input"))]
        foreign = next((found for item in items if (found := _foreign(item, login, seal))), None)
        problem = foreign or refusal(_items(items))
    return problem or check_size(prompt, model)


def _settings(body: JSON, model: Model) -> Iterator[str]:
    if "include_usage" in members(body.get("stream_options")):
        yield "Unknown parameter: 'stream_options.include_usage'."
    yield from unknown_members(body, FIELDS)
    limit = body.get("max_output_tokens")
    if isinstance(limit, int) and limit < MIN_OUTPUT:
        yield (
            "Invalid 'max_output_tokens': integer below minimum value. "
            f"Expected a value >= {MIN_OUTPUT}, but got {limit} instead."
        )
    reasoning = members(body.get("reasoning"))
    yield from unknown_members(reasoning, REASONING_FIELDS, "reasoning")
    if reasoning.get("effort") is not None:
        yield from unsupported_effort("reasoning.effort", reasoning["effort"], model)


def _tools(body: JSON, model: Model) -> Iterator[str]:
    for index, tool in enumerate(map(members, entries(body.get("tools")))):
        kind = str(tool.get("type"))
        if is_search(kind) and not model.gpt5:
            yield f"Hosted tool '{kind}' is not supported with {model.id}."
        elif kind not in TOOLS and not is_search(kind):
            yield invalid_value(kind, TOOLS)
        if kind in {"function", "custom", "namespace"} and not isinstance(tool.get("name"), str):
            yield missing(f"tools[{index}].name")
        yield from _unmarked(tool, f"tools[{index}]")
    choice = body.get("tool_choice")
    if choice is None or choice in CHOICES:
        return
    if not isinstance(choice, dict):
        yield invalid_value(choice, CHOICES)
    elif choice.get("type") in {"function", "custom"} and not choice.get("name"):
        yield missing("tool_choice.name")


def _items(items: list[JSON]) -> Iterator[str]:
    for index, item in enumerate(items):
        place, kind = f"input[{index}]", str(item.get("type", "message"))
        yield from _unmarked(item, place)
        if kind == "message":
            if item.get("role") not in ROLES:
                yield invalid_value(item.get("role"), ROLES)
            yield from _parts(entries(item.get("content")), f"{place}.content")
        elif kind not in ITEMS and not kind.endswith(("_call", "_output")):
            yield invalid_value(kind, (*ITEMS, *CALLS))
        elif kind.endswith("_output"):
            yield from _parts(entries(item.get("output")), f"{place}.output")
    yield from _pairing(items)


def _parts(parts: list[object], place: str) -> Iterator[str]:
    for index, part in enumerate(map(members, parts)):
        if part.get("type") not in PARTS:
            yield invalid_value(part.get("type"), PARTS[:-1])
        yield from _unmarked(part, f"{place}[{index}]")


def _unmarked(value: JSON, place: str) -> Iterator[str]:
    if "cache_control" in value:
        yield f"Unknown parameter: '{place}.cache_control'."


def _pairing(items: list[JSON]) -> Iterator[str]:
    for kind, name in CALLS.items():
        called = [str(item.get("call_id")) for item in items if item.get("type") == kind]
        answered = [str(item.get("call_id")) for item in items if item.get("type") == f"{kind}_output"]
        for call_id in answered:
            if call_id not in called:
                yield f"No tool call found for {name} output with call_id {call_id}."
        for call_id in called:
            if call_id not in answered:
                yield f"No tool output found for {name} {call_id}."


def _foreign(item: JSON, login: str, seal: Seal) -> Reply | None:
    """Ids we never made are ignored (``msg_123``); ours must belong to the account (upstream.md §14)."""
    if item.get("type") == "item_reference":
        return errors.error("previous_response_not_found")
    known = seal.open(str(item.get("id", "")))
    if known and known[0] != login:
        return errors.error("item_id")
    if any(_sealed_elsewhere(part, login, seal) for part in map(members, entries(item.get("output")))):
        return errors.error("encrypted_output")
    secret = item.get("encrypted_content")
    if not isinstance(secret, str):
        return None
    content = seal.open(secret)
    if content is None or content[0] != login:
        return errors.error("encrypted_content")
    if known and known[1].removeprefix("item ") != content[1].removeprefix("content "):
        return errors.error("encrypted_item_mismatch")
    return None


def _sealed_elsewhere(part: JSON, login: str, seal: Seal) -> bool:
    if part.get("type") != "encrypted_content":
        return False
    content = seal.open(str(part.get("encrypted_content", "")))
    return content is None or content[0] != login
