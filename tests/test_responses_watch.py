from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import check_recorded, cuttings, data_in, events_in, recorded, recorded_names

from copilot_trio.dialects.passthrough import Passthrough, rename_in_reply
from copilot_trio.dialects.responses.error import render_stream_error
from copilot_trio.dialects.responses.watch import (
    ResponsesWatch,
    rename_in_event,
    rename_in_response_events,
    responses_usage,
)
from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.turn import Usage

NAMES = recorded_names("responses")
FAILED = {"cancelled", "error-event", "failed", "nested-error"}
USED = Usage(195, 105, 1024, 0, 44, 150325000)


def carry(chunks: list[bytes]) -> bytes:
    relay = Passthrough(ResponsesWatch("5eed"))
    out = b"".join(relay.feed(chunk) for chunk in chunks)
    try:
        return out + relay.finish()
    except UpstreamError as error:  # as the relay ends it
        failed = b"" if isinstance(error, StreamTruncated) else render_stream_error(error, "5eed")
        return out + error.partial + failed


def watch(block: bytes) -> ResponsesWatch:
    looking = ResponsesWatch("5eed")
    looking.look(block)
    return looking


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_stream_is_passed_on_as_recorded(name: str) -> None:
    check_recorded(f"responses-to-responses/{name}.sse", carry([recorded(f"responses/{name}.sse")]))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_chunking_gives_the_same_bytes(name: str, data: st.DataObject) -> None:
    stream = recorded(f"responses/{name}.sse")
    assert carry(data.draw(cuttings(stream))) == carry([stream])


@pytest.mark.parametrize("name", sorted(set(NAMES) - FAILED))
def test_line_ends_stay_as_they_came(name: str) -> None:
    stream = recorded(f"responses/{name}.sse")
    assert carry([stream.replace(b"\n", b"\r\n")]) == carry([stream]).replace(b"\n", b"\r\n")


@pytest.mark.parametrize("name", NAMES)
def test_the_end_is_seen_whatever_it_is(name: str) -> None:
    looking = watch(recorded(f"responses/{name}.sse"))
    assert looking.failed is (name in FAILED)
    assert looking.ended is not (name in FAILED or name == "truncated")
    assert looking.complete is (name != "truncated")


def test_a_truncated_stream_raises() -> None:
    relay = Passthrough(ResponsesWatch("5eed"))
    relay.feed(recorded("responses/truncated.sse"))
    with pytest.raises(StreamTruncated):
        relay.finish()


def test_usage_and_cost_are_read_beside() -> None:
    assert watch(recorded("responses/text-with-summary.sse")).usage == USED
    assert watch(recorded("responses/failed.sse")).usage is None


@pytest.mark.parametrize("done", [b"data: [DONE]\n\n", b"data:[DONE]\r\n\r\n"])
def test_no_done_comes_through_and_it_ends_nothing(done: bytes) -> None:
    looking = ResponsesWatch("5eed")
    assert looking.look(done).strip() == b""
    assert not looking.complete
    delta = b'data: {"delta":"data: [DONE]","item_id":"a","output_index":0,"type":"response.output_text.delta"}\n\n'
    assert b"[DONE]" in looking.look(delta)


@pytest.mark.parametrize("name", ["error-event", "nested-error"])
def test_after_a_bare_error_codex_gets_its_failed_response(name: str) -> None:
    *before, failed = events_in(carry([recorded(f"responses/{name}.sse")]))
    assert "error" not in {event.name for event in before}
    assert failed.name == "response.failed"
    response = msgspec.json.decode(failed.data)["response"]
    assert (response["id"], response["status"]) == ("resp_5eed", "failed")
    assert "limit" in response["error"]["message"] or "unavailable" in response["error"]["message"]


def test_an_error_event_is_known_by_its_name_alone() -> None:
    looking = watch(b'event: error\ndata: {"code":"x"}\n\n')
    assert (looking.failed, looking.complete) == (True, True)
    with pytest.raises(UpstreamError, match="it does not say why"):
        looking.ending()


