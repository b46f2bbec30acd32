"""Real clients against the proxy over the twin: client × model × scenario."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import trio

from . import claude_code, codex, jail, opencode, sdks
from .failures import FAILING
from .rig import Client, Task, box, run
from .scenarios import PICTURE, WORKING, Evidence, Scenario
from .rig import draw
from .stage import Stage, stage

CLIENTS = {client.name: client for module in (claude_code, codex, opencode, sdks) for client in module.CLIENTS}
MODELS = ("gpt-4.1", "gpt-5-mini", "claude-sonnet-4.5", "claude-opus-4.6", "gemini-2.5-pro", "gpt-5.3-codex")
SCENARIOS = {scenario.name: scenario for scenario in (*WORKING, *FAILING)}


class Cell(msgspec.Struct, frozen=True):
    client: str
    model: str
    scenario: str


class Result(msgspec.Struct, frozen=True):
    cell: Cell
    why: str
    seconds: float
    calls: int | None


async def perform(cell: Cell, servers: Stage, *, keep: bool) -> Result:
    client, scenario = CLIENTS[cell.client], SCENARIOS[cell.scenario]
    word = f"word{secrets.token_hex(3)}"
    with box(keep=keep) as made:
        prompt = scenario.ask(client, made / "work", word)
        picture = made / "work" / PICTURE if scenario.attaches else None
        if picture:
            draw(picture)
        task = Task(base_url=servers.base_url, model=cell.model, prompt=prompt, box=made, image=picture)
        await servers.calls()
        outcome = await run(client.prepare(task), task, scenario.patience)
        calls = await servers.calls() if servers.control else None
        why = scenario.judge(Evidence(client, task, word, outcome, calls))
        if why and keep: why += f" [{made}]"
    return Result(cell, why, outcome.seconds, None if calls is None else len(calls))


async def work(cells: trio.MemoryReceiveChannel[Cell], results: list[Result], options: argparse.Namespace) -> None:
    async with _servers(options) as shared:
        async for cell in cells:
            if SCENARIOS[cell.scenario].alone and not options.base_url:
                async with _servers(options) as own:
                    result = await perform(cell, own, keep=options.keep)
            else:
                result = await perform(cell, shared, keep=options.keep)
            results.append(result)
            c = result.cell
            print(f"{'FAIL' if result.why else 'PASS'} {result.seconds:5.1f}s {result.calls} {c.client} {c.model} {c.scenario} {result.why}", flush=True)


@asynccontextmanager
async def _servers(options: argparse.Namespace) -> AsyncIterator[Stage]:
    if options.base_url:
        yield Stage(options.base_url)
        return
    with box(keep=options.keep) as home:
        async with stage(home) as servers:
            yield servers


async def run_all(cells: Sequence[Cell], options: argparse.Namespace) -> list[Result]:
    results: list[Result] = []
    give, take = trio.open_memory_channel[Cell](len(cells))
    for cell in cells:
        give.send_nowait(cell)
    give.close()
    async with trio.open_nursery() as nursery:
        for _ in range(options.jobs):
            nursery.start_soon(work, take, results, options)
    return results


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--clients", default=",".join(CLIENTS))
    p.add_argument("--models", default=",".join(MODELS))
    p.add_argument("--scenarios", default=",".join(SCENARIOS))
    p.add_argument("--base-url", default="")
    p.add_argument("--jobs", type=int, default=3)
    p.add_argument("--keep", action="store_true")
    options = p.parse_args()
    cells = [Cell(c, m, s) for s in options.scenarios.split(",") for m in options.models.split(",") for c in options.clients.split(",") if SCENARIOS[s].needs(CLIENTS[c])]
    gate = jail.Gate(urlsplit(options.base_url).port or 80) if options.base_url else None
    jailed = jail.enter()
    if gate and jailed: gate.open()
    results = trio.run(run_all, cells, options)
    print(sum(bool(r.why) for r in results), "fail of", len(results))
    return 1


if __name__ == "__main__":
    sys.exit(main())
