"""Codex, headless, over HTTP and over a WebSocket (clients.md §4.1)."""

from __future__ import annotations

from functools import partial

from .install import CODEX
from .rig import Client, Command, Task

KEY = "any"
CONFIG = """\
model = "{model}"
model_provider = "rig"
check_for_update_on_startup = false
[model_providers.rig]
name = "rig"
base_url = "{base_url}/v1"
env_key = "RIG_KEY"
wire_api = "responses"
supports_websockets = {websocket}
[analytics]
enabled = false
"""


def prepare(websocket: bool, task: Task) -> Command:
    settings = task.home / ".codex"
    settings.mkdir(exist_ok=True)
    text = CONFIG.format(model=task.model, base_url=task.base_url, websocket=str(websocket).lower())
    (settings / "config.toml").write_text(text)
    picture = ["-i", str(task.image)] if task.image else []
    arguments = [
        str(CODEX.binary),
        "exec",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        task.prompt,
        *picture,
    ]
    return Command(arguments, {"RIG_KEY": KEY})


CLIENTS = tuple(
    Client(name=name, prepare=partial(prepare, websocket), attaches=True, looks=("view_image", "path"))
    for name, websocket in (("codex", False), ("codex-websocket", True))
)
