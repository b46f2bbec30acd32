"""A chat-completions request, rendered from a conversation.

What has no counterpart in this dialect is said where it is left out; the prompt itself loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from copilot_trio.models.model import Model
from copilot_trio.turn import (
    Conversation,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

_encode = msgspec.json.Encoder().encode

Fields = dict[str, object]
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def render_request(conversation: Conversation, model: Model) -> bytes:
    """The body for ``POST /chat/completions``.

    Left out for want of a counterpart: ``top_k``, ``metadata`` (an identity that is not Copilot's to know),
    ``service_tier``, ``context_management``.
    """
    fields: Fields = {"model": model.id, "messages": list(_messages(conversation.messages, model))}
    if conversation.stream:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    max_tokens = _within(conversation.max_tokens, model.limits.max_output_tokens)
    if max_tokens is not None:
        fields[_max_tokens_name(model)] = max_tokens
    fields |= _sampling(conversation, model)
    if conversation.tools:
        fields["tools"] = [_tool(tool) for tool in conversation.tools]
        if conversation.tool_choice is not None:
            fields["tool_choice"] = _tool_choice(conversation.tool_choice)
        if conversation.parallel_tools is not None:
            fields["parallel_tool_calls"] = conversation.parallel_tools
    if conversation.output_schema is not None:
        # Not strict: OpenAI then refuses schemas with optional fields, which Anthropic takes.
        schema = {"name": "output", "schema": conversation.output_schema}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    fields |= _reasoning(conversation.reasoning, max_tokens, model)
    return _encode(fields)


def _within(wanted: int | None, limit: int) -> int | None:
    return min(wanted, limit) if wanted is not None and limit > 0 else wanted


def _max_tokens_name(model: Model) -> str:
    """GPT-5 and the o-series know only the newer name; everything else knows the older one."""
    family = model.capabilities.family or model.id
    return "max_completion_tokens" if family.startswith(("gpt-5", "gpt-6", "o1", "o3", "o4")) else "max_tokens"


def _sampling(conversation: Conversation, model: Model) -> Fields:
    fields: Fields = {}
    reasons = bool(model.supports.reasoning_effort) and _max_tokens_name(model) == "max_completion_tokens"
    if not reasons:  # OpenAI's reasoning models refuse both
        if conversation.temperature is not None:
            fields["temperature"] = conversation.temperature
        if conversation.top_p is not None:
            fields["top_p"] = conversation.top_p
    if conversation.stop:
        fields["stop"] = list(conversation.stop)
    return fields


def _reasoning(reasoning: Reasoning, max_tokens: int | None, model: Model) -> Fields:
    """Only what the model lists; ``disabled`` sends nothing."""
    if reasoning.wanted is not True:
        return {}
    supports = model.supports
    if supports.reasoning_effort:
        return {"reasoning_effort": clamp_effort(_effort_wanted(reasoning), supports.reasoning_effort)}
    if supports.max_thinking_budget:
        most = supports.max_thinking_budget
        ceiling = most if max_tokens is None else min(most, max_tokens - 1)  # thinking is part of the output
        wanted = most if reasoning.budget is None else reasoning.budget
        budget = max(min(wanted, ceiling), supports.min_thinking_budget)
        return {"thinking_budget": budget} if 0 < budget <= ceiling else {}
    return {}


def _effort_wanted(reasoning: Reasoning) -> str:
    if reasoning.effort is not None:
        return reasoning.effort
    if reasoning.budget is None:
        return "medium"
    return "low" if reasoning.budget < 4096 else "medium" if reasoning.budget < 16384 else "high"


def clamp_effort(wanted: str, listed: Iterable[str]) -> str:
    """The listed effort nearest to the wanted one, not above it unless all are."""
    rank = {effort: number for number, effort in enumerate(EFFORTS)}
    known = sorted((effort for effort in listed if effort in rank), key=rank.__getitem__)
    if not known:
        return wanted
    below = [effort for effort in known if rank[effort] <= rank.get(wanted, rank["medium"])]
    return below[-1] if below else known[0]


def _tool(tool: Tool) -> Fields:
    function: Fields = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> object:
    match choice.mode:
        case "any":
            return "required"
        case "tool":
            return {"type": "function", "function": {"name": choice.name}}
        case mode:
            return mode


# ---- messages


def _messages(messages: Iterable[Message], model: Model) -> Iterator[Fields]:
    # VS Code marks cache breakpoints for Claude; the other vendors cache by themselves (upstream.md §7.1).
    marks_cache = model.vendor == "Anthropic"
    for message in messages:
        rendered = list(_render(message))
        if rendered and message.cache_breakpoint and marks_cache:
            rendered[-1]["copilot_cache_control"] = {"type": "ephemeral"}
        yield from rendered


def _render(message: Message) -> Iterator[Fields]:
    match message.role:
        case "system":
            yield {"role": "system", "content": "\n\n".join(_plain(part) for part in message.parts)}
        case "assistant":
            yield _assistant(message.parts)
        case "user":
            yield from _user(message.parts)


def _user(parts: Iterable[Part]) -> Iterator[Fields]:
    """Tool results first: chat wants them right behind the calls. Their images follow as a user's, the only place."""
    rest: list[Part] = []
    images: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.call_id, "content": _result_text(part)}
            found = [inner for inner in part.parts if isinstance(inner, Image)]
            if found:
                images += [Text(f"The image{'s' if len(found) > 1 else ''} of tool result {part.call_id}:"), *found]
        else:
            rest.append(part)
    if images or rest:
        yield {"role": "user", "content": _content([*images, *rest])}


def _result_text(result: ToolResult) -> str:
    texts = [
        "(an image, in the user message below)" if isinstance(part, Image) else _plain(part) for part in result.parts
    ]
    return ("Error: " if result.is_error else "") + "\n".join(texts)  # chat has no is_error


def _content(parts: list[Part]) -> str | list[Fields]:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [_content_part(part) for part in parts]


def _content_part(part: Part) -> Fields:
    if isinstance(part, Image):
        url = part.url or f"data:{part.media_type};base64,{part.data}"
        return {"type": "image_url", "image_url": {"url": url}}
    return {"type": "text", "text": _plain(part)}


def _assistant(parts: Iterable[Part]) -> Fields:
    parts = list(parts)
    text = "".join(_plain(part) for part in parts if isinstance(part, Text | Document))
    calls = [part for part in parts if isinstance(part, ToolCall)]
    thinking = [part for part in parts if isinstance(part, Thinking)]
    fields: Fields = {"role": "assistant", "content": text or (None if calls else "")}
    reasoning = "".join(part.text for part in thinking)
    opaque = next((part.signature for part in reversed(thinking) if part.signature), "")
    # Copilot's own names; a redacted block is another provider's secret and means nothing here.
    if reasoning:
        fields["reasoning_text"] = reasoning
    if opaque:
        fields["reasoning_opaque"] = opaque
    if calls:
        fields["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return fields


def _plain(part: Part) -> str:
    match part:
        case Text(text=text):
            return text
        case Document(text=text, title=title) if text:
            return f"{title}\n{text}" if title else text
        case Document(url=url, title=title) if url:
            return f"(a document that this model's API cannot open: {title} {url})"
        case Document(media_type=media_type, title=title):
            return f"(a document that this model's API cannot take: {title or 'untitled'}, {media_type})"
        case Image():
            return "(an image)"
        case Thinking() | RedactedThinking() | ToolCall() | ToolResult():
            return ""
