"""Processes of a measurement: where they run, what they use by ``/proc``, and that none is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 5


class StartFailedError(Exception):
    """A process ended, or did not answer in time; the text has the end of what it wrote."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def pinned(cores: set[int]) -> Iterator[None]:
    """Whatever is started in this block runs on these cores (the affinity is inherited)."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def split_cores() -> tuple[set[int], set[int]]:
    """One core for the proxy, the others for upstream and generator; the same one if there is but one."""
    cores = sorted(os.sched_getaffinity(0))
    return {cores[-1]}, set(cores[:-1]) or {cores[-1]}


class Process:
    """A process we started, in its own session: stopping it stops what it started too."""

    def __init__(
        self,
        command: list[str],
        *,
        environment: Mapping[str, str] | None = None,
        stdin: bytes = b"",
        keep_open: tuple[int, ...] = (),
        directory: Path = CHECKOUT,
    ) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self.started_at = time.monotonic()
        self._popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            pass_fds=keep_open,
            cwd=directory,
            start_new_session=True,
        )
        if self._popen.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.write(stdin)
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.close()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def last_words(self, size: int = 2000) -> str:
        self._output.seek(0)
        return self._output.read()[-size:].decode("utf-8", "replace").strip()

    def stop(self) -> None:
        if self._output.closed:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(_STOP_SECONDS)
                break
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)  # children that outlived their parent
        self._output.close()

    def wait_for_answer(self, port: int, path: str, seconds: float) -> float:
        """Seconds from the start of the process to its first 200. The polling never sleeps longer than 1 ms."""
        deadline = self.started_at + seconds
        while time.monotonic() < deadline:
            if not self.running:
                break
            if answers(port, path):
                return time.monotonic() - self.started_at
            time.sleep(0.001)
        raise StartFailedError(f"no 200 from {path} within {seconds} s: {self.last_words()}")


def answers(port: int, path: str) -> bool:
    """Whether one GET gets a 200."""
    request = f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request.encode())
            received = b""
            while len(received) < 12 and (data := connection.recv(65536)):
                received += data
    except OSError:
        return False
    return received[:12] in (b"HTTP/1.1 200", b"HTTP/1.0 200")


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat_fields(int(entry.name))[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += children.get(member, [])
    return found


def _stat_fields(pid: int) -> list[str]:
    """``/proc/<pid>/stat`` from its third field on: the second, the name, may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_seconds(pid: int) -> float:
    """User and system time so far of the process and its descendants."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            stat = _stat_fields(member)
            total += int(stat[11]) + int(stat[12])
    return total / _TICKS


def _sum_kilobytes(pid: int, file: str, name: str) -> int:
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{member}/{file}").read_text().splitlines():
                if line.startswith(name):
                    total += int(line.split()[1]) * 1024
    return total


def resident_bytes(pid: int) -> int:
    return _sum_kilobytes(pid, "status", "VmRSS:")


def peak_resident_bytes(pid: int) -> int:
    return _sum_kilobytes(pid, "status", "VmHWM:")


def proportional_bytes(pid: int) -> int | None:
    """Resident memory with shared pages divided among their users; None where that cannot be read."""
    return _sum_kilobytes(pid, "smaps_rollup", "Pss:") or None


def forget_peak(pid: int) -> None:
    """Let the peak begin anew at what is resident now."""
    for member in family(pid):
        with contextlib.suppress(OSError):
            Path(f"/proc/{member}/clear_refs").write_text("5")
