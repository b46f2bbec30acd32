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


def _sdk(name: str, script: str, api: str = "") -> Client:
    return Client(name=name, prepare=partial(prepare, str(PYTHON), script, api), attaches=True, retries="refused")


def _cursor(kind: str) -> Client:
    prepared = partial(prepare, sys.executable, "cursor.py", kind)
    return Client(name=f"cursor-{kind}", prepare=prepared, attaches=True, leaves_two=True, retries="")


CLIENTS = (
    _sdk("openai-chat", "sdk_openai.py", "chat"),
    _sdk("openai-responses", "sdk_openai.py", "responses"),
    _sdk("anthropic", "sdk_anthropic.py"),
    _cursor("agent"),
    _cursor("ask"),
)
