"""The rows of the report: what is sent, and which numbers come of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .load import Outcome, Plan, post
from .processes import cpu_seconds, forget_peak, peak_resident_bytes, proportional_bytes, resident_bytes
from .targets import Rig, Target

Kind = Literal["same", "translated", "native"]
Numbers = dict[str, float]

_STREAM_EVENTS = 20
_BURST_EVENTS = 2000
_PACED_EVENTS = 500
_LARGE_BYTES = 107_000


@dataclass(frozen=True)
class Effort:
    """How much is enough: time and counts of every row."""

    seconds: float
    requests: int
    slow_streams: tuple[int, ...]
    slow_events: int
    slow_delay_us: int
    settle: float


FULL = Effort(seconds=1.5, requests=400, slow_streams=(200, 1000), slow_events=100, slow_delay_us=50_000, settle=1)
QUICK = Effort(seconds=0.15, requests=20, slow_streams=(20,), slow_events=10, slow_delay_us=10_000, settle=0.1)


class MeasureFailedError(Exception):
    """A number that would not mean what its row says: errors, or nothing came back."""


@dataclass(frozen=True)
class Row:
    """One measurement. ``units`` names its numbers, in order; ``added`` ones are also shown less the direct ones."""

    name: str
    meaning: str
    units: dict[str, str]
    measure: Callable[[Target, Rig], Numbers]
    added: tuple[str, ...] = ()


def request_body(kind: Kind, script: str, *, stream: bool = True, size: int = 0) -> bytes:
    """A request of one short turn, or of about ``size`` bytes in many; the script is in its last message."""
    padding: list[dict[str, Any]] = []
    line = "def handler(request):\n    return {'status': 200, 'body': \"unchanged\"}  # naïve\n"
    for number in range(size // 2000):
        padding.append({"role": "user", "content": f"Part {number}:\n" + line * 22})
        padding.append({"role": "assistant", "content": "Read."})
    body: dict[str, Any] = {
        "model": "claude-sonnet-4.5" if kind == "native" else "gpt-4.1",
        "max_tokens": 4096,
        "stream": stream,
        "messages": [*padding, {"role": "user", "content": f"Say something. BENCH {script}"}],
    }
    if kind != "same":
        body["system"] = "You are a coding assistant."
    return json.dumps(body, ensure_ascii=False).encode()


def request_for(target: Target, kind: Kind, script: str, *, stream: bool = True, size: int = 0) -> bytes:
    """A target that cannot translate gets the request the translation would make: the same upstream stream."""
    if kind == "translated" and not target.translates:
        kind = "same"
    path = "/v1/chat/completions" if kind == "same" else "/v1/messages"
    return post(target.prefix + path, request_body(kind, script, stream=stream, size=size))


def _load(target: Target, rig: Rig, plan: Plan, request: bytes) -> Outcome:
    outcome = rig.load(plan, request)
    if outcome.errors or not outcome.requests:
        raise MeasureFailedError(f"{outcome.errors} errors, {outcome.requests} answers: {outcome.complaint[:300]}")
    return outcome


def _warm(target: Target, rig: Rig, request: bytes, clients: int, expect: int) -> None:
    _load(target, rig, Plan(target.address(rig), clients, 3, seconds=1, limit=20, expect=expect), request)


def _measure_start(target: Target, rig: Rig) -> Numbers:
    return {} if target.started_in is None else {"ms": target.started_in * 1e3}


def _measure_idle(effort: Effort) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        if target.pid is None:
            return {}
        plan = Plan(target.address(rig), limit=20, expect=_STREAM_EVENTS)
        _load(target, rig, plan, request_for(target, "same", f"events={_STREAM_EVENTS}"))
        time.sleep(effort.settle)
        numbers: Numbers = {"rss": resident_bytes(target.pid) / 2**20}
        proportional = proportional_bytes(target.pid)
        return numbers if proportional is None else numbers | {"pss": proportional / 2**20}

    return measure


def _measure_first_event(kind: Kind, effort: Effort, size: int = 0) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        request = request_for(target, kind, f"events={_STREAM_EVENTS}", size=size)
        _warm(target, rig, request, 1, _STREAM_EVENTS)
        plan = Plan(target.address(rig), 1, effort.requests, effort.seconds * 2, limit=30, expect=_STREAM_EVENTS)
        outcome = _load(target, rig, plan, request)
        assert outcome.first_event_us is not None
        return {"p50": outcome.first_event_us.p50, "p99": outcome.first_event_us.p99}

    return measure


def _measure_stream(
    kind: Kind, effort: Effort, *, clients: int, events: int, burst: int
) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        request = request_for(target, kind, f"events={events} burst={burst}")
        _warm(target, rig, request, clients, events)
        plan = Plan(target.address(rig), clients, 100_000, effort.seconds, limit=60, expect=events)
        began = _cpu(target)
        outcome = _load(target, rig, plan, request)
        return {"rate": outcome.events / outcome.seconds, **_cpu_per_event(target, began, outcome.events)}

    return measure


def _measure_answers(kind: Kind, effort: Effort) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        request = request_for(target, kind, "", stream=False)
        _warm(target, rig, request, 32, 1)
        plan = Plan(target.address(rig), 32, 1_000_000, effort.seconds, limit=30, expect=1)
        outcome = _load(target, rig, plan, request)
        return {"rate": outcome.requests / outcome.seconds}

    return measure


def _measure_slow(streams: int, effort: Effort) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        script = f"events={effort.slow_events} delay_us={effort.slow_delay_us} stamp=1"
        request = request_for(target, "same", script)
        length = effort.slow_events * effort.slow_delay_us / 1e6
        # The ramp spreads the streams evenly over the time between two events.
        plan = Plan(
            target.address(rig),
            streams,
            seconds=length,
            limit=length * 4 + 10,
            ramp_us=effort.slow_delay_us * 10,
            expect=effort.slow_events,
        )
        resident = 0
        if target.pid is not None:
            forget_peak(target.pid)
            resident = resident_bytes(target.pid)
        began = _cpu(target)
        outcome = _load(target, rig, plan, request)
        assert outcome.lag_us is not None
        assert outcome.first_event_us is not None
        numbers = _cpu_per_event(target, began, outcome.events)
        numbers |= {"lag p50": outcome.lag_us.p50 / 1e3, "lag p99": outcome.lag_us.p99 / 1e3}
        numbers["ttft p99"] = outcome.first_event_us.p99 / 1e3
        if target.pid is not None:
            peak = peak_resident_bytes(target.pid)
            numbers |= {"peak rss": peak / 2**20, "per stream": (peak - resident) / 1024 / streams}
        return numbers

    return measure


def _cpu(target: Target) -> float:
    return 0 if target.pid is None else cpu_seconds(target.pid)


def _cpu_per_event(target: Target, began: float, events: int) -> Numbers:
    return {} if target.pid is None else {"cpu": (cpu_seconds(target.pid) - began) * 1e6 / events}


_KINDS: dict[Kind, str] = {
    "same": "Chat to Chat",
    "translated": "Messages to Chat",
    "native": "Messages to Messages",
}


def _first_event_rows(effort: Effort) -> list[Row]:
    rows = []
    for size in (0, _LARGE_BYTES):
        for kind in ("same", "translated"):
            name = f"ttft{'-large' if size else ''}-{kind}"
            what = f"a request of {size // 1000} KB" if size else "a short request"
            meaning = (
                f"request sent to first content event read, one client, {_STREAM_EVENTS} events, {what}, {_KINDS[kind]}"
            )
            rows.append(
                Row(name, meaning, {"p50": "µs", "p99": "µs"}, _measure_first_event(kind, effort, size), ("p50",))
            )
    return rows


def _stream_rows(effort: Effort) -> list[Row]:
    rows = []
    for kind, words in _KINDS.items():
        measure = _measure_stream(kind, effort, clients=32, events=_PACED_EVENTS, burst=0)
        meaning = f"32 clients, one upstream write per event, as fast as it goes, {words}"
        rows.append(Row(f"paced-{kind}", meaning, {"cpu": "µs CPU/event", "rate": "events/s"}, measure))
    for kind, words in _KINDS.items():
        measure = _measure_stream(kind, effort, clients=8, events=_BURST_EVENTS, burst=1)
        meaning = f"8 clients, {_BURST_EVENTS} events a stream in upstream writes of 64 KiB, {words}"
        rows.append(Row(f"burst-{kind}", meaning, {"rate": "events/s", "cpu": "µs CPU/event"}, measure))
    return rows


def all_rows(effort: Effort) -> list[Row]:
    rows = [
        Row("start-up", "process started to first 200 from GET /v1/models", {"ms": "ms"}, _measure_start),
        Row(
            "idle",
            "after one request and a pause; with child processes",
            {"rss": "MiB", "pss": "MiB"},
            _measure_idle(effort),
        ),
        *_first_event_rows(effort),
        *_stream_rows(effort),
    ]
    for kind in ("same", "translated"):
        meaning = f"32 clients, answers that are not streamed, {_KINDS[kind]}"
        rows.append(Row(f"json-{kind}", meaning, {"rate": "requests/s"}, _measure_answers(kind, effort)))
    units = {
        "cpu": "µs CPU/event",
        "lag p50": "ms",
        "lag p99": "ms",
        "ttft p99": "ms",
        "peak rss": "MiB",
        "per stream": "KiB",
    }
    for streams in effort.slow_streams:
        meaning = (
            f"{streams} streams at once, {effort.slow_events} events each, one every {effort.slow_delay_us / 1e3:g} ms"
        )
        rows.append(Row(f"slow-{streams}", meaning, units, _measure_slow(streams, effort)))
    return rows
