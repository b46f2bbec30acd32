from __future__ import annotations

import json

import msgspec
import pytest
from gate_cases import (
    CALL,
    CHAT,
    MESSAGES,
    NEWEST,
    PLAIN,
    QUIET,
    REASONS,
    RESPONSES,
    RESULT,
    THOUGHT,
    USER,
    said,
    talk,
    text,
    told,
)
from gate_cases import supporting as with_support
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import CODEX, GEMINI, GPT, GPT5, OPUS, SONNET
from test_splice import OBJECT, pairs

from copilot_trio.dialects.gate import GateSettings, pass_gate
from copilot_trio.dialects.thinking import auto_reasoning, auto_thinking
from copilot_trio.models.model import Model
from copilot_trio.turn import (
    Conversation,
    Message,
    Reasoning,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
)

ADAPTIVE = b'"thinking":{"type":"adaptive"}'
SUMMARY = b'"reasoning":{"effort":"medium","summary":"auto"}'
CALLED = b'{"role":"assistant","tool_calls":[{"id":"c"}]}'
ANSWERED = b'{"role":"assistant","content":"a"}'
REDACTED = b'{"type":"redacted_thinking","data":"d"}'
ROOM = b',"max_tokens":4096'
CALLED_OPENLY = b'{"role":"assistant","reasoning_opaque":"o","tool_calls":[{"id":"c"}]}'


def budget(tokens: int) -> bytes:
    return b'"thinking":{"type":"enabled","budget_tokens":%d}' % tokens


@pytest.mark.parametrize(
    ("endpoint", "model", "body", "added"),
    [
        (MESSAGES, OPUS, b'{"max_tokens":32000}', ADAPTIVE),
        (MESSAGES, NEWEST, b'{"max_tokens":32000}', ADAPTIVE),
        (MESSAGES, OPUS, b'{"max_tokens":32000,"output_config":{"effort":"low"}}', ADAPTIVE),
        (MESSAGES, OPUS, b'{"max_tokens":32000,"tool_choice":{"type":"auto"},"temperature":1}', ADAPTIVE),
        (MESSAGES, SONNET, b'{"max_tokens":32000,"stream":true}', budget(16000)),
        (MESSAGES, SONNET, b'{"max_tokens":64000,"stream":true}', budget(16000)),
        (MESSAGES, QUIET, b'{"max_tokens":64000}', budget(8000)),
        (MESSAGES, SONNET, b'{"max_tokens":4096}', budget(2048)),
        (MESSAGES, SONNET, b'{"max_tokens":2048}', budget(1024)),
        (MESSAGES, OPUS, talk(said(CALL), RESULT), ADAPTIVE),
        (MESSAGES, SONNET, talk(said(THOUGHT, CALL), RESULT, rest=b',"max_tokens":4096'), budget(2048)),
        (MESSAGES, SONNET, talk(said(THOUGHT, CALL), RESULT, said(text(b"a")), USER, rest=ROOM), budget(2048)),
        (MESSAGES, SONNET, talk(said(REDACTED, CALL), RESULT, rest=ROOM), budget(2048)),
        (MESSAGES, SONNET, talk(b'{"content":[%b,%b],"role":"assistant"}' % (THOUGHT, CALL), rest=ROOM), budget(2048)),
        (MESSAGES, SONNET, talk(told(text(b'\\"tool_use\\"')), rest=ROOM), budget(2048)),
        (CHAT, GPT5, b'{"a":1}', b'"reasoning_effort":"medium"'),
        (CHAT, OPUS, b'{"tools":[{"type":"function"}]}', b'"reasoning_effort":"medium"'),
        (CHAT, with_support(GPT5, reasoning_effort=("minimal", "high")), b'{"a":1}', b'"reasoning_effort":"minimal"'),
        (CHAT, SONNET, b'{"max_tokens":8000}', b'"thinking_budget":4000'),
        (CHAT, GEMINI, b'{"temperature":1}', b'"thinking_budget":16384'),
        (CHAT, SONNET, talk(CALLED_OPENLY), b'"thinking_budget":16384'),
        (CHAT, SONNET, talk(CALLED_OPENLY, USER, ANSWERED, USER), b'"thinking_budget":16384'),
        (CHAT, OPUS, talk(CALLED), b'"reasoning_effort":"medium"'),
        (RESPONSES, REASONS, b'{"input":"hi"}', SUMMARY),
        (RESPONSES, REASONS, b'{"input":"hi","max_output_tokens":4000,"tool_choice":"auto"}', SUMMARY),
    ],
)
def test_a_silent_client_gets_a_thinking_model(endpoint: str, model: Model, body: bytes, added: bytes) -> None:
    assert auto_thinking(body, endpoint, model) == body[:-1] + b"," + added + b"}"


