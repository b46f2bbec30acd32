from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from roundtrip import (
    NAMES,
    REFUSED,
    Arrived,
    Refused,
    fields,
    invented,
    leaves,
    model_of,
    object_in,
    reasons,
    table,
    targets_of,
    trace,
    translated,
)
from roundtrip_rows import ROWS, THINKING, Json, Row
from samples_of import load
from test_samples import GENERATING, dialect

PAIRS = [(source, target) for source in NAMES for target in targets_of(source)]
CASES = [
    pytest.param(row, source, target, id=f"{source}-{target}-{row.field}")
    for source, target in PAIRS
    for row in ROWS[source]
]
CLIENTS = [name for name in GENERATING if load(name).method == "POST"]
SAMPLES = [
    pytest.param(name, target, id=f"{name}-{target}")
    for name in CLIENTS
    for target in targets_of(dialect(name, load(name)))
]


# ---- the table


@pytest.mark.parametrize(("row", "source", "target"), CASES)
def test_a_field_arrives_or_there_is_a_reason_why_not(row: Row, source: str, target: str) -> None:
    reason = reasons(source, target).get(row.field)
    match trace(row, source, target):
        case Refused(message=message):
            assert row.field in REFUSED[source]
            assert reason is None
            assert message
        case Arrived(places=places):
            assert row.field not in REFUSED[source]
            assert bool(places) is (reason is None)


@pytest.mark.parametrize(("row", "source", "target"), CASES)
def test_nothing_is_said_that_the_client_did_not_say(row: Row, source: str, target: str) -> None:
    if row.field in REFUSED[source]:
        return
    model = model_of(row.models, target)
    body = row.body(row.value)
    assert invented(body, translated(body, source, model), model.id, str(row.shown)) == []


def test_what_is_said_of_the_clients_own_is_noticed() -> None:
    body = b'{"messages":[{"role":"user","content":"What is new?"}]}'
    made = translated(body, "messages", THINKING.chat)
    assert invented(body, made, THINKING.chat.id) == []
    made["messages"][0]["content"] += " Be brief."
    made["messages"].append({"role": "user", "content": "Do go on"})
    assert invented(body, made, THINKING.chat.id) == ["What is new? Be brief.", "Do go on"]


@pytest.mark.parametrize("source", NAMES)
def test_reasons_and_refusals_are_of_rows(source: str) -> None:
    assert len(set(fields(source))) == len(fields(source))
    assert REFUSED[source] <= set(fields(source))
    for target in targets_of(source):
        assert set(reasons(source, target)) <= set(fields(source))


@pytest.mark.parametrize("source", NAMES)
def test_the_table_is_markdown(source: str) -> None:
    lines = list(table(source))
    columns = len(targets_of(source)) + 1
    assert len(lines) == len(ROWS[source]) + 2
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {columns + 1}
    assert not any("LOST" in line for line in lines)


# ---- is it complete?

# What the official SDKs can put at the top of a request (anthropic 2.11, openai 3.52).
TOP = {
    "messages": "billing_policy cache_control compaction container context_management diagnostics "
    "fallback_credit_token fallbacks inference_geo max_tokens mcp_servers messages metadata output_config "
    "output_format service_tier speed stop_sequences stream system temperature thinking thread tool_choice tools top_k "
    "top_p user_profile_id workspace_id",
    "chat": "audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens "
    "messages metadata modalities moderation n parallel_tool_calls prediction presence_penalty "
    "prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format "
    "safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools "
    "top_logprobs top_p user verbosity web_search_options",
    "responses": "access_programs background context_management conversation image include input instructions "
    "max_output_tokens max_tool_calls metadata moderation parallel_tool_calls previous_response_id prompt "
    "prompt_cache_key prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier "
    "store stream stream_options temperature text tool_choice tools top_logprobs top_p truncation user",
}
FREE = {
    "input_schema", "parameters", "schema", "arguments", "input", "metadata", "client_metadata", "classifier_context",
    "context_management", "internal_chat_message_metadata_passthrough",
}  # fmt: skip


@pytest.mark.parametrize("source", NAMES)
def test_every_field_at_the_top_has_a_row(source: str) -> None:
    assert set(TOP[source].split()) <= {re.split(r"[.\[, ]", field)[0] for field in fields(source)}


@pytest.mark.parametrize("name", CLIENTS)
def test_the_rows_have_all_that_clients_send(name: str) -> None:
    sample = load(name)
    bodies = [row.body(row.value) for row in ROWS[dialect(name, sample)]]
    known = {place for body in bodies for place in _places(msgspec.json.decode(body))}
    assert set(_places(msgspec.json.decode(sample.body))) - known == {("", "model")}


