"""The fixed upstream: the compiled one where there is a compiler, else this one, on the same bytes.

``python -m bench.upstream --port P`` serves until it is stopped; ``--python`` forces the slow one.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import socket
import sys
import time
from dataclasses import dataclass

import trio

from .answers import MARK, NO_STAMP, TEXTS
from .build import compile_program
from .shapes import EXPIRES_MARK, TOKEN_LIFE, build_sections, pack_sections

_READ = 65536
_MAX_REQUEST = 64 << 20
_MAX_EVENTS = 10_000_000
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_STREAM = re.compile(rb'"stream"[ :]*true')
_WORDS = re.compile(rb'BENCH ([^"\\\r\n]*)')
_STAMP = (MARK + NO_STAMP).encode()


@dataclass(frozen=True)
class Script:
    """How one stream goes."""

    events: int = 20
    delay_us: int = 0
    burst: int = 0
    stamp: int = 0

    @classmethod
    def read(cls, request: bytes) -> Script:
        found = _WORDS.search(request)
        words = (
            dict(re.findall(r"(events|delay_us|burst|stamp)=(\d+)", found[1].decode("ascii", "replace")))
            if found
            else {}
        )
        script = cls(**{name: int(value) for name, value in words.items()})
        return script if script.events <= _MAX_EVENTS else cls()


def listen(port: int = 0) -> socket.socket:
    """A listening loopback socket: it exists before the program that serves it, so nobody polls for it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(4096)
    return listener


def base_url(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


class _Conversation:
    def __init__(self, stream: trio.SocketStream, sections: dict[str, bytes]) -> None:
        self._stream = stream
        self._sections = sections
        self._buffer = bytearray()

    async def run(self) -> None:
        while True:
            head = await self._read_until(b"\r\n\r\n", 0)
            if head is None:
                return
            size = await self._request_size(head)
            if size is None:
                return
            request = bytes(self._buffer[:size])
            del self._buffer[:size]
            await self._answer(request, head)

    async def _fill(self) -> bool:
        data = await self._stream.receive_some(_READ)
        self._buffer += data
        return bool(data) and len(self._buffer) <= _MAX_REQUEST

    async def _read_until(self, end: bytes, start: int) -> int | None:
        """Where ``end`` ends; None at end of file."""
        while (found := self._buffer.find(end, start)) < 0:
            if not await self._fill():
                return None
        return found + len(end)

    async def _request_size(self, head: int) -> int | None:
        lines = bytes(self._buffer[:head])
        size = head
        if _CHUNKED.search(lines):
            length = 1
            while length:
                line_end = await self._read_until(b"\r\n", size)
                if line_end is None:
                    return None
                length = int(self._buffer[size : line_end - 2].split(b";")[0], 16)
                size = line_end + length + 2
        elif found := _LENGTH.search(lines):
            size += int(found[1])
        while len(self._buffer) < size:
            if not await self._fill():
                return None
        return size

    async def _answer(self, request: bytes, head: int) -> None:
        method, target, _ = request.split(b" ", 2)
        path = target.decode("ascii", "replace").partition("?")[0].removeprefix("/v1")
        protocol = {"/chat/completions": "chat", "/messages": "messages", "/responses": "responses"}.get(path)
        if method == b"POST" and protocol:
            if _STREAM.search(request, head):
                await self._play(protocol, Script.read(request))
            else:
                await self._stream.send_all(self._sections[f"{protocol}.json"])
            return
        names = {
            "/models": "models",
            "/copilot_internal/v2/token": "token",
            "/copilot_internal/user": "account",
            "/user": "login",
        }
        name = names.get(path, "missing")
        answer = self._sections[name]
        if name == "token":
            at = answer.index(EXPIRES_MARK) + len(EXPIRES_MARK)
            answer = answer[:at] + b"%010d" % (int(time.time()) + TOKEN_LIFE) + answer[at + 10 :]
        await self._stream.send_all(answer)

    async def _play(self, protocol: str, script: Script) -> None:
        kind = "stamped" if script.stamp else "event"
        frames = [self._sections[f"{protocol}.{kind}.{number}"] for number in range(len(TEXTS))]
        pending = self._sections[f"{protocol}.open"]
        due = trio.current_time()
        for number in range(script.events):
            frame = frames[number % len(frames)]
            if script.stamp:
                frame = frame.replace(_STAMP, f"{MARK}{time.monotonic_ns():019d}".encode(), 1)
            pending += frame
            if not script.burst or len(pending) > _READ - 1024:
                await self._stream.send_all(pending)
                pending = b""
            if script.delay_us and not script.burst:
                due += script.delay_us / 1e6
                await trio.sleep_until(due)
        await self._stream.send_all(pending + self._sections[f"{protocol}.close"])


async def serve(listener: socket.socket) -> None:
    sections = build_sections(base_url(listener))

    async def converse(stream: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await _Conversation(stream, sections).run()

    await trio.serve_listeners(converse, [trio.SocketListener(trio.socket.from_stdlib_socket(listener))])


def upstream_command(descriptor: int, *, python: bool) -> list[str]:
    """The command that serves this listening descriptor; it reads the sections from its standard input."""
    binary = None if python else compile_program("upstream")
    if binary is None:
        return [sys.executable, "-m", "bench.upstream", "--descriptor", str(descriptor)]
    return [str(binary), str(descriptor)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.upstream", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--python", action="store_true", help="do not use the compiled upstream")
    parser.add_argument("--descriptor", type=int, help="serve this listening socket")
    arguments = parser.parse_args()
    if arguments.descriptor is not None:
        trio.run(serve, socket.socket(fileno=arguments.descriptor))
        return
    listener = listen(arguments.port)
    print(base_url(listener), flush=True)
    if arguments.python or compile_program("upstream") is None:
        trio.run(serve, listener)
        return
    command = upstream_command(listener.fileno(), python=False)
    reading, writing = os.pipe()
    os.write(writing, pack_sections(build_sections(base_url(listener))))
    os.close(writing)
    os.dup2(reading, 0)
    listener.set_inheritable(True)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