@pytest.mark.parametrize("name", ["failed", "cancelled"])
def test_a_failed_response_is_the_end_of_it(name: str) -> None:
    assert watch(recorded(f"responses/{name}.sse")).ending() == b""


def test_a_failed_response_and_a_bare_error_are_one_failure() -> None:
    looking = watch(recorded("responses/failed.sse") + b'data: {"type":"error","error":{"code":"x"}}\n\n')
    assert looking.ending() == b""


@pytest.mark.parametrize("response", [b'{"usage":{"input_tokens":"many"}}', b"1", b'{"usage":[]}', b"null"])
def test_an_oddity_does_not_hide_the_end(response: bytes) -> None:
    looking = watch(b'data: { "type" : "response.completed" , "response" : %b }\n\n' % response)
    assert (looking.ended, looking.complete, looking.usage) == (True, True, None)


@pytest.mark.parametrize("data", [b"{", b'{"error":[]', b'"error"', b'{"response":{}}', b'{"type":"x","error":null}'])
def test_what_says_nothing_to_us_is_passed_on(data: bytes) -> None:
    block = b"data: " + data + b"\n\n"
    looking = ResponsesWatch("5eed")
    assert looking.look(block) == block
    assert (looking.ended, looking.failed, looking.complete) == (False, False, False)


def test_comments_and_other_fields_are_passed_on() -> None:
    block = b": hello\nid: 7\nretry: 5\n\nevent: errors\ndata: 1\n\n"
    assert ResponsesWatch("5eed").look(block) == block


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (
            b'{"usage":{"input_tokens":5,"output_tokens":2},"copilot_usage":{"total_nano_aiu":7}}',
            Usage(5, 2, nano_aiu=7),
        ),
        (b"{}", None),
        (b"no", None),
        (b'{"usage":[]}', None),
    ],
)
def test_usage_of_a_whole_reply(body: bytes, usage: Usage | None) -> None:
    assert responses_usage(body) == usage


# ---- the name the client asked for


@pytest.mark.parametrize("name", NAMES)
def test_the_asked_name_stands_in_every_response_and_nothing_else_changes(name: str) -> None:
    stream = recorded(f"responses/{name}.sse")
    renamed = rename_in_response_events(stream, 'a "name"')
    assert {body["response"]["model"] for body in data_in(renamed) if "response" in body} <= {'a "name"'}  # type: ignore[index]
    assert renamed.replace(rb'"model":"a \"name\""', b'"model":"gpt-5.3-codex"') == stream


@pytest.mark.parametrize(
    ("data", "renamed"),
    [
        (b'{"response":{"model":"a"}}', b'{"response":{"model":"m"}}'),
        (b'{ "response" : {"x":{"model":1}, "model" : "a" }}', b'{ "response" : {"x":{"model":1}, "model" : "m" }}'),
        (b'{"model":"a","response":{}}', None),
        (b'{"response":"model","x":{"model":"a"}}', None),
        (b'{"delta":"\\"response\\":{\\"model\\":1}"}', None),
        (b'{"response":{"model":', None),
    ],
)  # fmt: skip
def test_only_the_responses_own_model_is_renamed(data: bytes, renamed: bytes | None) -> None:
    assert rename_in_event(data, "m") == (data if renamed is None else renamed)


def test_a_block_of_deltas_stays_the_object_it_is() -> None:
    block = b'data: {"delta":"\\"model\\"","type":"response.output_text.delta"}\n\n'
    assert rename_in_response_events(block, "m") is block


def test_a_whole_reply_is_renamed_by_the_common_way() -> None:
    body = b'{"copilot_usage":{"token_details":[{"model":"b"}]},"model":"a","output":[]}'
    assert rename_in_reply(body, "m") == body.replace(b'"model":"a"', b'"model":"m"')
