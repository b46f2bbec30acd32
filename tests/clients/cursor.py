"""Cursor's requests, constructed (clients.md §7): the editor itself cannot be run here.

Both kinds go to the chat route and are answered in chat chunks: *agent* bodies have Responses items in ``input``, *ask*
bodies have messages. As a program, an agent: ``cursor.py agent|ask BASE_URL MODEL PROMPT [PICTURE]``.
"""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

MAX_TURNS = 8
PATIENCE = 100.0
PATCH = "*** Begin Patch\n*** Add File: a.txt\n+hello\n*** End Patch\n"
GRAMMAR = (
    'start: begin_patch hunk+ end_patch\nbegin_patch: "*** Begin Patch" LF\nend_patch: "*** End Patch" LF?\n'
    'hunk: "*** Add File: " /(.+)/ LF ("+" /(.*)/ LF)+\n%import common.LF\n'
)
PARAMETERS = {"Shell": ("command", "description"), "Read": ("path",), "Write": ("path", "contents")}
FUNCTIONS: list[Any] = [
    {
        "name": name,
        "description": f"{name} of the editor",
        "parameters": {
            "type": "object",
            "properties": {parameter: {"type": "string", "description": parameter} for parameter in parameters},
            "required": list(parameters),
        },
    }
    for name, parameters in PARAMETERS.items()
]
FLAT: list[Any] = [{"type": "function", "strict": False, **function} for function in FUNCTIONS]
NESTED: list[Any] = [{"type": "function", "function": function} for function in FUNCTIONS]
APPLY_PATCH: Any = {
    "type": "custom",
    "name": "ApplyPatch",
    "description": "Edits files",
    "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR},
}


def agent_body(
    model: str, prompt: str, items: Iterable[Any] = (), *, tools: list[Any] = FLAT, stream: bool = True
) -> dict[str, Any]:
    body = {
        "model": model,
        "stream": stream,
        "user": "auth0|user_rig",
        "store": False,
        "input": [
            {"role": "system", "content": f"You are an AI coding assistant, powered by {model}, inside Cursor."},
            {"role": "user", "content": [{"type": "input_text", "text": "<user_info>\nOS: linux\n</user_info>"}]},
            {"role": "user", "content": [{"type": "input_text", "text": f"<user_query>\n{prompt}\n</user_query>"}]},
            *items,
        ],
        "tools": tools,
        "tool_choice": "auto",
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "text": {"verbosity": "medium"},
    }
    return body | {"stream_options": {"include_usage": True}} if stream else body


def ask_body(
    model: str, prompt: str, messages: Iterable[Any] = (), *, tools: list[Any] = NESTED, stream: bool = True
) -> dict[str, Any]:
    body = {
        "model": model,
        "temperature": 0,
        "user": "auth0|user_rig",
        "stream": stream,
        "tools": tools,
        "tool_choice": "auto",
        "messages": [
            {"role": "system", "content": "You are an AI coding assistant inside Cursor."},
            {"role": "user", "content": "<user_info>OS: linux</user_info>"},
            {"role": "user", "content": f"<user_query>\n{prompt}\n</user_query>"},
            *messages,
        ],
    }
    return body | {"stream_options": {"include_usage": True}} if stream else body


