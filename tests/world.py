"""The whole proxy against the twin, in memory and in virtual time: real h11, real httpcore, no sockets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import trio
from memory_network import Client, MemoryListener, Response, get, post

from copilot_trio.accounts.account import AccountRecord, Hosts
from copilot_trio.accounts.outcome import paused as warned
from copilot_trio.accounts.store import AccountsFile, save_accounts
from copilot_trio.admin.codex_proxy import Home
from copilot_trio.admission import Pace, Person
from copilot_trio.app import App, Seat
from copilot_trio.config import Config
from copilot_trio.logs import LogRing
from copilot_trio.server.auth import Access
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.listen import Limits, Server
from copilot_trio.sse import SSEDecoder, SSEEvent
from copilot_trio.twin import Account, Record, Twin, sample_accounts
from copilot_trio.upstream.egress import Egress

BASE = "http://127.0.0.1:1"
WALL_CLOCK = 1_790_000_000.0


class World:
    """``twin`` upstream, ``app`` in the middle, clients by :meth:`client`.

    ``stored``: the accounts are those in ``accounts_file``, which is made, instead of this run's only.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        config: Config | None = None,
        access: Access | None = None,
        limits: Limits | None = None,
        accounts_file: Path | None = None,
        stored: bool = False,
        paused: str | None = None,
        accounts: int = 1,
        keep: bool = False,
        config_file: Path | None = None,
        access_of: Callable[[Config], Access] | None = None,
        approve: Person | None = None,
        pace: Pace | None = None,
        usage_file: Path | None = None,
        ring: LogRing | None = None,
        show_token: bool = False,
        home: Home | None = None,
    ) -> None:
        self._clock = trio.lowlevel.current_clock()  # which threads may ask too
        self.twin = Twin(
            now=self.now, monotonic=trio.current_time, pace=0.0, device_interval=5.0, accounts=self.twin_accounts()
        )
        self.twin.base_url = BASE
        self.upstream = MemoryListener()
        self.downstream = MemoryListener()
        self.dials = 0
        self.unreachable = False  # True: whoever dials from now on waits for ever
        self.ways: list[str | None] = []  # the proxy of each dial of a stored account
        seats = self.seats(accounts)
        if stored and accounts_file is not None:
            save_accounts(accounts_file, AccountsFile(accounts=tuple(seat.record for seat in seats)))
        self.app = App(
            config or Config(),
            [] if stored else seats,
            access or Access(),
            limits or Limits(),
            accounts_file=accounts_file,
            equip=self.equip if stored else None,
            config_file=config_file,
            access_of=access_of,
            approve=approve,
            pace=pace,
            usage_file=usage_file,
            ring=ring,
            show_token=show_token,
            home=home,
            now=self.now,
        )
        if paused is not None:
            self.app.accounts.accounts[0].warning = warned(paused)
        if keep:
            nursery.start_soon(self.app.keep)
        nursery.start_soon(self.app.record)
        nursery.start_soon(Server(self.serve_upstream, Limits()).serve, [self.upstream])
        nursery.start_soon(self.app.server.serve, [self.downstream])

    def now(self) -> float:
        return WALL_CLOCK + self._clock.current_time()

    def twin_accounts(self) -> list[Account]:
        return sample_accounts()

    def seats(self, accounts: int) -> list[Seat]:
        """The first so many of the twin's accounts, as the proxy uses them."""
        return [
            Seat(
                AccountRecord(
                    id=f"a{number}",
                    label="work" if number == 1 else account.label,
                    login=account.login,
                    github_token=account.token,
                    machine_id="m" * 64,
                ),
                Hosts(BASE, BASE),
                Egress(self.dial, "memory", proxied=False),
            )
            for number, account in enumerate(list(self.twin.accounts)[:accounts], 1)
        ]

    async def serve_upstream(self, exchange: Exchange) -> None:
        await self.twin.handle(exchange)

    def equip(self, record: AccountRecord) -> Seat:
        async def dial(host: str, port: int) -> trio.abc.Stream:
            self.ways.append(record.proxy)
            return await self.dial(host, port)

        return Seat(record, Hosts(BASE, BASE), Egress(dial, record.proxy or "memory", proxied=False))

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        self.dials += 1
        if self.unreachable:
            await trio.sleep_forever()
        return await self.upstream.connect()

    async def client(self) -> Client:
        return Client(await self.downstream.connect())

    async def ask(self, path: str, body: object, *headers: tuple[str, str]) -> Response:
        """One request on a connection of its own."""
        client = await self.client()
        sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
        await post(client.stream, path, sent, *headers)
        answer = await client.response()
        await client.stream.aclose()
        return answer

    async def call(self, method: str, path: str, body: object = None, *headers: tuple[str, str]) -> Response:
        """One request of any method, as JSON."""
        client = await self.client()
        await post(client.stream, path, b"" if body is None else msgspec.json.encode(body), *headers, method=method)
        answer = await client.response(method)
        await client.stream.aclose()
        return answer

    async def ask_get(self, path: str, *headers: tuple[str, str]) -> Response:
        client = await self.client()
        await get(client.stream, path, *headers)
        answer = await client.response()
        await client.stream.aclose()
        return answer

    def calls(self, path: str | None = None) -> list[Record]:
        """The model calls that reached upstream."""
        wanted = {"/chat/completions", "/v1/messages"} if path is None else {path}
        return [record for record in self.twin.records if record.path in wanted]


def chat(prompt: str, *, model: str = "gpt-4.1", stream: bool = False, **fields: object) -> dict[str, object]:
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": prompt}], **fields}


def messages(prompt: str, *, model: str = "gpt-4.1", stream: bool = False, **fields: object) -> dict[str, object]:
    return {"max_tokens": 1000, **chat(prompt, model=model, stream=stream, **fields)}


def events(body: bytes) -> list[SSEEvent]:
    decoder = SSEDecoder()
    return [*decoder.feed(body), *decoder.finish()]


def names(body: bytes) -> list[str]:
    """Names of Anthropic events, runs of the same name shown once."""
    found = [event.name for event in events(body)]
    return [name for number, name in enumerate(found) if number == 0 or name != found[number - 1]]


def chat_text(body: bytes) -> str:
    chunks = [msgspec.json.decode(event.data) for event in events(body) if event.data != b"[DONE]"]
    return "".join(
        choice["delta"].get("content") or ""
        for chunk in chunks
        for choice in chunk.get("choices") or []
        if "delta" in choice
    )


def messages_text(body: bytes) -> str:
    decoded = [msgspec.json.decode(event.data) for event in events(body)]
    return "".join(event["delta"].get("text", "") for event in decoded if event["type"] == "content_block_delta")


def error_of(response: Response) -> dict[str, object]:
    value = msgspec.json.decode(response.body)
    assert isinstance(value, dict)
    error = value["error"]
    assert isinstance(error, dict)
    return error
