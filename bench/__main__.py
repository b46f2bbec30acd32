"""``python -m bench``: measure, all targets by turns in every row of every run, and report."""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from .build import compile_program
from .load import LoadFailedError
from .processes import StartFailedError, split_cores
from .report import Results, as_data, as_table, machine_line
from .rows import FULL, QUICK, MeasureFailedError, Row, all_rows
from .targets import Rig, Target, command_target, known_targets, running_target


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=None, help="runs, each with fresh processes (5; 1 with --quick)")
    parser.add_argument("--rows", default="", metavar="REGEX", help="only rows whose name matches")
    parser.add_argument("--targets", default=None, metavar="A,B", help="of copilot-trio, relay, direct (default: all)")
    parser.add_argument("--target", action="append", default=[], metavar="NAME=URL:PID", help="a proxy that is running")
    parser.add_argument("--command", action="append", default=[], metavar="NAME=COMMAND", help="a proxy to start")
    parser.add_argument("--upstream-port", type=int, default=0, help="fixed, for --target (default: any free one)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers of every run")
    parser.add_argument("--quick", action="store_true", help="a smoke test: one run, small counts, no meaning")
    parser.add_argument("--python-rig", action="store_true", help="do not use the compiled upstream and generator")
    return parser.parse_args(words)


def choose_targets(arguments: argparse.Namespace) -> list[Target]:
    """Raises ValueError with a line for the user."""
    known = known_targets()
    names = list(known) if arguments.targets is None else [name for name in arguments.targets.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown target {unknown[0]!r}; known: {', '.join(known)}")
    targets = [known[name] for name in names]
    targets += [running_target(text) for text in arguments.target]
    targets += [command_target(text) for text in arguments.command]
    if not targets or len({target.name for target in targets}) < len(targets):
        raise ValueError("no targets, or two of the same name")
    return targets


def run_once(rig: Rig, targets: Sequence[Target], rows: Sequence[Row], results: Results) -> None:
    with contextlib.ExitStack() as stack:
        started = set()
        for target in targets:
            stack.callback(target.stop)
            try:
                target.start(rig)
            except StartFailedError as error:
                results.fail("start", target.name, str(error))
            else:
                started.add(target.name)
        for row in rows:
            for target in targets:
                numbers: dict[str, float] = {}
                try:
                    if target.name in started:
                        numbers = row.measure(target, rig)
                except (MeasureFailedError, LoadFailedError, subprocess.TimeoutExpired) as error:
                    results.fail(row.name, target.name, str(error))
                results.add(row.name, target.name, numbers)


def measure(arguments: argparse.Namespace, targets: Sequence[Target], rows: Sequence[Row], results: Results) -> bool:
    """Whether the rig was the compiled one."""
    compiled = not arguments.python_rig and all(compile_program(name) for name in ("upstream", "load"))
    proxy_cores, other_cores = split_cores()
    rig = Rig(proxy_cores, other_cores, python=not compiled, upstream_port=arguments.upstream_port)
    runs = arguments.runs or (1 if arguments.quick else 5)
    try:
        rig.start()
        for number in range(1, runs + 1):
            print(f"bench: run {number} of {runs}", file=sys.stderr, flush=True)
            run_once(rig, targets, rows, results)
    finally:
        rig.stop()
    return compiled


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)  # so that every finally runs, and no process stays


def main(words: Sequence[str] | None = None) -> int:
    arguments = parse_arguments(words)
    try:
        targets = choose_targets(arguments)
        rows = [row for row in all_rows(QUICK if arguments.quick else FULL) if re.search(arguments.rows, row.name)]
    except (ValueError, re.error) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, _stop)
    results = Results()
    try:
        compiled = measure(arguments, targets, rows, results)
    except StartFailedError as error:
        print(f"bench: the upstream does not start: {error}", file=sys.stderr)
        return 1
    machine, names = machine_line(compiled=compiled), [target.name for target in targets]
    lines = results.lines(rows, names)
    print(as_table(machine, rows, lines, names, results.failures), end="")
    if arguments.json:
        arguments.json.write_text(json.dumps(as_data(machine, lines, results.failures), indent=1) + "\n")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
