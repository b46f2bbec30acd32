"""What becomes of upstream's refusals in each dialect, row by row of the catalogue (upstream.md §12).

``PYTHONPATH=.. python error_table.py`` prints the table; ``test_error_table.py`` compares it with the recorded one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import trio
import trio.testing
from memory_network import Response
from world import World

from copilot_trio.twin import Fault

RECORDED = Path(__file__).parent / "recorded" / "errors.txt"
ROUTES = {
    "chat": ("/v1/chat/completions", "gpt-4.1"),
    "messages": ("/v1/messages", "claude-sonnet-4.5"),
    "responses": ("/v1/responses", "gpt-5.3-codex"),
}
ROWS = tuple(range(1, 46))
MESSAGE = 70  # characters shown


def body(path: str, model: str, *, stream: bool) -> dict[str, Any]:
    prompt = [{"role": "user", "content": "hi"}]
    return {"model": model, "stream": stream, "max_tokens": 100, "input" if "responses" in path else "messages": prompt}


async def ask(row: int, dialect: str, *, stream: bool) -> tuple[Response, int]:
    """The answer, and how many calls upstream got."""
    path, model = ROUTES[dialect]
    async with trio.open_nursery() as nursery:
        world = World(nursery)
        world.twin.add_fault(Fault(method="POST", model=model, scenario=f"row{row}", times=9))
        asked = body(path, model, stream=stream)
        if dialect != "messages":
            del asked["max_tokens"]
        answer = await world.ask(path, asked)
        calls = [record for record in world.twin.records if record.method == "POST" and record.model == model]
        nursery.cancel_scope.cancel()
    return answer, len(calls)


def shown(answer: Response, calls: int) -> str:
    error = msgspec.json.decode(answer.body)["error"]
    message = re.sub(r"\s+", " ", str(error["message"]))
    fields = [
        str(answer.status),
        error["type"],
        str(error.get("code", "")),
        str(error.get("param") or ""),
        answer.headers.get("retry-after", ""),
        "stop" if answer.headers.get("x-should-retry") == "false" else "",
        str(calls),
        message[:MESSAGE],
    ]
    return " | ".join(fields)


async def table() -> list[str]:
    lines = ["row | dialect | status | type | code | param | retry-after | retry | calls | message"]
    for row in ROWS:
        lines += [f"{row} | {dialect} | {shown(*await ask(row, dialect, stream=False))}" for dialect in ROUTES]
    return lines


if __name__ == "__main__":
    print("\n".join(trio.run(table, clock=trio.testing.MockClock(autojump_threshold=0))))
