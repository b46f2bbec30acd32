"""Calls of the tools that coding clients offer, with arguments those tools understand.

The names and parameters are facts about the clients (../clients.md): a shell, a writer, a reader, a patcher.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from .plan import Call
from .prompt import Tool
from .reply import members

SHELLS = (
    "Shell", "Bash", "bash", "exec_command", "shell_command", "shell", "local_shell", "run_shell_command",
    "container.exec", "run_terminal_cmd", "exec",
)  # fmt: skip
WRITERS = ("Write", "write", "write_file", "create_file")
READERS = ("Read", "read", "read_file")
PATCHERS = ("apply_patch", "ApplyPatch")
PATH_NAMES = ("file_path", "filePath", "path", "absolute_path", "target_file")
CONTENT_NAMES = ("content", "contents", "text")
BIG = 2000  # times the content: a "bigtool" argument
FILLERS: dict[object, object] = {"number": 10_000, "integer": 10_000, "boolean": False}


def find(tools: Iterable[Tool], names: Sequence[str]) -> Tool | None:
    """The first of ``names`` on offer. A deferred tool is not on offer until it has been searched for."""
    offered = {tool.name: tool for tool in reversed(list(tools)) if not tool.deferred}
    return next((offered[name] for name in names if name in offered), None)


def steps(tools: Sequence[Tool], path: str, content: str, *, big: bool = False) -> list[Call]:
    """Write ``content`` to ``path``, read it back, write a second file: as far as the tools allow, one call a turn."""
    shell, writer, reader, patcher = (find(tools, names) for names in (SHELLS, WRITERS, READERS, PATCHERS))
    if shell:
        calls = [run(shell, _printf(path, content))]
    elif writer:
        calls = [write(writer, path, content)]
    else:
        return []
    if reader:
        calls.append(read(reader, path))
    elif shell:
        calls.append(run(shell, f"cat '{path}'"))
    if patcher:
        calls.append(patch(patcher, f"{path}.2", content))
    elif writer and shell:
        calls.append(write(writer, f"{path}.2", content * BIG if big else content))
    return calls


def pair(tools: Sequence[Tool], path: str, content: str) -> list[Call]:
    """Two calls that do not depend on each other."""
    paths = (path, f"{path}.2")
    if shell := find(tools, SHELLS):
        return [run(shell, _printf(each, content)) for each in paths]
    if writer := find(tools, WRITERS):
        return [write(writer, each, content) for each in paths]
    return []


def _printf(path: str, content: str) -> str:
    return f"printf '%s' '{content}' > '{path}'"


def run(tool: Tool, command: str) -> Call:
    if tool.kind == "custom" and tool.name == "exec":  # here a call is a program that calls the real tool
        quoted = msgspec.json.encode(command).decode()
        program = f"const r = await tools.exec_command({{cmd: {quoted}}}); text(r);"
        return Call(name=tool.name, text=program, namespace=tool.namespace)
    parameters = members(tool.schema.get("properties"))
    if "cmd" in parameters:
        arguments: dict[str, Any] = {"cmd": command}
    elif tool.name == "shell" and members(parameters.get("command")).get("type") == "array":
        arguments = {"command": ["bash", "-lc", command]}
    else:
        arguments = {"command": command}
    if "description" in parameters:
        arguments["description"] = "one step of the twin"
    return Call(name=tool.name, arguments=_complete(tool, arguments), namespace=tool.namespace)


def write(tool: Tool, path: str, content: str) -> Call:
    arguments = {_parameter(tool, PATH_NAMES, "path"): path, _parameter(tool, CONTENT_NAMES, "content"): content}
    return Call(name=tool.name, arguments=arguments, namespace=tool.namespace)


def read(tool: Tool, path: str) -> Call:
    return Call(name=tool.name, arguments={_parameter(tool, PATH_NAMES, "path"): path}, namespace=tool.namespace)


def patch(tool: Tool, path: str, content: str) -> Call:
    text = f"*** Begin Patch\n*** Add File: {path}\n+{content}\n*** End Patch\n"
    if tool.kind == "custom":
        return Call(name=tool.name, text=text, namespace=tool.namespace)
    return Call(name=tool.name, arguments={_parameter(tool, ("patchText",), "input"): text}, namespace=tool.namespace)


def _parameter(tool: Tool, names: Sequence[str], default: str) -> str:
    parameters = members(tool.schema.get("properties"))
    return next((name for name in names if name in parameters), default)


def _complete(tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
    required = tool.schema.get("required")
    parameters = members(tool.schema.get("properties"))
    for name in required if isinstance(required, list) else []:
        if name not in arguments:
            arguments[name] = FILLERS.get(members(parameters.get(name)).get("type"), "twin")
    return arguments
