"""Reading a request's body, of any of the three dialects, into the pieces that count.

Whatever comes counts as something, odd JSON as the text that it is: a wrong count is a nuisance, an error stops a
client that only wanted to know how much room is left.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Any

import msgspec

from copilot_trio.dialects.messages.parse import BILLING_HEADER
from copilot_trio.unreadable import UNREADABLE

from .media import Paper, Picture
from .prompt import MESSAGE, Piece, Prompt, Thought

CALL = 8  # tokens around a tool's call, and around its result
SAMPLE = 4096  # characters at each end of a file's base64, which tell it from others

_ASSISTANT_ITEMS = {"reasoning", "function_call", "custom_tool_call", "local_shell_call", "web_search_call"}
_RESULT_ITEMS = {"function_call_output", "custom_tool_call_output", "local_shell_call_output"}
_TEXTS = {"text", "input_text", "output_text", "summary_text", "reasoning_text"}
_UNCOUNTED = {"cache_control", "id", "call_id", "tool_use_id", "status"}
_TOOL_NAME = re.compile(rb'"tool_name"[ \t\r\n]*:[ \t\r\n]*"([^"\\]+)"')

_Json = dict[str, Any]
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def read_prompt(body: bytes) -> Prompt:
    """Takes some 5 µs per KB. Raises nothing."""
    try:
        request = _decode(body)
    except UNREADABLE:
        request = body.decode("utf-8", "replace")
    if not isinstance(request, dict):
        return Prompt(Piece(), (_piece(request),))
    header = _Collector(0)
    header.content(request.get("system"))
    header.content(request.get("instructions"))
    header.toolbox(request.get("tools"), _referenced(body))
    turns = request.get("messages") or request.get("input") or []
    if not isinstance(turns, list):  # the Responses API takes a lone string for a user's message
        turns = [turns]
    return Prompt(header.piece(""), tuple(map(_piece, turns)))


def _piece(message: Any) -> Piece:
    collector = _Collector(MESSAGE)
    return collector.piece(collector.item(message))


def _referenced(body: bytes) -> frozenset[str] | None:
    """The tools that a search has found, if the request defers any; the other deferred ones are not in the prompt."""
    if b'"defer_loading"' not in body:
        return None
    return frozenset(name.decode("utf-8", "replace") for name in _TOOL_NAME.findall(body))


class _Collector:
    """Gathers one piece."""

    def __init__(self, fixed: int) -> None:
        self._texts: list[str] = []
        self._pictures: list[Picture] = []
        self._papers: list[Paper] = []
        self._thoughts: list[Thought] = []
        self._fixed = fixed
        self._tools = 0

    def piece(self, role: str) -> Piece:
        texts, thoughts = tuple(self._texts), tuple(self._thoughts)
        files = (*(_sample(one.data) for one in self._pictures), *(_sample(one.data) for one in self._papers))
        return Piece(
            key=hash((role, texts, thoughts, files)),
            texts=texts,
            pictures=tuple(self._pictures),
            papers=tuple(self._papers),
            thoughts=thoughts,
            fixed=self._fixed,
            tools=self._tools,
            assistant=role == "assistant",
        )

    def item(self, item: Any) -> str:
        """A message of any dialect, or an item of the Responses API. Returns its role."""
        if not isinstance(item, dict):
            self.content(item)
            return "user"
        kind, role = _string(item, "type"), _string(item, "role")
        if role:
            self._message(item, role)
            return role
        if kind in _RESULT_ITEMS:
            self._fixed += CALL
            self.content(item.get("output"))
            return "tool"
        if kind == "reasoning":
            self.content(item.get("content"))
            self._thoughts.append(Thought("", len(_string(item, "encrypted_content"))))
        elif kind in {"function_call", "custom_tool_call"}:
            self._call(item)
        else:
            self._other(item)
        return "assistant" if kind in _ASSISTANT_ITEMS else "user"

    def _message(self, item: _Json, role: str) -> None:
        if role in {"tool", "function"}:
            self._fixed += CALL
        thinking = _string(item, "reasoning_content") or _string(item, "reasoning_text")
        sealed = len(_string(item, "reasoning_opaque"))
        if thinking or sealed:
            self._thoughts.append(Thought(thinking, sealed))
        self.content(item.get("content"))
        for call in _list(item, "tool_calls"):
            if isinstance(call, dict):
                self._call(_object(call, "function") or _object(call, "custom"))
        self.toolbox(item.get("tools"), None)

    def content(self, content: Any) -> None:
        """A text, or a list of texts and blocks."""
        if isinstance(content, str):
            self._text(content)
        elif content is not None:
            for block in content if isinstance(content, list) else (content,):
                if isinstance(block, dict):
                    self._block(block)
                else:
                    self._text(_json(block))

    def _text(self, text: str) -> None:
        if text and not text.startswith(BILLING_HEADER):
            self._texts.append(text)

    def _block(self, block: _Json) -> None:
        kind = _string(block, "type")
        if kind in _TEXTS:
            self._text(_string(block, "text"))
        elif kind == "refusal":
            self._text(_string(block, "refusal"))
        elif kind in {"tool_use", "server_tool_use", "mcp_tool_use"}:
            self._call(block)
        elif kind == "tool_result":
            self._fixed += CALL
            self.content(block.get("content"))
        elif kind == "tool_reference":
            self._text(_string(block, "tool_name"))
        elif kind == "thinking":
            self._thoughts.append(Thought(_string(block, "thinking"), len(_string(block, "signature"))))
        elif kind == "redacted_thinking":
            self._thoughts.append(Thought("", len(_string(block, "data"))))
        elif kind in {"image", "image_url", "input_image"}:
            self._picture(block)
        elif kind in {"document", "file", "input_file"}:
            self._paper(block)
        else:
            self._other(block)

    def _picture(self, block: _Json) -> None:
        source = _object(block, "image_url") or _object(block, "source")
        data = _string(source, "data") or _data_of(_string(block, "image_url") or _string(source, "url"))
        detail = _string(block, "detail") or _string(source, "detail")
        self._pictures.append(Picture(data, detail == "low"))

    def _paper(self, block: _Json) -> None:
        source = _object(block, "source") or _object(block, "file") or block
        self._text(_string(block, "title") or _string(source, "filename"))
        kind = _string(source, "type")
        if kind == "text":
            self._text(_string(source, "data"))
        elif kind == "content":
            self.content(source.get("content"))
        else:
            url = _string(source, "file_data")
            self._papers.append(Paper(_string(source, "data") or _data_of(url), _string(source, "media_type")))

    def _call(self, call: _Json) -> None:
        self._fixed += CALL
        self._text(_string(call, "name"))
        for key in ("input", "arguments"):
            if key in call:
                self._text(_string(call, key) or _json(call[key]))

    def toolbox(self, tools: Any, referenced: Container[str] | None) -> None:
        """Tools' definitions; of those that are deferred, the ``referenced`` ones."""
        for tool in tools if isinstance(tools, list) else ():
            if not isinstance(tool, dict):
                continue
            if "tools" in tool:  # a namespace
                for inner in _list(tool, "tools"):
                    if isinstance(inner, dict):
                        self._tool(inner, referenced)
            else:
                self._tool(_object(tool, "function") or tool, referenced)

    def _tool(self, tool: _Json, referenced: Container[str] | None) -> None:
        name = _string(tool, "name")
        if referenced is not None and tool.get("defer_loading") is True and name not in referenced:
            return
        self._tools += 1
        schema = tool.get("input_schema") or tool.get("parameters") or tool.get("format")
        if schema is None:
            self._other(tool)
            return
        for text in (name, _string(tool, "description"), _json(schema)):
            self._text(text)

    def _other(self, value: _Json) -> None:
        """What we don't know counts as its JSON."""
        self._text(", ".join(f'"{key}": {_json(inner)}' for key, inner in value.items() if key not in _UNCOUNTED))


def _json(value: Any) -> str:
    return _encode(value).decode()


def _string(value: _Json, key: str) -> str:
    """The string at ``key``; empty where there is none."""
    found = value.get(key)
    return found if isinstance(found, str) else ""


def _object(value: _Json, key: str) -> _Json:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _list(value: _Json, key: str) -> list[Any]:
    found = value.get(key)
    return found if isinstance(found, list) else []


def _data_of(url: str) -> str:
    """The base64 of a data URL; empty for other URLs."""
    return url.partition(",")[2] if url.startswith("data:") else ""


def _sample(data: str) -> tuple[int, str, str]:
    return len(data), data[:SAMPLE], data[-SAMPLE:]
