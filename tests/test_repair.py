from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_trio.dialects.gate import without_thinking as exported
from copilot_trio.dialects.repair import without_encrypted, without_item_ids, without_thinking

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


def test_the_gate_hands_it_on() -> None:
    assert exported is without_thinking


ENABLED = b'"thinking":{"type":"enabled","budget_tokens":8000}'
RESULT = b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]}'


@pytest.mark.parametrize(
    ("last", "thinking", "left"),
    [
        (b"[%b,%b]" % (THINKING, CALL), ENABLED, b'"a":1'),
        (b"[%b,%b]" % (THINKING, CALL), b'"thinking":{"type":"adaptive"}', b'"thinking":{"type":"adaptive"},"a":1'),
        (b'[%b,{"type":"text","text":"x"}]' % THINKING, ENABLED, ENABLED + b',"a":1'),
        (b"[%b]" % CALL, ENABLED, ENABLED + b',"a":1'),
    ],
    ids=["under way", "adaptive may go on", "the turn is over", "it had none"],
)
def test_a_turn_under_way_goes_on_without_a_budget(last: bytes, thinking: bytes, left: bytes) -> None:
    body = b'{"messages":[{"role":"assistant","content":[%b,%b]},%b,{"role":"assistant","content":%b},%b],%b,"a":1}'
    made = without_thinking(body % (THINKING, CALL, RESULT, last, RESULT, thinking))
    assert made.endswith(b",%b}" % left)
    assert b'"signature"' not in made


# ---- Responses

MESSAGE = b'{"type":"message","id":"msg_1","phase":"final","content":[{"type":"output_text","id":"x"}]}'
REASONING = b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}'
CALLED = b'{"type":"function_call", "id" : "fc_1", "call_id":"c","name":"n","arguments":"{\\"id\\":1}"}'


def test_item_ids_are_stripped_and_all_else_stays() -> None:
    body = b'{"input":[%b, %b,%b],"id":"x","prompt_cache_key":"k"}'
    assert without_item_ids(body % (MESSAGE, REASONING, CALLED)) == body % (
        MESSAGE.replace(b'"id":"msg_1",', b""),
        REASONING.replace(b'"id":"rs_1",', b""),
        CALLED.replace(b', "id" : "fc_1"', b""),
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"input":"hi","id":"x"}',
        b'{"input":[{"type":"item_reference","id":"x"}]}',
        b'{"input":[{"role":"user","content":"id"},"odd",5]}',
        b'{"messages":[{"id":"x"}]}',
        b"{}",
    ],
)
def test_where_there_are_no_item_ids_the_body_is_the_same_object(body: bytes) -> None:
    assert without_item_ids(body) is body


def part(text: str) -> bytes:
    return json.dumps({"type": "encrypted_content", "encrypted_content": text}).encode()


@pytest.mark.parametrize(
    ("items", "left"),
    [
        (b"%b,%b" % (REASONING, CALLED), CALLED),
        (b'%b,{"type":"compaction","id":"c","encrypted_content":"e"}' % MESSAGE, MESSAGE),
        (b'{"type":"compaction_summary","encrypted_content":"e"},%b' % MESSAGE, MESSAGE),
        (b'%b,{"type":"compaction_trigger"}' % MESSAGE, b'%b,{"type":"compaction_trigger"}' % MESSAGE),
        (
            b'{"type":"function_call_output","call_id":"c","output":"ok","encrypted_content":"e"}',
            b'{"type":"function_call_output","call_id":"c","output":"ok"}',
        ),
        (
            b'{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"a"}, %b]}'
            % part("gAAA"),
            (
                b'{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"a"}, '
                b'{"type":"input_text","text":"(encrypted content left out)"}]}'
            ),
        ),
        (
            b'{"type":"agent_message","content":[%b]}' % part("Task: look\naround"),
            b'{"type":"agent_message","content":[{"type":"input_text","text":"Task: look\\naround"}]}',
        ),
    ],
    ids=[
        "reasoning",
        "compaction",
        "another compaction",
        "a trigger",
        "beside an output",
        "in an output",
        "plain text",
    ],
)
def test_what_is_encrypted_is_dropped_or_flattened(items: bytes, left: bytes) -> None:
    body = b'{"model":"m", "input":[%b],"include":["reasoning.encrypted_content"]}'
    assert without_encrypted(body % items) == body % left


def test_where_nothing_is_encrypted_the_body_is_the_same_object() -> None:
    body = b'{"input":[%b,%b],"encrypted_content":"x"}' % (MESSAGE, CALLED)
    assert without_encrypted(body) is body


ITEM = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "function_call_output", "compaction"])},
    optional={
        "id": st.text(max_size=5),
        "call_id": st.text(max_size=5),
        "encrypted_content": st.text(max_size=5),
        "output": st.lists(
            st.fixed_dictionaries(
                {"type": st.sampled_from(["input_text", "encrypted_content"])},
                optional={"text": st.text(max_size=5), "encrypted_content": st.text(max_size=5)},
            ),
            max_size=3,
        ),
    },
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ITEM, max_size=6), st.booleans())
def test_repairs_do_what_they_say_to_any_items(items: list[dict[str, object]], spaced: bool) -> None:
    body = json.dumps({"input": items, "a": 1}, separators=None if spaced else (",", ":")).encode()
    stripped = json.loads(without_item_ids(body))
    assert stripped["input"] == [{key: value for key, value in item.items() if key != "id"} for item in items]
    plain = json.loads(without_encrypted(body))
    kept = [item for item in items if item["type"] not in {"reasoning", "compaction"}]
    assert [item.get("call_id") for item in plain["input"]] == [item.get("call_id") for item in kept]
    assert not any("encrypted_content" in item for item in plain["input"])
    assert "encrypted_content" not in [part["type"] for item in plain["input"] for part in item.get("output", [])]
    assert without_encrypted(without_encrypted(body)) == without_encrypted(body)