def _places(value: Any, kind: str = "") -> Iterator[tuple[str, str]]:
    """Kinds of objects with the names of their members, but for those that may have any."""
    if isinstance(value, list):
        for element in value:
            yield from _places(element, kind)
    elif isinstance(value, dict):
        own = str(value.get("type") or value.get("role") or kind)
        for key, member in value.items():
            yield own, key
            if key not in FREE or isinstance(member, list):
                yield from _places(member, key)


# ---- whole requests of real clients

SAID = {
    "arguments", "content", "data", "definition", "description", "image_url", "input", "instructions", "name", "output",
    "patch", "query", "refusal", "system", "text", "tool_name", "url",
}  # fmt: skip


# Kinds that are left out, each with its reason in the table, and names: Codex calls the tools of ``functions`` by their
# bare names, and Anthropic's API has none for a schema.
LEFT_OUT = {
    "chat": {"tool_search", "web_search_20250305", "tool", "application/pdf", "DeferredToolPlaceholder"},
    "responses": {"DeferredToolPlaceholder"},
    "messages": {"tool_search", "reasoning"},
}
NEEDLESS = {"functions", "codex_output_schema"}


@pytest.mark.parametrize(("name", "target"), SAMPLES)
def test_clients_requests_arrive_whole(name: str, target: str) -> None:
    sample = load(name)
    source = dialect(name, sample)
    model = model_of(THINKING, target)
    made = translated(sample.body, source, model)
    assert invented(sample.body, made, model.id) == []
    arrived = "\0".join(_words(made))
    said = list(_words(msgspec.json.decode(sample.body), LEFT_OUT[target], SAID))
    assert len(said) > 1
    assert [word for word in said if word not in arrived and word not in NEEDLESS] == []


def _words(value: Any, left_out: Collection[str] = (), said: Collection[str] = (), key: str = "") -> Iterator[str]:
    """All texts, or those called as in ``said``; of arguments those within, of a data URL its parts."""
    if isinstance(value, dict):
        if not {str(value.get(field)) for field in ("type", "media_type", "name")}.isdisjoint(left_out):
            return
        for name, member in value.items():
            if name not in {"metadata", "client_metadata", "safeguards"}:
                yield from _words(member, left_out, said, name)
    elif isinstance(value, list):
        for element in value:
            yield from _words(element, left_out, said, key)
    elif isinstance(value, str) and (not said or key in said) and not value.startswith("x-anthropic-billing-header"):
        inner = object_in(value)
        yield from re.split(r"^data:|;base64,", value) if inner is None else _words(inner)


# ---- any conversation

CALL, IMAGE, RESULT, TEXT = "call", "image", "result", "text"


class Said(msgspec.Struct, frozen=True):
    """A piece of a conversation, told by its number."""

    kind: str
    number: int
    custom: bool = False
    shown: tuple[Said, ...] = ()  # of a result, its texts and images

    @property
    def word(self) -> str:
        return f"i{self.number:07}" if self.kind == IMAGE else f"<{self.kind}-{self.number}>"

    @property
    def id(self) -> str:
        return f"id_{self.number:04}_"

    @property
    def name(self) -> str:
        return f"name_{self.number:04}_"


class Says(msgspec.Struct, frozen=True):
    role: str
    said: tuple[
        Said, ...
    ]  # an assistant's calls have their results right behind them, at the same place in ``results``
    results: tuple[Said, ...] = ()


@st.composite
def conversations(draw: st.DrawFn) -> list[Says]:
    """Texts come before calls, for that is all the order that chat knows; every call is answered."""
    numbers = iter(range(10_000))

    def some(kind: str, least: int, most: int) -> tuple[Said, ...]:
        return tuple(Said(kind, next(numbers)) for _ in range(draw(st.integers(least, most))))

    def result() -> Said:
        return Said(RESULT, next(numbers), shown=(*some(TEXT, 1, 2), *some(IMAGE, 0, 2)))

    says = [Says("system", some(TEXT, 1, 2)), Says("user", (*some(TEXT, 1, 2), *some(IMAGE, 0, 2)))]
    for _ in range(draw(st.integers(0, 4))):
        calls = tuple(Said(CALL, next(numbers), draw(st.booleans())) for _ in range(draw(st.integers(0, 3))))
        says.append(Says("assistant", (*some(TEXT, 0 if calls else 1, 2), *calls), tuple(result() for _ in calls)))
        if not calls or draw(st.booleans()):
            says.append(Says("user", (*some(TEXT, 1, 2), *some(IMAGE, 0, 2))))
        if draw(st.integers(0, 5)) == 0:
            says.append(Says("system", some(TEXT, 1, 1)))
    return says


