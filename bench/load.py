"""The load generator: how it is called, what it reports, and the slow one for machines without a compiler.

Both are a closed loop: each client sends its next request when its last one is answered. ``python -m bench.load``
takes the same ``name=value`` words and the same request on standard input as the compiled generator.

An event is a ``MARK``. In a stream of events it counts only behind the key "delta" in its line, in whatever dialect:
a Responses stream repeats its text when it closes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import trio

from .answers import MARK, STAMP_DIGITS
from .build import compile_program

_READ = 65536
_MARK = re.compile(MARK.encode() + rb"(\d{0,%d})(?=[^\d])" % STAMP_DIGITS)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_STREAM = re.compile(rb"\r\ncontent-type:[ \t]*text/event-stream", re.IGNORECASE)
_KEY = b'"delta"'
_CARRY = len(MARK) + STAMP_DIGITS


@dataclass(frozen=True)
class Plan:
    """What to send: ``requests`` for each client, none begun after ``seconds``, none awaited after ``limit``."""

    port: int
    clients: int = 1
    requests: int = 1
    seconds: float = 10
    limit: float = 60
    think_us: int = 0
    ramp_us: int = 0
    expect: int = -1

    def words(self) -> list[str]:
        return [f"{setting.name}={getattr(self, setting.name)}" for setting in fields(self)]

    @classmethod
    def read(cls, words: list[str]) -> Plan:
        values = dict(word.split("=", 1) for word in words)
        decimal = {"seconds", "limit"}
        return cls(**{name: float(value) if name in decimal else int(value) for name, value in values.items()})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Spread:
    """Microseconds."""

    count: int
    p50: float
    p99: float
    max: float


@dataclass(frozen=True)
class Outcome:
    """What came back. ``first_event_us`` counts from the request's first byte sent to the first event read."""

    requests: int
    errors: int
    events: int
    bytes: int
    reconnects: int
    seconds: float
    first_event_us: Spread | None
    whole_us: Spread | None
    lag_us: Spread | None
    complaint: str = ""

    @classmethod
    def read(cls, line: str, complaint: str) -> Outcome:
        values: dict[str, Any] = json.loads(line)
        for name in ("first_event_us", "whole_us", "lag_us"):
            values[name] = Spread(**values[name]) if values[name] else None
        return cls(**values, complaint=complaint)


class LoadFailedError(Exception):
    """The generator itself failed: mostly, nobody listened at the port."""


def post(path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    """A whole request, as the generator takes it."""
    lines = {
        "host": "127.0.0.1",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **(headers or {}),
    }
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + body


def load_command(*, python: bool) -> list[str]:
    binary = None if python else compile_program("load")
    return [sys.executable, "-m", "bench.load"] if binary is None else [str(binary)]


def run_load(plan: Plan, request: bytes, *, python: bool = False) -> Outcome:
    """Run the generator to its end, in this process's CPU affinity."""
    command = [*load_command(python=python), *plan.words()]
    checkout = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        command, input=request, capture_output=True, timeout=plan.limit + 20, check=False, cwd=checkout
    )
    complaint = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode:
        raise LoadFailedError(complaint or f"exit status {done.returncode}")
    return Outcome.read(done.stdout.decode(), complaint)


@dataclass
class _Tally:
    requests: int = 0
    errors: int = 0
    events: int = 0
    bytes: int = 0
    reconnects: int = 0
    last_end: float = 0
    first_event: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)


