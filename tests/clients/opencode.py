"""opencode, headless, with each of the three packages it can use for a provider (clients.md §5)."""

from __future__ import annotations

import json
from functools import partial

from .install import OPENCODE
from .rig import Client, Command, Task

KEY = "any"
PACKAGES = {
    "opencode-compatible": "@ai-sdk/openai-compatible",
    "opencode-anthropic": "@ai-sdk/anthropic",
    "opencode-openai": "@ai-sdk/openai",
}
SWITCHES = ("AUTOUPDATE", "MODELS_FETCH", "SHARE", "LSP_DOWNLOAD", "DEFAULT_PLUGINS", "CLAUDE_CODE")


def prepare(package: str, task: Task) -> Command:
    model = {
        "name": task.model,
        "tool_call": True,
        "attachment": True,
        "modalities": {"input": ["text", "image"], "output": ["text"]},
        "reasoning": package != PACKAGES["opencode-compatible"],
        "limit": {"context": 200000, "output": 32000},
    }
    provider = {
        "npm": package,
        "name": "Rig",
        "options": {"baseURL": f"{task.base_url}/v1", "apiKey": KEY},
        "models": {task.model: model},
    }
    config = {"$schema": "https://opencode.ai/config.json", "provider": {"rig": provider}}
    (task.folder / "opencode.json").write_text(json.dumps(config))
    picture = ["-f", str(task.image)] if task.image else []
    arguments = [str(OPENCODE.binary), "run", "--auto", "-m", f"rig/{task.model}", task.prompt, *picture]
    return Command(arguments, {f"OPENCODE_DISABLE_{name}": "1" for name in SWITCHES})


CLIENTS = tuple(
    Client(
        name=name,
        prepare=partial(prepare, package),
        attaches=True,
        looks=("read", "filePath"),
        leaves_two=True,
        side_calls=1,
    )
    for name, package in PACKAGES.items()
)
