"""An Anthropic Messages request, parsed into a conversation."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from copilot_trio.errors import BadRequest
from copilot_trio.turn import (
    Conversation,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    RedactedThinking,
    Role,
    SearchTool,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from copilot_trio.unreadable import UNREADABLE

from .wire import (
    NOTHING,
    WEB_SEARCH,
    Block,
    BlockKind,
    MessageIn,
    RequestIn,
    SearchInput,
    SearchResult,
    ThinkingIn,
    ToolChoiceIn,
    ToolIn,
)

# Claude Code's transport header in disguise: it changes with every prompt and spoils the cache (product.md §5.9).
BILLING_HEADER = "x-anthropic-billing-header:"
ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
KNOWN_BLOCKS = {"text", "image", "document", "thinking", "redacted_thinking", "tool_use", "tool_result"}
DISPENSABLE = ("tool_search_tool_", "web_fetch_")  # Anthropic's servers run them
PLACEHOLDER = "DeferredToolPlaceholder"  # Claude Code's, for nothing but to keep its tool search on
EMPTY_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')


class _About(msgspec.Struct, frozen=True):
    """What a client says of a document, beside it."""

    context: str | None = None


_decode_request = msgspec.json.Decoder(RequestIn).decode
_decode_block = msgspec.json.Decoder(Block).decode
_decode_kind = msgspec.json.Decoder(BlockKind).decode
_decode_about = msgspec.json.Decoder(_About).decode
_decode_search = msgspec.json.Decoder(SearchInput).decode
_decode_results = msgspec.json.Decoder(list[SearchResult] | SearchResult).decode
_decode_content = msgspec.json.Decoder(str | list[msgspec.Raw] | None).decode


def parse_request(body: bytes) -> Conversation:
    """Raises ``BadRequest`` naming the field. Nothing of the prompt is lost: what is unknown becomes text.

    Left out: ``top_k``, ``service_tier``, ``context_management``, ``container``, ``mcp_servers`` for want of a
    counterpart, ``metadata.user_id`` because that identity is not Copilot's to know, and how often a search may run.
    """
    try:
        request = _decode_request(body)
        return Conversation(
            messages=(
                *_system(request.system),
                *(_message(message, f"messages.{number}") for number, message in enumerate(request.messages)),
            ),
            tools=_tools(request),
            tool_choice=_tool_choice(request.tool_choice),
            parallel_tools=False if request.tool_choice and request.tool_choice.disable_parallel_tool_use else None,
            reasoning=_reasoning(request),
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            top_p=request.top_p,
            stop=tuple(request.stop_sequences or ()),
            output_schema=_output_schema(request),
            search=next((_search(tool) for tool in request.tools or () if _searches(tool)), None),
            stream=bool(request.stream),
        )
    except msgspec.ValidationError as error:
        raise BadRequest(f"the request does not follow the Messages API: {error}") from None


def _system(system: str | list[Block] | None) -> list[Message]:
    if not system:
        return []
    if isinstance(system, str):
        return [Message("system", (Text(system),))]
    blocks = [block for block in system if block.text and not block.text.startswith(BILLING_HEADER)]
    if not blocks:
        return []
    marked = any(block.cache_control for block in blocks)
    return [Message("system", tuple(Text(block.text) for block in blocks), cache_breakpoint=marked)]


def _message(message: MessageIn, where: str) -> Message:
    role = _role(message.role)
    if isinstance(message.content, str):
        return Message(role, (Text(message.content),) if message.content else ())
    parts: list[Part] = []
    marked = False
    for number, raw in enumerate(message.content):
        try:
            block = _block(raw)
            parts += _parts(block, raw)
        except msgspec.ValidationError as error:
            raise BadRequest(f"{where}.content.{number}: {error}", param="messages") from None
        marked = marked or block.cache_control is not None
    return Message(role, tuple(parts), cache_breakpoint=marked)


def _role(role: str) -> Role:
    if role in ROLES:
        return ROLES[role]
    raise BadRequest(f"messages: role `{role}` is none of user, assistant, system", param="messages")


def _block(raw: msgspec.Raw) -> Block:
    """A type we don't know may use our fields for something else."""
    try:
        return _decode_block(raw)
    except msgspec.ValidationError:
        kind = _decode_kind(raw).type
        if kind in KNOWN_BLOCKS:
            raise
        return Block(kind)


def _parts(block: Block, raw: msgspec.Raw) -> Iterator[Part]:
    if block.type == "document":
        yield from _document(block, raw)
    else:
        yield _part(block, raw)


def _part(block: Block, raw: msgspec.Raw) -> Part:
    match block.type:
        case "text":
            return Text(block.text)
        case "image":
            return _image(block)
        case "thinking":
            return Thinking(block.thinking, block.signature)
        case "redacted_thinking":
            return RedactedThinking(block.data)
        case "tool_use":
            return ToolCall(block.id, block.name, _arguments(block.input))
        case "tool_result":
            return ToolResult(block.tool_use_id, _result_parts(block.content), bool(block.is_error))
        case "server_tool_use" if block.name == WEB_SEARCH:
            return Text(_search_told(block, raw))
        case "web_search_tool_result":
            return Text(_found_told(block, raw))
        case _:
            return Text(_unknown(block, raw))


def _arguments(value: msgspec.Raw) -> str:
    """Chat wants an object's text."""
    text = bytes(value).decode()
    return text if text.startswith("{") else "{}"


def _unknown(block: Block, raw: msgspec.Raw) -> str:
    """A block that only Anthropic's own servers run: its JSON still tells the model what happened."""
    if block.type == "tool_reference":
        return f"Tool {block.tool_name} is now available."
    return bytes(raw).decode("utf-8", "replace")


