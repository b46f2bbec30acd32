"""The twin and the proxy over it, started as a user would start them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
import trio

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import Store, with_account
from tests.processes import call, environment

MODEL_PATHS = ("/chat/completions", "/responses", "/v1/messages")
PATIENCE = 30.0
LOOK_AGAIN = 0.02


class Stage(msgspec.Struct, frozen=True):
    """Where the clients are sent. Without ``control`` nothing is known of what came in upstream."""

    base_url: str
    control: str = ""

    async def calls(self, word: str) -> list[dict[str, Any]] | None:
        """The twin's records of the calls to models that held ``word``, which only one cell's prompt does."""
        if not self.control:
            return None
        _, _, body = await trio.to_thread.run_sync(call, f"{self.control}/records")
        records = json.loads(body)["records"]
        return [record for record in records if record["path"] in MODEL_PATHS and word in record["body"]]


@asynccontextmanager
async def stage(home: Path, accounts: int = 1) -> AsyncIterator[Stage]:
    """With one account, its token is given from outside; several are stored, all in one group."""
    async with trio.open_nursery() as nursery:
        try:
            base, control, *tokens = await nursery.start(
                _serve, ("twin", "--port", "0", "--pace", "0"), environment(home), home / "twin.log",
                r"Copilot +(http\S+)[\s\S]+control +(http\S+)[\s\S]+?token (\S+)[\s\S]+?token (\S+)[\s\S]+?token (\S+)",
            )  # fmt: skip
            urls = {
                "COPILOT_TRIO_GITHUB_URL": base,
                "COPILOT_TRIO_GITHUB_API_URL": base,
                "COPILOT_TRIO_COPILOT_URL": base,
            }
            variables = environment(home, **urls, COPILOT_TRIO_GITHUB_TOKEN=tokens[0])
            if accounts > 1:
                variables = environment(home, **urls)
                _store(Path(variables["COPILOT_TRIO_HOME"]) / "accounts.json", tokens[:accounts])
            (url,) = await nursery.start(
                _serve, ("start", "--port", "0"), variables, home / "proxy.log", r"listening +(http\S+)[\s\S]+models "
            )
            yield Stage(url, control)
        finally:
            nursery.cancel_scope.cancel()


def _store(path: Path, tokens: Sequence[str]) -> None:
    records = [
        AccountRecord(id=f"a{number}", label=f"account {number}", github_token=token, machine_id=f"{number:064}")
        for number, token in enumerate(tokens, 1)
    ]
    Store(path).update(lambda file: reduce(with_account, records, file))


async def _serve(
    arguments: tuple[str, ...],
    variables: dict[str, str],
    log: Path,
    pattern: str,
    *,
    task_status: trio.TaskStatus[tuple[str, ...]],
) -> None:
    """A command until cancelled; starts when its log matches. Raises RuntimeError if that takes too long."""
    command = [sys.executable, "-m", "copilot_trio", *arguments]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_log_command, command, variables, log)
        found = await _wait_for(pattern, log)
        if not found:
            raise RuntimeError(f"{arguments[0]} did not start: {await _read(log)}")
        task_status.started(found)


async def _wait_for(pattern: str, log: Path) -> tuple[str, ...]:
    with trio.move_on_after(PATIENCE):
        while True:
            if found := re.search(pattern, await _read(log)):
                return found.groups()
            await trio.sleep(LOOK_AGAIN)
    return ()


async def _log_command(command: list[str], variables: dict[str, str], log: Path) -> None:
    with log.open("wb") as output:
        await trio.run_process(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables, check=False
        )


async def _read(log: Path) -> str:
    path = trio.Path(log)
    return await path.read_text() if await path.exists() else ""
