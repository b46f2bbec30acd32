"""What ``/chat/completions`` refuses (upstream.md §7.1, §12).

Which unknown fields the real one minds is not known for every vendor; here all models mind all of them, so that what
passes here passes there.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import errors
from .catalogue import Model
from .prompt import Prompt
from .reply import JSON, Reply, entries, members
from .rules import check_size, invalid_value, missing, refusal, unknown_members, unsupported_effort

MAX_TOOLS = 128
ROLES = {"system", "developer", "user", "assistant", "tool", "function"}
FIELDS = frozenset(
    {
        "model", "messages", "stream", "stream_options", "temperature", "top_p", "n", "max_tokens",
        "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "stop",
        "seed", "user", "logit_bias", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty",
        "response_format", "prediction", "reasoning_effort", "thinking_budget", "verbosity", "store", "metadata",
        "service_tier", "prompt_cache_key", "safety_identifier", "snippy", "intent", "intent_threshold", "state",
    }
)  # fmt: skip
MESSAGE_FIELDS = frozenset(
    {
        "role", "content", "name", "refusal", "audio", "tool_calls", "tool_call_id", "function_call",
        "reasoning_text", "reasoning_opaque", "cot_id", "cot_summary", "copilot_cache_control", "copilot_references",
        "copilot_confirmations", "copilot_annotations",
    }
)  # fmt: skip
PARTS = {
    "text": {"type", "text"},
    "image_url": {"type", "image_url"},
    "input_audio": {"type", "input_audio"},
    "file": {"type", "file"},
    "refusal": {"type", "refusal"},
}
CALL_FIELDS = {"id", "type", "function", "index"}
CALLED_FIELDS = {"name", "arguments", "thought_signature"}
TOOL_FIELDS = {"type", "function"}
FUNCTION_FIELDS = {"name", "description", "parameters", "strict"}
CHOICES = ("none", "auto", "required")


def check_chat(prompt: Prompt, model: Model) -> Reply | None:
    messages = prompt.body.get("messages")
    if not isinstance(messages, list) or not messages:
        return errors.error("invalid_request_body")
    if any(members(message).get("role") not in ROLES for message in messages):
        return errors.error("invalid_request_body")
    if len(entries(prompt.body.get("tools"))) > MAX_TOOLS:
        return errors.error("invalid_request_body")
    return refusal(_problems(prompt.body, model)) or _check_pairing(messages, model) or check_size(prompt, model)


def _problems(body: JSON, model: Model) -> Iterator[str]:
    yield from unknown_members(body, FIELDS)
    yield from _limits(body, model)
    if body.get("reasoning_effort") is not None:
        yield from unsupported_effort("reasoning_effort", body["reasoning_effort"], model)
    if body.get("thinking_budget") is not None and not model.thinking:
        yield "Unsupported parameter: 'thinking_budget' is not supported with this model."
    for index, message in enumerate(map(members, body["messages"])):
        yield from _message(message, f"messages[{index}]", model)
    for index, tool in enumerate(map(members, entries(body.get("tools")))):
        yield from _tool(tool, f"tools[{index}]")
    yield from _choice(body.get("tool_choice"))


def _limits(body: JSON, model: Model) -> Iterator[str]:
    if body.get("max_tokens") is None:
        return
    if model.gpt5:
        yield (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
    if body.get("max_completion_tokens") is not None:
        yield "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."


def _message(message: JSON, place: str, model: Model) -> Iterator[str]:
    if message["role"] == "developer" and not model.from_openai:
        yield invalid_value("developer", ("system", "assistant", "user", "function", "tool"))
    yield from unknown_members(message, MESSAGE_FIELDS, place)
    for index, part in enumerate(map(members, entries(message.get("content")))):
        known = PARTS.get(str(part.get("type")))
        if known is None:
            yield invalid_value(part.get("type"), tuple(PARTS))
        else:
            yield from unknown_members(part, known, f"{place}.content[{index}]")
    for index, call in enumerate(map(members, entries(message.get("tool_calls")))):
        if call.get("type", "function") != "function":
            yield invalid_value(call["type"], ("function",))
        yield from unknown_members(call, CALL_FIELDS, f"{place}.tool_calls[{index}]")
        called = members(call.get("function"))
        yield from unknown_members(called, CALLED_FIELDS, f"{place}.tool_calls[{index}].function")


def _tool(tool: JSON, place: str) -> Iterator[str]:
    if tool.get("type") != "function":
        yield invalid_value(tool.get("type"), ("function",))
    if not isinstance(tool.get("function"), dict):
        yield missing(f"{place}.function")
    yield from unknown_members(tool, TOOL_FIELDS, place)
    yield from unknown_members(members(tool.get("function")), FUNCTION_FIELDS, f"{place}.function")


def _choice(choice: object) -> Iterator[str]:
    if choice is None or choice in CHOICES:
        return
    if not isinstance(choice, dict) or choice.get("type") != "function":
        yield invalid_value(members(choice).get("type", choice), (*CHOICES, "function"))
    elif not members(choice.get("function")).get("name"):
        yield missing("tool_choice.function")


def _check_pairing(messages: list[object], model: Model) -> Reply | None:
    """Each tool message answers a call of the turn before it; Claude wants each call answered, too."""
    unanswered: set[str] = set()
    asked_at = 0
    for index, message in enumerate(map(members, messages)):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in unanswered:
                return errors.error("invalid_request_body")
            unanswered.discard(str(message["tool_call_id"]))
            continue
        if unanswered and model.family == "claude":
            return errors.rejected(f"messages.{asked_at}: {errors.UNPAIRED}{', '.join(sorted(unanswered))}")
        calls = map(members, entries(message.get("tool_calls")))
        unanswered, asked_at = {str(call.get("id")) for call in calls}, index
    if unanswered and model.family == "claude":
        return errors.rejected(f"messages.{asked_at}: {errors.UNPAIRED}{', '.join(sorted(unanswered))}")
    return None