def request(
    base_url: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> http.client.HTTPResponse:
    parts = urlsplit(base_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    sent = {"Accept": "*/*", "User-Agent": "Go-http-client/2.0"}
    sent |= {"Authorization": "Bearer any", "Content-Type": "application/json"} if body is not None else {}
    data = None if body is None else json.dumps(body)
    connection.request(method, parts.path + path, data, sent | (headers or {}))
    return connection.getresponse()


class Malformed(Exception):
    """Not what Cursor can read."""


class Answer:
    """A chat completion, whole or in chunks, read as strictly as Cursor 3.14 does. Raises Malformed."""

    def __init__(self, response: http.client.HTTPResponse, *, streamed: bool) -> None:
        self.text = ""
        self.calls: dict[int, Any] = {}
        self.finish: str | None = None
        self.usage: Any = None
        self.arrived: list[float] = []
        if response.status != 200:
            raise Malformed(f"status {response.status} {response.read(500).decode(errors='replace')}")
        if streamed:
            self._read_chunks(response)
        else:
            self._read_whole(json.loads(response.read()))
        if not self.finish:
            raise Malformed("no finish_reason")
        for call in self.calls.values():
            if not call["id"] or not call["function"]["name"]:
                raise Malformed(f"a call without id or function.name: {call}")

    def _read_whole(self, answer: Any) -> None:
        if answer["object"] != "chat.completion":
            raise Malformed(f"object {answer['object']}")
        choice = answer["choices"][0]
        self.text, self.finish = choice["message"].get("content") or "", choice["finish_reason"]
        self.usage = answer.get("usage")
        self.calls = dict(enumerate(choice["message"].get("tool_calls") or []))

    def _read_chunks(self, response: http.client.HTTPResponse) -> None:
        kind = response.getheader("content-type") or ""
        if "text/event-stream" not in kind:
            raise Malformed(f"content-type {kind}")
        for raw in response:
            line = raw.decode().strip()
            if line.startswith("event:"):
                raise Malformed(f"an event of another API: {line}")
            if line == "data: [DONE]":
                return
            if line.startswith("data:"):
                self._read_chunk(json.loads(line.removeprefix("data:")))
        raise Malformed("no [DONE]")

    def _read_chunk(self, chunk: Any) -> None:
        if chunk.get("error"):
            raise Malformed(f"an error: {chunk['error']}")
        # The chunk that a GPT stream begins with has an empty one, and no choices (upstream.md §7.4).
        if chunk["choices"] and chunk["object"] != "chat.completion.chunk":
            raise Malformed(f"object {chunk['object']}")
        self.usage = chunk.get("usage") or self.usage
        for choice in chunk["choices"]:
            delta = choice.get("delta") or {}
            if delta.get("content"):
                self.text += delta["content"]
                self.arrived.append(time.monotonic())
            for piece in delta.get("tool_calls") or []:
                self._read_call(piece)
            self.finish = choice.get("finish_reason") or self.finish

    def _read_call(self, piece: Any) -> None:
        empty: dict[str, Any] = {"id": None, "function": {"name": "", "arguments": ""}}
        call = self.calls.setdefault(piece["index"], empty)
        call["id"] = piece.get("id") or call["id"]
        for name in ("name", "arguments"):
            call["function"][name] += (piece.get("function") or {}).get(name) or ""


def send(base_url: str, body: dict[str, Any]) -> Answer:
    response = request(base_url, "POST", "/v1/chat/completions", body)
    return Answer(response, streamed=body["stream"])


def agent_turn(answer: Answer, results: list[str]) -> list[Any]:
    """The answer and what its calls brought, as items of the next agent body."""
    items: list[Any] = []
    if answer.text:
        content = [{"type": "output_text", "text": answer.text}]
        items.append({"type": "message", "role": "assistant", "content": content})
    calls = list(answer.calls.values())
    items += [{"type": "function_call", "call_id": call["id"], **call["function"]} for call in calls]
    outputs = [
        {"type": "function_call_output", "call_id": call["id"], "output": result}
        for call, result in zip(calls, results, strict=True)
    ]
    return items + outputs


def ask_turn(answer: Answer, results: list[str]) -> list[Any]:
    """The same as messages."""
    calls = list(answer.calls.values())
    said = [
        {"type": "function", "id": call["id"], "index": index, "function": call["function"]}
        for index, call in enumerate(calls)
    ]
    messages: list[Any] = [{"role": "assistant", "content": answer.text, "tool_calls": said}]
    for call, result in zip(calls, results, strict=True):
        name = call["function"]["name"]
        messages.append({"role": "tool", "name": name, "tool_call_id": call["id"], "content": result})
    return messages


def use(name: str, arguments: str) -> str:
    wanted = json.loads(arguments)
    match name:
        case "Shell":
            return subprocess.run(wanted["command"], shell=True, capture_output=True, text=True, check=True).stdout
        case "Write":
            Path(wanted["path"]).write_text(wanted["contents"])
            return "ok"
        case _:
            return Path(wanted["path"]).read_text()


def picture_items(kind: str, picture: Path) -> list[Any]:
    url = f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"
    if kind == "agent":
        part: Any = {"type": "input_image", "image_url": url, "detail": "auto"}
    else:
        part = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [part]}]


def main(kind: str, base_url: str, model: str, prompt: str, picture: str = "") -> None:
    body, turn = (agent_body, agent_turn) if kind == "agent" else (ask_body, ask_turn)
    more = picture_items(kind, Path(picture)) if picture else []
    for _ in range(MAX_TURNS):
        try:
            answer = send(base_url, body(model, prompt, more))
        except (Malformed, OSError, http.client.HTTPException) as error:
            raise SystemExit(f"{type(error).__name__}: {error}") from None
        if not answer.calls:
            print(answer.text)
            return
        results = [use(call["function"]["name"], call["function"]["arguments"]) for call in answer.calls.values()]
        more += turn(answer, results)
    raise SystemExit("no end")


if __name__ == "__main__":
    main(*sys.argv[1:])
