"""A network in memory: the real h11, the real httpcore, no sockets, no real time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import h11
import trio
import trio.testing

from copilot_trio.server.connection import Connection, Limits, Serving
from copilot_trio.server.exchange import Handler, Refuse, refuse_in_plain_text

Stream = trio.abc.HalfCloseableStream
Script = Callable[["UpstreamConnection"], Awaitable[None]]


class UpstreamConnection:
    """The far end of one upstream connection, to be scripted by a test."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.h11 = h11.Connection(h11.SERVER)
        self.requests: list[tuple[h11.Request, bytes]] = []

    async def read_request(self) -> bytes:
        """The body; the head is kept in ``requests``."""
        head: h11.Request | None = None
        body = b""
        while True:
            event = self.h11.next_event()
            if event is h11.NEED_DATA:
                self.h11.receive_data(bytes(await self.stream.receive_some()))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                self.requests.append((head, body))
                return body
            elif isinstance(event, h11.ConnectionClosed):
                raise trio.BrokenResourceError

    def path(self) -> str:
        return self.requests[-1][0].target.decode()

    def header(self, name: str) -> str | None:
        wanted = name.lower().encode()
        return next((value.decode() for key, value in self.requests[-1][0].headers if key == wanted), None)

    async def send(self, event: h11.Event) -> None:
        data = self.h11.send(event)
        if data:
            await self.stream.send_all(data)

    async def start(self, status: int = 200, **headers: str) -> None:
        names = [(name.replace("_", "-"), value) for name, value in headers.items()]
        await self.send(h11.Response(status_code=status, headers=[*names, ("transfer-encoding", "chunked")]))

    async def data(self, data: bytes) -> None:
        await self.send(h11.Data(data=data))

    async def finish(self) -> None:
        await self.send(h11.EndOfMessage())

    async def reply(self, status: int, body: bytes, **headers: str) -> None:
        await self.start(status, **headers)
        await self.data(body)
        await self.finish()

    async def hung_up(self) -> bool:
        """Has the proxy closed this connection?"""
        with trio.move_on_after(1):
            try:
                return not await self.stream.receive_some()
            except trio.BrokenResourceError:
                return True
        return False


class MemoryUpstream:
    """Hands each new connection to ``script``, again for each request that is kept alive. ``dial`` is a ``Dial``."""

    def __init__(self, nursery: trio.Nursery, script: Script) -> None:
        self._nursery = nursery
        self._script = script
        self.connections: list[UpstreamConnection] = []

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        connection = UpstreamConnection(theirs)
        self.connections.append(connection)
        self._nursery.start_soon(self._run, connection)
        return ours

    async def _run(self, connection: UpstreamConnection) -> None:
        try:
            while True:
                await self._script(connection)
                if connection.h11.our_state is not h11.DONE:
                    return
                connection.h11.start_next_cycle()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass


class Response:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


async def post(
    stream: trio.abc.Stream, path: str, body: bytes, *headers: tuple[str, str], method: str = "POST"
) -> None:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", "content-type: application/json"]
    lines += [f"content-length: {len(body)}", *(f"{name}: {value}" for name, value in headers), "", ""]
    await stream.send_all("\r\n".join(lines).encode() + body)


async def get(stream: trio.abc.Stream, path: str, *headers: tuple[str, str], method: str = "GET") -> None:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", *(f"{name}: {value}" for name, value in headers), "", ""]
    await stream.send_all("\r\n".join(lines).encode())


class Client:
    """Reads responses from one connection, keeping what follows for the next."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._left = b""

    async def response(self, method: str = "POST") -> Response:
        machine = h11.Connection(h11.CLIENT)
        machine.send(h11.Request(method=method, target="/", headers=[("host", "t"), ("content-length", "0")]))
        machine.send(h11.EndOfMessage())
        if self._left:
            machine.receive_data(self._left)
        head: h11.Response | None = None
        body = b""
        while True:
            event = machine.next_event()
            if event is h11.NEED_DATA:
                machine.receive_data(bytes(await self.stream.receive_some()))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                self._left = machine.trailing_data[0]
                headers = {name.decode(): value.decode() for name, value in head.headers}
                return Response(head.status_code, headers, body)


async def read_response(stream: trio.abc.Stream, method: str = "POST") -> Response:
    return await Client(stream).response(method)


def connect(
    nursery: trio.Nursery,
    handler: Handler,
    limits: Limits | None = None,
    refuse: Refuse = refuse_in_plain_text,
) -> Stream:
    """A client connected to our server."""
    ours, theirs = trio.testing.memory_stream_pair()
    nursery.start_soon(Connection(theirs, handler, limits or Limits(), Serving(), refuse).serve)
    return ours


class MemoryListener(trio.abc.Listener[trio.abc.HalfCloseableStream]):
    """A listener with no socket: ``connect`` is the client's side of ``accept``."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.HalfCloseableStream](100)

    async def connect(self) -> Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        await self._send.send(theirs)
        return ours

    async def accept(self) -> Stream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        self._receive.close()