def as_messages(says: Says) -> Iterator[Json]:
    def block(piece: Said) -> Json:
        match piece.kind:
            case "text":
                return {"type": "text", "text": piece.word}
            case "image":
                return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": piece.word}}
            case _:
                return {"type": "tool_use", "id": piece.id, "name": piece.name, "input": {"in": piece.word}}

    yield {"role": says.role, "content": [block(piece) for piece in says.said]}
    if says.results:
        calls = [piece for piece in says.said if piece.kind == CALL]
        yield {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call.id, "content": [block(piece) for piece in result.shown]}
            for call, result in zip(calls, says.results, strict=True)
        ]}  # fmt: skip


def as_chat(says: Says) -> Iterator[Json]:
    def part(piece: Said) -> Json:
        if piece.kind == TEXT:
            return {"type": "text", "text": piece.word}
        return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{piece.word}"}}

    def call_of(piece: Said) -> Json:
        if piece.custom:
            return {"id": piece.id, "type": "custom", "custom": {"name": piece.name, "input": piece.word}}
        arguments = f'{{"in":"{piece.word}"}}'
        return {"id": piece.id, "type": "function", "function": {"name": piece.name, "arguments": arguments}}

    calls = [piece for piece in says.said if piece.kind == CALL]
    message: Json = {"role": says.role, "content": [part(piece) for piece in says.said if piece.kind != CALL]}
    yield message | ({"tool_calls": [call_of(piece) for piece in calls]} if calls else {})
    for call, result in zip(calls, says.results, strict=True):
        yield {"role": "tool", "tool_call_id": call.id, "content": [part(piece) for piece in result.shown]}


def as_responses(says: Says) -> Iterator[Json]:
    def part(piece: Said) -> Json:
        if piece.kind == TEXT:
            return {"type": "output_text" if says.role == "assistant" else "input_text", "text": piece.word}
        return {"type": "input_image", "image_url": f"data:image/png;base64,{piece.word}"}

    calls = [piece for piece in says.said if piece.kind == CALL]
    if len(calls) < len(says.said):
        content = [part(piece) for piece in says.said if piece.kind != CALL]
        yield {"type": "message", "role": says.role, "content": content}
    for call in calls:
        named = {"call_id": call.id, "name": call.name}
        if call.custom:
            yield {"type": "custom_tool_call", "input": call.word} | named
        else:
            yield {"type": "function_call", "arguments": f'{{"in":"{call.word}"}}'} | named
    for call, result in zip(calls, says.results, strict=True):
        kind = "custom_tool_call_output" if call.custom else "function_call_output"
        yield {"type": kind, "call_id": call.id, "output": [part(piece) for piece in result.shown]}


WRITERS = {"messages": as_messages, "chat": as_chat, "responses": as_responses}
PIECE = re.compile(r"<(?:text|call)-\d+>|i\d{7}|name_\d{4}_")


@pytest.mark.parametrize(("source", "target"), PAIRS)
@given(conversation=conversations())
def test_all_that_was_said_arrives_once_and_in_order(source: str, target: str, conversation: list[Says]) -> None:
    field = "input" if source == "responses" else "messages"
    body = msgspec.json.encode({field: [message for says in conversation for message in WRITERS[source](says)]})
    model = model_of(THINKING, target)
    made = translated(body, source, model)
    pieces = [piece for _, leaf in leaves(made) if isinstance(leaf, str) for piece in PIECE.findall(leaf)]
    said = [piece for says in conversation for piece in _in_order(says)]
    calls = [piece for piece in said if piece.kind == CALL]
    assert _only(pieces, "<text") == [piece.word for piece in said if piece.kind == TEXT]
    assert _only(pieces, "<call") == [piece.word for piece in calls]
    assert _only(pieces, "name_") == [piece.name for piece in calls]
    assert _only(pieces, "i0") == [piece.word for piece in said if piece.kind == IMAGE]
    ids = [leaf for _, leaf in leaves(made) if isinstance(leaf, str) and re.fullmatch(r"id_\d{4}_", leaf)]
    assert sorted(ids) == sorted([piece.id for piece in calls] * 2)
    assert list(dict.fromkeys(ids)) == [piece.id for piece in calls]
    assert invented(body, made, model.id) == []


def _in_order(says: Says) -> Iterator[Said]:
    yield from says.said
    for result in says.results:
        yield from result.shown


def _only(pieces: list[str], prefix: str) -> list[str]:
    return [piece for piece in pieces if piece.startswith(prefix)]