class _Response:
    """One response as it arrives: its framing, and the marks in its body."""

    def __init__(self) -> None:
        self.done = self.refused = self.closes = False
        self.stamps: list[bytes] = []  # of the events in the last piece
        self._head: bytes | None = None
        self._pending = b""
        self._left = -1
        self._chunked = self._streams = False
        self._carry = b""

    @property
    def ends_with_connection(self) -> bool:
        return self._head is not None and not self._chunked and self._left < 0

    def take(self, data: bytes) -> None:
        self.stamps = []
        self._pending += data
        if self._head is None:
            end = self._pending.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head, self._pending = self._pending[: end + 4], self._pending[end + 4 :]
            self.refused = not self._head.split(b" ", 2)[1].startswith(b"2")
            self.closes = _CLOSE.search(self._head) is not None
            self._chunked = _CHUNKED.search(self._head) is not None
            self._streams = _STREAM.search(self._head) is not None
            length = _LENGTH.search(self._head)
            self._left = int(length[1]) if length and not self._chunked else -1
        body = self._dechunk() if self._chunked else self._pending
        if not self._chunked:
            self._pending = b""
            if self._left >= 0:
                self._left -= len(body)
                self.done = self._left <= 0
        if self._streams:
            self._find_marks_of_deltas(body)
        else:
            self._find_marks(body)

    def _dechunk(self) -> bytes:
        parts = []
        while not self.done:
            line_end = self._pending.find(b"\r\n")
            if line_end < 0:
                break
            size = int(self._pending[:line_end].split(b";")[0], 16)
            end = line_end + 2 + size + 2
            if len(self._pending) < end:
                break
            parts.append(self._pending[line_end + 2 : end - 2])
            self._pending = self._pending[end:]
            self.done = size == 0
        return b"".join(parts)

    def _find_marks_of_deltas(self, body: bytes) -> None:
        *lines, self._carry = (self._carry + body).split(b"\n")
        for line in lines:
            self.stamps += _MARK.findall(line.partition(_KEY)[2])

    def _find_marks(self, body: bytes) -> None:
        text = self._carry + body
        end = 0
        for found in _MARK.finditer(text):
            self.stamps.append(found[1])
            end = found.end()
        self._carry = text[max(end, len(text) - _CARRY) :]


async def _exchange(stream: trio.SocketStream, request: bytes, plan: Plan, tally: _Tally) -> bool:
    """One request. Says whether the connection can be used again."""
    response, events, sent_at, first_at = _Response(), 0, time.monotonic_ns(), 0
    await stream.send_all(request)
    while not response.done:
        data = await stream.receive_some(_READ)
        read_at = time.monotonic_ns()
        if not data:
            response.closes = True
            response.refused |= not response.ends_with_connection
            break
        tally.bytes += len(data)
        response.take(data)
        events += len(response.stamps)
        first_at = first_at or (read_at if events else 0)
        tally.lag += [(read_at - int(stamp)) / 1e3 for stamp in response.stamps if len(stamp) == STAMP_DIGITS]
    tally.events += events
    tally.last_end = trio.current_time()
    if response.refused or plan.expect not in (-1, events):
        tally.errors += 1
        return False
    tally.requests += 1
    tally.whole.append((time.monotonic_ns() - sent_at) / 1e3)
    if first_at:
        tally.first_event.append((first_at - sent_at) / 1e3)
    return not response.closes


async def _run_client(start_at: float, stop_at: float, request: bytes, plan: Plan, tally: _Tally) -> None:
    await trio.sleep_until(start_at)
    stream: trio.SocketStream | None = None
    try:
        for number in range(plan.requests):
            if number and trio.current_time() >= stop_at:
                return
            if stream is None:
                stream = await trio.open_tcp_stream("127.0.0.1", plan.port)
                tally.reconnects += number > 0
            try:
                usable = await _exchange(stream, request, plan, tally)
            except (trio.BrokenResourceError, ValueError):
                tally.errors += 1
                usable = False
            if not usable:
                await trio.aclose_forcefully(stream)
                stream = None
            await trio.sleep(plan.think_us / 1e6)
    finally:
        if stream is not None:
            await trio.aclose_forcefully(stream)


async def _run_clients(plan: Plan, request: bytes) -> dict[str, Any]:
    tally, began, ended = _Tally(), trio.current_time(), 0

    async def run_one(number: int) -> None:
        nonlocal ended
        start_at = began + plan.ramp_us / 1e6 * number / plan.clients
        await _run_client(start_at, began + plan.seconds, request, plan, tally)
        ended += 1

    with trio.move_on_after(plan.limit):
        async with trio.open_nursery() as nursery:
            for number in range(plan.clients):
                nursery.start_soon(run_one, number)
    return {
        "requests": tally.requests,
        "errors": tally.errors + plan.clients - ended,
        "events": tally.events,
        "bytes": tally.bytes,
        "reconnects": tally.reconnects,
        "seconds": max(tally.last_end - began, 0),
        "first_event_us": _spread(tally.first_event),
        "whole_us": _spread(tally.whole),
        "lag_us": _spread(tally.lag),
    }


def _spread(values: list[float]) -> dict[str, float] | None:
    values.sort()
    count = len(values)
    if not count:
        return None
    return {"count": count, "p50": values[count // 2], "p99": values[(count - 1) * 99 // 100], "max": values[-1]}


if __name__ == "__main__":
    print(json.dumps(trio.run(_run_clients, Plan.read(sys.argv[1:]), sys.stdin.buffer.read())))
