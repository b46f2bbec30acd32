from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import OPUS, SONNET
from test_splice import JSON, SPACE, is_subsequence, pairs

from copilot_trio.dialects.gate import RULES, GateSettings, pass_betas, pass_gate, without_thinking
from copilot_trio.models.model import Model, Supports

DEFAULT = GateSettings()


def supporting(model: Model, **changes: object) -> Model:
    supports = msgspec.structs.replace(model.supports, **changes)
    return msgspec.structs.replace(model, capabilities=msgspec.structs.replace(model.capabilities, supports=supports))


MODERN = supporting(OPUS, context_editing=True, tool_search=True)
PLAIN = supporting(SONNET, max_thinking_budget=0, min_thinking_budget=0)


def gated(
    body: bytes, model: Model = SONNET, settings: GateSettings = DEFAULT, endpoint: str = "/v1/messages"
) -> bytes:
    return pass_gate(body, endpoint, model, settings, rename=False)


# field of RULES, body, what is left, by which model
HITS: list[tuple[str, bytes, bytes, Model]] = [
    ("safeguards", b'{"model":"m","safeguards":[{"home":"/home/x"}],"a":1}', b'{"model":"m","a":1}', MODERN),
    ("context_management", b'{"a":1, "context_management" : {"edits":[]}}', b'{"a":1}', SONNET),
    ("inference_geo", b'{"inference_geo":"eu","a":1}', b'{"a":1}', MODERN),
    (
        "thinking.display",
        b'{"thinking":{"type":"adaptive","display":"omitted"}}',
        b'{"thinking":{"type":"adaptive"}}',
        OPUS,
    ),
    (
        "thinking",
        b'{"max_tokens":64000,"thinking":{"type":"adaptive"}}',
        b'{"max_tokens":64000,"thinking":{"type":"enabled","budget_tokens":32000}}',
        SONNET,
    ),
    (
        "thinking",
        b'{"max_tokens":5000,"thinking":{"display":"omitted","type":"adaptive"}}',
        b'{"max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":4999}}',
        SONNET,
    ),
    ("thinking", b'{"max_tokens":1000,"thinking":{"type":"adaptive"}}', b'{"max_tokens":1000}', SONNET),
    ("thinking", b'{"thinking":{"type":"adaptive"},"a":1}', b'{"a":1}', PLAIN),
    (
        "thinking",
        b'{"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens": 31999 }}',
        b'{"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens": 3999 }}',
        SONNET,
    ),
    (
        "thinking",
        b'{"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":1}}',
        b'{"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":1024}}',
        SONNET,
    ),
    (
        "thinking",
        b'{"max_tokens":1024,"thinking":{"type":"enabled","budget_tokens":1024}}',
        b'{"max_tokens":1024}',
        SONNET,
    ),
    ("output_config.effort", b'{"output_config":{"effort":"high"},"a":1}', b'{"a":1}', SONNET),
    (
        "output_config.effort",
        b'{"output_config":{"format":{"type":"json_schema"}, "effort":"high"}}',
        b'{"output_config":{"format":{"type":"json_schema"}}}',
        SONNET,
    ),
    (
        "output_config.effort",
        b'{"output_config":{ "effort" : "max" }}',
        b'{"output_config":{ "effort" : "high" }}',
        OPUS,
    ),
    (
        "tools[].defer_loading",
        b'{"tools":[{"name":"a","defer_loading":true},{"defer_loading":false,"name":"b"}]}',
        b'{"tools":[{"name":"a"},{"name":"b"}]}',
        SONNET,
    ),
    (
        "tool_reference",
        b'{"messages":[{"content":[{"type":"tool_result","content":[{"type":"tool_reference","tool_name":"Bash"}]}]}]}',
        (
            b'{"messages":[{"content":[{"type":"tool_result","content":'
            b'[{"type":"text","text":"Tool Bash is now available."}]}]}]}'
        ),
        SONNET,
    ),
    (
        'messages[].role "system"',
        b'{"messages":[{"role":"system","content":"env \\u00e9"},{"role":"user","content":"hi"}]}',
        (
            b'{"messages":[{"role":"user","content":"<system-reminder>\\nenv \\u00e9\\n</system-reminder>"},'
            b'{"role":"user","content":"hi"}]}'
        ),
        MODERN,
    ),
    (
        'messages[].role "system"',
        (
            b'{"messages":[{"role":"system","output_config":{"effort":"low"},"content":'
            b'[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}'
        ),
        (
            b'{"messages":[{"role":"user","content":'
            b'[{"type":"text","text":"<system-reminder>\\na"},{"type":"text","text":"b\\n</system-reminder>"}]}]}'
        ),
        MODERN,
    ),
    (
        'messages[].role "system"',
        b'{"messages":[{"role":"system","content":""}]}',
        b'{"messages":[{"role":"user","content":"<system-reminder>\\n\\n</system-reminder>"}]}',
        MODERN,
    ),
    (
        "system: x-anthropic-billing-header",
        b'{"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"},{"type":"text","text":"You"}]}',
        b'{"system":[{"type":"text","text":"You"}]}',
        MODERN,
    ),
    (
        "cache_control.scope",
        (
            b'{"system":[{"text":"a","cache_control":{"type":"ephemeral","scope":"global"}}],'
            b'"tools":[{"name":"t","cache_control":{"scope":"global","type":"ephemeral"}}],'
            b'"messages":[{"content":[{"type":"text","cache_control":{"type":"ephemeral","scope":"x","ttl":"1h"}}]}]}'
        ),
        (
            b'{"system":[{"text":"a","cache_control":{"type":"ephemeral"}}],'
            b'"tools":[{"name":"t","cache_control":{"type":"ephemeral"}}],'
            b'"messages":[{"content":[{"type":"text","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}'
        ),
        MODERN,
    ),
    (
        "cache_control on thinking",
        (
            b'{"messages":[{"role":"assistant","content":['
            b'{"type":"thinking","thinking":"t","signature":"s","cache_control":{"type":"ephemeral"}},'
            b'{"cache_control":{"type":"ephemeral"},"type":"redacted_thinking","data":"d"},'
            b'{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}'
        ),
        (
            b'{"messages":[{"role":"assistant","content":['
            b'{"type":"thinking","thinking":"t","signature":"s"},'
            b'{"type":"redacted_thinking","data":"d"},'
            b'{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}'
        ),
        MODERN,
    ),
]

