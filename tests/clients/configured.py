"""Real clients that only ``setup --write`` has configured: ``python -m tests.clients.configured``.

Each gets a fresh home, the proxy over the twin, `copilot-trio setup CLIENT --write`, and then works through a tool loop
with nothing else told: no variables, no other file. Then `--undo`, and the file must be as it was. Once without a file
before and a server without keys, once with settings of the user's own and a key. Prints PASS or FAIL for each; exit
status 1 if any failed, 2 if a client is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import trio

from tests.processes import environment

from . import claude_code, codex, install, jail, opencode
from .rig import Client, Command, Task, box, run
from .scenarios import WORKING, Evidence
from .stage import Stage, stage

TOOL = next(scenario for scenario in WORKING if scenario.name == "tool")
KEPT = {
    ".claude/settings.json": '{\n  "cleanupPeriodDays": 20\n}\n',
    ".codex/config.toml": "# mine\n[analytics]\nenabled = false\n",
    ".config/opencode/opencode.jsonc": (  # with the line that opencode would add
        '{\n  "$schema": "https://opencode.ai/config.json",\n  // mine\n  "autoupdate": false,\n}\n'
    ),
}


class Case(msgspec.Struct, frozen=True):
    """``file``: where its configuration lies, below the home; ``start``: its command line."""

    client: Client
    file: str
    start: Callable[[Task], list[str]]


def _claude(task: Task) -> list[str]:
    return [str(install.CLAUDE.binary), "-p", task.prompt, "--allowedTools", "Bash,Read,Write,Edit"]


def _codex(task: Task) -> list[str]:
    flags = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return [str(install.CODEX.binary), "exec", *flags, task.prompt]


def _opencode(task: Task) -> list[str]:
    return [str(install.OPENCODE.binary), "run", "--auto", task.prompt]


CASES = {
    "claude-code": Case(claude_code.CLIENTS[0], ".claude/settings.json", _claude),
    "codex": Case(codex.CLIENTS[0], ".codex/config.toml", _codex),
    "opencode": Case(opencode.CLIENTS[0], ".config/opencode/opencode.jsonc", _opencode),
}


async def perform(name: str, servers: Stage, key_file: Path | None, *, keep: bool) -> str:
    """What is wrong, or nothing. With a key, the user also has settings of their own."""
    case, word = CASES[name], f"word{secrets.token_hex(3)}"
    with box(keep=keep) as made:
        prompt = TOOL.ask(case.client, made / "work", word)
        task = Task(base_url=servers.base_url, model="", prompt=prompt, box=made)
        file = task.home / case.file
        if key_file:
            file.parent.mkdir(parents=True)
            file.write_text(KEPT[case.file])
        key = ["--key-file", str(key_file)] if key_file else []
        if why := await _setup(task, name, "--write", "--url", servers.base_url, *key):
            return why
        outcome = await run(Command(case.start(task), {}), task, TOOL.patience)
        evidence = Evidence(client=case.client, task=task, word=word, outcome=outcome, calls=await servers.calls(word))
        if why := TOOL.judge(evidence):
            return f"{why} [{made}]"
        if why := await _setup(task, name, "--undo"):
            return why
        left = file.read_text() if file.exists() else None
        return "" if left == (KEPT[case.file] if key_file else None) else f"--undo left {left!r}"


async def _setup(task: Task, *arguments: str) -> str:
    command = [sys.executable, "-m", "copilot_trio", "setup", *arguments]
    variables = environment(task.home, XDG_CONFIG_HOME=str(task.home / ".config"))
    done = await trio.run_process(
        command, env=variables, capture_stdout=True, capture_stderr=True, stdin=b"", check=False
    )
    return f"setup: {done.stderr.decode().strip()}" if done.returncode else ""


async def run_all(names: list[str], keep: bool) -> bool:
    well = True
    for keyed in (False, True):
        with box(keep=keep) as home:
            key_file = _require_key(home) if keyed else None
            async with stage(home) as servers:
                for name in names:
                    began = trio.current_time()
                    why = await perform(name, servers, key_file, keep=keep)
                    seconds = trio.current_time() - began
                    kind = "a key and own settings" if keyed else "fresh home"
                    print(
                        f"{'FAIL' if why else 'PASS'} {name}, {kind} {seconds:.1f}s{f': {why}' if why else ''}",
                        flush=True,
                    )
                    well = well and not why
    return well


def _require_key(home: Path) -> Path:
    """Of the server that will have this home. Where the key lies."""
    key, data = f"key-{secrets.token_hex(8)}", home / "data"
    data.mkdir(mode=0o700)
    keys = [{"label": "rig", "sha256": hashlib.sha256(key.encode()).hexdigest()}]
    (data / "config.json").write_text(json.dumps({"keys": keys}))
    (home / "key").write_text(f"{key}\n")
    return home / "key"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.clients.configured",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clients", nargs="*", metavar="client", help=f"{', '.join(CASES)} (default all)")
    parser.add_argument("--keep", action="store_true", help="keep the homes and what the clients printed")
    options = parser.parse_args()
    if unknown := sorted(set(options.clients) - CASES.keys()):
        parser.error(f"unknown: {', '.join(unknown)}")
    if missing := [package.name for package in install.PACKAGES if not package.installed()]:
        print(f"not installed: {', '.join(missing)}: python -m tests.clients.install", file=sys.stderr)
        return 2
    print(f"network {'of its own' if jail.enter() else 'shared'}", flush=True)
    return int(not trio.run(run_all, options.clients or list(CASES), options.keep))


if __name__ == "__main__":
    sys.exit(main())
