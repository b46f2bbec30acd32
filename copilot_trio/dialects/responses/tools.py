"""The tools of a Responses request, and which of them the client wants called.

| ``type`` | becomes |
|---|---|
| ``function``, flat or nested as in chat | a tool |
| ``custom`` | a freeform tool with its ``format`` |
| ``namespace`` | its tools, each with the namespace |
| ``web_search``, ``web_search_preview`` and dated ones | the conversation's search |
| ``tool_search`` | left out: clients send it always, and a model without it has the other tools |
| ``image_generation``, ``file_search``, ``code_interpreter``, ``computer*``, ``local_shell``, ``shell``, ``mcp``, … | \
left out: OpenAI's own servers run these, or OpenAI's models alone are trained on them |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from copilot_trio.errors import BadRequest
from copilot_trio.turn import SearchTool, Tool, ToolChoice

from .wire import NOTHING, Kind, ToolChoiceIn, ToolIn, ToolName, absent

EMPTY_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')
SEARCH = "web_search"  # the name a forced search goes by, Anthropic's too
MODES: dict[str, Literal["auto", "any", "none"]] = {"auto": "auto", "required": "any", "none": "none"}

_decode_kind = msgspec.json.Decoder(Kind).decode
_decode_tool = msgspec.json.Decoder(ToolIn).decode


class Toolbox(msgspec.Struct, frozen=True):
    tools: tuple[Tool, ...] = ()
    search: SearchTool | None = None
    choice: ToolChoice | None = None


def parse_tools(raw_tools: Iterable[msgspec.Raw], choice: str | ToolChoiceIn | None) -> Toolbox:
    """Of tools with the same name and namespace the first is taken. Raises ``BadRequest``."""
    tools: dict[tuple[str, str], Tool] = {}
    search: SearchTool | None = None
    for number, raw in enumerate(raw_tools):
        try:
            for found in _read(raw):
                if isinstance(found, Tool):
                    tools.setdefault((found.namespace, found.name), found)
                else:
                    search = found
        except msgspec.ValidationError as error:
            raise BadRequest(f"tools.{number}: {error}", param="tools") from None
    return _chosen(Toolbox(tuple(tools.values()), search), choice)


def _read(raw: msgspec.Raw, namespace: str = "") -> Iterator[Tool | SearchTool]:
    kind = _decode_kind(raw).type or "function"
    if kind.startswith(SEARCH):
        yield _search(_decode_tool(raw))
    elif kind == "namespace" and not namespace:
        yield from _namespace(_decode_tool(raw))
    elif kind == "function":
        tool = _decode_tool(raw)
        function = tool.function or tool
        schema = EMPTY_SCHEMA if absent(function.parameters) else function.parameters
        yield Tool(_name(function.name), function.description or "", schema, function.strict, namespace=namespace)
    elif kind == "custom":
        tool = _decode_tool(raw)
        form = NOTHING if absent(tool.format) else tool.format
        yield Tool(_name(tool.name), tool.description or "", NOTHING, custom=True, format=form, namespace=namespace)


def _name(name: str | None) -> str:
    if not name:
        raise BadRequest("tools: a tool has no name", param="tools")
    return name


def _namespace(space: ToolIn) -> Iterator[Tool | SearchTool]:
    """What is said of them all is said with the first of them: a tool's description is the only place left."""
    name, about = _name(space.name), space.description or ""
    for raw in space.tools or ():
        for found in _read(raw, name):
            if about and isinstance(found, Tool):
                described = f"{found.description}\n\nOf all tools of {name}: {about}".strip()
                yield msgspec.structs.replace(found, description=described)
                about = ""
            else:
                yield found


def _search(tool: ToolIn) -> SearchTool:
    filters = tool.filters
    return SearchTool(
        allowed_domains=tuple(filters.allowed_domains or ()) if filters else (),
        blocked_domains=tuple(filters.blocked_domains or ()) if filters else (),
        location=NOTHING if absent(tool.user_location) else tool.user_location,
    )


# ---- tool_choice


def _chosen(box: Toolbox, choice: str | ToolChoiceIn | None) -> Toolbox:
    """A forced tool that was left out cannot be forced: the model then chooses."""
    match choice:
        case None:
            return box
        case str():
            return _with_mode(box, choice)
        case ToolChoiceIn(type="allowed_tools"):
            return _with_mode(_allowed(box, choice.tools or ()), choice.mode or "auto")
        case ToolChoiceIn(type=("auto" | "required" | "none") as mode):
            return _with_mode(box, mode)
    kind, name = choice.type or "", choice.name or (choice.function.name if choice.function else None) or ""
    if kind in {"function", "custom"}:
        if not name:
            raise BadRequest("tool_choice names no tool", param="tool_choice")
        forced = name if any(tool.name == name for tool in box.tools) else ""
    else:
        forced = SEARCH if kind.startswith(SEARCH) and box.search else ""
    return Toolbox(box.tools, box.search, ToolChoice("tool", forced) if forced else None)


def _with_mode(box: Toolbox, mode: str) -> Toolbox:
    if mode not in MODES:
        raise BadRequest(f"tool_choice: `{mode}` is none of auto, required, none", param="tool_choice")
    return Toolbox(box.tools, box.search, ToolChoice(MODES[mode]))


def _allowed(box: Toolbox, named: Iterable[ToolName]) -> Toolbox:
    """The other tools are not shown at all: no other API tells tools that exist from tools that may be called."""
    names: set[str] = set()
    spaces: set[str] = set()
    searches = False
    for entry in named:
        name = entry.name or (entry.function.name if entry.function else None) or ""
        if entry.type == "namespace":
            spaces.add(name)
        elif (entry.type or "").startswith(SEARCH):
            searches = True
        else:
            names.add(name)
    tools = tuple(tool for tool in box.tools if tool.name in names or tool.namespace in spaces)
    return Toolbox(tools, box.search if searches else None)
