"""Freeform tools and namespaces, lowered for upstreams that know neither, and raised again in what they answer.

Only Responses models have them (upstream.md §8.1). A freeform tool becomes a function with one string, its raw text;
a namespaced tool gets a flat name, and so does one whose name is longer or has other letters than OpenAI takes.
Names depend on nothing but the request, so a later request makes the same ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable

import msgspec

from copilot_trio.turn import (
    Conversation,
    Event,
    Message,
    Part,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolResult,
    Turn,
)
from copilot_trio.unreadable import UNREADABLE

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
LONGEST_NAME = 64
CUT_INPUT = re.compile(  # that string, and of its last escape what no longer counts
    r'\s*+\{\s*+"input"\s*+:\s*+"((?:[^"\\]++|\\[^u]|\\u[0-9a-fA-F]{4})*+)(?:\\(?:u[0-9a-fA-F]{0,3})?)?', re.DOTALL
)
HALF_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")  # its other half was cut
DEFAULT_NAMESPACE = "functions"  # Codex's tools of every day, which models call by their bare names
INPUT_SCHEMA = msgspec.Raw(
    b'{"type":"object","properties":{"input":{"type":"string","description":"The whole input, as plain text."}},'
    b'"required":["input"],"additionalProperties":false}'
)

Key = tuple[str, str]  # namespace and name


class _Wrapped(msgspec.Struct, frozen=True):
    input: str


class _Format(msgspec.Struct, frozen=True):
    type: str = ""
    syntax: str = ""
    definition: str = ""


_encode = msgspec.json.Encoder().encode
_decode_wrapped = msgspec.json.Decoder(_Wrapped).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_format = msgspec.json.Decoder(_Format).decode


class Original(msgspec.Struct, frozen=True):
    """What a lowered tool is to the client."""

    name: str
    namespace: str
    custom: bool


class Lowered:
    """A ``Reshape``: gives calls their names and kinds back. The input of a freeform tool waits for its end."""

    def __init__(self, originals: dict[str, Original]) -> None:
        self._originals = originals
        self._index = 0
        self._held: list[str] | None = None

    def fresh(self) -> Lowered:
        """Another, for another stream of the same request."""
        return Lowered(self._originals)

    def raise_event(self, event: Event) -> list[Event]:
        if isinstance(event, ToolCallDelta):
            if self._held is None:
                return [event]
            self._held.append(event.arguments)
            return []
        ended = self._release()
        if isinstance(event, ToolCallStarted) and (original := self._originals.get(event.name)) is not None:
            if original.custom:
                self._index, self._held = event.index, []
            custom, namespace = original.custom or event.custom, original.namespace or event.namespace
            event = ToolCallStarted(event.index, event.id, original.name, custom, namespace)
        return [*ended, event]

    def raise_turn(self, turn: Turn) -> Turn:
        return Turn(turn.id, turn.model, tuple(map(self._raise_part, turn.parts)), turn.reason, turn.usage)

    def _release(self) -> list[Event]:
        if self._held is None:
            return []
        text, self._held = unwrapped("".join(self._held)), None
        return [ToolCallDelta(self._index, text)] if text else []

    def _raise_part(self, part: Part) -> Part:
        original = self._originals.get(part.name) if isinstance(part, ToolCall) else None
        if not isinstance(part, ToolCall) or original is None:
            return part
        said = unwrapped(part.arguments) if original.custom else part.arguments
        custom, namespace = original.custom or part.custom, original.namespace or part.namespace
        return ToolCall(part.id, original.name, said, custom, namespace)


def lower(conversation: Conversation, *, names_only: bool = False) -> tuple[Conversation, Lowered | None]:
    """None, and the same conversation, where nothing has to be lowered.

    ``names_only`` for a Responses upstream: only names that it refuses change.
    """
    if not _is_raised(conversation, names_only=names_only):
        return conversation, None
    if names_only:
        return _with_valid_names(conversation)
    names = _Names(conversation.tools)
    tools = tuple(_tool(tool, names.of(tool.namespace, tool.name)) for tool in conversation.tools)
    messages = tuple(_message(message, lambda part: _part(part, names)) for message in conversation.messages)
    choice = conversation.tool_choice
    if choice is not None and choice.mode == "tool":
        choice = ToolChoice("tool", names.of("", choice.name))
    lowered = msgspec.structs.replace(conversation, tools=tools, messages=messages, tool_choice=choice)
    return lowered, Lowered(names.originals)


def unwrapped(arguments: str) -> str:
    """The raw text in a lowered freeform tool's JSON, were that cut; what is no such JSON is the text itself."""
    try:
        return _decode_wrapped(arguments).input
    except UNREADABLE:
        return _cut_input(arguments)


def _cut_input(arguments: str) -> str:
    found = CUT_INPUT.fullmatch(arguments)
    if found is None:
        return arguments
    for said in (found[1], HALF_PAIR.sub("", found[1])):
        try:
            return _decode_text(f'"{said}"')
        except UNREADABLE:
            continue
    return arguments


def _is_raised(conversation: Conversation, *, names_only: bool) -> bool:
    def is_raised(part: Tool | Part) -> bool:
        if isinstance(part, Tool | ToolCall):
            return not NAME.fullmatch(part.name) or (not names_only and (part.custom or bool(part.namespace)))
        return isinstance(part, ToolResult) and part.custom and not names_only

    parts = (part for message in conversation.messages for part in message.parts)
    return any(map(is_raised, conversation.tools)) or any(map(is_raised, parts))


