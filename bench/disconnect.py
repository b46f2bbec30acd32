"""How soon upstream is let go when the client leaves: ``python -m bench.disconnect [RUNS]``.

A real ``copilot-trio start`` over a real ``copilot-trio twin``. The client closes its socket in each of four phases;
the moment at which the upstream socket was closed is the twin's record, and for the connecting phase that of a CONNECT
proxy that never answers. Both clocks are the machine's monotonic one.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

RUNS = 20
TOKEN = "ghu_SYNTHETICoctodev00000000000000000000"  # the twin's first account
PATIENCE = 20.0
LEAVE_AFTER = 0.15  # seconds: by then the request is in the phase it is meant for


@contextmanager
def started(arguments: list[str], pattern: str, **variables: str) -> Iterator[list[Any]]:
    """Runs a copilot-trio command; yields what ``pattern`` found in its output."""
    environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **variables}
    process = subprocess.Popen(
        [sys.executable, "-m", "copilot_trio", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        printed = ""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.findall(pattern, printed)) and time.monotonic() < deadline:
            if select.select([process.stdout], [], [], 0.1)[0]:
                printed += os.read(process.stdout.fileno(), 65536).decode()
        if not found:
            raise RuntimeError(f"{arguments[0]} did not say {pattern!r}: {printed}")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield found
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


class StallingProxy:
    """Takes a CONNECT and never answers; notes when its peer hung up."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hung_up: list[float] = []
        threading.Thread(target=self._run, daemon=True).start()

    def last(self) -> float | None:
        return self.hung_up[-1] if self.hung_up else None

    def _run(self) -> None:
        while True:
            stream, _ = self._listener.accept()
            threading.Thread(target=self._stall, args=(stream,), daemon=True).start()

    def _stall(self, stream: socket.socket) -> None:
        try:
            while stream.recv(4096):
                pass
        except OSError:
            pass
        self.hung_up.append(time.monotonic())


def leave(address: str, prompt: str, *, stream: bool) -> float:
    """Ask, wait a moment, close the socket. Returns when."""
    host, port = address.removeprefix("http://").split(":")
    message = {"model": "gpt-4.1", "stream": stream, "messages": [{"role": "user", "content": prompt}]}
    body = json.dumps(message)
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        time.sleep(LEAVE_AFTER)
        return time.monotonic()


def last_end(control: str) -> float | None:
    """When the newest model call ended, by the twin's record."""
    connection = http.client.HTTPConnection(control.removeprefix("http://"), timeout=PATIENCE)
    connection.request("GET", "/records?path=/chat/completions")
    found = json.loads(connection.getresponse().read())
    connection.close()
    records = found["records"] if isinstance(found, dict) else found
    newest = records[-1]
    if newest["outcome"] != "peer left":
        return None
    ended: float = newest["ended"]
    return ended


def wait_for(moment: Callable[[], float | None], since: float) -> float:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = moment()
        if found is not None and found >= since:
            return found
        time.sleep(0.01)
    raise RuntimeError("upstream was never let go")


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        ((base, control),) = stack.enter_context(
            started(["twin", "--port", "0"], r"(?s)GitHub and Copilot +(\S+)\n.*?control +(\S+)")
        )
        variables = {
            "COPILOT_TRIO_HOME": home,
            "COPILOT_TRIO_GITHUB_TOKEN": TOKEN,
            "COPILOT_TRIO_GITHUB_URL": base,
            "COPILOT_TRIO_GITHUB_API_URL": base,
        }
        (direct,) = stack.enter_context(started(["start", "--port", "0"], r"listening +(\S+)", **variables))
        proxy = StallingProxy()
        Path(home, "config.json").write_text('{"timeouts":{"connect":1}}')
        through = {**variables, "HTTP_PROXY": f"http://127.0.0.1:{proxy.port}"}
        (stalled,) = stack.enter_context(
            started(["start", "--port", "0", "--proxy-env"], r"listening +(\S+)", **through)
        )
        # The server's own look at the models has given up, both dials of it, and holds the token no more.
        wait_for(lambda: float(len(proxy.hung_up)), 2.0)
        phases: dict[str, Callable[[], float]] = {
            "connecting": lambda: _gap(leave(stalled, "hi", stream=True), proxy.last),
            "awaiting headers": lambda: _gap(leave(direct, "SCENARIO:slow30", stream=True), lambda: last_end(control)),
            "streaming": lambda: _gap(leave(direct, "SCENARIO:stall30", stream=True), lambda: last_end(control)),
            "whole answer": lambda: _gap(leave(direct, "SCENARIO:slow30", stream=False), lambda: last_end(control)),
        }
        print(f"from the client's FIN to the upstream socket closed, ms, {runs} runs")
        print("| phase | median | max |\n|---|---|---|")
        for name, measure in phases.items():
            gaps = [measure() * 1000 for _ in range(runs)]
            print(f"| {name} | {statistics.median(gaps):.2f} | {max(gaps):.2f} |", flush=True)
    return 0


def _gap(left: float, moment: Callable[[], float | None]) -> float:
    return wait_for(moment, left) - left


if __name__ == "__main__":
    raise SystemExit(main())
