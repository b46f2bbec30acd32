from __future__ import annotations

import json

import msgspec
import pytest
from gate_cases import CHAT, HITS, MESSAGES, MISSES, MODERN, QUIET, REASONS, RESPONSES, Case
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import GPT, GPT5, OPUS, SONNET
from test_splice import JSON, SPACE, is_subsequence, pairs

from copilot_trio.dialects.draft import SIGNED
from copilot_trio.dialects.gate import RULES, GateSettings, pass_betas, pass_gate
from copilot_trio.models.model import Model, Supports

DEFAULT = GateSettings()


def gated(body: bytes, model: Model = SONNET, settings: GateSettings = DEFAULT, endpoint: str = MESSAGES) -> bytes:
    return pass_gate(body, endpoint, model, settings, rename=False)


def name_of(case: Case) -> str:
    return f"{case.endpoint} {case.field}"


def test_every_rule_is_tried_both_ways() -> None:
    rules = {(rule.endpoint, rule.field) for rule in RULES}
    assert len(rules) == len(RULES)
    assert {(case.endpoint, case.field) for case in HITS} == rules
    assert {(case.endpoint, case.field) for case in MISSES} == rules


def test_every_rule_says_why_and_who_says_so() -> None:
    assert all(rule.reason and (".md §" in rule.source or "github.com/" in rule.source) for rule in RULES)


@pytest.mark.parametrize("case", HITS, ids=name_of)
def test_what_upstream_refuses_is_cut_or_mapped(case: Case) -> None:
    assert gated(case.body, case.model, endpoint=case.endpoint) == case.left


@pytest.mark.parametrize("case", MISSES, ids=name_of)
def test_what_upstream_accepts_is_the_same_object(case: Case) -> None:
    assert gated(case.body, case.model, endpoint=case.endpoint) is case.body


@pytest.mark.parametrize("case", HITS, ids=name_of)
def test_the_gate_has_nothing_more_to_do_the_second_time(case: Case) -> None:
    left = gated(case.body, case.model, endpoint=case.endpoint)
    assert gated(left, case.model, endpoint=case.endpoint) is left


@pytest.mark.parametrize("case", HITS, ids=name_of)
def test_rules_are_for_their_endpoint_only(case: Case) -> None:
    assert gated(case.body, case.model, endpoint="/embeddings") is case.body


@pytest.mark.parametrize("case", HITS, ids=name_of)
def test_what_is_left_is_json(case: Case) -> None:
    json.loads(gated(case.body, case.model, endpoint=case.endpoint))


def test_the_billing_header_can_be_kept() -> None:
    body = b'{"system":[{"type":"text","text":"x-anthropic-billing-header: y"}]}'
    assert gated(body, settings=GateSettings(keep_billing_header=True)) is body


@pytest.mark.parametrize(
    ("endpoint", "tool"), [(MESSAGES, b"web_search_20250305"), (MESSAGES, b"web_fetch_1"), (RESPONSES, b"web_search")]
)
def test_web_search_can_be_let_through(endpoint: str, tool: bytes) -> None:
    body = b'{"tools":[{"type":"%b","name":"s"}]}' % tool
    assert gated(body, REASONS, GateSettings(web_search=True), endpoint) is body
    assert gated(body, REASONS, endpoint=endpoint) == b"{}"


@pytest.mark.parametrize(
    ("endpoint", "body", "left"),
    [
        (
            MESSAGES,
            b'{"a":1,"tools":[{"type":"web_fetch_1","name":"w"}],"tool_choice":{"type":"auto"},"b":2}',
            b'{"a":1,"b":2}',
        ),
        (
            MESSAGES,
            (
                b'{"tools":[{"name":"DeferredToolPlaceholder","input_schema":{},"defer_loading":true},'
                b'{"type":"web_search_1","name":"s"}],"tool_choice":{"type":"auto"},"a":1}'
            ),
            b'{"a":1}',
        ),
        (RESPONSES, b'{"tools":[{"type":"web_search"}],"tool_choice":"required","input":"x"}', b'{"input":"x"}'),
        (RESPONSES, b'{"tools":[{"type":"web_search"}],"input":"x"}', b'{"input":"x"}'),
    ],
)
def test_nothing_is_to_be_chosen_among_no_tools(endpoint: str, body: bytes, left: bytes) -> None:
    assert gated(body, REASONS if endpoint == RESPONSES else SONNET, endpoint=endpoint) == left


def test_no_tools_of_the_client_s_own_are_left_alone() -> None:
    body = b'{"tools":[],"tool_choice":{"type":"auto"}}'
    assert gated(body) is body


