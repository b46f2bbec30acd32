"""Real clients against the proxy over the twin: ``python -m tests.clients.matrix``.

Client by model by scenario: each cell is a run of the client with a home of its own, in a network that has nothing but
loopback where the system can make one. Prints PASS or FAIL for every cell as it ends, then tables with seconds; in
brackets is how many calls reached the twin. Exit status: 1 if any cell failed, 2 if a client is missing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import trio

from . import install, jail
from .cells import CLIENTS, MODELS, SCENARIOS, SELECTIONS, Cell, Result, perform
from .rig import box
from .stage import Stage, stage
from .table import tables

JOBS = 3


async def run_cells(cells: Sequence[Cell], options: argparse.Namespace) -> list[Result]:
    results: list[Result] = []
    give, take = trio.open_memory_channel[Cell](len(cells))
    for cell in cells:
        give.send_nowait(cell)
    give.close()
    async with trio.open_nursery() as nursery:
        for _ in range(min(options.jobs, len(cells))):
            nursery.start_soon(_work, take, results, options)
    return results


async def _work(cells: trio.MemoryReceiveChannel[Cell], results: list[Result], options: argparse.Namespace) -> None:
    async with _servers(options) as shared:
        async for cell in cells:
            if SCENARIOS[cell.scenario].alone and not options.base_url:
                async with _servers(options, SCENARIOS[cell.scenario].accounts) as own:
                    result = await perform(cell, own, keep=options.keep)
            else:
                result = await perform(cell, shared, keep=options.keep)
            results.append(result)
            print(result.line(), flush=True)


@asynccontextmanager
async def _servers(options: argparse.Namespace, accounts: int = 1) -> AsyncIterator[Stage]:
    if options.base_url:
        yield Stage(options.base_url, options.control_url)
        return
    with box(keep=options.keep) as home:
        async with stage(home, accounts) as servers:
            yield servers


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.clients.matrix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=_names(CLIENTS), metavar="A,B", help=", ".join(CLIENTS))
    parser.add_argument(
        "--models", type=lambda text: text.split(","), metavar="A,B", help=f"default {', '.join(MODELS)}"
    )
    parser.add_argument("--scenarios", type=_names(SCENARIOS), metavar="A,B", help=", ".join(SCENARIOS))
    parser.add_argument("--selection", choices=SELECTIONS, default="all", help="ci: what fits into ten minutes")
    parser.add_argument("--base-url", default="", metavar="URL", help="a running server on loopback, without /v1")
    parser.add_argument("--control-url", default="", metavar="URL", help="and the control API of the twin behind it")
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help=f"cells at a time (default {JOBS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the results also there")
    parser.add_argument("--keep", action="store_true", help="keep the clients' homes and what they printed")
    return parser


def _names(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := sorted(set(names) - known.keys()):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        return names

    return parse


def main() -> int:
    options = build_parser().parse_args()
    if missing := [package.name for package in install.PACKAGES if not package.installed()]:
        print(f"not installed: {', '.join(missing)}: python -m tests.clients.install", file=sys.stderr)
        return 2
    cells = SELECTIONS[options.selection](options.clients, options.models, options.scenarios)
    if not cells:
        print("nothing to do", file=sys.stderr)
        return 2
    gates = [jail.Gate(urlsplit(url).port or 80) for url in (options.base_url, options.control_url) if url]
    jailed = jail.enter()
    for gate in gates if jailed else ():
        gate.open()
    print(f"{len(cells)} cells, {options.jobs} at a time, network {'of their own' if jailed else 'shared'}", flush=True)
    results = trio.run(run_cells, cells, options)
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    print(tables(results))
    return int(any(result.why for result in results))


if __name__ == "__main__":
    sys.exit(main())