def _with_valid_names(conversation: Conversation) -> tuple[Conversation, Lowered]:
    names = _Names(msgspec.structs.replace(tool, namespace="", custom=False) for tool in conversation.tools)

    def renamed(part: Part) -> Part:
        return msgspec.structs.replace(part, name=names.of("", part.name)) if isinstance(part, ToolCall) else part

    tools = tuple(msgspec.structs.replace(tool, name=names.of("", tool.name)) for tool in conversation.tools)
    messages = tuple(_message(message, renamed) for message in conversation.messages)
    choice = conversation.tool_choice
    if choice is not None and choice.mode == "tool":
        choice = ToolChoice("tool", names.of("", choice.name))
    lowered = msgspec.structs.replace(conversation, tools=tools, messages=messages, tool_choice=choice)
    return lowered, Lowered(names.originals)


class _Names:
    """Which flat name stands for which tool. Names that need no change are given out first."""

    def __init__(self, tools: Iterable[Tool]) -> None:
        self._flat: dict[Key, str] = {}
        self._taken: set[str] = set()
        self._custom: set[Key] = set()
        self._spaces: dict[str, list[str]] = {}  # by bare name, the namespaces that have it
        self.originals: dict[str, Original] = {}
        for tool in sorted(tools, key=lambda tool: bool(tool.namespace) or not NAME.fullmatch(tool.name)):
            key = (tool.namespace, tool.name)
            if key in self._flat:
                continue
            if tool.custom:
                self._custom.add(key)
            if tool.namespace:
                self._spaces.setdefault(tool.name, []).append(tool.namespace)
            self._give(
                key, custom=tool.custom, as_it_is=not (tool.custom or tool.namespace or not NAME.fullmatch(tool.name))
            )

    def of(self, namespace: str, name: str, *, custom: bool = False) -> str:
        """Of a tool, or of one that history calls and nobody declares any more."""
        key = self._key(namespace, name)
        flat = self._flat.get(key)
        return self._give(key, custom=custom) if flat is None else flat

    def is_custom(self, namespace: str, name: str) -> bool:
        return self._key(namespace, name) in self._custom

    def _key(self, namespace: str, name: str) -> Key:
        """Models, and so clients, leave a namespace out where the name says enough."""
        spaces = self._spaces.get(name, [])
        if namespace or ("", name) in self._flat or not spaces:
            return namespace, name
        if len(spaces) == 1:
            return spaces[0], name
        return (DEFAULT_NAMESPACE if DEFAULT_NAMESPACE in spaces else ""), name

    def _give(self, key: Key, *, custom: bool, as_it_is: bool = False) -> str:
        namespace, name = key
        flat = name if as_it_is else self._unique(namespace, name)
        self._flat[key] = flat
        self._taken.add(flat)
        if custom or flat != name or namespace:
            self.originals[flat] = Original(name, namespace, custom)
        return flat

    def _unique(self, namespace: str, name: str) -> str:
        if namespace in {"", DEFAULT_NAMESPACE} and NAME.fullmatch(name) and name not in self._taken:
            return name
        wanted = f"{namespace}__{name}" if namespace else name
        if NAME.fullmatch(wanted) and wanted not in self._taken:
            return wanted
        stem = re.sub(r"[^a-zA-Z0-9_-]", "_", wanted)[: LONGEST_NAME - 9]
        for number in range(len(self._taken) + 1):  # one of so many is free
            digest = hashlib.sha256(f"{number}\0{namespace}\0{name}".encode("utf-8", "replace")).hexdigest()
            if f"{stem}_{digest[:8]}" not in self._taken:
                return f"{stem}_{digest[:8]}"
        raise AssertionError("more names are taken than were given out")


def _tool(tool: Tool, flat: str) -> Tool:
    if not tool.custom:
        return msgspec.structs.replace(tool, name=flat, namespace="")
    described = "\n\n".join(filter(None, [tool.description, _instruction(tool.format)]))
    return Tool(flat, described, INPUT_SCHEMA)


def _instruction(form: msgspec.Raw) -> str:
    plain = "`input` is the tool's whole input as plain text, not JSON."
    try:
        grammar = _decode_format(form)
    except UNREADABLE:
        return plain
    if not grammar.definition:
        return plain
    return f"{plain} It must follow this {grammar.syntax or 'given'} grammar:\n{grammar.definition}"


def _message(message: Message, lowered: Callable[[Part], Part]) -> Message:
    if not any(isinstance(part, ToolCall | ToolResult) for part in message.parts):
        return message
    return msgspec.structs.replace(message, parts=tuple(map(lowered, message.parts)))


def _part(part: Part, names: _Names) -> Part:
    match part:
        case ToolCall():
            custom = part.custom or names.is_custom(part.namespace, part.name)
            said = _encode({"input": part.arguments}).decode() if custom else part.arguments
            return ToolCall(part.id, names.of(part.namespace, part.name, custom=custom), said)
        case ToolResult(custom=True):
            return msgspec.structs.replace(part, custom=False)
        case _:
            return part