@pytest.mark.parametrize("tool", [b'{"defer_loading":true}', b'{"eager_input_streaming":true}'])
def test_a_tool_that_loses_all_its_members_gets_none(tool: bytes) -> None:
    assert gated(b'{"tools":[%b]}' % tool) == b'{"tools":[{}]}'


@pytest.mark.parametrize("layout", [None, 1])
def test_thinking_signed_by_anthropic_is_known_however_it_is_laid_out(layout: int | None) -> None:
    thought = {"type": "thinking", "thinking": 'a "b"', "signature": "s"}
    body = json.dumps({"messages": [{"role": "assistant", "content": [thought] * 3}]}, indent=layout).encode()
    assert len(SIGNED.findall(body)) == 3


def test_thinking_leaves_room_for_the_answer_that_is_sent_for() -> None:
    body = b'{"max_tokens":64000,"thinking":{"type":"enabled","budget_tokens":31999},"stream":%b}'
    whole, streamed = gated(body % b"false", QUIET), gated(body % b"true", QUIET)
    assert whole == b'{"max_tokens":16000,"thinking":{"type":"enabled","budget_tokens":15999},"stream":false}'
    assert streamed == b'{"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":31999},"stream":true}'


CLAUDE_CODE = b"""{ "model" : "claude-sonnet-4-5-20250929", "safeguards":[{"home":"/home/x"}],
 "system":[{"type":"text","text":"x-anthropic-billing-header: v;"},
  {"type":"text","text":"You are \\u0043laude.","cache_control":{"type":"ephemeral","scope":"global"}}],
 "max_tokens": 32000, "thinking":{"type":"adaptive","display":"updates"}, "inference_geo":"eu",
 "output_config":{"effort":"xhigh"}, "context_management":{"edits":[]},
 "tools":[{"name":"Later","defer_loading":true,"input_schema":{"type":"object"}}],
 "messages":[{"role":"user","content":"hi"},{"role":"system","content":"env","output_config":{"effort":"low"}},
  {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s","cache_control":{"type":"ephemeral"}},
   {"type":"tool_use","id":"t1","name":"ToolSearch","input":{}}]},
  {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1",
   "content":[{"type":"tool_reference","tool_name":"Later"}]}]}],
 "stream":true , "metadata":{"user_id":"u"}}
"""


def test_all_rules_at_once() -> None:
    left = pass_gate(CLAUDE_CODE, "/v1/messages", SONNET, DEFAULT, rename=True)
    assert (
        left
        == b"""{ "model" : "claude-sonnet-4.5",
 "system":[{"type":"text","text":"You are \\u0043laude.","cache_control":{"type":"ephemeral"}}],
 "max_tokens": 32000, "thinking":{"type":"enabled","budget_tokens":31999},
 "tools":[{"name":"Later","input_schema":{"type":"object"}}],
 "messages":[{"role":"user","content":"hi"},{"role":"user","content":"<system-reminder>\\nenv\\n</system-reminder>"},
  {"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},
   {"type":"tool_use","id":"t1","name":"ToolSearch","input":{}}]},
  {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1",
   "content":[{"type":"text","text":"Tool Later is now available."}]}]}],
 "stream":true , "metadata":{"user_id":"u"}}
"""
    )


def test_a_longer_conversation_keeps_the_bytes_of_the_shorter() -> None:
    shorter = gated(CLAUDE_CODE)
    longer = gated(CLAUDE_CODE.replace(b'"}]}]}],\n', b'"}]}]},{"role":"user","content":"more"}],\n'))
    prefix = shorter.index(b'],\n "stream"')
    assert longer[:prefix] == shorter[:prefix]


@st.composite
def bodies_with_model(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]]]:
    """An object, and where in it the top-level ``model`` values stand."""
    parts: list[str] = []
    spans: list[tuple[int, int]] = []
    position = len(b"{")
    for _ in range(draw(st.integers(1, 5))):
        is_model = draw(st.booleans())
        key = draw(st.sampled_from(['"model"', r'"m\u006fdel"'])) if is_model else '"other"'
        value = draw(st.sampled_from(['"old"', r'"o\u006cd"', '"a,b]}"'])) if is_model else draw(JSON)
        head = draw(SPACE) + key + draw(SPACE) + ":" + draw(SPACE)
        if is_model:
            spans.append((position + len(head.encode()), position + len((head + value).encode())))
        part = head + value + draw(SPACE)
        parts.append(part)
        position += len(part.encode()) + 1
    return ("{" + ",".join(parts) + "}").encode(), spans


