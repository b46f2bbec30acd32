"""Commands as a user starts them: real processes, real sockets, a data directory of their own."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 30.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the developer's own: no token, no proxy, no data."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "COVERAGE_PROCESS_CONFIG") if name in os.environ}
    return {**kept, "HOME": str(home), "COPILOT_TRIO_HOME": str(home / "data"), "PYTHONUNBUFFERED": "1", **more}


def run(*arguments: str, home: Path, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """One command that ends by itself."""
    command = [sys.executable, "-m", "copilot_trio", *arguments]
    return subprocess.run(
        command,
        input=stdin,
        env=environment(home, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


class Running:
    """A command that goes on; what it prints can be waited for."""

    def __init__(
        self, arguments: tuple[str, ...], variables: Mapping[str, str], stdin: int = subprocess.DEVNULL
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "copilot_trio", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            text=True,
        )
        self.printed = ""
        self._grew = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(PATIENCE)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """The first match in what was printed so far or will be."""
        with self._grew:
            found = self._grew.wait_for(lambda: re.search(pattern, self.printed) or self._ended(), PATIENCE)
            match = re.search(pattern, self.printed)
        assert match is not None, f"no {pattern!r} in {self.printed!r} ({found})"
        return match

    def stop(self, kind: int = signal.SIGTERM) -> int:
        self.process.send_signal(kind)
        return self.process.wait(PATIENCE)

    def _ended(self) -> bool:
        return not self._reader.is_alive()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._grew:
                self.printed += line
                self._grew.notify_all()
        with self._grew:
            self._grew.notify_all()


@contextmanager
def twin(home: Path) -> Iterator[tuple[str, str]]:
    """The twin on free ports: its base URL and its control URL."""
    with Running(("twin", "--port", "0", "--pace", "0"), environment(home)) as process:
        base = process.wait_for(r"GitHub and Copilot +(http://\S+)")[1]
        control = process.wait_for(r"control +(http://\S+)")[1]
        yield base, control


def call(
    url: str, method: str = "GET", body: object = None, headers: Mapping[str, str] = {}
) -> tuple[int, dict[str, str], bytes]:
    """One HTTP request: status, headers in lower case, body."""
    host, _, path = url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        sent = {"Content-Type": "application/json", **headers} if body is not None else dict(headers)
        connection.request(method, f"/{path}", data, sent)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()
