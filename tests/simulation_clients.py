"""Conversations that grow, in three dialects: what the simulation's clients send."""

from __future__ import annotations

import random
from typing import Any, Literal

import msgspec

Dialect = Literal["chat", "messages", "responses"]
Item = dict[str, Any]

PATHS: dict[Dialect, str] = {
    "chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses",
}  # fmt: skip
ENDINGS: dict[Dialect, bytes] = {
    "chat": b"data: [DONE]", "messages": b"event: message_stop", "responses": b'"type":"response.completed"',
}  # fmt: skip
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}
KEPT = 8  # turns; the first always, since a conversation is known by it


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. ``key`` is its API key, ``models`` a main one and those it uses beside."""

    key: str
    dialect: Dialect
    models: tuple[str, ...]
    stream: bool = True
    session: bool = False  # says which session it is
    thinks: bool = False  # plays thoughts and ids of items back


class Conversation:
    def __init__(self, number: int, profile: Profile, rng: random.Random) -> None:
        self.number = number
        self.profile = profile
        self.asked = 0
        self._rng = rng
        self._turns: list[list[Item]] = []
        self._new: list[Item] = []

    def next(self) -> tuple[str, str, str, bytes]:
        """Marker, model, whose turn it is, body."""
        self.asked += 1
        marker = f"ask-{self.number:02}-{self.asked:04}"
        tool = len(self._turns) > 0 and not self.profile.thinks and self._rng.random() < 0.6
        models = self.profile.models
        model = models[0] if len(models) == 1 or self._rng.random() < 0.85 else self._rng.choice(models[1:])
        self._new = self._tool_turn(marker) if tool else [self._user_turn(marker)]
        return marker, model, "agent" if tool else "user", msgspec.json.encode(self._body(model))

    def answered(self, body: bytes) -> None:
        self._turns.append([*self._new, *self._answer(body)])
        if len(self._turns) > KEPT:
            del self._turns[1]

    def _user_turn(self, marker: str) -> Item:
        word = "SCENARIO:thinking " if self.profile.thinks else ""
        return {"role": "user", "content": f"{word}{marker} and what comes next?"}

    def _tool_turn(self, marker: str) -> list[Item]:
        call, said = f"call_{self.asked}", f"{marker} as it was read"
        match self.profile.dialect:
            case "chat":
                function = {"name": "look", "arguments": '{"path":"a"}'}
                calls = [{"id": call, "type": "function", "function": function}]
                return [
                    {"role": "user", "content": "go on"},
                    {"role": "assistant", "content": None, "tool_calls": calls},
                    {"role": "tool", "tool_call_id": call, "content": said},
                ]
            case "messages":
                use = {"type": "tool_use", "id": call, "name": "look", "input": {"path": "a"}}
                result = {"type": "tool_result", "tool_use_id": call, "content": said}
                return [
                    {"role": "user", "content": "go on"},
                    {"role": "assistant", "content": [use]},
                    {"role": "user", "content": [result]},
                ]
            case "responses":
                return [
                    {"role": "user", "content": "go on"},
                    {"type": "function_call", "call_id": call, "name": "look", "arguments": '{"path":"a"}'},
                    {"type": "function_call_output", "call_id": call, "output": said},
                ]

    def _body(self, model: str) -> Item:
        history = [item for turn in self._turns for item in turn] + self._new
        system = f"You are the helper of conversation {self.number}."
        stream = self.profile.stream
        match self.profile.dialect:
            case "chat":
                tools: list[Item] = [{"type": "function", "function": {"name": "look", "parameters": SCHEMA}}]
                messages = [{"role": "system", "content": system}, *history]
                return {"model": model, "stream": stream, "messages": messages, "tools": tools}
            case "messages":
                tools = [{"name": "look", "input_schema": SCHEMA}]
                thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if self.profile.thinks else {}
                common = {"model": model, "stream": stream, "max_tokens": 4000, "messages": history}
                return {**common, "system": system, "tools": tools, **thinking}
            case "responses":
                tools = [{"type": "function", "name": "look", "parameters": SCHEMA}]
                include = {"include": ["reasoning.encrypted_content"]} if self.profile.thinks else {}
                key = {"prompt_cache_key": f"c{self.number}"} if self.profile.session else {}
                common = {"model": model, "stream": stream, "input": history, "instructions": system}
                return {**common, "tools": tools, "store": False, **include, **key}

    def _answer(self, body: bytes) -> list[Item]:
        """Thoughts and ids as they came; else words that do as well."""
        if not self.profile.thinks:
            return [{"role": "assistant", "content": "As you say."}]
        said = msgspec.json.decode(body)
        if self.profile.dialect == "responses":
            return [item for item in said["output"] if item["type"] in {"reasoning", "message"}]
        return [{"role": "assistant", "content": said["content"]}]

    @property
    def thread(self) -> str:
        """What a proxy can know it by: its session, or how it begins."""
        beginning = self._turns[0] if self._turns else self._new
        return (
            f"{self.number}" if self.profile.session else f"{self.number} {msgspec.json.encode(beginning[0]).decode()}"
        )

    def headers(self) -> list[tuple[str, str]]:
        session = self.profile.session and self.profile.dialect != "responses"
        return [("authorization", f"Bearer {self.profile.key}")] + (
            [("x-session-id", f"session of conversation {self.number}")] if session else []
        )

    def failure(self, status: int, body: bytes) -> str:
        """What went wrong, in a word; empty for a whole answer."""
        if not self.profile.stream or not body.startswith((b"data:", b"event:", b":")):
            return "" if status == 200 else _named(body)
        if ENDINGS[self.profile.dialect] in body and b'"error":{' not in body:
            return ""
        lines = [line[6:] for line in body.splitlines() if line.startswith(b"data: {")]
        return next((_named(line) for line in reversed(lines) if b'"error"' in line), "no ending")


def _named(body: bytes) -> str:
    value = msgspec.json.decode(body)
    error = value.get("error") or value.get("response", {}).get("error") or value
    return str(error.get("code") or error.get("type") or error.get("message", "")[:60])
