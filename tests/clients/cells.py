"""One cell of the matrix, and which cells there are."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import msgspec

from . import claude_code, codex, opencode, sdks
from .failures import FAILING
from .rig import Client, Task, box, draw, run
from .scenarios import PICTURE, WORKING, Evidence, Scenario
from .stage import Stage

CLIENTS: dict[str, Client] = {
    client.name: client for module in (claude_code, codex, opencode, sdks) for client in module.CLIENTS
}
MODELS = ("gpt-4.1", "gpt-5-mini", "claude-sonnet-4.5", "claude-opus-4.6", "gemini-2.5-pro", "gpt-5.3-codex")
SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in (*WORKING, *FAILING)}
# Failures are the proxy's, whatever the model: one model for each client, and one that is not its own kind.
FAILING_MODEL = {"codex": "gpt-5.3-codex", "codex-websocket": "claude-sonnet-4.5", "openai-responses": "gpt-5-mini"}
OTHERWISE_FAILING = "claude-sonnet-4.5"


class Cell(msgspec.Struct, frozen=True):
    client: str
    model: str
    scenario: str


class Result(msgspec.Struct, frozen=True):
    """``why``: what is wrong, or nothing. ``calls``: how many reached the twin, where that is known."""

    cell: Cell
    why: str
    seconds: float
    calls: int | None

    def line(self) -> str:
        cell = self.cell
        name = f"{cell.client} {cell.model} {cell.scenario}"
        return f"{'FAIL' if self.why else 'PASS'} {name} {self.seconds:.1f}s{f': {self.why}' if self.why else ''}"


async def perform(cell: Cell, servers: Stage, *, keep: bool = False) -> Result:
    client, scenario = CLIENTS[cell.client], SCENARIOS[cell.scenario]
    word = f"word{secrets.token_hex(3)}"
    with box(keep=keep) as made:
        folder = made / "work"
        picture = folder / PICTURE if scenario.attaches else None
        if picture:
            draw(picture)
        prompt = scenario.ask(client, folder, word)
        task = Task(base_url=servers.base_url, model=cell.model, prompt=prompt, box=made, image=picture)
        outcome = await run(client.prepare(task), task, scenario.patience)
        calls = await servers.calls(word)
        evidence = Evidence(client=client, task=task, word=word, outcome=outcome, calls=calls)
        why = scenario.judge(evidence)
    return Result(
        cell, f"{why} [{made}]" if why and keep else why, outcome.seconds, None if calls is None else len(calls)
    )


Names = Sequence[str] | None


def all_cells(clients: Names, models: Names, scenarios: Names) -> list[Cell]:
    """Every scenario with every client on every model; failures on one model for each client, or on those named."""
    cells = []
    for scenario in scenarios or SCENARIOS:
        for client in clients or CLIENTS:
            if not SCENARIOS[scenario].needs(CLIENTS[client]):
                continue
            usual = [FAILING_MODEL.get(client, OTHERWISE_FAILING)] if SCENARIOS[scenario].alone else MODELS
            cells += [Cell(client, model, scenario) for model in models or usual]
    return cells


def ci_cells(clients: Names, models: Names, scenarios: Names) -> list[Cell]:
    """Of those what fits into ten minutes on two cores: the slow clients do less."""
    return [cell for cell in all_cells(clients, models, scenarios) if _in_ci(cell)]


# opencode takes four seconds of a core for a run, the SDKs two; of these the tests beside (test_*.py) see the rest.
SLOW = {"opencode-compatible", "opencode-anthropic", "opencode-openai"}
TESTED_BESIDE = {"openai-chat", "openai-responses", "anthropic"}
SLOW_FAILURES = {"400", "401", "403", "404", "cut", "429-wait", "500-once", "cut-once", "handover"}


def _in_ci(cell: Cell) -> bool:
    if cell.client in TESTED_BESIDE:
        return cell.scenario == "thinktool"
    if cell.client not in SLOW:
        return cell.scenario != "thinking"
    if cell.scenario == "tool" or cell.client != "opencode-compatible":
        return cell.scenario in {"tool", "400", "cut"}
    if SCENARIOS[cell.scenario].alone:
        return cell.scenario in SLOW_FAILURES
    return cell.model == "claude-sonnet-4.5" and cell.scenario not in {"text", "thinking"}


SELECTIONS: dict[str, Callable[[Names, Names, Names], list[Cell]]] = {"all": all_cells, "ci": ci_cells}