@settings(max_examples=300, deadline=None)
@given(bodies_with_model())
def test_a_renamed_body_is_identical_but_for_the_values_of_model(made: tuple[bytes, list[tuple[int, int]]]) -> None:
    body, spans = made
    expected, position = b"", 0
    for start, end in spans:
        expected += body[position:start] + b'"claude-sonnet-4.5"'
        position = end
    assert pass_gate(body, "/chat/completions", SONNET, DEFAULT, rename=True) == expected + body[position:]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["safeguards", "inference_geo", "context_management", "a", "b"]), JSON)))
def test_cut_fields_are_gone_and_the_others_have_their_bytes(fields: list[tuple[str, str]]) -> None:
    body = ("{" + " , ".join(f'"{key}": {value}' for key, value in fields) + "}").encode()
    left = gated(body)
    assert pairs(left)[1] == [pair for pair in pairs(body)[1] if pair[0] in {"a", "b"}]
    assert is_subsequence(left, body)


WORDS = st.sampled_from(
    [
        "adaptive", "any", "assistant", "auto", "custom", "developer", "enabled", "ephemeral", "function",
        "function_call", "function_call_output", "high", "input_image", "m", "max", "reasoning", "required", "system",
        "text", "thinking", "tool", "tool_reference", "tool_result", "tool_use", "user", "web_search", "", " ", "a@b",
    ]
)  # fmt: skip
KEYS = st.sampled_from(
    [
        "anyOf", "arguments", "budget_tokens", "cache_control", "call_id", "content", "defer_loading", "detail",
        "display", "effort", "format", "function", "id", "input_schema", "json_schema", "name", "output", "properties",
        "reasoning_content", "reasoning_opaque", "role", "schema", "scope", "signature", "text", "thinking", "type",
    ]
)  # fmt: skip
ODD = st.recursive(
    WORDS | st.integers(-5, 99_999) | st.floats(0, 2) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {"role": WORDS, "content": st.lists(st.dictionaries(KEYS, ODD, max_size=4), max_size=3) | ODD},
    optional=dict.fromkeys(("cache_control", "reasoning_content", "reasoning_opaque", "tool_calls", "type"), ODD),
)
TOP = st.dictionaries(
    st.sampled_from(
        [
            "cache_control", "context_management", "effort", "input", "max_completion_tokens", "max_output_tokens",
            "max_tokens", "messages", "model", "output_config", "reasoning", "reasoning_effort", "stream", "system",
            "temperature", "thinking", "thinking_budget", "tool_choice", "tools", "top_k",
        ]
    ),
    ODD | st.lists(MESSAGE, max_size=3),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(TOP, st.sampled_from([MESSAGES, CHAT, RESPONSES]), st.sampled_from([GPT, GPT5, OPUS, SONNET, REASONS]))
def test_whatever_comes_in_json_goes_out_and_passes_again(
    fields: dict[str, object], endpoint: str, model: Model
) -> None:
    body = msgspec.json.encode(fields)
    left = gated(body, model, endpoint=endpoint)
    json.loads(left)
    assert gated(left, model, endpoint=endpoint) == left


@pytest.mark.parametrize(
    ("model", "header", "passed"),
    [
        (SONNET, None, None),
        (SONNET, "", None),
        (SONNET, "claude-code-20250219", None),
        (SONNET, "claude-code-20250219,interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14"),
        (OPUS, "interleaved-thinking-2025-05-14", None),
        (SONNET, "context-management-2025-06-27, advanced-tool-use-2025-11-20", None),
        (
            MODERN,
            "context-management-2025-06-27, advanced-tool-use-2025-11-20",
            "context-management-2025-06-27,advanced-tool-use-2025-11-20",
        ),
        (SONNET, "extended-cache-ttl-2025-04-11", "extended-cache-ttl-2025-04-11"),
    ],
    ids=["none", "empty", "unknown", "one known", "not for adaptive", "model lacks both", "model has both", "always"],
)
def test_only_known_betas_pass(model: Model, header: str | None, passed: str | None) -> None:
    assert pass_betas(header, model) == passed


def test_what_the_gate_makes_is_still_json() -> None:
    assert json.loads(gated(CLAUDE_CODE, msgspec.structs.replace(SONNET))) is not None


def test_a_model_that_supports_nothing_still_gets_a_body() -> None:
    bare = msgspec.structs.replace(
        SONNET, capabilities=msgspec.structs.replace(SONNET.capabilities, supports=Supports())
    )
    assert b"thinking_budget" not in gated(CLAUDE_CODE, bare)
