from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.dialects.responses.session import REMEMBERED, Asking, Noted, Session, request_frame
from copilot_trio.errors import BadRequest, TooLarge

FIRST = b'{"type":"response.create", "model":"gpt-5-mini" ,"input":[ {"role":"user","content":"a"} ],"tools":[]}'


def read(session: Session, frame: bytes) -> Asking:
    asking = session.read(frame)
    assert asking is not None
    return asking


def test_the_first_request_is_the_frame_without_what_belongs_to_the_socket() -> None:
    asking = read(Session(10_000), FIRST)
    assert asking.body == b'{"model":"gpt-5-mini" ,"input":[{"role":"user","content":"a"}],"tools":[],"stream":true}'
    assert asking.generate


def test_a_later_request_brings_only_what_is_new() -> None:
    session = Session(10_000)
    first = read(session, FIRST)
    session.remember("resp_1", first.items, [b'{"type":"message","id":"msg_1"}'])
    second = read(
        session,
        b'{"type":"response.create","model":"m","previous_response_id":"resp_1","input":[{"type":"x"}],"stream":false}',
    )
    body = msgspec.json.decode(second.body)
    assert body == {
        "model": "m",
        "stream": True,
        "input": [{"role": "user", "content": "a"}, {"type": "message", "id": "msg_1"}, {"type": "x"}],
    }
    session.remember("resp_2", second.items, [])
    third = read(session, b'{"type":"response.create","model":"m","previous_response_id":"resp_2","input":[]}')
    assert msgspec.json.decode(third.body)["input"] == body["input"]


def test_only_the_latest_responses_can_be_gone_on_from() -> None:
    session = Session(10_000)
    for number in range(REMEMBERED + 1):
        session.remember(f"resp_{number}", b'{"n":1}', [])
    frame = b'{"type":"response.create","model":"m","previous_response_id":"resp_%d","input":[]}'
    read(session, frame % 1)
    with pytest.raises(BadRequest) as raised:
        session.read(frame % 0)
    assert (raised.value.code, raised.value.param) == ("previous_response_not_found", "previous_response_id")


def test_a_string_is_a_persons_message() -> None:
    body = msgspec.json.decode(read(Session(10_000), b'{"type":"response.create","model":"m","input":"h\\u00e9"}').body)
    assert body["input"] == [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hé"}]}]


def test_a_warm_up_wants_no_answer_from_a_model() -> None:
    asking = read(Session(10_000), b'{"type":"response.create","generate":false,"model":"m","input":[]}')
    assert not asking.generate
    assert b"generate" not in asking.body


def test_frames_that_want_no_answer() -> None:
    assert Session(10_000).read(b'{"type":"response.processed","response_id":"resp_1"}') is None


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (b"", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{", "no JSON object"),
        (b"\xff", "no JSON object"),
        (b"{}", "unknown"),
        (b'{"type":"session.update"}', "session.update"),
        (b'{"type":"response.create"}', "no input"),
        (b'{"type":"response.create","input":7}', "neither a string nor an array"),
        (b'{"type":"response.create","input":{}}', "neither a string nor an array"),
        (b'{"type":"response.create","generate":1,"input":[]}', "no JSON object"),
    ],
)
def test_what_is_no_request_is_said(frame: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        Session(10_000).read(frame)


def test_a_conversation_that_outgrows_the_limit_is_refused() -> None:
    session = Session(200)
    session.remember("resp_1", b'"' + b"x" * 190 + b'"', [])
    with pytest.raises(TooLarge):
        session.read(b'{"type":"response.create","previous_response_id":"resp_1","input":[1]}')


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(before=st.lists(JSON, max_size=4), output=st.lists(JSON, max_size=3), new=st.lists(JSON, max_size=4))
def test_nothing_is_lost_between_two_frames(before: list[object], output: list[object], new: list[object]) -> None:
    session = Session(1_000_000)
    first = read(session, msgspec.json.encode({"type": "response.create", "model": "m", "input": before}))
    session.remember("r", first.items, [msgspec.json.encode(item) for item in output])
    frame = {"type": "response.create", "model": "m", "previous_response_id": "r", "input": new}
    second = msgspec.json.decode(read(session, msgspec.json.encode(frame)).body)
    assert second["input"] == [*before, *output, *new]


def test_what_an_answer_leaves_to_remember() -> None:
    noted = Noted()
    for event in (
        b'{"type":"response.created","response":{"id":"resp_1"}}',
        b'{"item":{"id":"msg_1", "type":"message"},"output_index":0,"type":"response.output_item.done"}',
        b'{"type":"response.output_text.delta","delta":"\\"response.completed\\""}',
        b'{"type":"response.output_text.delta","delta":"x","odd":"response.output_item.done"}',
        b'{"response":{"id":"resp_1","output":[]},"type":"response.completed"}',
    ):
        noted.look(event)
    assert noted.output == [b'{"id":"msg_1", "type":"message"}']
    assert (noted.response_id, noted.completed) == ("resp_1", True)


def test_a_failed_answer_leaves_nothing() -> None:
    noted = Noted()
    noted.look(b'{"type":"response.failed","response":{"id":"resp_1"}}')
    noted.look(b'{"type":"response.completed","response":"odd"}')
    noted.look(b'"response.output_item.done')
    assert not noted.completed
    assert noted.output == []


def test_two_connections_do_not_share_their_notes() -> None:
    Noted().look(b'{"item":{"a":1},"type":"response.output_item.done"}')
    assert Noted().output == []


@pytest.mark.parametrize(
    ("body", "frame"),
    [
        (b'{"model":"m","stream":true,"input":[]}',
         b'{"type":"response.create","initiator":"agent","model":"m","input":[]}'),
        (b'{"stream":true,"model":"m"}', b'{"type":"response.create","initiator":"agent","model":"m"}'),
        (b' { "model":"m" } ', b' {"type":"response.create","initiator":"agent", "model":"m" } '),
    ],
)  # fmt: skip
def test_a_request_as_a_frame(body: bytes, frame: bytes) -> None:
    assert request_frame(body, "agent") == frame
