"""``python -m bench.admin_load``: what a hundred admin reads a second do to running streams.

50 slow streams through the proxy, alone and beside the reads, in turns in one run; the reads go round all that a
dashboard and a Prometheus ask, with 100,000 requests in the usage store. What counts is by how much the p99 of the
chunks' lag moves: the time from an event's being written upstream to its being read by the client. While the streams
are alone, the same clients read as often from the fixed upstream, for what they take of the generator's core is not
the proxy's doing.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from copilot_trio.usage.ledger import BATCH
from copilot_trio.usage.report import RANGES
from copilot_trio.usage.store import MAX_BYTES, open_store

from .load import LoadFailedError, Plan
from .processes import StartFailedError, pinned, split_cores
from .prompts import Pair, request_for
from .rows import MeasureFailedError
from .targets import Rig, Target, known_targets
from .usage import NOW, made_up

SUMMARY = "/api/metrics/summary"
OTHERS = ("/api/stats", "/api/requests", "/api/quota", "/api/accounts", "/metrics")
READS = tuple(path for name in RANGES for path in (f"{SUMMARY}?range={name}", *OTHERS))
READERS = 4
CHAT = Pair("chat", "chat")
DELAY_US = 50_000  # between two events of a stream
WORST = 5.0  # ms


@dataclass
class Readers:
    """Clients that read at a fixed rate, whether or not the answers come in time. Milliseconds ``by_path``."""

    port: int
    rate: float
    cores: set[int]
    paths: Sequence[str] = READS
    failed: int = 0
    by_path: dict[str, list[float]] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def took(self) -> list[float]:
        return sorted(itertools.chain(*self.by_path.values()))

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._over.clear()
        threads = [threading.Thread(target=self._read, args=(number,)) for number in range(READERS)]
        with pinned(self.cores):  # a thread inherits it
            for thread in threads:
                thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _read(self, number: int) -> None:
        due, turn = time.monotonic() + number / self.rate, number
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            while not self._over.wait(max(0.0, due - time.monotonic())):
                path, began = self.paths[turn % len(self.paths)], time.monotonic()
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                self.failed += answer.status != 200
                self.by_path.setdefault(path.partition("?")[0], []).append((time.monotonic() - began) * 1e3)
                due, turn = due + READERS / self.rate, turn + READERS


def fill(path: Path, rows: int) -> None:
    with contextlib.closing(open_store(path, MAX_BYTES, lambda: NOW)) as store:
        records = made_up(rows)
        while batch := list(itertools.islice(records, BATCH)):
            store.write(batch)


def p99_lag(target: Target, rig: Rig, arguments: argparse.Namespace) -> float:
    """Milliseconds. Raises ``MeasureFailedError``."""
    events = round(arguments.seconds * 1e6 / DELAY_US)
    request = request_for(target, CHAT, f"events={events} delay_us={DELAY_US} stamp=1")
    plan = Plan(
        target.port,
        arguments.streams,
        seconds=arguments.seconds,
        limit=arguments.seconds * 4 + 10,
        ramp_us=DELAY_US * 10,
        expect=events,
    )
    outcome = rig.load(plan, request)
    if outcome.errors or outcome.lag_us is None:
        raise MeasureFailedError(f"{outcome.errors} errors in {outcome.requests} streams: {outcome.complaint[:300]}")
    return outcome.lag_us.p99 / 1e3


def measure(arguments: argparse.Namespace, home: Path) -> tuple[list[float], list[float], Readers]:
    """The p99s alone and beside the reads, and what the reads took."""
    fill(home / "usage.sqlite3", arguments.rows)
    proxy = known_targets()["copilot-trio"]
    for name, text in proxy.files.items():
        (home / name).write_text(text)
    target = replace(proxy, environment={**proxy.environment, "COPILOT_TRIO_HOME": str(home)})
    proxy_cores, other_cores = split_cores()
    rig = Rig(proxy_cores, other_cores, python=arguments.python_rig)
    alone: list[float] = []
    beside: list[float] = []
    try:
        rig.start()
        target.start(rig)
        readers = Readers(target.port, arguments.rate, other_cores)
        elsewhere = Readers(rig.upstream_port, arguments.rate, other_cores, ("/models",))
        p99_lag(target, rig, arguments)  # warm
        for number in range(1, arguments.rounds + 1):
            with elsewhere.running():
                alone.append(p99_lag(target, rig, arguments))
            with readers.running():
                beside.append(p99_lag(target, rig, arguments))
            print(f"round {number}: p99 lag {alone[-1]:.2f} ms alone, {beside[-1]:.2f} ms beside the reads", flush=True)
    finally:
        target.stop()
        rig.stop()
    return alone, beside, readers


def main(words: Sequence[str] | None = None) -> int:
    """0 where the difference is at most ``WORST`` and every read was answered."""
    parser = argparse.ArgumentParser(prog="python -m bench.admin_load", description=__doc__)
    parser.add_argument("--streams", type=int, default=50)
    parser.add_argument("--rate", type=float, default=100, help="reads a second (100)")
    parser.add_argument("--rows", type=int, default=100_000, help="requests in the usage store (100000)")
    parser.add_argument("--seconds", type=float, default=6, help="of each half of a round (6)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python-rig", action="store_true", help="do not use the compiled upstream and generator")
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="bench-admin-") as directory:
        try:
            alone, beside, readers = measure(arguments, Path(directory))
        except (StartFailedError, MeasureFailedError, LoadFailedError) as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    moved = statistics.median(beside) - statistics.median(alone)
    took = readers.took
    print(
        f"{arguments.streams} streams, an event every {DELAY_US / 1e3:g} ms; {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s; medians of the p99s: {statistics.median(alone):.2f} ms alone, "
        f"{statistics.median(beside):.2f} ms beside the reads, {moved:+.2f} ms (at most {WORST:+g})"
    )
    print(
        f"{len(took)} reads, {arguments.rate:g} a second asked for, {readers.failed} failed; "
        f"p50 {took[len(took) // 2]:.1f} ms, p99 {took[len(took) * 99 // 100]:.1f} ms; {arguments.rows} rows stored"
    )
    for path, each in readers.by_path.items():
        print(f"  {path}: median {statistics.median(each):.1f} ms")
    return 0 if moved <= WORST and not readers.failed else 1


if __name__ == "__main__":
    sys.exit(main())