@pytest.mark.parametrize(
    ("endpoint", "model", "body"),
    [
        (MESSAGES, GPT, b'{"max_tokens":32000}'),
        (MESSAGES, PLAIN, b'{"max_tokens":32000}'),
        (MESSAGES, OPUS, b'{"max_tokens":32000,"thinking":{"type":"disabled"}}'),
        (MESSAGES, OPUS, b'{"max_tokens":32000,"thinking":null}'),
        (MESSAGES, OPUS, b'{"max_tokens":32000,"tool_choice":{"type":"any"}}'),
        (MESSAGES, SONNET, b'{"max_tokens":32000,"tool_choice":{"type":"tool","name":"n"}}'),
        (MESSAGES, OPUS, b'{"max_tokens":2047}'),
        (MESSAGES, with_support(SONNET, min_thinking_budget=8000), b'{"max_tokens":9000}'),
        (MESSAGES, OPUS, b'{"max_tokens":32000,"temperature":0}'),
        (MESSAGES, SONNET, b'{"max_tokens":32000,"top_k":5}'),
        (MESSAGES, SONNET, talk(said(CALL), RESULT, rest=ROOM)),
        (MESSAGES, SONNET, talk(said(CALL), RESULT, said(THOUGHT), USER, rest=ROOM)),
        (MESSAGES, SONNET, talk(said(CALL), RESULT, said(THOUGHT, CALL), RESULT, rest=ROOM)),
        (MESSAGES, SONNET, talk(said(text(b"a"), CALL), RESULT, said(text(b"b")), USER, rest=ROOM)),
        (CHAT, GPT, b'{"a":1}'),
        (CHAT, GPT5, b'{"reasoning_effort":"none"}'),
        (CHAT, GPT5, b'{"reasoning":{"effort":"none"}}'),
        (CHAT, SONNET, b'{"thinking_budget":2000}'),
        (CHAT, SONNET, b'{"tool_choice":"required"}'),
        (CHAT, SONNET, b'{"tool_choice":{"type":"function","function":{"name":"f"}}}'),
        (CHAT, SONNET, b'{"temperature":0.1}'),
        (CHAT, OPUS, b'{"temperature":0}'),
        (CHAT, OPUS, b'{"top_p":0.5}'),
        (CHAT, SONNET, talk(CALLED)),
        (CHAT, SONNET, talk(CALLED, RESULT, ANSWERED, USER)),
        (CHAT, GEMINI, talk(CALLED, RESULT, CALLED_OPENLY, RESULT)),
        (CHAT, GPT5, b'{"max_completion_tokens":1000}'),
        (CHAT, GPT5, b'{"tools":[{"type":"function"}]}'),
        (CHAT, with_support(GPT5, reasoning_effort=("none",)), b'{"a":1}'),
        (RESPONSES, CODEX, b'{"input":"hi"}'),
        (RESPONSES, SONNET, b'{"input":"hi"}'),
        (RESPONSES, REASONS, b'{"input":"hi","reasoning":{"summary":"auto"}}'),
        (RESPONSES, REASONS, b'{"input":"hi","tool_choice":"required"}'),
        (RESPONSES, REASONS, b'{"input":"hi","max_output_tokens":16}'),
        ("/embeddings", GPT5, b'{"input":"hi"}'),
    ],
)
def test_thinking_is_not_forced_on_anyone(endpoint: str, model: Model, body: bytes) -> None:
    assert auto_thinking(body, endpoint, model) is body


@pytest.mark.parametrize(
    ("endpoint", "model", "sent"),
    [
        (CHAT, SONNET, b'{"model":"m","reasoning_effort":"none"}'),
        (CHAT, OPUS, b'{"model":"m","thinking":{"type":"disabled"}}'),
        (CHAT, SONNET, b'{"model":"m","tool_choice":"required","thinking_budget":2000}'),
        (MESSAGES, SONNET, b'{"max_tokens":32000,"model":"m","tool_choice":{"type":"any"},%b}' % ADAPTIVE),
    ],
)
def test_what_the_gate_cut_was_said_all_the_same(endpoint: str, model: Model, sent: bytes) -> None:
    body = pass_gate(sent, endpoint, model, GateSettings(), rename=False)
    assert body != sent
    assert auto_thinking(body, endpoint, model, sent) is body


def test_thinking_in_the_history_is_no_word_about_it() -> None:
    sent = talk(said(THOUGHT), USER, rest=b',"max_tokens":32000,"model":"alias"')
    body = pass_gate(sent, MESSAGES, OPUS, GateSettings(), rename=True)
    assert auto_thinking(body, MESSAGES, OPUS, sent).endswith(b',"model":"claude-opus-4.6",' + ADAPTIVE + b"}")


@pytest.mark.parametrize("model", [OPUS, SONNET, NEWEST])
@pytest.mark.parametrize("max_tokens", [1, 2048, 5000, 32000, 64000, 500_000])
def test_what_is_added_passes_the_gate(model: Model, max_tokens: int) -> None:
    sent = b'{"messages":[%b],"max_tokens":%d}' % (USER, max_tokens)
    body = pass_gate(sent, MESSAGES, model, GateSettings(), rename=False)
    made = auto_thinking(body, MESSAGES, model, sent)
    assert pass_gate(made, MESSAGES, model, GateSettings(), rename=False) is made


