"""Every request the generator sends: one prompt in three dialects, and the model that forces the upstream one."""

from __future__ import annotations

import json
from typing import Any, Literal, NamedTuple

from .load import post
from .targets import Target

Dialect = Literal["chat", "messages", "responses"]

DIALECTS: tuple[Dialect, ...] = ("chat", "messages", "responses")
PATHS: dict[Dialect, str] = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
MODELS: dict[Dialect, str] = {"chat": "gpt-4.1", "messages": "claude-opus-4.6", "responses": "gpt-5.3-codex"}
_SYSTEM = "You are a coding assistant."
_LINE = "def handler(request):\n    return {'status': 200, 'body': \"unchanged\"}  # naïve\n"


class Pair(NamedTuple):
    """The dialect the client speaks, and the only one that upstream offers for the model."""

    client: Dialect
    upstream: Dialect

    def __str__(self) -> str:
        return "-".join(self)


# By upstream: the rows of one upstream stream, which a target that cannot translate repeats, stand together.
PAIRS = tuple(sorted((Pair(client, upstream) for upstream in DIALECTS for client in DIALECTS), key=lambda p: p[::-1]))
SAME = tuple(pair for pair in PAIRS if pair.client == pair.upstream)


def request_body(pair: Pair, script: str, *, stream: bool = True, size: int = 0) -> bytes:
    """A request of one short turn, or of about ``size`` bytes in many; the script is in its last message."""
    turns: list[tuple[str, str]] = []
    for number in range(size // 2000):
        turns += [("user", f"Part {number}:\n" + _LINE * 22), ("assistant", "Read.")]
    turns.append(("user", f"Say something. BENCH {script}"))
    body: dict[str, Any] = {"model": MODELS[pair.upstream], "stream": stream}
    if pair.client == "responses":
        body |= {"max_output_tokens": 4096, "store": False, "instructions": _SYSTEM}
        body["input"] = [_item(role, text) for role, text in turns]
    else:
        messages = [{"role": role, "content": text} for role, text in turns]
        if pair.client == "chat":
            messages.insert(0, {"role": "system", "content": _SYSTEM})
        else:
            body["system"] = _SYSTEM
        body |= {"max_tokens": 4096, "messages": messages}
    return json.dumps(body, ensure_ascii=False).encode()


def _item(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def request_for(target: Target, pair: Pair, script: str, *, stream: bool = True, size: int = 0) -> bytes:
    """A target that cannot translate gets the request the translation would make: the same upstream stream."""
    if not target.translates:
        pair = Pair(pair.upstream, pair.upstream)
    return post(target.prefix + PATHS[pair.client], request_body(pair, script, stream=stream, size=size))
