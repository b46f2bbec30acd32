"""Ids hold still, and nothing else changes."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import events_in, recorded, recorded_names

from copilot_trio.dialects.responses.pins import IdPins, pin_answer

JSON = dict[str, Any]
NAMES = recorded_names("responses")
KINDS = ["reasoning", "message", "function_call", "custom_tool_call", "web_search_call", "compaction"]
PREFIXES = dict(zip(KINDS, ["rs_", "msg_", "fc_", "ctc_", "ws_", "item_"], strict=True))


def pin(pins: IdPins, event: object) -> Any:
    return msgspec.json.decode(pins.pin_event(msgspec.json.encode(event)))


def ids_of(event: JSON) -> dict[str, str]:
    """Every id that moves, by where it stands."""
    found = {}
    if "item_id" in event:
        found["item_id"] = event["item_id"]
    if "id" in event.get("item", {}):
        found["item"] = event["item"]["id"]
    if "id" in event.get("response", {}):
        found["response"] = event["response"]["id"]
    for number, item in enumerate(event.get("response", {}).get("output", [])):
        if "id" in item:
            found[f"output {number}"] = item["id"]
    return found


def masked(data: bytes, ids: dict[str, str]) -> bytes:
    for value in ids.values():
        data = data.replace(msgspec.json.encode(value), b'"*"')
    return data


@pytest.mark.parametrize("name", NAMES)
def test_ids_change_and_no_other_byte(name: str) -> None:
    pins = IdPins("5eed")
    for event in events_in(recorded(f"responses/{name}.sse")):
        pinned = pins.pin_event(event.data)
        before, after = (ids_of(msgspec.json.decode(data)) for data in (event.data, pinned))
        assert list(before) == list(after)
        assert masked(_without_kept_ids(pinned), after) == masked(event.data, before)
        assert all(len(value) < 20 and value.endswith(("5eed", *"0123456789")) for value in after.values())


def _without_kept_ids(data: bytes) -> bytes:
    return re.sub(rb'("encrypted_content":"[^"@]+)@[^"]+"', rb'\1"', data)


@pytest.mark.parametrize("kind", ["reasoning", "compaction"])
def test_a_secret_takes_the_id_that_it_belongs_to_along(kind: str) -> None:
    done = {"item": {"encrypted_content": "gAAA=", "id": "REAL+/==", "type": kind}, "output_index": 3}
    item = pin(IdPins("5eed"), done | {"type": "response.output_item.done"})["item"]
    assert item["encrypted_content"] == "gAAA=@REAL+/=="
    assert item["id"].endswith("5eed3")
    assert pin(IdPins("5eed"), {"response": {"output": [done["item"]]}})["response"]["output"][0][
        "encrypted_content"
    ] == ("gAAA=@REAL+/==")


@pytest.mark.parametrize("secret", [None, ""])
def test_what_is_no_secret_takes_nothing_along(secret: str | None) -> None:
    done = {"item": {"encrypted_content": secret, "id": "REAL", "type": "reasoning"}, "output_index": 0}
    assert pin(IdPins("5eed"), done)["item"]["encrypted_content"] == secret


@pytest.mark.parametrize("name", NAMES)
def test_each_place_has_one_id(name: str) -> None:
    pins = IdPins("5eed")
    ids: dict[int, set[str]] = {}
    for event in events_in(recorded(f"responses/{name}.sse")):
        body = msgspec.json.decode(pins.pin_event(event.data))
        found = ids_of(body)
        assert found.pop("response", "resp_5eed") == "resp_5eed"
        for place, value in found.items():
            number = int(place.split()[1]) if " " in place else body["output_index"]
            ids.setdefault(number, set()).add(value)
            if "item" in body:
                assert value == f"{PREFIXES[body['item']['type']]}5eed{number}"
    assert all(len(of) == 1 for of in ids.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_line_is_pinned_as_its_json_is(name: str) -> None:
    stream = recorded(f"responses/{name}.sse")
    lines, frames = IdPins("5eed"), IdPins("5eed")
    for line in stream.splitlines(keepends=True):
        if line.startswith(b"data:"):
            assert lines.pin_line(line) == b"data: " + frames.pin_event(line[6:-1]) + b"\n"


@pytest.mark.parametrize("kind", KINDS)
def test_the_type_gives_the_prefix(kind: str) -> None:
    pins = IdPins("5eed")
    added = pin(pins, {"item": {"id": "A", "type": kind}, "output_index": 3, "type": "response.output_item.added"})
    delta = pin(pins, {"delta": "x", "item_id": "B", "output_index": 3, "type": "response.output_text.delta"})
    assert added["item"]["id"] == delta["item_id"] == f"{PREFIXES[kind]}5eed3"


def test_an_item_that_was_not_seen_to_begin_keeps_the_id_it_got() -> None:
    pins = IdPins("5eed")
    delta = pin(pins, {"item_id": "A", "output_index": 1, "sequence_number": 3, "type": "x.delta"})
    done = pin(pins, {"item": {"id": "B", "type": "message"}, "output_index": 1, "type": "response.output_item.done"})
    assert delta["item_id"] == done["item"]["id"] == "item_5eed1"


def test_a_final_list_that_counts_otherwise_gives_no_item_another_types_id() -> None:
    pins = IdPins("5eed")
    pin(pins, {"item": {"id": "A", "type": "reasoning"}, "output_index": 0})
    ended = pin(pins, {"response": {"id": "R", "output": [{"id": "B", "type": "message"}]}})
    assert ended["response"] == {"id": "resp_5eed", "output": [{"id": "msg_5eed0", "type": "message"}]}


# The same event, written in ways that Copilot does not: spaces, order, escapes, ids within strings and tools.
STRINGS = st.sampled_from(
    ["item_id", '"item_id":"x"', '{"output_index":7}', "\\", 'é\n"', "response", "item", ".delta"]
)


@st.composite
def events(draw: st.DrawFn) -> tuple[bytes, JSON]:
    """An event's bytes, and what they say once pinned."""
    place = draw(st.integers(0, 12))
    fields: JSON = {"delta": draw(STRINGS), "item_id": draw(st.sampled_from(["A+/=", 'q"u', "b\\", "é"]))}
    fields |= {"output_index": place, "type": draw(st.sampled_from(["response.output_text.delta", "x.done"]))}
    if draw(st.booleans()):
        fields["headers"] = {draw(STRINGS): draw(STRINGS), "item_id": "theirs", "output_index": 99}
    if draw(st.booleans()):
        fields["response"] = {"id": "r", "tools": [{"item_id": "theirs"}], "output": [{"type": "message", "id": "m"}]}
    if draw(st.booleans()):
        fields["item"] = {"id": "i", "type": "message", "content": [{"item_id": "theirs"}]}
    names = draw(st.permutations(sorted(fields)))
    spaced = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")]))
    data = "{" + spaced[0].join(
        f'"{name}"{spaced[1]}{msgspec.json.encode(fields[name]).decode()}' for name in names
    ) + "}"  # fmt: skip
    return data.encode(), fields


