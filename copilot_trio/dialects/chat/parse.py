"""A chat-completions request, parsed into a conversation."""

from __future__ import annotations

import binascii
import re
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
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

from .tools import parse_tools
from .wire import (
    FileIn,
    FunctionCallIn,
    ImageUrl,
    JsonSchema,
    MessageIn,
    PartIn,
    PartKind,
    RequestIn,
    ToolCallIn,
    absent,
)

ROLES: dict[str, Role] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
RESULT_ROLES = {"tool", "function"}
KNOWN_PARTS = {"text", "refusal", "image_url", "input_audio", "file"}
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)

_decode_request = msgspec.json.Decoder(RequestIn).decode
_decode_part = msgspec.json.Decoder(PartIn).decode
_decode_kind = msgspec.json.Decoder(PartKind).decode


def parse_request(body: bytes) -> Conversation:
    """Raises ``BadRequest`` naming the field. Nothing of the prompt is lost: a part that is unknown becomes text.

    What has no counterpart in a conversation:

    | field | why it is left out |
    |---|---|
    | ``n`` | upstream gives one answer a request, and every further one would cost |
    | ``logprobs``, ``top_logprobs`` | no other API's answer has them |
    | ``seed``, ``frequency_penalty``, ``presence_penalty``, ``logit_bias`` | no other API samples with them |
    | ``prediction``, ``modalities``, ``audio`` | of OpenAI's own models |
    | ``user``, ``safety_identifier``, ``metadata``, ``messages[].name`` | an identity that is not Copilot's to know |
    | ``store``, ``service_tier`` | nothing is stored, and Copilot has one tier |
    | ``stream_options`` | usage is counted with every stream |
    | ``web_search_options`` | of OpenAI's search models |
    | ``snippy``, ``intent`` and others of Copilot's | of its chat route alone |
    """
    try:
        request = _decode_request(body)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the request does not follow the Chat Completions API: {error}") from None
    if request.functions:
        raise BadRequest("`functions` is not understood", remedy="Use `tools`.", param="functions")
    tools, choice = parse_tools(request.tools or (), request.tool_choice)
    history = _History({tool.name for tool in tools if tool.flat})
    for number, message in enumerate(request.messages):
        history.add(message, f"messages.{number}")
    form = request.response_format
    schema = form.json_schema if form is not None and form.type == "json_schema" else JsonSchema()
    has_schema = not absent(schema.schema)
    stop = (request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ())
    return Conversation(
        messages=tuple(history.messages()),
        tools=tools,
        tool_choice=choice,
        parallel_tools=request.parallel_tool_calls,
        reasoning=_reasoning(request),
        max_tokens=request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=stop,
        output_schema=schema.schema if has_schema else None,
        output_name=(schema.name or "") if has_schema else "",
        output_description=(schema.description or "") if has_schema else "",
        output_strict=schema.strict if has_schema else None,
        output_json=form is not None and form.type in {"json_object", "json_schema"} and not has_schema,
        verbosity=request.verbosity,
        cache_key=request.prompt_cache_key or "",
        stream=bool(request.stream),
    )


def _reasoning(request: RequestIn) -> Reasoning:
    effort, budget = request.reasoning_effort, request.thinking_budget
    if effort is None and budget is None:
        return Reasoning()
    if effort == "none" or (effort is None and budget == 0):
        return Reasoning(False)
    return Reasoning(True, budget, effort)


# ---- messages