def _search_told(block: Block, raw: msgspec.Raw) -> str:
    try:
        return f"\n(searched the web: {_decode_search(block.input).query})\n"
    except UNREADABLE:
        return _unknown(block, raw)


def _found_told(block: Block, raw: msgspec.Raw) -> str:
    """But for what only Anthropic can read, the encrypted text of each page."""
    try:
        found = _decode_results(block.content)
    except UNREADABLE:
        return _unknown(block, raw)
    if isinstance(found, SearchResult):
        return f"\n(the search failed: {found.error_code})\n" if found.error_code else _unknown(block, raw)
    ages = [f"({hit.page_age})" if hit.page_age else "" for hit in found]
    lines = [" ".join(filter(None, ["-", hit.title, hit.url, age])) for hit, age in zip(found, ages, strict=True)]
    return "\n".join(["", f"(the search found {len(lines) or 'nothing'})", *lines, ""])


def _result_parts(content: msgspec.Raw) -> tuple[Text | Image | Document, ...]:
    raw_parts = _decode_content(content) if bytes(content) else None
    if raw_parts is None:
        return ()
    if isinstance(raw_parts, str):
        return (Text(raw_parts),)
    parts: list[Text | Image | Document] = []
    for raw in raw_parts:
        for part in _parts(_block(raw), raw):
            if isinstance(part, Text | Image | Document):
                parts.append(part)
            else:
                parts.append(Text(bytes(raw).decode("utf-8", "replace")))
    return tuple(parts)


def _image(block: Block) -> Image:
    source = block.source
    if source.type == "url" or source.url:
        return Image(url=source.url)
    if not source.data:
        raise BadRequest(f"an image of source type `{source.type}` cannot be passed on", param="messages")
    return Image(media_type=source.media_type, data=source.data)


def _document(block: Block, raw: msgspec.Raw) -> Iterator[Text | Image | Document]:
    """Behind what is said of it; its images behind it, for no other API has them within a document."""
    source, title = block.source, block.title or ""
    about = _decode_about(raw).context
    if about:
        yield Text(about)
    match source.type:
        case "text":
            yield Document(media_type="text/plain", text=source.data, title=title)
        case "url":
            yield Document(url=source.url, title=title)
        case "content":
            parts = _result_parts(source.content)
            text = "\n".join(part.text for part in parts if isinstance(part, Text))
            if text:
                yield Document(media_type="text/plain", text=text, title=title)
            elif title:
                yield Text(title)
            yield from (part for part in parts if not isinstance(part, Text))
        case _ if not source.data:
            raise BadRequest(f"a document of source type `{source.type}` cannot be passed on", param="messages")
        case _:
            yield Document(media_type=source.media_type, data=source.data, title=title)


def _searches(tool: ToolIn) -> bool:
    return (tool.type or "").startswith(WEB_SEARCH)


def _search(tool: ToolIn) -> SearchTool:
    location = NOTHING if bytes(tool.user_location) == b"null" else tool.user_location
    return SearchTool(tuple(tool.allowed_domains or ()), tuple(tool.blocked_domains or ()), location)


def _tools(request: RequestIn) -> tuple[Tool, ...]:
    """Without those that the model can do without; a request that forces one of them is about nothing else."""
    choice = request.tool_choice or ToolChoiceIn()
    left_out = [tool for tool in request.tools or () if _dispensable(tool)]
    kept = [tool for tool in request.tools or () if not _dispensable(tool)]
    for tool in left_out:
        if (choice.type == "any" and not kept) or (choice.type == "tool" and choice.name == tool.name):
            raise _elsewhere(tool)
    return tuple(_tool(tool) for tool in kept if not _searches(tool))


def _dispensable(tool: ToolIn) -> bool:
    return (tool.type or "").startswith(DISPENSABLE) or tool.name == PLACEHOLDER


def _elsewhere(tool: ToolIn) -> BadRequest:
    return BadRequest(
        f"the server tool `{tool.type or tool.name}` runs at Anthropic, and this model is reached through another API",
        remedy="Leave the tool out, or choose a Claude model.",
        param="tools",
    )


def _tool(tool: ToolIn) -> Tool:
    if tool.type not in {None, "custom"}:
        raise _elsewhere(tool)
    schema = EMPTY_SCHEMA if bytes(tool.input_schema) in {b"", b"null"} else tool.input_schema
    return Tool(tool.name, tool.description or "", schema, tool.strict)


def _tool_choice(choice: ToolChoiceIn | None) -> ToolChoice | None:
    match choice:
        case None:
            return None
        case ToolChoiceIn(type="auto" | "any" | "none" as mode):
            return ToolChoice(mode)
        case ToolChoiceIn(type="tool", name=name):
            return ToolChoice("tool", name)
        case _:
            raise BadRequest(f"tool_choice: type `{choice.type}` is unknown", param="tool_choice")


def _reasoning(request: RequestIn) -> Reasoning:
    effort = request.output_config.effort if request.output_config else None
    match request.thinking:
        case None:
            return Reasoning(None, None, effort)
        case ThinkingIn(type="disabled"):
            return Reasoning(False)
        case ThinkingIn(budget_tokens=budget):
            return Reasoning(True, budget, effort)


def _output_schema(request: RequestIn) -> msgspec.Raw | None:
    output = (request.output_config.format if request.output_config else None) or request.output_format
    if output is None or output.type != "json_schema" or not bytes(output.schema):
        return None
    return output.schema
