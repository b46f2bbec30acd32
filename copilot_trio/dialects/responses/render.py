"""A Responses request, rendered from a conversation.

What has no counterpart in this dialect is said where it is left out; the prompt itself loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from copilot_trio.dialects.chat.render import clamp_effort, effort_wanted, plain
from copilot_trio.dialects.pairing import paired
from copilot_trio.models.model import Model
from copilot_trio.turn import (
    Conversation,
    Document,
    Image,
    Part,
    Reasoning,
    RedactedThinking,
    Refusal,
    SearchTool,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    WebSearch,
)

from .tools import SEARCH

_encode = msgspec.json.Encoder().encode

Fields = dict[str, object]
LEAST_OUTPUT = 16  # OpenAI refuses less
DETAILS = {"low", "high", "auto", "original"}


def render_request(conversation: Conversation, model: Model) -> bytes:
    """The body for ``POST /responses`` (upstream.md §8.1).

    Left out for want of a counterpart: ``stop`` sequences, marks of a cacheable prompt, a search's blocked domains.
    """
    fields: Fields = {"model": model.id, "input": list(_input(conversation)), "store": False}
    if conversation.stream:
        fields["stream"] = True
    if conversation.max_tokens is not None:
        limit = model.limits.max_output_tokens or conversation.max_tokens
        fields["max_output_tokens"] = max(LEAST_OUTPUT, min(conversation.max_tokens, limit))
    tools = list(_tools(conversation.tools, conversation.search))
    if tools:
        fields["tools"] = tools
        if conversation.tool_choice is not None:
            fields["tool_choice"] = _tool_choice(conversation.tool_choice, conversation)
        if conversation.parallel_tools is not None:
            fields["parallel_tool_calls"] = conversation.parallel_tools
    fields |= _sampling(conversation, model)
    if text := _text(conversation):
        fields["text"] = text
    if conversation.cache_key:
        fields["prompt_cache_key"] = conversation.cache_key
    return _encode(fields)


def _sampling(conversation: Conversation, model: Model) -> Fields:
    """A model that reasons refuses temperatures; only one that reasons has proof of it to give."""
    efforts = model.supports.reasoning_effort
    fields: Fields = {}
    if efforts:
        fields["include"] = ["reasoning.encrypted_content"]
        if reasoning := _reasoning(conversation.reasoning, efforts):
            fields["reasoning"] = reasoning
        return fields
    if conversation.temperature is not None:
        fields["temperature"] = conversation.temperature
    if conversation.top_p is not None:
        fields["top_p"] = conversation.top_p
    return fields


def _reasoning(reasoning: Reasoning, efforts: tuple[str, ...]) -> Fields:
    """Where it is unwanted the least that the model lists, for silence means the model's default."""
    if reasoning.wanted is False:
        return {"effort": clamp_effort("none", efforts)}
    if reasoning.wanted is None and reasoning.effort is None and reasoning.budget is None:
        return {}
    return {"effort": clamp_effort(effort_wanted(reasoning), efforts), "summary": reasoning.summary or "auto"}


def _text(conversation: Conversation) -> Fields:
    fields: Fields = {}
    if conversation.output_schema is not None:
        form: Fields = {"type": "json_schema", "name": conversation.output_name or "output"}
        form["schema"] = conversation.output_schema
        if conversation.output_description:
            form["description"] = conversation.output_description
        if conversation.output_strict is not None:
            form["strict"] = conversation.output_strict
        fields["format"] = form
    elif conversation.output_json:
        fields["format"] = {"type": "json_object"}
    if conversation.verbosity is not None:
        fields["verbosity"] = conversation.verbosity
    return fields


# ---- tools


def _tools(tools: Iterable[Tool], search: SearchTool | None) -> Iterator[Fields]:
    """A namespace stands where its first tool stood."""
    spaces: dict[str, list[Fields]] = {}
    for tool in tools:
        if not tool.namespace:
            yield _tool(tool)
        elif tool.namespace in spaces:
            spaces[tool.namespace].append(_tool(tool))
        else:
            members = spaces[tool.namespace] = [_tool(tool)]
            yield {"type": "namespace", "name": tool.namespace, "description": "", "tools": members}
    if search is not None:
        yield _search(search)


def _tool(tool: Tool) -> Fields:
    """``strict`` is said always: here its absence means true, and most schemas are not made for that."""
    fields: Fields = {"type": "function", "name": tool.name, "description": tool.description}
    if not tool.custom:
        return fields | {"parameters": tool.schema, "strict": bool(tool.strict)}
    fields["type"] = "custom"
    return fields | {"format": tool.format} if bytes(tool.format) else fields