# What looks like a hit, and is none.
MISSES: list[tuple[str, bytes, Model]] = [
    ("safeguards", b'{"messages":[{"role":"user","content":"\\"safeguards\\""}],"metadata":{"safeguards":1}}', SONNET),
    ("context_management", b'{"context_management":{"edits":[]}}', MODERN),
    ("inference_geo", b'{"metadata":{"inference_geo":"eu"}}', SONNET),
    ("thinking.display", b'{"thinking":{"type":"adaptive","display":"summarized"}}', OPUS),
    ("thinking", b'{"thinking":{"type":"adaptive"}}', OPUS),
    ("thinking", b'{"max_tokens":9000,"thinking":{"type":"enabled","budget_tokens":8000}}', SONNET),
    ("thinking", b'{"max_tokens":9000,"thinking":{"type":"disabled"}}', SONNET),
    ("output_config.effort", b'{"output_config":{"effort":"high"}}', OPUS),
    ("output_config.effort", b'{"output_config":{"format":{"effort":"high"}}}', SONNET),
    ("tools[].defer_loading", b'{"tools":[{"name":"a","defer_loading":true}]}', MODERN),
    ("tools[].defer_loading", b'{"tools":[{"name":"a","input_schema":{"defer_loading":true}}]}', SONNET),
    ("tool_reference", b'{"messages":[{"content":[{"type":"tool_reference","tool_name":"Bash"}]}]}', MODERN),
    ("tool_reference", b'{"messages":[{"content":[{"type":"text","text":"\\"tool_reference\\""}]}]}', SONNET),
    ('messages[].role "system"', b'{"system":"x","messages":[{"role":"user","content":"system"}]}', SONNET),
    (
        "system: x-anthropic-billing-header",
        b'{"system":[{"type":"text","text":"see x-anthropic-billing-header: y"}]}',
        SONNET,
    ),
    ("system: x-anthropic-billing-header", b'{"messages":[{"content":"x-anthropic-billing-header: y"}]}', SONNET),
    ("cache_control.scope", b'{"tools":[{"scope":1,"cache_control":{"type":"ephemeral"}}]}', SONNET),
    (
        "cache_control on thinking",
        (
            b'{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"s"},'
            b'{"type":"tool_use","cache_control":{"type":"ephemeral"}}]}]}'
        ),
        SONNET,
    ),
]


