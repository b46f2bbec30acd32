"""How bytes go out, and which request a fault catches: all of it decided before anything is written."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin_client import NOW

from copilot_trio.twin import Delivery, Fault, ScenarioError, load_scenarios
from copilot_trio.twin.delivery import Finish, Head, Pause, Reset, Step, Write, frame_bytes, script
from copilot_trio.twin.faults import Faults
from copilot_trio.twin.reply import DONE, Frame, Reply, json_reply

FRAMES = (Frame(b"one"), Frame(b"two"), Frame(b"three"), Frame("fünf".encode()), Frame(b"end", ending=True), DONE)
STREAM = Reply(frames=FRAMES)
WHOLE = b"".join(map(frame_bytes, FRAMES))
BODY = json_reply({"a": "b" * 10})


def sent(steps: list[Step]) -> bytes:
    return b"".join(step.data for step in steps if isinstance(step, Write))


def kinds(steps: list[Step]) -> list[str]:
    return [type(step).__name__ for step in steps]


def test_plainly_one_frame_a_write() -> None:
    steps = script(STREAM)
    assert kinds(steps) == ["Head", *["Write"] * 6, "Finish"]
    assert steps[0] == Head(200, (("content-type", "text/event-stream"), ("cache-control", "no-cache")))
    assert sent(steps) == WHOLE


def test_a_body_has_a_length() -> None:
    head = script(BODY)[0]
    assert isinstance(head, Head)
    assert dict(head.headers)["content-length"] == str(len(BODY.body))
    assert kinds(script(Reply(status=429))) == ["Head", "Finish"]


@given(
    chunk=st.integers(0, 40),
    at=st.one_of(st.integers(0, 90), st.sampled_from(["start", "headers", "first", "middle", "ending"])),
    stall=st.sampled_from([0.0, 3.0]),
    pace=st.sampled_from([0.0, 0.1]),
    crlf=st.booleans(),
)
def test_whatever_the_splitting_the_bytes_are_the_same(
    chunk: int, at: int, stall: float, pace: float, *, crlf: bool
) -> None:
    for reply in (STREAM, BODY):
        steps = script(reply, Delivery(chunk=chunk, at=at, stall=stall, pace=pace, crlf=crlf))
        plain = script(reply, Delivery(crlf=crlf))
        assert sent(steps) == sent(plain)
        assert kinds(steps)[-1] == "Finish"
        assert kinds(steps).count("Head") == 1
        assert not chunk or all(len(step.data) <= chunk for step in steps if isinstance(step, Write))
        assert sum(step.seconds for step in steps if isinstance(step, Pause)) >= stall


@given(at=st.integers(0, 90), cut=st.sampled_from(["reset", "truncate"]))
def test_a_cut_sends_exactly_what_comes_before(at: int, cut: str) -> None:
    steps = script(STREAM, Delivery(at=at, cut=cut))  # type: ignore[arg-type]
    assert sent(steps) == WHOLE[:at]
    assert steps[-1] == (Reset() if cut == "reset" else Finish(complete=False))


def test_places() -> None:
    def before(at: str) -> bytes:
        return sent(script(STREAM, Delivery(at=at, cut="truncate")))  # type: ignore[arg-type]

    assert before("headers") == WHOLE[:1]
    assert before("first") == b"data: one\n\ndata: two\n\n"
    assert before("middle") == b"data: one\n\ndata: two\n\ndata: three\n\n"
    assert before("ending") == WHOLE[: WHOLE.index(b"data: end")]


def test_before_the_status_line() -> None:
    assert script(STREAM, Delivery(at="start", cut="reset"))[-1] == Reset()
    assert "Head" not in kinds(script(STREAM, Delivery(at="start", cut="reset")))
    stalled = script(STREAM, Delivery(at="start", stall=9))
    assert stalled[0] == Pause(9)
    assert isinstance(stalled[1], Head)
    assert script(STREAM, Delivery(delay=2))[0] == Pause(2)


def test_a_body_cut_short_is_reset_because_its_length_is_known() -> None:
    steps = script(BODY, Delivery(cut="truncate"))
    assert steps[-1] == Reset()
    assert 0 < len(sent(steps)) < len(BODY.body)


def test_line_ends_and_comments() -> None:
    body = sent(script(STREAM, Delivery(crlf=True, comments=True)))
    assert body.startswith(b": twin\r\ndata: one\r\n\r\n")
    assert body.count(b"\n") == body.count(b"\r\n")
    named = frame_bytes(Frame(b"{}", "message_stop"))
    assert named == b"event: message_stop\ndata: {}\n\n"


def test_pings() -> None:
    steps = script(STREAM, Delivery(at="first", pings=3))
    assert sent(steps).count(b": ping\n\n") == 3
    steps = script(STREAM, Delivery(at="first", pings=2), ping=Frame(b'{"type":"ping"}', "ping"))
    assert sent(steps).count(b"event: ping\n") == 2
    assert Pause(4) in script(BODY, Delivery(at="first", pings=4))


def test_a_fault_goes_over_what_the_scenario_wants() -> None:
    wanted = Delivery(at="first", stall=5, crlf=True)
    assert Delivery(chunk=1).over(wanted) == Delivery(at="first", stall=5, crlf=True, chunk=1)
    assert Delivery(cut="reset").over(wanted) == Delivery(at="middle", stall=5, crlf=True, cut="reset")


def test_faults_match_and_are_used_up() -> None:
    faults = Faults()
    faults.add(
        Fault(path="/v1/*", account="octo-dev", model="m", contains="needle", method="post", status=500, times=2)
    )
    assert faults.take("POST", "/chat/completions", "octo-dev", "m", b"needle") is None
    assert faults.take("POST", "/v1/messages", "octo-work", "m", b"needle") is None
    assert faults.take("POST", "/v1/messages", "octo-dev", "x", b"needle") is None
    assert faults.take("GET", "/v1/messages", "octo-dev", "m", b"needle") is None
    assert faults.take("POST", "/v1/messages", "octo-dev", "m", b"hay") is None
    for _ in range(2):
        assert faults.take("POST", "/v1/messages", "octo-dev", "m", b"a needle b")
    assert faults.take("POST", "/v1/messages", "octo-dev", "m", b"needle") is None
    assert len(faults) == 0


def test_faults_may_wait_last_for_ever_and_come_in_order() -> None:
    faults = Faults()
    faults.add(Fault(status=500, skip=1))
    faults.add(Fault(status=502, times=None))
    statuses = []
    for _ in range(4):
        fault = faults.take("GET", "/models", "", "", b"")
        assert fault
        statuses.append(fault.status)
    assert statuses == [502, 500, 502, 502]
    assert faults.listing()[0]["left"] is None
    faults.clear()
    assert len(faults) == 0


def test_the_queue_is_bounded() -> None:
    faults = Faults()
    for _ in range(1000):
        faults.add(Fault())
    with pytest.raises(ScenarioError, match="1000 faults"):
        faults.add(Fault())


def test_what_a_fault_answers() -> None:
    assert Fault(delay=1).reply(NOW) is None
    named = Fault(error="quota_exceeded", headers={"Retry-After": "5"}).reply(NOW)
    assert named is not None
    assert (named.status, dict(named.headers)["retry-after"]) == (402, "5")
    windowed = Fault(error="row39").reply(NOW)
    assert windowed is not None
    assert "x-usage-ratelimit-weekly" in dict(windowed.headers)
    assert Fault(status=503).reply(NOW) == Reply(status=503, content_type="text/plain; charset=utf-8")
    assert Fault(body="<html>", content_type="text/html").reply(NOW) == Reply(body=b"<html>", content_type="text/html")
    assert Fault(status=400, body={"a": 1}).reply(NOW) == Reply(status=400, body=b'{"a":1}')
    assert Fault(events=["x", "[DONE]"]).reply(NOW) == Reply(frames=(Frame(b"x"), Frame(b"[DONE]")))
    assert Fault(delay=1, cut="reset", at=5).delivery == Delivery(delay=1, cut="reset", at=5)


def test_scenario_files() -> None:
    both = load_scenarios(b'{"faults": [{"status": 500}], "accounts": [{"login": "octo-dev", "remaining": 0}]}')
    assert both.faults == [Fault(status=500)]
    assert both.accounts[0].remaining == 0
    assert load_scenarios(b'[{"error": "row45"}, {"cut": "reset", "at": "headers"}]').faults[1].at == "headers"
    assert load_scenarios(b'{"path": "/models", "chunk": 1}').faults == [Fault(path="/models", chunk=1)]
    assert load_scenarios(b"{}").faults == [Fault()]


@pytest.mark.parametrize(("data", "complaint"), [
    (b"{", "truncated"),
    (b"7", "Expected `object`"),
    (b'{"faults": [{"stat": 500}]}', "unknown field `stat` - at `$.faults[0]`"),
    (b'[{"at": "somewhere"}]', "at `$[0].at`"),
    (b'[{"error": "row99"}]', "no error is called 'row99'"),
    (b'[{"status": 42}]', "status must be"),
    (b'[{"stall": -1}]', "negative"),
    (b'[{"times": 0}]', "times must be"),
    (b'{"accounts": [{"login": "x", "plan": "gold"}]}', "at `$.accounts[0].plan`"),
    (b'{"faults": [], "more": 1}', "unknown field `more`"),
])  # fmt: skip
def test_scenario_files_that_are_wrong_say_where(data: bytes, complaint: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenarios(data)
    assert complaint in str(caught.value)


def test_faults_survive_a_round_trip() -> None:
    fault = Fault(path="/models", cut="truncate", at=7, body={"x": [1]}, events=None)
    assert msgspec.json.decode(msgspec.json.encode(fault), type=Fault) == fault