class _History:
    """What a call was decides what its result is, and the results of a turn, a message each here, are one message."""

    def __init__(self, flat: set[str]) -> None:
        self._flat = flat
        self._messages: list[Message] = []
        self._custom_calls: set[str] = set()
        self._unnamed = ""  # the id we gave the latest call of the old kind, which has none

    def messages(self) -> Iterator[Message]:
        results: list[Message] = []
        for message in self._messages:
            if message.role == "user" and message.parts and isinstance(message.parts[0], ToolResult):
                results.append(message)
                continue
            yield from _joined(results)
            results = []
            yield message
        yield from _joined(results)

    def add(self, message: MessageIn, where: str) -> None:
        parts, marked = _content(message, where)
        marked = marked or bool(message.cache_control or message.copilot_cache_control)
        if message.role in RESULT_ROLES:
            self._messages.append(Message("user", (self._result(message, parts, where),), marked))
            return
        if message.role not in ROLES:
            raise BadRequest(
                f"{where}: role `{message.role}` is none of system, developer, user, assistant, tool, function",
                param="messages",
            )
        role = ROLES[message.role]
        if role == "assistant":
            parts = [*_thinking(message), *parts, *self._calls(message, where)]
            marked = marked or any(call.cache_control for call in message.tool_calls or ())
        self._messages.append(Message(role, tuple(parts), marked))

    def _result(self, message: MessageIn, parts: list[Part], where: str) -> ToolResult:
        call_id = self._unnamed if message.role == "function" else message.tool_call_id
        if not call_id:
            missing = "follows no `function_call`" if message.role == "function" else "has no `tool_call_id`"
            raise BadRequest(f"{where} {missing}", param="messages")
        kept = tuple(part if isinstance(part, Text | Image | Document) else Text(_words(part)) for part in parts)
        return ToolResult(call_id, kept, custom=call_id in self._custom_calls)

    def _calls(self, message: MessageIn, where: str) -> Iterator[ToolCall]:
        for number, call in enumerate(message.tool_calls or ()):
            yield self._call(call, f"{where}.tool_calls.{number}")
        if message.function_call is not None:
            self._unnamed = f"call_{where.rpartition('.')[2]}"
            yield self._function(self._unnamed, message.function_call)

    def _call(self, call: ToolCallIn, where: str) -> ToolCall:
        if not call.id:
            raise BadRequest(f"{where} has no `id`", param="messages")
        if call.custom is not None:
            self._custom_calls.add(call.id)
            return ToolCall(call.id, call.custom.name or "", call.custom.input or "", custom=True)
        if call.function is None:
            raise BadRequest(f"{where} has neither `function` nor `custom`", param="messages")
        return self._function(call.id, call.function)

    def _function(self, call_id: str, function: FunctionCallIn) -> ToolCall:
        """Cursor sends the call of a flat custom tool as a function's, with raw text for arguments (clients.md §7)."""
        name, arguments = function.name or "", function.arguments or ""
        if name in self._flat:
            self._custom_calls.add(call_id)
            return ToolCall(call_id, name, arguments, custom=True)
        return ToolCall(call_id, name, arguments or "{}")


def _joined(results: list[Message]) -> Iterator[Message]:
    if results:
        parts = tuple(part for message in results for part in message.parts)
        yield Message("user", parts, any(message.cache_breakpoint for message in results))


def _thinking(message: MessageIn) -> list[Part]:
    text, opaque = message.reasoning_text or message.reasoning_content or "", message.reasoning_opaque or ""
    return [Thinking(text, opaque)] if text or opaque else []


def _content(message: MessageIn, where: str) -> tuple[list[Part], bool]:
    """The parts, and whether one has a cache breakpoint."""
    content = message.content
    parts: list[Part] = []
    marked = False
    if isinstance(content, str):
        if content:
            parts.append(Text(content))
    else:
        for number, raw in enumerate(content or ()):
            try:
                part = _part_in(raw)
                parts.append(_part(part, raw))
            except msgspec.ValidationError as error:
                raise BadRequest(f"{where}.content.{number}: {error}", param="messages") from None
            marked = marked or bool(part.cache_control or part.copilot_cache_control)
    if message.refusal:
        parts.append(Refusal(message.refusal))
    return parts, marked


def _part_in(raw: msgspec.Raw) -> PartIn:
    """A type we don't know may use our fields for something else."""
    try:
        return _decode_part(raw)
    except msgspec.ValidationError:
        kind = _decode_kind(raw).type
        if kind in KNOWN_PARTS:
            raise
        return PartIn(kind)


def _part(part: PartIn, raw: msgspec.Raw) -> Part:
    found: Part | None = None
    match part.type:
        case "text":
            return Text(part.text)
        case "refusal":
            return Refusal(part.refusal)
        case "image_url":
            found = _image(part.image_url)
        case "input_audio" if part.input_audio.data:
            found = Document(f"audio/{part.input_audio.format or 'wav'}", part.input_audio.data)
        case "file":
            found = _file(part.file)
    return Text(bytes(raw).decode()) if found is None else found


def _image(named: str | ImageUrl) -> Image | None:
    image = ImageUrl(named) if isinstance(named, str) else named
    if not image.url:
        return None
    data, detail = _data_url(image.url), image.detail or ""
    return Image(url=image.url, detail=detail) if data is None else Image(*data, detail=detail)


def _file(file: FileIn) -> Document | None:
    """A file that is named by its id is OpenAI's to know: the model is told the id."""
    if not file.file_data:
        return None
    title = file.filename or ""
    media_type, data = _data_url(file.file_data) or ("application/pdf", file.file_data)
    if media_type.startswith("text/"):
        text = text_in(data)
        if text is not None:
            return Document(media_type, text=text, title=title)
    return Document(media_type, data, title=title)


def text_in(data: str) -> str | None:
    """Of base64; None where it is none, or not UTF-8, for neither is promised."""
    try:
        return binascii.a2b_base64(data).decode()
    except ValueError:
        return None


def _data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64."""
    match = _DATA_URL.match(url)
    return (match[1].lower(), url[match.end() :]) if match else None


def _words(part: Part) -> str:
    return part.text if isinstance(part, Refusal) else ""