def test_every_rule_is_tried_both_ways() -> None:
    rules = {rule.field for rule in RULES}
    assert {field for field, *_ in HITS} == {field for field, *_ in MISSES} == rules


@pytest.mark.parametrize(("field", "body", "left", "model"), HITS, ids=[hit[0] for hit in HITS])
def test_what_upstream_refuses_is_cut_or_mapped(field: str, body: bytes, left: bytes, model: Model) -> None:
    assert gated(body, model) == left


@pytest.mark.parametrize(("field", "body", "model"), MISSES, ids=[miss[0] for miss in MISSES])
def test_what_upstream_accepts_is_the_same_object(field: str, body: bytes, model: Model) -> None:
    assert gated(body, model) is body


@pytest.mark.parametrize(("field", "body", "left", "model"), HITS, ids=[hit[0] for hit in HITS])
def test_the_gate_has_nothing_more_to_do_the_second_time(field: str, body: bytes, left: bytes, model: Model) -> None:
    assert gated(left, model) is left


@pytest.mark.parametrize(("field", "body", "left", "model"), HITS, ids=[hit[0] for hit in HITS])
def test_rules_are_for_their_endpoint_only(field: str, body: bytes, left: bytes, model: Model) -> None:
    assert gated(body, model, endpoint="/chat/completions") is body


def test_the_billing_header_can_be_kept() -> None:
    body = b'{"system":[{"type":"text","text":"x-anthropic-billing-header: y"}]}'
    assert gated(body, settings=GateSettings(keep_billing_header=True)) is body


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


THINKING = b'{"type":"thinking","thinking":"t","signature":"s"}'
REDACTED = b'{"type":"redacted_thinking","data":"d"}'
CALL = b'{"type":"tool_use","id":"t","name":"n","input":{"type":"thinking"}}'


@pytest.mark.parametrize(
    ("content", "left"),
    [
        (b"[%b, %b]" % (THINKING, CALL), b"[%b]" % CALL),
        (b"[%b,%b,%b]" % (REDACTED, CALL, THINKING), b"[%b]" % CALL),
        (b"[%b]" % THINKING, b'[{"type":"text","text":"(thinking left out)"}]'),
        (b'"thinking"', b'"thinking"'),
        (b"[%b]" % CALL, b"[%b]" % CALL),
    ],
    ids=["before a call", "around a call", "nothing else", "a string", "none"],
)
def test_without_thinking_every_block_of_it_is_cut(content: bytes, left: bytes) -> None:
    body = b'{"model":"m" , "messages":[{"role":"user","content":"hi"},{"role":"assistant","content":%b}]}'
    assert without_thinking(body % content) == body % left


def test_without_thinking_a_chat_body_loses_its_own_names_for_it() -> None:
    body = (
        b'{"messages":[{"role":"assistant","content":"x","reasoning_text":"t","reasoning_opaque":"o","tool_calls":[]}]}'
    )
    assert without_thinking(body) == b'{"messages":[{"role":"assistant","content":"x","tool_calls":[]}]}'


def test_a_body_without_thinking_is_the_same_object() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'
    assert without_thinking(body) is body


def test_what_the_gate_makes_is_still_json() -> None:
    assert json.loads(gated(CLAUDE_CODE, msgspec.structs.replace(SONNET))) is not None


def test_a_model_that_supports_nothing_still_gets_a_body() -> None:
    bare = msgspec.structs.replace(
        SONNET, capabilities=msgspec.structs.replace(SONNET.capabilities, supports=Supports())
    )
    assert b"thinking_budget" not in gated(CLAUDE_CODE, bare)
