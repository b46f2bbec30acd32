"""Reading a request's body, of any of the three dialects, into the pieces that count.

Whatever comes counts as something, odd JSON as the text that it is: a wrong count is a nuisance, an error stops a
client that only wanted to know how much room is left.
"""

from __future__ import annotations

import re
from collections.abc import Container

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

_Json = dict[str, msgspec.Raw]
_decode_object = msgspec.json.Decoder(_Json).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_string = msgspec.json.Decoder(str).decode


def read_prompt(body: bytes) -> Prompt:
    """Takes some 4 µs per KB. Raises nothing."""
    try:
        form = _decode_object(body)
        header = _Collector(0)
        header.content(form.get("system"))
        header.content(form.get("instructions"))
        header.toolbox(form.get("tools"), _referenced(body))
        turns = form.get("messages") or form.get("input")
        return Prompt(header.piece(""), tuple(map(_piece, _items(turns))))
    except UNREADABLE:
        return Prompt(Piece(), (_plain(body),))


def _items(turns: msgspec.Raw | None) -> list[msgspec.Raw]:
    """The Responses API takes a lone string for a user's message."""
    if turns is None or _first(turns) != b"[":
        return [] if turns is None or _first(turns) == b"n" else [turns]
    return _decode_list(turns)


def _piece(raw: msgspec.Raw) -> Piece:
    try:
        collector = _Collector(MESSAGE)
        return collector.piece(collector.item(raw))
    except UNREADABLE:
        return _plain(bytes(raw))


def _plain(text: bytes) -> Piece:
    collector = _Collector(MESSAGE)
    collector.texts.append(text.decode("utf-8", "replace"))
    return collector.piece("")


def _referenced(body: bytes) -> frozenset[str] | None:
    """The tools that a search has found, if the request defers any; the other deferred ones are not in the prompt."""
    if b'"defer_loading"' not in body:
        return None
    return frozenset(name.decode("utf-8", "replace") for name in _TOOL_NAME.findall(body))


class _Collector:
    """Gathers one piece. The methods raise what decoding raises."""

    def __init__(self, fixed: int) -> None:
        self.texts: list[str] = []
        self._pictures: list[Picture] = []
        self._papers: list[Paper] = []
        self._thoughts: list[Thought] = []
        self._fixed = fixed
        self._tools = 0

    def piece(self, role: str) -> Piece:
        texts, thoughts = tuple(self.texts), tuple(self._thoughts)
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

    def item(self, raw: msgspec.Raw) -> str:
        """A message of any dialect, or an item of the Responses API. Returns its role."""
        if _first(raw) != b"{":
            self.content(raw)
            return "user"
        item = _decode_object(raw)
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
        for call in _list(item.get("tool_calls")):
            outer = _decode_object(call)
            self._call(_object(outer.get("function") or outer.get("custom")))
        if "tools" in item:
            self.toolbox(item["tools"], None)

    def content(self, raw: msgspec.Raw | None) -> None:
        """A text, or a list of texts and blocks."""
        if raw is None or _first(raw) == b"n":
            return
        if _first(raw) == b'"':
            self._text(_decode_string(raw))
            return
        for element in _decode_list(raw) if _first(raw) == b"[" else (raw,):
            if _first(element) == b"{":
                self._block(_decode_object(element))
            else:
                self._text(bytes(element).decode("utf-8", "replace"))

    def _text(self, text: str) -> None:
        if text and not text.startswith(BILLING_HEADER):
            self.texts.append(text)

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
        source = _object(block.get("image_url") or block.get("source"))
        data = _string(source, "data") or _data_of(_string(block, "image_url") or _string(source, "url"))
        detail = _string(block, "detail") or _string(source, "detail")
        self._pictures.append(Picture(data, detail == "low"))

    def _paper(self, block: _Json) -> None:
        source = _object(block.get("source") or block.get("file")) or block
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

    def toolbox(self, raw: msgspec.Raw | None, referenced: Container[str] | None) -> None:
        """Tools' definitions; of those that are deferred, the ``referenced`` ones."""
        for definition in _list(raw):
            tool = _object(definition)
            if "tools" in tool:  # a namespace
                self.toolbox(tool["tools"], referenced)
                continue
            tool = _object(tool.get("function")) or tool
            name = _string(tool, "name")
            if referenced is not None and name not in referenced and bytes(tool.get("defer_loading", b"")) == b"true":
                continue
            self._tools += 1
            schema = tool.get("input_schema") or tool.get("parameters") or tool.get("format")
            if schema is None:
                self._other(tool)
                continue
            for text in (name, _string(tool, "description"), _json(schema)):
                self._text(text)

    def _other(self, value: _Json) -> None:
        """What we don't know counts as its JSON."""
        self._text(", ".join(f'"{key}": {_json(raw)}' for key, raw in value.items() if key not in _UNCOUNTED))


def _first(raw: msgspec.Raw) -> bytes:
    return bytes(memoryview(raw)[:1])


def _json(raw: msgspec.Raw) -> str:
    return bytes(raw).decode("utf-8", "replace")


def _string(value: _Json, key: str) -> str:
    """The string at ``key``; empty where there is none."""
    raw = value.get(key)
    return _decode_string(raw) if raw is not None and _first(raw) == b'"' else ""


def _object(raw: msgspec.Raw | None) -> _Json:
    return _decode_object(raw) if raw is not None and _first(raw) == b"{" else {}


def _list(raw: msgspec.Raw | None) -> list[msgspec.Raw]:
    return _decode_list(raw) if raw is not None and _first(raw) == b"[" else []


def _data_of(url: str) -> str:
    """The base64 of a data URL; empty for other URLs."""
    return url.partition(",")[2] if url.startswith("data:") else ""


def _sample(data: str) -> tuple[int, str, str]:
    return len(data), data[:SAMPLE], data[-SAMPLE:]
