"""Talking to the twin in tests: to its pure routes, or through the real server over a stream in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h11
import msgspec
import trio
import trio.testing
from trio_websocket import WebSocketConnection, wrap_client_stream

from copilot_trio.server.connection import Connection, Limits, Serving
from copilot_trio.server.exchange import Handler
from copilot_trio.twin import Account, Twin, sample_accounts
from copilot_trio.twin.copilot_routes import Served, serve
from copilot_trio.twin.delivery import frame_bytes
from copilot_trio.twin.github_routes import ROUTES
from copilot_trio.twin.reply import Reply
from copilot_trio.twin.state import Call, CountTokens, State

NOW = 1_790_000_000.0
DEV = "ghu_SYNTHETICoctodev00000000000000000000"
EDITOR = {"editor-version": "vscode/1.113.0"}
HANDSHAKE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "sec-websocket-version": "13",
}
WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer"},
    },
    "required": ["city", "unit"],
}


class Clock:
    """A wall clock that stands still until a test moves it."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def new_state(
    clock: Clock | None = None,
    accounts: list[Account] | None = None,
    *,
    seed: int = 1,
    count_tokens: CountTokens | None = None,
) -> State:
    state = State(
        accounts or sample_accounts(),
        seed=seed,
        now=clock or Clock(),
        pace=0.0,
        device_interval=5.0,
        count_tokens=count_tokens,
    )
    state.base_url = "http://127.0.0.1:1"
    return state


def call_of(
    state: State, method: str, path: str, body: object = None, *, token: str = DEV, headers: Mapping[str, str] = {}
) -> Call:
    authorization = {"authorization": f"Bearer {token}"} if token else {}
    whole, _, query = path.partition("?")
    sent = {"content-type": "application/json", "accept": "application/json", **authorization, **headers}
    return Call(
        method=method,
        path=whole,
        query=query,
        headers=sent,
        body=body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body),
        caller=state.identify(sent.get("authorization", "")),
    )


def copilot(
    state: State, path: str, body: object = None, *, token: str = DEV, headers: Mapping[str, str] = {}, method: str = ""
) -> Served:
    """What the Copilot API answers; POST if there is a body."""
    method = method or ("GET" if body is None else "POST")
    return serve(state, call_of(state, method, path, body, token=token, headers=headers))


def github(state: State, path: str, body: object = None, *, token: str = DEV, headers: Mapping[str, str] = {}) -> Reply:
    call = call_of(state, "GET" if body is None else "POST", path, body, token=token, headers=headers)
    return ROUTES[call.path][call.method](state, call)


def decoded(reply: Reply) -> Any:
    return msgspec.json.decode(reply.body)


def chunks(reply: Reply) -> list[Any]:
    """The stream's JSON events, without ``[DONE]``."""
    assert reply.frames is not None, reply.body
    return [msgspec.json.decode(frame.data) for frame in reply.frames if frame.data != b"[DONE]"]


def wire(reply: Reply) -> bytes:
    assert reply.frames is not None
    return b"".join(map(frame_bytes, reply.frames))


def chat(prompt: str, model: str = "gpt-4.1", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": prompt}], **more}


def message(prompt: str, model: str = "claude-sonnet-4.5", **more: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 4000, "messages": [{"role": "user", "content": prompt}], **more}


def function(name: str, parameters: object = WEATHER) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Client:
    """One connection to a handler, through the real server, over a stream in memory."""

    def __init__(self, nursery: trio.Nursery, handler: Handler) -> None:
        self.stream, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(Connection(theirs, handler, Limits(), Serving()).serve)
        self._h11 = h11.Connection(h11.CLIENT)

    async def send(
        self, method: str, path: str, body: object = None, *, token: str = "", headers: Mapping[str, str] = {}
    ) -> None:
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        fields = {"host": "twin", "content-length": str(len(data)), "content-type": "application/json", **headers}
        if token:
            fields["authorization"] = f"Bearer {token}"
        if self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        out = self._h11.send(h11.Request(method=method, target=path, headers=list(fields.items()))) or b""
        out += self._h11.send(h11.Data(data=data)) or b""
        out += self._h11.send(h11.EndOfMessage()) or b""
        await self.stream.send_all(out)

    async def event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            self._h11.receive_data(bytes(await self.stream.receive_some()))
        return event  # type: ignore[return-value]

    async def receive(self) -> Answer:
        answer = Answer(0, {}, b"")
        while True:
            event = await self.event()
            if isinstance(event, h11.Response):
                answer.status = event.status_code
                answer.headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                answer.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return answer

    async def ask(
        self, method: str, path: str, body: object = None, *, token: str = "", headers: Mapping[str, str] = {}
    ) -> Answer:
        await self.send(method, path, body, token=token, headers=headers)
        return await self.receive()


class Socket:
    """A WebSocket, and the stream below it where a test wants to break it."""

    def __init__(self, connection: WebSocketConnection, stream: trio.abc.Stream | None = None) -> None:
        self.connection = connection
        self._stream = stream

    async def vanish(self) -> None:
        """Leave without a word."""
        assert self._stream is not None
        await trio.aclose_forcefully(self._stream)

    async def create(self, prompt: object, model: str = "gpt-5.3-codex", **more: Any) -> None:
        body = {"type": "response.create", "model": model, "input": prompt, "initiator": "user", **more}
        await self.send(body)

    async def send(self, frame: object) -> None:
        await self.connection.send_message(frame if isinstance(frame, str) else msgspec.json.encode(frame).decode())

    async def raw(self) -> str:
        frame = await self.connection.get_message()
        assert isinstance(frame, str)
        return frame

    async def event(self) -> Any:
        return msgspec.json.decode(await self.raw())

    async def events(self) -> list[Any]:
        """Until the first terminal one."""
        found: list[Any] = []
        while not found or found[-1]["type"] not in ENDINGS:
            found.append(await self.event())
        return found

    async def ask(self, prompt: object, model: str = "gpt-5.3-codex", **more: Any) -> list[Any]:
        await self.create(prompt, model, **more)
        return await self.events()


ENDINGS = {"response.completed", "response.failed", "response.incomplete", "error"}


async def open_socket(
    nursery: trio.Nursery, handler: Handler, *, token: str = DEV, headers: Mapping[str, str] = {}
) -> Socket:
    """Through the real server, in memory. Not for refusals: trio-websocket raises those in a task of its own."""
    ours, theirs = trio.testing.memory_stream_pair()
    nursery.start_soon(Connection(theirs, handler, Limits(), Serving()).serve)
    sent = {"authorization": f"Bearer {token}", **headers}
    extra = [(name.encode(), value.encode()) for name, value in sent.items()]
    # Any stream would do, though its signature says otherwise.
    connection = await wrap_client_stream(nursery, ours, "twin", "/responses", extra_headers=extra)  # type: ignore[arg-type]
    return Socket(connection, ours)


def new_twin(**options: Any) -> Twin:
    twin = Twin(1, **{"now": Clock(), "pace": 0.0, **options})
    twin.base_url = "http://127.0.0.1:1"
    return twin
