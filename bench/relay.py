"""The bare reference: a Trio relay that forwards bytes and knows nothing but HTTP/1.1 framing.

No h11, no httpcore, no routing, no accounts, no logging. What a real proxy takes beyond this is what its features cost.
``python -m bench.relay --port P --upstream HOST:PORT``
"""

from __future__ import annotations

import argparse
import re

import trio

_READ = 65536
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class Framing:
    """Follows one HTTP/1.1 message through any cut of its bytes, to know where it ends. Keeps nothing but its head."""

    def __init__(self) -> None:
        self.head = b""
        self.done = False
        self._left = -1  # bytes of body or of the current chunk still to come; -1: until the connection closes
        self._line: bytes | None = None  # an unfinished chunk-size line; None: not chunked
        self._partial = b""
        self._trailer = False

    def take(self, data: bytes) -> None:
        """Follow ``data``. Bytes after the end are not looked for: neither side pipelines."""
        if not self.head:
            self._partial += data
            end = self._partial.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            self.head, data, self._partial = self._partial[:end], self._partial[end:], b""
            self._begin_body()
        if self._line is not None:
            self._follow_chunks(data)
        elif self._left >= 0:
            self._left -= len(data)
            self.done = self._left <= 0

    def _begin_body(self) -> None:
        if _CHUNKED.search(self.head):
            self._line, self._left = b"", 0
        elif found := _LENGTH.search(self.head):
            self._left = int(found[1])
        elif not self.head.startswith(b"HTTP/"):
            self._left = 0  # a request without a body

    def _follow_chunks(self, data: bytes) -> None:
        assert self._line is not None
        at, size = 0, len(data)
        if self._left:  # the common case: in the middle of a chunk (its line end included)
            at = min(self._left, size)
            self._left -= at
        while at < size and not self.done:
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                return
            line = self._line + data[at:end]
            self._line, at = b"", end + 1
            if self._trailer:
                self.done = line in (b"\r", b"")
                continue
            length = int(line.partition(b";")[0], 16)
            self._trailer = length == 0
            if length:
                skip = min(length + 2, size - at)
                self._left = length + 2 - skip
                at += skip


class Relay:
    """Idle upstream connections, and one conversation at a time on each client connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._idle: list[trio.SocketStream] = []

    async def converse(self, client: trio.SocketStream) -> None:
        try:
            while await self._forward(client):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError, ValueError):
            pass  # either side went away, or does not speak HTTP/1.1: drop the other

    async def _forward(self, client: trio.SocketStream) -> bool:
        """One request and its response. False when the client connection is over."""
        request, parts = Framing(), []
        while not request.done:
            data = await client.receive_some(_READ)
            if not data:
                return False
            parts.append(data)
            request.take(data)
        upstream = self._idle.pop() if self._idle else await trio.open_tcp_stream(self._host, self._port)
        reusable = False
        try:
            await upstream.send_all(b"".join(parts))
            response = Framing()
            while not response.done:
                data = await upstream.receive_some(_READ)
                if not data:
                    return False
                response.take(data)
                await client.send_all(data)
            reusable = not _CLOSE.search(response.head)
        finally:
            if reusable:
                self._idle.append(upstream)
            else:
                await trio.aclose_forcefully(upstream)
        return not _CLOSE.search(request.head) and reusable


async def serve(port: int, host: str, upstream_port: int) -> None:
    relay = Relay(host, upstream_port)
    listeners = await trio.open_tcp_listeners(port, host="127.0.0.1", backlog=4096)
    print(f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}", flush=True)
    await trio.serve_listeners(relay.converse, listeners)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--upstream", required=True, metavar="HOST:PORT")
    arguments = parser.parse_args()
    host, _, port = arguments.upstream.rpartition(":")
    trio.run(serve, arguments.port, host, int(port))


if __name__ == "__main__":
    main()