def _search(search: SearchTool) -> Fields:
    fields: Fields = {"type": SEARCH}
    if search.allowed_domains:
        fields["filters"] = {"allowed_domains": search.allowed_domains}
    if bytes(search.location):
        fields["user_location"] = search.location
    return fields


def _tool_choice(choice: ToolChoice, conversation: Conversation) -> object:
    if choice.mode != "tool":
        return "required" if choice.mode == "any" else choice.mode
    named = [tool for tool in conversation.tools if tool.name == choice.name]
    if not named and conversation.search is not None and choice.name == SEARCH:
        return {"type": SEARCH}
    return {"type": "custom" if named and named[0].custom else "function", "name": choice.name}


# ---- input


def _input(conversation: Conversation) -> Iterator[Fields]:
    messages = paired(conversation.messages)
    custom = {part.id for message in messages for part in message.parts if isinstance(part, ToolCall) and part.custom}
    for message in messages:
        match message.role:
            case "system":
                yield from _said("system", message.parts)
            case "assistant":
                yield from _assistant(message.parts)
            case "user":
                yield from _user(message.parts, custom)


def _said(role: str, parts: Iterable[Part]) -> Iterator[Fields]:
    content = [piece for part in parts if part != Text("") for piece in _content(part)]
    if content:
        yield {"role": role, "content": content}


def _user(parts: Iterable[Part], custom: set[str]) -> Iterator[Fields]:
    """Outputs first: they belong to the calls before them."""
    rest: list[Part] = []
    for part in parts:
        if isinstance(part, ToolResult):
            kind = "custom_tool_call_output" if part.custom or part.call_id in custom else "function_call_output"
            yield {"type": kind, "call_id": part.call_id, "output": _output(part)}
        else:
            rest.append(part)
    yield from _said("user", rest)


def _output(result: ToolResult) -> str | list[Fields]:
    """A string where words are all there is. This API has no mark for a failure."""
    contents = [piece for part in result.parts for piece in _content(part)]
    prefix = "Error: " if result.is_error else ""
    if all(content["type"] == "input_text" for content in contents):
        return prefix + "\n".join(str(content["text"]) for content in contents)
    return [*_content(Text(prefix.rstrip())), *contents] if prefix else contents


def _assistant(parts: Iterable[Part]) -> Iterator[Fields]:
    """Items in the order in which they were said. Reasoning that nothing follows is left out: upstream refuses it."""
    thoughts: list[Fields] = []
    for part in parts:
        match part:
            case Thinking():
                thoughts += _thought(part)
            case RedactedThinking() | Text(text=""):
                pass  # the one is another provider's secret
            case _:
                yield from thoughts
                thoughts = []
                yield from _item(part)


def _item(part: Part) -> Iterator[Fields]:
    match part:
        case ToolCall():
            yield _call(part)
        case Refusal(text=text):
            yield _answer({"type": "refusal", "refusal": text})
        case Text() | WebSearch():  # a search in words: its item's id means nothing to a server that keeps none
            yield _answer({"type": "output_text", "text": plain(part), "annotations": []})
        case _:  # an assistant's message has words only
            yield from _said("user", [part])


def _thought(thinking: Thinking) -> Iterator[Fields]:
    """Only a Responses model's proof means anything here, and without proof there is nothing to send."""
    proof, at, item_id = thinking.signature.rpartition("@")
    if not at:
        return
    summary = [{"type": "summary_text", "text": thinking.text}] if thinking.text else []
    fields: Fields = {"type": "reasoning", "summary": summary, "encrypted_content": proof}
    yield fields | {"id": item_id} if item_id else fields


def _answer(content: Fields) -> Fields:
    return {"type": "message", "role": "assistant", "content": [content]}


def _call(call: ToolCall) -> Fields:
    """Without an id: a call needs none, and ours is none of upstream's."""
    fields: Fields = {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}
    if call.custom:
        fields = {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    return fields | {"namespace": call.namespace} if call.namespace else fields


def _content(part: Part) -> Iterator[Fields]:
    """One piece as a rule. A file that is named by its address has no name beside it; a sound is no file here."""
    match part:
        case Image():
            url = part.url or f"data:{part.media_type};base64,{part.data}"
            detail = part.detail if part.detail in DETAILS else "auto"
            yield {"type": "input_image", "image_url": url, "detail": detail}
        case Document(url=url, text="", title=title) if url:
            if title:
                yield {"type": "input_text", "text": title}
            yield {"type": "input_file", "file_url": url}
        case Document(media_type=kind, data=data, text="", title=title) if data and not kind.startswith("audio/"):
            name = title or ("document.pdf" if kind == "application/pdf" else "document")
            yield {"type": "input_file", "filename": name, "file_data": f"data:{kind};base64,{data}"}
        case _:
            yield {"type": "input_text", "text": plain(part)}
