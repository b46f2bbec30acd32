"""The tools of a chat request, and which of them the client wants called."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from copilot_trio.errors import BadRequest
from copilot_trio.turn import Tool, ToolChoice

from .wire import NOTHING, ToolChoiceIn, ToolIn, ToolSpec, absent

MODES: dict[str, Literal["auto", "any", "none"]] = {"auto": "auto", "required": "any", "none": "none"}
EMPTY_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def parse_tools(
    tools: Iterable[ToolIn], choice: str | ToolChoiceIn | None
) -> tuple[tuple[Tool, ...], ToolChoice | None]:
    """Functions and custom tools, nested or flat: Cursor mixes them (clients.md §7). Raises ``BadRequest``."""
    found = tuple(_tool(tool, f"tools.{number}") for number, tool in enumerate(tools))
    return _allowed(found, choice), _tool_choice(choice)


def _tool(tool: ToolIn, where: str) -> Tool:
    nested = tool.function or tool.custom
    kind = tool.type or "function"
    if kind not in {"function", "custom"}:
        raise BadRequest(f"{where}: type `{kind}` is neither function nor custom", param="tools")
    spec: ToolSpec = nested or tool
    if not spec.name:
        raise BadRequest(f"{where} has no name", param="tools")
    if kind == "custom":
        return Tool(
            spec.name, spec.description or "", NOTHING, custom=True, format=_format(spec.format), flat=nested is None
        )
    schema = EMPTY_SCHEMA if absent(spec.parameters) else spec.parameters
    return Tool(spec.name, spec.description or "", schema, spec.strict)


def _format(raw: msgspec.Raw) -> msgspec.Raw:
    """Chat nests a grammar's fields in ``grammar``; the Responses API, whose form we keep, does not."""
    if absent(raw):
        return NOTHING
    fields = _decode_format(raw)
    grammar = fields.pop("grammar", None)
    return raw if grammar is None else msgspec.Raw(_encode(fields | _decode_format(grammar)))


def _decode_format(raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _decode_object(raw)
    except msgspec.ValidationError as error:
        raise BadRequest(f"a custom tool's format: {error}", param="tools") from None


def _tool_choice(choice: str | ToolChoiceIn | None) -> ToolChoice | None:
    match choice:
        case None:
            return None
        case str():
            return _mode(choice)
        case ToolChoiceIn(type="allowed_tools"):
            return _mode(choice.allowed_tools.mode if choice.allowed_tools else "auto")
        case ToolChoiceIn(type="function" | "custom") if choice.tool:
            return ToolChoice("tool", choice.tool)
        case _:
            raise BadRequest(f"tool_choice: type `{choice.type}` names no tool", param="tool_choice")


def _mode(mode: str) -> ToolChoice:
    if mode not in MODES:
        raise BadRequest(f"tool_choice: `{mode}` is none of auto, required, none", param="tool_choice")
    return ToolChoice(MODES[mode])


def _allowed(tools: tuple[Tool, ...], choice: str | ToolChoiceIn | None) -> tuple[Tool, ...]:
    """The other tools are not shown at all: no other API tells tools that exist from tools that may be called."""
    if not isinstance(choice, ToolChoiceIn) or choice.type != "allowed_tools" or choice.allowed_tools is None:
        return tools
    names = {named.tool for named in choice.allowed_tools.tools}
    return tuple(tool for tool in tools if tool.name in names)
