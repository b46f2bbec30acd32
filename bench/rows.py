"""The rows of the report: what is sent, and which numbers come of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from .load import Outcome, Plan
from .processes import cpu_seconds, forget_peak, peak_resident_bytes, proportional_bytes, resident_bytes
from .prompts import PAIRS, SAME, Pair, request_for
from .targets import Rig, Target

Numbers = dict[str, float]

_STREAM_EVENTS = 20
_BURST_EVENTS = 2000
_PACED_EVENTS = 500
_LARGE_BYTES = 107_000
_CHAT = Pair("chat", "chat")
_JSON_PAIRS = (*SAME, Pair("messages", "chat"), Pair("messages", "responses"))


@dataclass(frozen=True)
class Effort:
    """How much is enough: time and counts of every row."""

    seconds: float
    warm_seconds: float
    requests: int
    slow_streams: tuple[int, ...]
    slow_events: int
    slow_delay_us: int
    settle: float


FULL = Effort(
    seconds=1,
    warm_seconds=0.1,
    requests=400,
    slow_streams=(200, 1000),
    slow_events=100,
    slow_delay_us=50_000,
    settle=1,
)
QUICK = Effort(
    seconds=0.15,
    warm_seconds=0,
    requests=20,
    slow_streams=(20,),
    slow_events=10,
    slow_delay_us=10_000,
    settle=0.1,
)


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


def _load(target: Target, rig: Rig, plan: Plan, request: bytes) -> Outcome:
    outcome = rig.load(plan, request)
    if outcome.errors or not outcome.requests:
        raise MeasureFailedError(f"{outcome.errors} errors, {outcome.requests} answers: {outcome.complaint[:300]}")
    return outcome


def _warm(target: Target, rig: Rig, request: bytes, *, clients: int, expect: int, seconds: float) -> None:
    """At least one request of every client, so that all connections exist."""
    _load(target, rig, Plan(target.address(rig), clients, 3, seconds=seconds, limit=20, expect=expect), request)


def _repeats(target: Target, pair: Pair) -> bool:
    """Without a proxy nothing translates: the row of the upstream's own dialect has the same rate."""
    return target.pid is None and pair not in SAME


def _measure_start(target: Target, rig: Rig) -> Numbers:
    return {} if target.started_in is None else {"ms": target.started_in * 1e3}


def _measure_idle(effort: Effort) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        if target.pid is None:
            return {}
        plan = Plan(target.address(rig), limit=20, expect=_STREAM_EVENTS)
        _load(target, rig, plan, request_for(target, _CHAT, f"events={_STREAM_EVENTS}"))
        time.sleep(effort.settle)
        numbers: Numbers = {"rss": resident_bytes(target.pid) / 2**20}
        proportional = proportional_bytes(target.pid)
        return numbers if proportional is None else numbers | {"pss": proportional / 2**20}

    return measure


def _measure_first_event(pair: Pair, effort: Effort, size: int = 0) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        request = request_for(target, pair, f"events={_STREAM_EVENTS}", size=size)
        _warm(target, rig, request, clients=1, expect=_STREAM_EVENTS, seconds=effort.warm_seconds)
        plan = Plan(target.address(rig), 1, effort.requests, effort.seconds * 2, limit=30, expect=_STREAM_EVENTS)
        outcome = _load(target, rig, plan, request)
        assert outcome.first_event_us is not None
        return {"p50": outcome.first_event_us.p50, "p99": outcome.first_event_us.p99}

    return measure


def _measure_stream(
    pair: Pair, effort: Effort, *, clients: int, events: int, burst: int
) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        if _repeats(target, pair):
            return {}
        request = request_for(target, pair, f"events={events} burst={burst}")
        _warm(target, rig, request, clients=clients, expect=events, seconds=effort.warm_seconds)
        plan = Plan(target.address(rig), clients, 100_000, effort.seconds, limit=60, expect=events)
        began = _cpu(target)
        outcome = _load(target, rig, plan, request)
        return {"rate": outcome.events / outcome.seconds, **_cpu_per_event(target, began, outcome.events)}

    return measure


def _measure_answers(pair: Pair, effort: Effort) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        if _repeats(target, pair):
            return {}
        request = request_for(target, pair, "", stream=False)
        _warm(target, rig, request, clients=32, expect=1, seconds=effort.warm_seconds)
        plan = Plan(target.address(rig), 32, 1_000_000, effort.seconds, limit=30, expect=1)
        outcome = _load(target, rig, plan, request)
        return {"rate": outcome.requests / outcome.seconds}

    return measure


def _measure_slow(streams: int, effort: Effort) -> Callable[[Target, Rig], Numbers]:
    def measure(target: Target, rig: Rig) -> Numbers:
        script = f"events={effort.slow_events} delay_us={effort.slow_delay_us} stamp=1"
        request = request_for(target, _CHAT, script)
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


def _first_event_rows(effort: Effort, size: int = 0) -> list[Row]:
    name, what = ("ttft-large", f"a request of {size // 1000} KB") if size else ("ttft", "a short request")
    meaning = f"request sent to first content event read, one client, {_STREAM_EVENTS} events, {what}"
    units = {"p50": "µs", "p99": "µs"}
    return [Row(f"{name}-{pair}", meaning, units, _measure_first_event(pair, effort, size), ("p50",)) for pair in PAIRS]


def _paced_rows(effort: Effort) -> list[Row]:
    meaning = "32 clients, one upstream write per event, as fast as it goes"
    units = {"cpu": "µs CPU/event", "rate": "events/s"}
    measures = {pair: _measure_stream(pair, effort, clients=32, events=_PACED_EVENTS, burst=0) for pair in PAIRS}
    return [Row(f"paced-{pair}", meaning, units, measure) for pair, measure in measures.items()]


def _burst_rows(effort: Effort) -> list[Row]:
    meaning = f"8 clients, {_BURST_EVENTS} events a stream in upstream writes of 64 KiB"
    units = {"rate": "events/s", "cpu": "µs CPU/event"}
    measures = {pair: _measure_stream(pair, effort, clients=8, events=_BURST_EVENTS, burst=1) for pair in PAIRS}
    return [Row(f"burst-{pair}", meaning, units, measure) for pair, measure in measures.items()]


def _answer_rows(effort: Effort) -> list[Row]:
    meaning, units = "32 clients, answers that are not streamed", {"rate": "requests/s"}
    return [Row(f"json-{pair}", meaning, units, _measure_answers(pair, effort)) for pair in _JSON_PAIRS]


def _slow_rows(effort: Effort) -> list[Row]:
    units = {
        "cpu": "µs CPU/event",
        "lag p50": "ms",
        "lag p99": "ms",
        "ttft p99": "ms",
        "peak rss": "MiB",
        "per stream": "KiB",
    }
    every = f"{effort.slow_events} events each, one every {effort.slow_delay_us / 1e3:g} ms"
    return [
        Row(f"slow-{streams}", f"{streams} streams at once, {every}", units, _measure_slow(streams, effort))
        for streams in effort.slow_streams
    ]


def all_rows(effort: Effort) -> list[Row]:
    idle = "after one request and a pause; with child processes"
    return [
        Row("start-up", "process started to first 200 from GET /v1/models", {"ms": "ms"}, _measure_start),
        Row("idle", idle, {"rss": "MiB", "pss": "MiB"}, _measure_idle(effort)),
        *_first_event_rows(effort),
        *_first_event_rows(effort, _LARGE_BYTES),
        *_paced_rows(effort),
        *_burst_rows(effort),
        *_answer_rows(effort),
        *_slow_rows(effort),
    ]
