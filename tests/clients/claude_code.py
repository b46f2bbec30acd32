"""Claude Code, headless (clients.md §3.1)."""

from __future__ import annotations

from .install import CLAUDE
from .rig import Client, Command, Task

KEY = "any"


def prepare(task: Task) -> Command:
    variables = {
        "IS_SANDBOX": "1",  # or root may not skip permissions
        "ANTHROPIC_BASE_URL": task.base_url,
        "ANTHROPIC_AUTH_TOKEN": KEY,
        "ANTHROPIC_MODEL": task.model,
        "ANTHROPIC_SMALL_FAST_MODEL": task.model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_TELEMETRY": "1",
    }
    return Command([str(CLAUDE.binary), "-p", task.prompt, "--dangerously-skip-permissions"], variables)


CLIENTS = (Client(name="claude-code", prepare=prepare, looks=("Read", "file_path"), leaves_two=True),)
