"""The agents on the official SDKs, and the one that sends Cursor's bodies."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from .install import PYTHON
from .rig import Client, Command, Task

HERE = Path(__file__).parent


def prepare(python: str, script: str, api: str, task: Task) -> Command:
    arguments = [python, "-P", str(HERE / script), *([api] if api else []), task.base_url, task.model, task.prompt]
    return Command([*arguments, *([str(task.image)] if task.image else [])], {})


def _client(name: str, python: str, script: str, api: str, *, leaves_two: bool = False) -> Client:
    return Client(name=name, prepare=partial(prepare, python, script, api), attaches=True, leaves_two=leaves_two)


CLIENTS = (
    _client("openai-chat", str(PYTHON), "sdk_openai.py", "chat"),
    _client("openai-responses", str(PYTHON), "sdk_openai.py", "responses"),
    _client("anthropic", str(PYTHON), "sdk_anthropic.py", ""),
    _client("cursor-agent", sys.executable, "cursor.py", "agent", leaves_two=True),
    _client("cursor-ask", sys.executable, "cursor.py", "ask", leaves_two=True),
)
