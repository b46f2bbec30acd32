"""A chat-completions request, rendered from a conversation.

What has no counterpart in this dialect is said where it is left out; the prompt itself loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from copilot_trio.dialects import limits
from copilot_trio.dialects.pairing import paired
from copilot_trio.errors import BadRequest
from copilot_trio.models.model import Model
from copilot_trio.turn import (
    REDACTED,
    Conversation,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    WebSearch,
)

_encode = msgspec.json.Encoder().encode

Fields = dict[str, object]
BUDGETS = {"minimal": 1024, "low": 4096, "medium": 16384}  # tokens; above, all that the model has
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def render_request(conversation: Conversation, model: Model) -> bytes:
    """The body for ``POST /chat/completions``.

    Left out for want of a counterpart: ``top_k``, ``metadata`` (an identity that is not Copilot's to know),
    ``service_tier``, ``context_management``, a key for the prompt's cache, and a web search beside other tools, for the
    model can do without. Raises ``BadRequest`` for a request that is nothing but a web search.
    """
    _check_search(conversation)
    fields: Fields = {"model": model.id, "messages": list(_messages(conversation.messages, model))}
    if conversation.stream:
        fields |= {"stream": True, "stream_options": {"include_usage": True}}
    max_tokens = _within(conversation.max_tokens, model.limits.max_output_tokens)
    if max_tokens is not None:
        fields["max_completion_tokens" if limits.wants_completion_tokens(model) else "max_tokens"] = max_tokens
    fields |= _sampling(conversation, model)
    if conversation.tools:
        fields["tools"] = [_tool(tool) for tool in conversation.tools]
        choice = conversation.tool_choice
        if choice is not None and (
            choice.mode != "tool" or any(tool.name == choice.name for tool in conversation.tools)
        ):
            fields["tool_choice"] = _tool_choice(choice)
        if conversation.parallel_tools is not None:
            fields["parallel_tool_calls"] = conversation.parallel_tools
    fields |= _output(conversation, model)
    fields |= _reasoning(conversation.reasoning, max_tokens, model)
    return _encode(fields)


def _check_search(conversation: Conversation) -> None:
    if conversation.search is not None and not conversation.tools:
        raise BadRequest(
            "a web search runs at the provider, and this model's API has none",
            remedy="Leave the tool out, or choose a model that searches.",
            param="tools",
        )


def _output(conversation: Conversation, model: Model) -> Fields:
    fields: Fields = {}
    if conversation.output_schema is not None:
        schema: Fields = {"name": conversation.output_name or "output", "schema": conversation.output_schema}
        # Strict where the client says so alone: OpenAI then refuses optional fields, which Anthropic takes.
        if conversation.output_description:
            schema["description"] = conversation.output_description
        if conversation.output_strict is not None:
            schema["strict"] = conversation.output_strict
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif conversation.output_json:
        fields["response_format"] = {"type": "json_object"}
    family = model.capabilities.family or model.id
    if conversation.verbosity is not None and family.startswith(("gpt-5", "gpt-6")):  # no other knows it
        fields["verbosity"] = conversation.verbosity
    return fields


def _within(wanted: int | None, limit: int) -> int | None:
    return min(wanted, limit) if wanted is not None and limit > 0 else wanted


def _sampling(conversation: Conversation, model: Model) -> Fields:
    fields: Fields = {}
    if not limits.refuses_sampling(model):
        if conversation.temperature is not None:
            fields["temperature"] = conversation.temperature
        if conversation.top_p is not None:
            fields["top_p"] = conversation.top_p
    if conversation.stop:
        fields["stop"] = list(conversation.stop)
    return fields


def _reasoning(reasoning: Reasoning, max_tokens: int | None, model: Model) -> Fields:
    """Only what the model lists; ``disabled`` sends nothing."""
    listed, most = model.supports.reasoning_effort, model.supports.max_thinking_budget
    if listed and (reasoning.wanted or (reasoning.wanted is None and reasoning.effort is not None)):
        return {"reasoning_effort": clamp_effort(effort_wanted(reasoning), listed)}
    if listed or not reasoning.wanted:
        return {}
    budget = limits.thinking_budget(model, budget_wanted(reasoning, most), max_tokens) if most else None
    return {} if budget is None else {"thinking_budget": budget}


def budget_wanted(reasoning: Reasoning, most: int) -> int:
    """Tokens: the client's own, or what its effort comes to."""
    return BUDGETS.get(reasoning.effort or "", most) if reasoning.budget is None else reasoning.budget


def effort_wanted(reasoning: Reasoning) -> str:
    """The client's own, or what its budget of tokens comes to."""
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
    for message in paired(messages):
        rendered = list(_render(message))
        if rendered and message.cache_breakpoint and marks_cache:
            rendered[-1]["copilot_cache_control"] = {"type": "ephemeral"}
        yield from rendered


def _render(message: Message) -> Iterator[Fields]:
    match message.role:
        case "system":
            yield {"role": "system", "content": "\n\n".join(plain(part) for part in message.parts)}
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
        "(an image, in the user message below)" if isinstance(part, Image) else plain(part) for part in result.parts
    ]
    return ("Error: " if result.is_error else "") + "\n".join(texts)  # chat has no is_error


def _content(parts: list[Part]) -> str | list[Fields]:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [_content_part(part) for part in parts]


def _content_part(part: Part) -> Fields:
    if isinstance(part, Image):
        url = part.url or f"data:{part.media_type};base64,{part.data}"
        return {"type": "image_url", "image_url": {"url": url} | ({"detail": part.detail} if part.detail else {})}
    return {"type": "text", "text": plain(part)}


def _assistant(parts: Iterable[Part]) -> Fields:
    parts = list(parts)
    text = "".join(f"\n{plain(part)}\n" if isinstance(part, WebSearch) else plain(part) for part in parts)
    calls = [part for part in parts if isinstance(part, ToolCall)]
    thinking = [part for part in parts if isinstance(part, Thinking)]
    fields: Fields = {"role": "assistant", "content": text or (None if calls else "")}
    reasoning = "".join(part.text for part in thinking)
    opaque = next((part.signature for part in reversed(thinking) if _is_chats(part.signature)), "")
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


def _is_chats(signature: str) -> bool:
    """A Responses model's proof has an ``@``, and is refused here as a redacted block is."""
    return signature != "" and "@" not in signature and not signature.startswith(REDACTED)


def plain(part: Part) -> str:
    """What of a part can be said in words; calls, results and thinking have places of their own."""
    match part:
        case Text(text=text) | Refusal(text=text):
            return text
        case Document(text=text, title=title) if text:
            return f"{title}\n{text}" if title else text
        case Document(url=url, title=title) if url:
            return f"(a document that this model's API cannot open: {title} {url})"
        case Document(media_type=media_type, title=title):
            return f"(a document that this model's API cannot take: {title or 'untitled'}, {media_type})"
        case Image():
            return "(an image)"
        case WebSearch(query=query, error=error) if error:
            return f"(searched the web: {query}; it failed: {error})"
        case WebSearch(query=query, hits=hits):
            return "\n".join(
                [f"(searched the web: {query})", *(" ".join(filter(None, ["-", hit.title, hit.url])) for hit in hits)]
            )
        case Thinking() | RedactedThinking() | ToolCall() | ToolResult():
            return ""