@settings(max_examples=500, deadline=None)
@given(st.lists(events(), max_size=4))
def test_however_an_event_is_written_its_own_ids_are_pinned(written: list[tuple[bytes, JSON]]) -> None:
    pins = IdPins("5eed")
    known: dict[int, str] = {}
    for data, fields in written:
        if "response" in fields:
            fields["response"]["id"] = "resp_5eed"
            fields["response"]["output"][0]["id"] = known.setdefault(0, "msg_5eed0")
        kind = "msg_" if "item" in fields else "item_"
        fields["item_id"] = known.setdefault(fields["output_index"], f"{kind}5eed{fields['output_index']}")
        if "item" in fields:
            fields["item"]["id"] = fields["item_id"]
        assert msgspec.json.decode(pins.pin_event(data)) == fields


@pytest.mark.parametrize(
    "data",
    [b"", b"[DONE]", b"{", b"[]", b"null", b'"item_id"', b'{"item_id":"a"}', b'{"item_id":null,"output_index":1}',
     b'{"item_id":"a","output_index":"1"}', b'{"item_id":"a","output_index":1e99}', b'{"item":1,"output_index":0}',
     b'{"item":{"id":7},"output_index":0}', b'{"response":{"id":null,"output":null}}', b'{"response":[]}', b"\xff",
     b'{"item_id":"a","output_index":1', b'{"item_id":"a","output_index":x,"type":"x.delta"}',
     b'{"item_id":"a","output_index":' + b"9" * 5000 + b',"type":"x.delta"}', b"[" * 100_000],
)  # fmt: skip
def test_what_has_no_id_that_we_know_stays(data: bytes) -> None:
    assert IdPins("5eed").pin_event(data) == data


def test_a_whole_reply_has_the_ids_of_its_stream() -> None:
    body = b'{"id": "R==", "output": [{"id":"A","type":"reasoning"},{"type":"message","id":"B"}, {}], "x": "R=="}'
    pinned = (
        body.replace(b'"id": "R=="', b'"id": "resp_5eed"')
        .replace(b'"A"', b'"rs_5eed0"')
        .replace(b'"B"', b'"msg_5eed1"')
    )
    assert pin_answer(body, "5eed") == pinned.replace(b'"B"', b'"msg_5eed1"')


@pytest.mark.parametrize("body", [b"", b"no", b"[1]", b"{}", b'{"output":{}}', b'{"id":1}', b'{"id":"A"'])
def test_what_is_no_reply_stays(body: bytes) -> None:
    assert pin_answer(body, "5eed") == body