@settings(max_examples=200, deadline=None)
@given(OBJECT, st.sampled_from([(MESSAGES, OPUS), (MESSAGES, SONNET), (CHAT, GPT5), (RESPONSES, REASONS)]))
def test_one_member_is_added_at_the_end_and_no_byte_changes(body: bytes, to: tuple[str, Model]) -> None:
    body = body.replace(b"{", b'{"first":1,', 1) if pairs(body)[1] else b'{"first":1}'
    made = auto_thinking(body, *to)
    assert pairs(made)[1][:-1] == pairs(body)[1]
    end = body.rstrip().__len__() - 1
    assert made[:end] == body[:end]
    assert made.endswith(body[end:])
    json.loads(made)


# ---- translated requests


def asked(**changes: object) -> Conversation:
    return msgspec.structs.replace(Conversation((Message("user", (Text("hi"),)),)), **changes)


ACTED = ToolCall("c", "n", "{}")
UNPROVEN = Message("assistant", (Text("a"), ACTED))
PROVEN = Message("assistant", (Thinking("a", "s"), ACTED))
TOOLS = (Tool("n", "", msgspec.Raw(b"{}")),)


@pytest.mark.parametrize(
    ("endpoint", "model", "conversation", "reasoning"),
    [
        (CHAT, GPT5, asked(), Reasoning(True, effort="medium", summary="auto")),
        (RESPONSES, REASONS, asked(tools=TOOLS), Reasoning(True, effort="medium", summary="auto")),
        (RESPONSES, REASONS, asked(temperature=0.0), Reasoning(True, effort="medium", summary="auto")),
        (MESSAGES, OPUS, asked(max_tokens=8000), Reasoning(True)),
        (MESSAGES, SONNET, asked(max_tokens=8000), Reasoning(True, budget=4000)),
        (CHAT, GEMINI, asked(), Reasoning(True, budget=16384)),
        (CHAT, SONNET, asked(tool_choice=ToolChoice("auto"), tools=TOOLS), Reasoning(True, budget=16384)),
        (CHAT, SONNET, asked(messages=(PROVEN,)), Reasoning(True, budget=16384)),
        (
            MESSAGES,
            SONNET,
            asked(max_tokens=8000, messages=(Message("assistant", (RedactedThinking("d"), ACTED)),)),
            Reasoning(True, budget=4000),
        ),
        (CHAT, GPT5, asked(temperature=0.0), Reasoning(True, effort="medium", summary="auto")),
    ],
)
def test_a_translated_request_of_a_silent_client_thinks_too(
    endpoint: str, model: Model, conversation: Conversation, reasoning: Reasoning
) -> None:
    made = auto_reasoning(conversation, endpoint, model)
    assert made == msgspec.structs.replace(conversation, reasoning=reasoning)


@pytest.mark.parametrize(
    ("endpoint", "model", "conversation"),
    [
        (CHAT, GPT, asked()),
        (CHAT, GPT5, asked(reasoning=Reasoning(False))),
        (CHAT, GPT5, asked(reasoning=Reasoning(True, effort="low"))),
        (CHAT, GPT5, asked(tools=TOOLS)),
        (CHAT, GPT5, asked(max_tokens=2047)),
        (RESPONSES, CODEX, asked()),
        (RESPONSES, REASONS, asked(tool_choice=ToolChoice("tool", "n"))),
        (RESPONSES, REASONS, asked(tool_choice=ToolChoice("any"))),
        (MESSAGES, OPUS, asked(temperature=0.0)),
        (MESSAGES, SONNET, asked(top_p=0.5)),
        (MESSAGES, PLAIN, asked()),
        (CHAT, OPUS, asked(temperature=0.0)),
        (CHAT, OPUS, asked(top_p=0.0)),
        (CHAT, GEMINI, asked(messages=(Message("assistant", (Text("a"), ACTED)),))),
        (CHAT, GEMINI, asked(messages=(UNPROVEN, Message("assistant", (Text("a"),)), Message("user", (Text("b"),))))),
        (CHAT, GEMINI, asked(messages=(UNPROVEN, PROVEN))),
        (MESSAGES, SONNET, asked(messages=(Message("assistant", (Thinking("a", "e@rs_1"), ACTED)),))),
        (MESSAGES, SONNET, asked(messages=(Message("assistant", (Thinking("a"), ACTED)),))),
        ("/embeddings", GPT5, asked()),
    ],
)
def test_nor_is_thinking_forced_on_a_translated_request(
    endpoint: str, model: Model, conversation: Conversation
) -> None:
    assert auto_reasoning(conversation, endpoint, model) is conversation
