"""What is measured: this proxy, the bare relay, no proxy at all, or any other proxy by address or by command."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from .load import Outcome, Plan, run_load
from .processes import Process, StartFailedError, answers, free_port, pinned
from .shapes import build_sections, pack_sections
from .upstream import base_url, listen, upstream_command

START_SECONDS = 30
_LOOPBACK = {"127.0.0.1", "localhost"}


@dataclass
class Rig:
    """The fixed side of a measurement: the upstream, the cores, and which programs are the slow ones."""

    proxy_cores: set[int]
    other_cores: set[int]
    python: bool = False
    upstream_port: int = 0
    upstream: Process | None = None

    def start(self) -> None:
        listener = listen(self.upstream_port)
        with listener, pinned(self.other_cores):
            self.upstream_port = listener.getsockname()[1]
            descriptor = listener.fileno()
            sections = pack_sections(build_sections(base_url(listener)))
            command = upstream_command(descriptor, python=self.python)
            self.upstream = Process(command, stdin=sections, keep_open=(descriptor,))
        self.upstream.wait_for_answer(self.upstream_port, "/models", START_SECONDS)

    def stop(self) -> None:
        if self.upstream is not None:
            self.upstream.stop()

    def load(self, plan: Plan, request: bytes) -> Outcome:
        with pinned(self.other_cores):
            return run_load(plan, request, python=self.python)


@dataclass
class Target:
    """One proxy (or none). ``command`` may hold ``{port}``, ``{upstream}`` (HOST:PORT) and ``{home}``, a directory
    of its own in which ``files`` are, by name.

    ``port`` and ``pid`` of a target with a command are those of its process, from ``start`` to ``stop``;
    a target without a command was running before and is left running.
    """

    name: str
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    translates: bool = True
    port: int = 0
    prefix: str = ""
    pid: int | None = None
    started_in: float | None = None  # seconds from spawn to the first 200
    _process: Process | None = None
    _home: tempfile.TemporaryDirectory[str] | None = None

    def start(self, rig: Rig) -> None:
        """Raises StartFailedError; nothing is left running then."""
        if not self.command:
            if not answers(self.port or rig.upstream_port, f"{self.prefix}/v1/models"):
                raise StartFailedError(f"{self.name} does not answer GET {self.prefix}/v1/models")
            return
        self.port = free_port()
        self._home = tempfile.TemporaryDirectory(prefix="bench-home-")
        for name, text in self.files.items():
            (Path(self._home.name) / name).write_text(text)
        words = {"port": str(self.port), "upstream": f"127.0.0.1:{rig.upstream_port}", "home": self._home.name}
        command = [_fill(word, words) for word in self.command]
        environment = {name: _fill(value, words) for name, value in self.environment.items()}
        with pinned(rig.proxy_cores):
            self._process = Process(command, environment=environment)
        try:
            self.started_in = self._process.wait_for_answer(self.port, f"{self.prefix}/v1/models", START_SECONDS)
        except StartFailedError:
            self.stop()
            raise
        self.pid = self._process.pid

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = self.pid = None
        if self._home is not None:
            self._home.cleanup()
            self._home = None

    def address(self, rig: Rig) -> int:
        """The port to send to: without a proxy, the upstream's."""
        return self.port or rig.upstream_port


def _fill(word: str, values: Mapping[str, str]) -> str:
    """Not ``str.format``: a peer's command may hold braces of its own."""
    for name, value in values.items():
        word = word.replace("{" + name + "}", value)
    return word


def _copilot_trio() -> Target:
    environment = {
        "COPILOT_TRIO_HOME": "{home}",
        "COPILOT_TRIO_GITHUB_URL": "http://{upstream}",
        "COPILOT_TRIO_GITHUB_API_URL": "http://{upstream}",
        "COPILOT_TRIO_COPILOT_URL": "http://{upstream}",
        "COPILOT_TRIO_GITHUB_TOKEN": "ghu_SYNTHETICbench",
    }
    command = (sys.executable, "-m", "copilot_trio", "start", "--port", "{port}")
    # By default ten requests of a model run at once and the rest wait: that would measure the waiting.
    files = {"config.json": '{"concurrency": {"default": 100000}}'}
    return Target("copilot-trio", command, environment, files)


def known_targets() -> dict[str, Target]:
    """In the order of the report's columns."""
    relay = (sys.executable, "-m", "bench.relay", "--port", "{port}", "--upstream", "{upstream}")
    targets = [_copilot_trio(), Target("relay", relay, translates=False), Target("direct", translates=False)]
    return {target.name: target for target in targets}


def running_target(text: str) -> Target:
    """``NAME=URL:PID``, for example ``other=http://127.0.0.1:4000:12345``. Raises ValueError."""
    name, _, rest = text.partition("=")
    url, _, pid = rest.rpartition(":")
    parts = urlsplit(url)
    if not name or not pid.isdigit() or parts.hostname not in _LOOPBACK or not parts.port:
        raise ValueError(f"not NAME=http://127.0.0.1:PORT:PID: {text!r}")
    if not Path(f"/proc/{pid}").exists():
        raise ValueError(f"no process {pid} for target {name}")
    return Target(name, port=parts.port, prefix=parts.path.rstrip("/"), pid=int(pid))


def command_target(text: str) -> Target:
    """``NAME=COMMAND``, for example ``other=env TOKEN=x node server.js --port {port}``. Raises ValueError."""
    name, _, command = text.partition("=")
    words = tuple(shlex.split(command))
    if not name or not words:
        raise ValueError(f"not NAME=COMMAND: {text!r}")
    if os.sep in words[0] and not Path(words[0]).exists():
        raise ValueError(f"no such program: {words[0]}")
    return Target(name, words)
