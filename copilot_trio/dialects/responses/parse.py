"""A Responses request, parsed into a conversation."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from copilot_trio.errors import BadRequest
from copilot_trio.turn import (
    Conversation,
    Message,
    Part,
    Reasoning,
    Role,
    SearchHit,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    WebSearch,
)

from .parts import content_parts, output_parts
from .tools import parse_tools
from .wire import FOREIGN, FormatIn, ItemIn, Kind, ReasoningIn, RequestIn, TextIn, absent

ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
COMPACTIONS = {"compaction", "compaction_summary", "context_compaction", "compaction_trigger"}
BRINGING_TOOLS = {"additional_tools", "tool_search_output"}
KNOWN_ITEMS = {
    *COMPACTIONS, *BRINGING_TOOLS, "message", "reasoning", "function_call", "function_call_output", "custom_tool_call",
    "custom_tool_call_output", "web_search_call", "item_reference",
}  # fmt: skip

_decode_request = msgspec.json.Decoder(RequestIn).decode
_decode_kind = msgspec.json.Decoder(Kind).decode
_decode_item = msgspec.json.Decoder(ItemIn).decode
_decode_string = msgspec.json.Decoder(str).decode


def parse_request(body: bytes) -> Conversation:
    """Raises ``BadRequest`` naming the field. Nothing of the prompt is lost: what is unknown becomes text.

    Items that a model says in one turn become one assistant message, and what its calls gave the user message right
    behind it, wherever the client put the outputs. Two things cannot be carried to another API and are refused:
    references to what a server would have stored, and compacted history, which only its own writer can decrypt.
    ``service_tier``, ``truncation``, ``metadata``, ``include``, ``store`` have no counterpart in a conversation.
    """
    try:
        request = _decode_request(body)
        _refuse_state(request)
        items = _items(request)
        toolbox = parse_tools([*(request.tools or ()), *_tools_among(items)], request.tool_choice)
        history = _History({(tool.namespace, tool.name) for tool in toolbox.tools if tool.custom})
        if request.instructions:
            history.say("system", [Text(request.instructions)])
        for number, (item, raw) in enumerate(items):
            try:
                history.add(item, raw)
            except msgspec.ValidationError as error:
                raise BadRequest(f"input.{number}: {error}", param="input") from None
        form = _format(request.text)
        schema = form.type == "json_schema" and not absent(form.schema)
        return Conversation(
            messages=tuple(history.messages()),
            tools=toolbox.tools,
            tool_choice=toolbox.choice,
            parallel_tools=request.parallel_tool_calls,
            reasoning=_reasoning(request.reasoning),
            max_tokens=request.max_output_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            output_schema=form.schema if schema else None,
            output_name=(form.name or "") if schema else "",
            output_description=(form.description or "") if schema else "",
            output_strict=form.strict if schema else None,
            output_json=form.type == "json_object",
            verbosity=request.text.verbosity if request.text else None,
            cache_key=request.prompt_cache_key or "",
            search=toolbox.search,
            stream=bool(request.stream),
        )
    except msgspec.ValidationError as error:
        raise BadRequest(f"the request does not follow the Responses API: {error}") from None


def _refuse_state(request: RequestIn) -> None:
    whole = "Send the whole input."
    if not absent(request.previous_response_id):
        raise BadRequest(
            "no response is stored over HTTP, so none can be continued",
            remedy=whole,
            param="previous_response_id",
            code="previous_response_not_found",
        )
    if not absent(request.conversation):
        raise BadRequest("no conversation is stored here", remedy=whole, param="conversation")
    if not absent(request.prompt):
        raise BadRequest("no prompt is stored here", remedy=whole, param="prompt")
    if request.background:
        raise BadRequest("no response is stored, so none can be made in the background", param="background")


def _items(request: RequestIn) -> list[tuple[ItemIn, msgspec.Raw]]:
    if request.input is None:
        raise BadRequest("the request has no input", remedy="Send a string or an array `input`.", param="input")
    if isinstance(request.input, str):
        raw = msgspec.Raw(msgspec.json.encode(request.input))
        return [(ItemIn("message", role="user", content=raw), raw)]
    items: list[tuple[ItemIn, msgspec.Raw]] = []
    for number, raw in enumerate(request.input):
        try:
            items.append((_item(raw), raw))
        except msgspec.ValidationError as error:
            raise BadRequest(f"input.{number}: {error}", param="input") from None
    return items


def _item(raw: msgspec.Raw) -> ItemIn:
    """A type we don't know may use our fields for something else. Without a type it is a message or a reference."""
    kind = _decode_kind(raw)
    name = kind.type or ("message" if kind.role else "item_reference")
    if name not in KNOWN_ITEMS:
        return ItemIn(name, role=kind.role)
    return msgspec.structs.replace(_decode_item(raw), type=name)


def _tools_among(items: list[tuple[ItemIn, msgspec.Raw]]) -> Iterator[msgspec.Raw]:
    """Codex's newest models have their tools in the input, and those that a search found (clients.md §4.3)."""
    for item, _ in items:
        if item.type in BRINGING_TOOLS:
            yield from item.tools or ()


class _Group(msgspec.Struct):
    """A message, and behind an assistant's what its calls gave."""

    role: Role
    parts: list[Part]
    results: list[Part] = []


