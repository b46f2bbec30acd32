"""Real proxies on loopback: tinyproxy (HTTP CONNECT), microsocks (SOCKS5), stunnel before tinyproxy (an HTTPS proxy).

Each is a process of its own, ended by its id. Each keeps a log, which says where connections through it went.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

USER, PASSWORD = "alice", "s3cret-of-alice"
PATIENCE = 20.0
INSTALL = "apt-get update -qq && apt-get install -y -qq tinyproxy microsocks stunnel4"


class ProxyServer:
    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self._log = log

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def url(self, scheme: str, *, host: str = "127.0.0.1", user: str = "", password: str = "") -> str:
        return f"{scheme}://{f'{user}:{password}@' if user else ''}{host}:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def install() -> None:
    """What is missing, with apt. Raises where that cannot be done: there is no test to leave out."""
    if all(shutil.which(name, path=_path()) for name in ("tinyproxy", "microsocks", "stunnel")):
        return
    done = subprocess.run(["/bin/sh", "-c", INSTALL], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the proxies these tests need are missing; as root: {INSTALL}\n{done.stderr[-2000:]}")


@contextmanager
def tinyproxy(directory: Path, *, credentials: bool = False) -> Iterator[ProxyServer]:
    port = free_port()
    log = directory / f"tinyproxy-{port}.log"
    settings = directory / f"tinyproxy-{port}.conf"
    lines = [f"Port {port}", "Listen 127.0.0.1", "Allow 127.0.0.1", "Timeout 600", "DisableViaHeader Yes"]
    lines += [f'LogFile "{log}"', "LogLevel Connect"]
    lines += [f"BasicAuth {USER} {PASSWORD}"] if credentials else []
    settings.write_text("\n".join(lines) + "\n")
    with _running(["tinyproxy", "-d", "-c", str(settings)], port, log) as server:
        yield server


@contextmanager
def microsocks(directory: Path, *, credentials: bool = False) -> Iterator[ProxyServer]:
    port = free_port()
    log = directory / f"microsocks-{port}.log"
    wanted = ["-u", USER, "-P", PASSWORD] if credentials else []
    with _running(["microsocks", "-i", "127.0.0.1", "-p", str(port), *wanted], port, log) as server:
        yield server


@contextmanager
def stunnel(directory: Path, certificate: Path, before: int) -> Iterator[ProxyServer]:
    """TLS on a port, plain on the way to ``before``."""
    port = free_port()
    log = directory / f"stunnel-{port}.log"
    settings = directory / f"stunnel-{port}.conf"
    lines = ["foreground = yes", "pid =", "debug = 5", "[proxy]"]
    lines += [f"accept = 127.0.0.1:{port}", f"connect = 127.0.0.1:{before}", f"cert = {certificate}"]
    settings.write_text("\n".join(lines) + "\n")
    with _running(["stunnel", str(settings)], port, log) as server:
        yield server


def free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin"


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[ProxyServer]:
    install()
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={"PATH": _path()})
    try:
        _wait_until_it_accepts(process, port, log)
        yield ProxyServer(process, port, log)
    finally:
        process.kill()
        process.wait()


def _wait_until_it_accepts(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            try:
                process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            break
        else:
            return
    raise RuntimeError(f"{process.args!r} does not accept connections:\n{log.read_text(errors='replace')}")


# ---- what this process does at its sockets


class Seen:
    """Where sockets were connected to, and which names were asked for, in this process, as Python's audit says."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        self.names: list[str] = []

    def note(self, event: str, arguments: Sequence[Any]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            self.ports.append(arguments[1][1])
        elif event == "socket.getaddrinfo":
            host = arguments[0]
            self.names.append(host.decode() if isinstance(host, bytes) else str(host))


_watching: list[Seen] = []


@cache
def _listen_once() -> None:
    def hook(event: str, arguments: Sequence[Any]) -> None:
        for seen in _watching:
            seen.note(event, arguments)

    sys.addaudithook(hook)  # stays for the life of the process


@contextmanager
def sockets_seen() -> Iterator[Seen]:
    _listen_once()
    seen = Seen()
    _watching.append(seen)
    try:
        yield seen
    finally:
        _watching.remove(seen)
