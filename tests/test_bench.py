"""The benchmark measures what it says: real loopback, tiny counts, and not one assertion about speed."""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from bench.__main__ import choose_targets, parse_arguments, run_once
from bench.build import compile_program
from bench.load import LoadFailedError, Outcome, Plan, post, run_load
from bench.processes import (
    Process,
    StartFailedError,
    cpu_seconds,
    family,
    free_port,
    peak_resident_bytes,
    pinned,
    resident_bytes,
    split_cores,
)
from bench.prompts import DIALECTS, MODELS, PAIRS, PATHS, SAME, Dialect, Pair, request_body, request_for
from bench.relay import Framing
from bench.report import Results, as_data, as_table, machine_line, readable
from bench.rows import QUICK, Row, all_rows
from bench.targets import Rig, Target, command_target, known_targets, running_target
from bench.upstream import Script

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmark reads /proc")

CHECKOUT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def running_rig(*, python: bool) -> Iterator[Rig]:
    if not python and not (compile_program("upstream") and compile_program("load")):
        pytest.skip("no C compiler")
    proxy_cores, other_cores = split_cores()
    rig = Rig(proxy_cores, other_cores, python=python)
    try:
        rig.start()
        yield rig
    finally:
        rig.stop()


@pytest.fixture(scope="module", params=[False, True], ids=["compiled", "python"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with running_rig(python=request.param) as running:
        yield running


@pytest.fixture(scope="module")
def both_rigs() -> Iterator[tuple[Rig, Rig]]:
    with running_rig(python=False) as compiled, running_rig(python=True) as python:
        yield compiled, python


@pytest.fixture(scope="module")
def relay(rig: Rig) -> Iterator[Target]:
    target = known_targets()["relay"]
    try:
        target.start(rig)
        yield target
    finally:
        target.stop()


def fetch(port: int, request: bytes) -> bytes:
    """Everything the server sends for this request, byte by byte as it came: it must ask for a closed connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        response, framing = b"", Framing()
        while not framing.done and (data := connection.recv(65536)):
            framing.take(data)
            response += data
        return response


def body_of(port: int, request: bytes) -> bytes:
    head, body = request.split(b"\r\n\r\n", 1)
    method, path, _ = head.split(b" ", 2)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method.decode(), path.decode(), body, {"content-type": "application/json"})
        return connection.getresponse().read()
    finally:
        connection.close()


def get(port: int, path: str) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, msgspec.json.decode(response.read(), type=dict[str, object])
    finally:
        connection.close()


def asking(dialect: Dialect, script: str, *, stream: bool = True, size: int = 0) -> bytes:
    return post(PATHS[dialect], request_body(Pair(dialect, dialect), script, stream=stream, size=size))


def chat(script: str, *, stream: bool = True, size: int = 0) -> bytes:
    return asking("chat", script, stream=stream, size=size)


def events_of(body: bytes) -> list[dict[str, object]]:
    """The JSON of each frame of a stream of named events, each name being that of its type."""
    events = []
    for frame in body.decode().removesuffix("\n\n").split("\n\n"):
        name, data = frame.split("\n")
        events.append(msgspec.json.decode(data.removeprefix("data: "), type=dict[str, object]))
        assert name == f"event: {events[-1]['type']}"
    return events


# ---- the upstream ----


def test_token_is_fresh_and_points_at_the_upstream_itself(rig: Rig) -> None:
    status, token = get(rig.upstream_port, "/copilot_internal/v2/token")
    assert status == 200
    assert token["endpoints"] == dict.fromkeys(("api", "proxy", "telemetry"), f"http://127.0.0.1:{rig.upstream_port}")
    expires = token["expires_at"]
    assert isinstance(expires, int)
    assert expires > time.time() + 60
    assert token["refresh_in"] == 1500


def test_other_routes(rig: Rig) -> None:
    assert get(rig.upstream_port, "/user") == (200, {"login": "bench", "id": 1})
    assert get(rig.upstream_port, "/copilot_internal/user")[1]["copilot_plan"] == "individual_pro"
    assert get(rig.upstream_port, "/nowhere")[0] == 404
    models = get(rig.upstream_port, "/models")
    assert models == get(rig.upstream_port, "/v1/models")
    listed = msgspec.convert(models[1]["data"], list[dict[str, object]])
    assert {model["id"]: model.get("supported_endpoints") for model in listed} == {
        "gpt-4.1": None,
        "gpt-5-mini": ["/chat/completions", "/responses"],
        "gpt-5.3-codex": ["/responses"],
        "claude-sonnet-4.5": ["/chat/completions", "/v1/messages"],
        "claude-opus-4.6": ["/v1/messages"],
    }


@pytest.mark.parametrize("script", ["events=11", "events=11 burst=1", "events=3 delay_us=100", "events=500 burst=1"])
def test_chat_stream_is_whole(rig: Rig, script: str) -> None:
    lines = body_of(rig.upstream_port, chat(script)).decode().split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    chunks = [msgspec.json.decode(line.removeprefix("data: "), type=dict[str, object]) for line in lines[:-2]]
    choices = [msgspec.convert(chunk["choices"], list[dict[str, object]]) for chunk in chunks]
    assert choices[0] == choices[-1] == []  # prompt filter, usage
    deltas = [msgspec.convert(choice[0]["delta"], dict[str, object]) for choice in choices[1:-1]]
    assert deltas[0] == {"content": "", "refusal": None, "role": "assistant"}
    assert deltas[-1] == {}
    texts = [str(delta["content"]) for delta in deltas[1:-1]]
    assert len(texts) == Script.read(b"BENCH " + script.encode()).events
    assert all(text.startswith("@@") and 20 <= len(text) <= 30 for text in texts)
    assert choices[-2][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]


def test_messages_stream_is_whole(rig: Rig) -> None:
    body = body_of(rig.upstream_port, asking("messages", "events=9 stamp=1"))
    types = [event["type"] for event in events_of(body.removesuffix(b"data: [DONE]\n\n"))]
    ends = ["content_block_stop", "message_delta", "message_stop"]
    assert types == ["message_start", "content_block_start", *["content_block_delta"] * 9, *ends]


def test_responses_stream_is_whole(rig: Rig) -> None:
    body = body_of(rig.upstream_port, asking("responses", "events=9"))
    events = events_of(body)
    opening = ["created", "in_progress", "output_item.added", "content_part.added"]
    closing = ["output_text.done", "content_part.done", "output_item.done", "completed"]
    names = [*opening, *["output_text.delta"] * 9, *closing]
    assert [event["type"] for event in events] == [f"response.{name}" for name in names]
    assert all(list(event) == sorted(event) for event in events)
    assert all(str(event["delta"]).startswith("@@") for event in events[4:13])
    assert body.count(b"@@") == 9  # what repeats the text has no marks
    last = msgspec.convert(events[-1]["response"], dict[str, object])
    assert events[-1]["copilot_usage"]
    assert last["usage"]
    assert last["status"] == "completed"


def test_every_event_of_a_responses_stream_has_another_id(rig: Rig) -> None:
    ids = []
    for event in events_of(body_of(rig.upstream_port, asking("responses", "events=8"))):
        holder = msgspec.convert(event.get("item") or event.get("response") or event, dict[str, object])
        ids.append(str(holder.get("item_id") or holder["id"]))
    assert len(set(ids)) == len(ids) == 16
    assert {len(base64.b64decode(blob, validate=True)) for blob in ids} == {298}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_answers_that_are_not_streamed_are_json(rig: Rig, dialect: Dialect) -> None:
    answer = msgspec.json.decode(body_of(rig.upstream_port, asking(dialect, "", stream=False)), type=dict[str, object])
    assert answer["usage"]
    assert msgspec.json.encode(answer).count(b"@@") == 1


def test_chunked_request_is_understood(rig: Rig) -> None:
    body = request_body(Pair("chat", "chat"), "events=2")
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:40], body[40:])) + b"0\r\n\r\n"
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert fetch(rig.upstream_port, head + chunked) == fetch(rig.upstream_port, chat("events=2"))


def test_both_upstreams_send_the_same_events(both_rigs: tuple[Rig, Rig]) -> None:
    for dialect, script in itertools.product(DIALECTS, ("events=30", "events=1000 burst=1")):
        compiled, python = (fetch(rig.upstream_port, asking(dialect, script)) for rig in both_rigs)
        assert compiled == python
    for dialect in DIALECTS:
        compiled, python = (fetch(rig.upstream_port, asking(dialect, "", stream=False)) for rig in both_rigs)
        assert compiled == python


# ---- the generator ----


def load(rig: Rig, plan: Plan, request: bytes) -> Outcome:
    outcome = rig.load(plan, request)
    assert outcome.seconds > 0
    return outcome


@pytest.mark.parametrize("script", ["events=7", "events=7 burst=1", "events=7 delay_us=200"])
def test_generator_counts_every_event(rig: Rig, script: str) -> None:
    for dialect in DIALECTS:
        outcome = load(rig, Plan(rig.upstream_port, clients=3, requests=4, expect=7), asking(dialect, script))
        assert (outcome.requests, outcome.errors, outcome.events) == (12, 0, 84), outcome.complaint
        assert outcome.first_event_us is not None
        assert outcome.first_event_us.count == 12
        assert outcome.lag_us is None


def test_generator_measures_the_lag_of_stamped_events(rig: Rig) -> None:
    plan = Plan(rig.upstream_port, clients=2, requests=2, ramp_us=2000, think_us=500)
    outcome = load(rig, plan, chat("events=5 delay_us=300 stamp=1"))
    assert outcome.events == 20
    assert outcome.lag_us is not None
    assert outcome.lag_us.count == 20
    assert 0 < outcome.lag_us.p50 <= outcome.lag_us.p99 <= outcome.lag_us.max


def test_generator_counts_answers_that_are_not_streamed(rig: Rig) -> None:
    outcome = load(rig, Plan(rig.upstream_port, clients=2, requests=3, expect=1), chat("", stream=False))
    assert (outcome.requests, outcome.errors, outcome.events) == (6, 0, 6)


def test_generator_counts_failures(rig: Rig) -> None:
    refused = load(rig, Plan(rig.upstream_port, requests=2), post("/nowhere", b"{}"))
    assert (refused.requests, refused.errors) == (0, 2)
    short = load(rig, Plan(rig.upstream_port, requests=2, expect=6), chat("events=5"))
    assert (short.requests, short.errors) == (0, 2)
    late = rig.load(Plan(rig.upstream_port, clients=2, limit=0.05), chat("events=5 delay_us=1000000"))
    assert (late.requests, late.errors) == (0, 2)


def test_generator_fails_where_nobody_listens(rig: Rig) -> None:
    with pytest.raises(LoadFailedError):
        rig.load(Plan(free_port()), chat("events=1"))


@contextlib.contextmanager
def dribbling_server(response: bytes) -> Iterator[int]:
    """Answers one request byte by byte, then closes: every cut of every line and mark."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.recv(65536)
                for place in range(len(response)):
                    connection.send(response[place : place + 1])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join(20)


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize(
    "framed",
    [
        b"transfer-encoding: chunked\r\n\r\n1e\r\n@ @@ one @@0000000000000000001\r\n6\r\n @@two\r\n0\r\nx: y\r\n\r\n",
        b"content-length: 43\r\n\r\n@ @@ one @@0000000000000000001 @@two @ here",
        b"connection: close\r\n\r\n@ @@ one @@0000000000000000001 @@two.",
    ],
    ids=["chunked", "counted", "until-close"],
)
def test_generator_finds_marks_in_any_cut(framed: bytes, python: bool) -> None:
    if not python and not compile_program("load"):
        pytest.skip("no C compiler")
    with dribbling_server(b"HTTP/1.1 200 OK\r\n" + framed) as port:
        outcome = run_load(Plan(port, limit=20, expect=3), chat("events=3"), python=python)
    assert (outcome.requests, outcome.errors, outcome.events) == (1, 0, 3), outcome.complaint
    assert outcome.lag_us is not None
    assert outcome.lag_us.count == 1


_REPEATING = b"""\
event: response.output_text.delta
data: {"type":"response.output_text.delta","delta":"@@0000000000000000001 @ one"}

data: {"delta":{"content":"@@two"},"text":"and @@three"}\r
data: {"choices":[{"delta" : {"content":"@@four"}}]}
event: response.output_text.done
data: {"type":"response.output_text.done","text":"@@0000000000000000001 @ one@@two @@three"}

data: {"del@ta":"@@","delta":null,"\\"delta\\"":"x@@five"}
data: {"text":"@@ \\"delta\\" @@0000000000000000001 and ""delt@@a"}

"""


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 1 << 20])
def test_generator_counts_marks_of_deltas_only(size: int, python: bool) -> None:
    if not python and not compile_program("load"):
        pytest.skip("no C compiler")
    parts = [_REPEATING[at : at + size] for at in range(0, len(_REPEATING), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    with dribbling_server(head + chunks) as port:
        outcome = run_load(Plan(port, limit=20, expect=5), chat("events=5"), python=python)
    assert (outcome.requests, outcome.errors, outcome.events) == (1, 0, 5), outcome.complaint
    assert outcome.lag_us is not None
    assert outcome.lag_us.count == 1


# ---- the relay ----


@pytest.mark.parametrize(
    "request_",
    [
        chat("events=40"),
        chat("events=2000 burst=1"),
        chat("events=3 delay_us=500"),
        chat("events=2", size=107_000),
        asking("messages", "events=4"),
        asking("responses", "events=4"),
        asking("responses", "", stream=False),
        post("/nowhere", b"{}"),
        b"GET /models HTTP/1.1\r\nhost: x\r\n\r\n",
    ],
    ids=["stream", "burst", "slow", "large", "messages", "responses", "json", "missing", "get"],
)
def test_relay_passes_the_same_bytes(rig: Rig, relay: Target, request_: bytes) -> None:
    direct = fetch(rig.upstream_port, request_)
    assert direct.startswith(b"HTTP/1.1 ")
    assert fetch(relay.port, request_) == direct


def test_relay_serves_many_clients_on_kept_connections(rig: Rig, relay: Target) -> None:
    outcome = rig.load(Plan(relay.port, clients=5, requests=6, expect=8), chat("events=8"))
    assert (outcome.requests, outcome.errors, outcome.reconnects) == (30, 0, 0)


_MESSAGE = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n00a;x=y\r\n wor\r\nld 0\r\n0\r\nx: y\r\n\r\n"
)


def test_framing_finds_the_end_in_any_cut() -> None:
    for first, second in itertools.combinations(range(len(_MESSAGE)), 2):
        framing = Framing()
        for part in (_MESSAGE[:first], _MESSAGE[first:second], _MESSAGE[second:]):
            assert not framing.done
            framing.take(part)
        assert framing.done


def test_request_without_body_ends_with_its_head() -> None:
    framing = Framing()
    framing.take(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert framing.done


# ---- processes ----


def test_processor_time_and_memory_are_read_with_children() -> None:
    burn = (
        "import time\nwhile time.process_time() < 0.3: pass\nprint('burnt', flush=True)\nimport sys; sys.stdin.read()"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"burnt\n"
        assert len(family(process.pid)) == 2
        assert 0.25 <= cpu_seconds(process.pid) < 30
        assert 4 << 20 < resident_bytes(process.pid) <= peak_resident_bytes(process.pid)
        assert process.stdin is not None
        process.stdin.close()


def test_processor_time_of_a_process_that_is_gone_is_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert cpu_seconds(process.pid) == 0


def test_stopped_process_leaves_nothing_behind() -> None:
    stubborn = "import signal, subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    process = Process(["sh", "-c", 'cat & exec "$0" -c "$1"', sys.executable, stubborn])
    while len(members := family(process.pid)) < 2:
        time.sleep(0.01)
    process.stop()
    process.stop()  # a second one does nothing
    for member in members:
        state = Path(f"/proc/{member}/stat")
        with contextlib.suppress(OSError):  # gone, or a zombie that is nobody's fault here
            assert state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_process_that_ends_early_says_why() -> None:
    process = Process([sys.executable, "-c", "raise SystemExit('no such luck')"])
    try:
        with pytest.raises(StartFailedError, match="no such luck"):
            process.wait_for_answer(free_port(), "/", 20)
    finally:
        process.stop()


def test_pinning_is_for_the_block_only() -> None:
    before = os.sched_getaffinity(0)
    with pinned(split_cores()[0]):
        assert os.sched_getaffinity(0) == split_cores()[0]
    assert os.sched_getaffinity(0) == before


# ---- targets and rows ----


def test_running_target_is_read() -> None:
    target = running_target(f"other=http://127.0.0.1:4000/api:{os.getpid()}")
    assert (target.name, target.port, target.prefix, target.pid) == ("other", 4000, "/api", os.getpid())


@pytest.mark.parametrize("text", ["other", "other=http://example.com:80:1", "other=http://127.0.0.1:80:x", "=x:1"])
def test_running_target_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAME=http://127"):
        running_target(text)


def test_targets_are_chosen_by_name() -> None:
    arguments = parse_arguments(["--targets", "direct", "--command", "other=node x.js --port {port}"])
    direct, other = choose_targets(arguments)
    assert (direct.command, other.command) == ((), ("node", "x.js", "--port", "{port}"))
    with pytest.raises(ValueError, match="unknown target"):
        choose_targets(parse_arguments(["--targets", "nothing"]))
    with pytest.raises(ValueError, match="same name"):
        choose_targets(parse_arguments(["--command", "relay=x"]))
    with pytest.raises(ValueError, match="NAME=COMMAND"):
        command_target("x")


def test_target_has_its_files_in_its_home() -> None:
    program = "import pathlib, sys; raise SystemExit(pathlib.Path(sys.argv[1], 'file').read_text())"
    target = Target("other", (sys.executable, "-c", program, "{home}"), files={"file": "what was written"})
    with pytest.raises(StartFailedError, match="what was written"):
        target.start(Rig(*split_cores(), upstream_port=1))


def test_target_that_cannot_translate_gets_the_upstream_request() -> None:
    relay, translating = Target("relay", translates=False), Target("other", prefix="/api")
    for client, upstream in PAIRS:
        relayed, translated = (
            request_for(target, Pair(client, upstream), "events=1") for target in (relay, translating)
        )
        assert relayed.startswith(f"POST {PATHS[upstream]} ".encode())
        assert translated.startswith(f"POST /api{PATHS[client]} ".encode())
        assert f'"model": "{MODELS[upstream]}"'.encode() in translated


@pytest.mark.parametrize("dialect", DIALECTS)
def test_large_request_is_about_as_large_as_it_says(dialect: Dialect) -> None:
    body = request_body(Pair(dialect, "chat"), "events=1", size=107_000)
    assert 95_000 < len(body) < 115_000
    assert msgspec.json.decode(body, type=dict[str, object])["model"] == "gpt-4.1"


@pytest.fixture(scope="module")
def proxy() -> Iterator[tuple[Rig, Target]]:
    with running_rig(python=compile_program("upstream") is None or compile_program("load") is None) as rig:
        target = known_targets()["copilot-trio"]
        try:
            target.start(rig)
            yield rig, target
        finally:
            target.stop()


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_proxy_loses_and_doubles_no_event_of_any_pair(proxy: tuple[Rig, Target], pair: Pair) -> None:
    rig, target = proxy
    for script, events in (("events=7", 7), ("events=400 burst=1", 400)):
        request = request_for(target, pair, script, size=107_000)
        outcome = rig.load(Plan(target.port, clients=2, requests=2, expect=events), request)
        assert (outcome.requests, outcome.errors) == (4, 0), outcome.complaint
    request = request_for(target, pair, "", stream=False)
    outcome = rig.load(Plan(target.port, clients=2, requests=2, expect=1), request)
    assert (outcome.requests, outcome.errors) == (4, 0), outcome.complaint


def test_every_pair_has_its_rows() -> None:
    names = {row.name for row in all_rows(QUICK)}
    assert len(PAIRS) == 9
    assert {f"{kind}-{pair}" for kind in ("ttft", "ttft-large", "paced", "burst") for pair in PAIRS} < names
    assert {f"json-{pair}" for pair in SAME} < names


def test_rates_without_a_proxy_are_not_measured_twice() -> None:
    rows = {row.name: row for row in all_rows(QUICK)}
    direct, rig = Target("direct", translates=False), Rig(*split_cores(), upstream_port=free_port())
    assert rows["paced-chat-messages"].measure(direct, rig) == rows["json-messages-chat"].measure(direct, rig) == {}
    with pytest.raises(LoadFailedError):
        rows["paced-messages-messages"].measure(direct, rig)


def test_row_names_are_unique() -> None:
    names = [row.name for row in all_rows(QUICK)]
    assert len(set(names)) == len(names)


def test_target_that_does_not_start_is_a_failure_and_no_more() -> None:
    results = Results()
    broken = command_target(f"broken={sys.executable} -c exit(3)")
    row = Row("row", "", {"ms": "ms"}, lambda target, rig: {"ms": 1})
    run_once(Rig(*split_cores(), upstream_port=1), [broken], [row], results)
    assert len(results.failures) == 1
    assert results.cell("row", "broken", "ms") is None


# ---- the report ----


def no_numbers(_target: Target, _rig: Rig) -> dict[str, float]:
    return {}


def results_of_three_runs() -> tuple[Results, list[Row]]:
    results = Results()
    for mine, direct in ((300.0, 100.0), (250.0, 20.0), (1000.0, 200.0)):
        results.add("ttft", "proxy", {"p50": mine})
        results.add("ttft", "direct", {"p50": direct})
    results.add("ttft", "half", {})
    results.add("ttft", "half", {"p50": 70.0})
    return results, [Row("ttft", "what it means", {"p50": "µs", "p99": "µs"}, no_numbers, ("p50",))]


def test_medians_are_of_runs_and_differences_are_run_by_run() -> None:
    results, rows = results_of_three_runs()
    lines = {line.number: line for line in results.lines(rows, ["proxy", "half", "direct"])}
    assert set(lines) == {"p50", "p50 added"}
    assert lines["p50"].cells["proxy"].median == 300
    assert lines["p50"].cells["direct"].median == 100
    added = lines["p50 added"].cells
    assert {name: list(cell.values) for name, cell in added.items()} == {"proxy": [200, 230, 800], "half": [50]}
    assert added["proxy"].median == 230


def test_table_and_data_have_the_same_numbers() -> None:
    results, rows = results_of_three_runs()
    results.fail("ttft", "half", "no answer")
    names = ["proxy", "half", "direct"]
    rows.append(Row("again", "what it means", {"p50": "µs"}, no_numbers))
    results.add("again", "proxy", {"p50": 1.0})
    lines = results.lines(rows, names)
    table = as_table("machine", rows, lines, names, results.failures)
    assert "300 (250..1 000)" in table
    assert "- **ttft, again**: what it means" in table
    assert "- ttft, half: no answer" in table
    assert len({line.count("|") for line in table.splitlines() if line.startswith("|")}) == 1
    data = json.loads(json.dumps(as_data("machine", lines, results.failures)))
    cell = {"median": 300, "min": 250, "max": 1000, "values": [300, 250, 1000]}
    assert data["rows"][0]["targets"]["proxy"] == cell


@pytest.mark.parametrize(
    ("value", "text"), [(0.1234, "0.12"), (12.34, "12.3"), (123.4, "123"), (1234567, "1 234 567"), (-2, "-2.00")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert readable(value) == text


def test_machine_line_names_what_measured() -> None:
    assert "C upstream" in machine_line(compiled=True)
    assert "no compiler" in machine_line(compiled=False)


# ---- all of it ----


@pytest.mark.parametrize("options", [[], ["--python-rig"]], ids=["compiled", "python"])
def test_bench_reports(tmp_path: Path, options: list[str]) -> None:
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "bench", "--quick", "--targets", "relay,direct", "--json", str(file), *options]
    command += ["--rows", "start-up|idle|ttft-chat-chat|paced-messages-chat|paced-responses-responses|slow"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=CHECKOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads(file.read_text())
    assert data["failures"] == []
    numbers = {(line["row"], line["number"]): line["targets"] for line in data["rows"]}
    assert numbers["start-up", "ms"].keys() == {"relay"}
    assert numbers["ttft-chat-chat", "p50"].keys() == {"relay", "direct"}
    assert numbers["slow-20", "lag p99"]["relay"]["median"] > 0
    assert numbers["paced-messages-chat", "rate"].keys() == {"relay"}
    assert numbers["paced-responses-responses", "rate"].keys() == {"relay", "direct"}
    assert "| paced-messages-chat " in done.stdout


def test_bench_refuses_nonsense() -> None:
    command = [sys.executable, "-m", "bench", "--targets", "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=CHECKOUT, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown target" in done.stderr