class _History:
    """Puts items together to messages: chat and Anthropic want all of a turn in one, its results right behind it."""

    def __init__(self, custom_tools: set[tuple[str, str]]) -> None:
        self._groups: list[_Group] = []
        self._custom_tools = custom_tools
        self._open_calls: dict[str, tuple[_Group, bool]] = {}  # by call id: where results go, and whether custom

    def messages(self) -> Iterator[Message]:
        for group in self._groups:
            if group.parts:
                yield Message(group.role, tuple(group.parts))
            if group.results:
                yield Message("user", tuple(group.results))

    def say(self, role: Role, parts: list[Part]) -> _Group:
        last = self._groups[-1] if self._groups else None
        if role == "assistant" and last is not None and last.role == "assistant" and not last.results:
            last.parts += parts
            return last
        group = _Group(role, parts)
        self._groups.append(group)
        return group

    def add(self, item: ItemIn, raw: msgspec.Raw) -> None:
        match item.type:
            case "message":
                self.say(_role(item.role), list(content_parts(item.content)))
            case "reasoning":
                thinking = _thinking(item)
                if thinking.text or thinking.signature:
                    self.say("assistant", [thinking])
            case "function_call" | "custom_tool_call":
                self._call(item)
            case "function_call_output" | "custom_tool_call_output":
                self._result(item)
            case "web_search_call" if item.action is not None and item.action.type == "search":
                self.say("assistant", [_searched(item)])
            case "additional_tools":
                pass  # they are among the conversation's tools
            case "tool_search_output":
                self.say("user", [Text(_now_available(item))])
            case "item_reference":
                refers = f"nothing is stored here, so `{item.id}` refers to nothing"
                raise BadRequest(refers, remedy="Send the whole item.", param="input")
            case kind if kind in COMPACTIONS and (item.encrypted_content or kind == "compaction_trigger"):
                raise _unreadable_history(item)
            case kind:
                assistants = ROLES.get(item.role or "", "user") == "assistant" or (kind or "").endswith("_call")
                self.say("assistant" if assistants else "user", [Text(bytes(raw).decode())])

    def _call(self, item: ItemIn) -> None:
        """Cursor sends a custom tool's call back as a function's whose arguments are the raw text (clients.md §7)."""
        name, namespace = item.name or "", item.namespace or ""
        custom = item.type == "custom_tool_call" or (namespace, name) in self._custom_tools
        call_id = item.call_id or item.id or ""
        said = item.input or "" if item.type == "custom_tool_call" else _arguments(item.arguments, custom=custom)
        self._open_calls[call_id] = self.say("assistant", [ToolCall(call_id, name, said, custom, namespace)]), custom

    def _result(self, item: ItemIn) -> None:
        parts = output_parts(item.output)
        call_id = item.call_id or ""
        found = self._open_calls.pop(call_id, None)
        if found is None:  # every other API refuses a result without its call, or a second one
            self.say("user", [Text(f"The output of tool call {call_id}:"), *parts])
            return
        group, custom = found
        group.results.append(ToolResult(call_id, parts, custom=custom))


def _role(role: str | None) -> Role:
    if role in ROLES:
        return ROLES[role]
    raise BadRequest(f"input: role `{role}` is none of user, assistant, system, developer", param="input")


def _thinking(item: ItemIn) -> Thinking:
    """The model's own words only where there is no summary of them. Another API's proof comes back as it was."""
    texts = [part.text for part in item.summary or () if part.text]
    if not texts:
        texts = [part.text for part in content_parts(item.content) if isinstance(part, Text)]
    proof = item.encrypted_content or ""
    if proof.startswith(FOREIGN):
        proof = proof.removeprefix(FOREIGN)
    elif proof and "@" not in proof:  # else its id came along inside it
        proof = f"{proof}@{item.id or ''}"
    return Thinking("\n\n".join(texts), proof)


def _arguments(value: msgspec.Raw, *, custom: bool) -> str:
    """A string, or by a client's mistake the JSON itself."""
    text = "" if absent(value) else bytes(value).decode()
    said = _decode_string(value) if text.startswith('"') else text
    return said if said or custom else "{}"


def _searched(item: ItemIn) -> WebSearch:
    assert item.action is not None
    sources = item.action.sources or ()
    queries = filter(None, [item.action.query, *(item.action.queries or ())])
    return WebSearch(
        item.id or "",
        "; ".join(dict.fromkeys(queries)),
        tuple(SearchHit(source.url, source.title or "") for source in sources if source.url),
    )


def _now_available(item: ItemIn) -> str:
    names = [tool.name for tool in parse_tools(item.tools or (), None).tools]
    return f"Tools now available: {', '.join(names) or 'none'}."


def _unreadable_history(item: ItemIn) -> BadRequest:
    if item.type == "compaction_trigger":
        return BadRequest(
            "this model is reached through another API, which cannot compact a conversation",
            remedy="Ask for a summary in words.",
            param="input",
        )
    return BadRequest(
        "the input has compacted history, which only the provider that wrote it can read",
        remedy="Go on with the model that compacted it, or start a new conversation.",
        param="input",
    )


def _reasoning(asked: ReasoningIn | None) -> Reasoning:
    if asked is None or (asked.effort is None and asked.summary is None):
        return Reasoning()
    if asked.effort == "none":
        return Reasoning(False)
    return Reasoning(True, None, asked.effort, asked.summary)


def _format(text: TextIn | None) -> FormatIn:
    return (text.format if text else None) or FormatIn()
