"""The whole way out, by real proxies on loopback: a pool, its dialler, the proxy, TLS, the twin."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
import trio
import trustme
from proxy_servers import PASSWORD, USER, ProxyServer, free_port, microsocks, sockets_seen, stunnel, tinyproxy
from twin_client import DEV, EDITOR
from wires import listen
from world import chat, chat_text

from copilot_trio.errors import StreamTruncated, UpstreamUnreachable
from copilot_trio.server.listen import Limits, Server
from copilot_trio.twin import Twin
from copilot_trio.upstream.egress import Egress, by_environment, through
from copilot_trio.upstream.pool import AccountPool, Timeouts
from copilot_trio.upstream.tls import shared_context

pytestmark = pytest.mark.real_clock

HEADERS = [("Authorization", f"Bearer {DEV}"), ("Content-Type", "application/json"), *EDITOR.items()]


class Servers(msgspec.Struct):
    plain: ProxyServer
    with_password: ProxyServer
    over_tls: ProxyServer
    socks: ProxyServer
    socks_with_password: ProxyServer
    authority: trustme.CA
    ca_file: str


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    directory = tmp_path_factory.mktemp("proxies")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(directory / "proxy.pem"))
    with ExitStack() as running:
        with_password = running.enter_context(tinyproxy(directory, credentials=True))
        yield Servers(
            running.enter_context(tinyproxy(directory)),
            with_password,
            running.enter_context(stunnel(directory, directory / "proxy.pem", with_password.port)),
            running.enter_context(microsocks(directory)),
            running.enter_context(microsocks(directory, credentials=True)),
            authority,
            str(directory / "ca.pem"),
        )


class Secured(trio.abc.HalfCloseableStream):
    """The server's end of TLS, which has no half of it to close."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_eof(self) -> None:
        await self._stream.aclose()

    async def aclose(self) -> None:
        await self._stream.aclose()


class SecuredListener(trio.abc.Listener[trio.abc.HalfCloseableStream]):
    """Counts at ``accept``: before TLS, before a byte."""

    def __init__(self, listener: trio.SocketListener, context: ssl.SSLContext) -> None:
        self._listener = listener
        self._context = context
        self.port: int = listener.socket.getsockname()[1]
        self.accepted = 0

    async def accept(self) -> Secured:
        stream = await self._listener.accept()
        self.accepted += 1
        return Secured(trio.SSLStream(stream, self._context, server_side=True, https_compatible=True))

    async def aclose(self) -> None:
        await self._listener.aclose()


async def start_upstream(nursery: trio.Nursery, authority: trustme.CA, name: str = "localhost") -> SecuredListener:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listener = SecuredListener(listeners[0], context)
    nursery.start_soon(Server(Twin(pace=0.0).handle, Limits()).serve, [listener])
    return listener


async def ask(
    egress: Egress, upstream: SecuredListener, ca_file: str | None, prompt: str = "SCENARIO:text REPLY=arrived"
) -> str:
    """The text of a streamed answer."""
    pool = AccountPool(egress.dial, lambda: shared_context(ca_file))
    body = json.dumps(chat(prompt, stream=True)).encode()
    try:
        async with pool.send("POST", f"https://localhost:{upstream.port}/chat/completions", HEADERS, body) as answer:
            assert answer.status == 200, await answer.read(10_000)
            return chat_text(await answer.read(1_000_000))
    finally:
        await pool.aclose()


WAYS = {
    "http": ("plain", "http", False),
    "http, password": ("with_password", "http", True),
    "https, password": ("over_tls", "https", True),
    "socks5": ("socks", "socks5", False),
    "socks5, password": ("socks_with_password", "socks5", True),
    "socks5h": ("socks", "socks5h", False),
    "socks5h, password": ("socks_with_password", "socks5h", True),
}


def way(servers: Servers, name: str, *, password: str = PASSWORD) -> tuple[ProxyServer, str]:
    attribute, scheme, with_credentials = WAYS[name]
    server: ProxyServer = getattr(servers, attribute)
    host = "localhost" if scheme == "https" else "127.0.0.1"
    user = USER if with_credentials else ""
    return server, server.url(scheme, host=host, user=user, password=password if user else "")


@pytest.mark.parametrize("name", WAYS)
async def test_a_stream_arrives_whole_and_by_the_proxy_only(nursery: trio.Nursery, servers: Servers, name: str) -> None:
    upstream = await start_upstream(nursery, servers.authority)
    proxy, url = way(servers, name)
    with sockets_seen() as seen:
        assert await ask(through(url, ca_file=servers.ca_file), upstream, servers.ca_file) == "arrived"
    assert seen.ports == [proxy.port]
    assert upstream.accepted == 1
    knows_the_way = servers.with_password if proxy is servers.over_tls else proxy
    resolved_here = url.startswith("socks5:")
    assert f"{'127.0.0.1' if resolved_here else 'localhost'}:{upstream.port}" in knows_the_way.log()
    if proxy is not servers.over_tls:  # which has that name itself
        assert ("localhost" in seen.names) == resolved_here


@pytest.mark.parametrize("name", [name for name in WAYS if "password" in name])
async def test_wrong_credentials_say_so_and_nothing_reaches_upstream(
    nursery: trio.Nursery, servers: Servers, name: str
) -> None:
    upstream = await start_upstream(nursery, servers.authority)
    proxy, url = way(servers, name, password="hunter2")
    with sockets_seen() as seen, pytest.raises(UpstreamUnreachable, match="wants other credentials") as caught:
        await ask(through(url, ca_file=servers.ca_file), upstream, servers.ca_file)
    assert f":{proxy.port} wants other credentials" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert USER not in str(caught.value)
    assert set(seen.ports) == {proxy.port}
    assert upstream.accepted == 0


@pytest.mark.parametrize("attribute", ["with_password", "socks_with_password"])
async def test_credentials_that_are_missing_are_asked_for(
    nursery: trio.Nursery, servers: Servers, attribute: str
) -> None:
    upstream = await start_upstream(nursery, servers.authority)
    url = getattr(servers, attribute).url("http" if attribute == "with_password" else "socks5h")
    with pytest.raises(UpstreamUnreachable, match="wants credentials: user:password@ before its host"):
        await ask(through(url), upstream, servers.ca_file)
    assert upstream.accepted == 0


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
async def test_a_proxy_that_is_down_means_no_connection_at_all(
    nursery: trio.Nursery, servers: Servers, scheme: str
) -> None:
    upstream = await start_upstream(nursery, servers.authority)
    down = free_port()
    with sockets_seen() as seen, pytest.raises(UpstreamUnreachable) as caught:
        await ask(through(f"{scheme}://127.0.0.1:{down}"), upstream, servers.ca_file)
    assert f"the proxy 127.0.0.1:{down} cannot be reached: Connection refused" in str(caught.value)
    assert caught.value.cost == "none"
    assert seen.ports == [down, down]
    assert upstream.accepted == 0


@pytest.mark.parametrize("name", ["http", "https, password", "socks5h"])
async def test_an_upstream_that_is_down_is_told_apart_from_the_proxy(servers: Servers, name: str) -> None:
    _, url = way(servers, name)
    dial = through(url, ca_file=servers.ca_file).dial
    with pytest.raises(OSError, match=f"refused the connection to localhost:{(down := free_port())}: "):
        await dial("localhost", down)


async def test_an_upstream_certificate_that_is_not_trusted_names_the_remedy(
    nursery: trio.Nursery, servers: Servers
) -> None:
    upstream = await start_upstream(nursery, servers.authority)
    _, url = way(servers, "http")
    with pytest.raises(UpstreamUnreachable, match=r"TLS certificate of localhost is not trusted .*--ca-file"):
        await ask(through(url), upstream, None)


async def test_an_upstream_certificate_for_another_name_is_refused(nursery: trio.Nursery, servers: Servers) -> None:
    upstream = await start_upstream(nursery, servers.authority, "elsewhere.test")
    _, url = way(servers, "http")
    with pytest.raises(UpstreamUnreachable, match=r"certificate of localhost is not trusted .*Hostname mismatch"):
        await ask(through(url), upstream, servers.ca_file)


async def test_an_https_proxys_certificate_that_is_not_trusted_names_the_remedy(
    nursery: trio.Nursery, servers: Servers
) -> None:
    upstream = await start_upstream(nursery, servers.authority)
    proxy, url = way(servers, "https, password")
    said = f"certificate of the proxy localhost:{proxy.port} is not trusted .*--ca-file"
    with pytest.raises(UpstreamUnreachable, match=said):
        await ask(through(url), upstream, servers.ca_file)
    assert upstream.accepted == 0


async def test_a_proxy_that_dies_in_mid_stream_truncates_it(
    nursery: trio.Nursery, servers: Servers, tmp_path: Path
) -> None:
    upstream = await start_upstream(nursery, servers.authority)
    url = f"https://localhost:{upstream.port}/chat/completions"
    body = json.dumps(chat("SCENARIO:stall60", stream=True)).encode()
    with tinyproxy(tmp_path) as proxy:
        pool = AccountPool(through(proxy.url("http")).dial, lambda: shared_context(servers.ca_file))
        async with pool.send("POST", url, HEADERS, body) as answer:
            assert await answer.receive()
            proxy.kill()
            with pytest.raises(StreamTruncated):
                await answer.read(1_000_000)
        await pool.aclose()


async def test_a_proxy_that_keeps_silent_is_named(nursery: trio.Nursery, servers: Servers) -> None:
    async def silent(stream: trio.abc.Stream) -> None:
        while await stream.receive_some():
            pass

    port = await listen(nursery, silent)
    pool = AccountPool(through(f"http://127.0.0.1:{port}").dial, shared_context, Timeouts(connect=0.2))
    with pytest.raises(UpstreamUnreachable, match=f"the proxy 127.0.0.1:{port} did not open a connection"):
        async with pool.send("GET", "https://localhost:1/", []):
            raise AssertionError


async def test_the_environments_exempt_hosts_go_direct(nursery: trio.Nursery, servers: Servers) -> None:
    upstream = await start_upstream(nursery, servers.authority)
    proxy, url = way(servers, "http")
    with sockets_seen() as seen:
        assert await ask(by_environment({"ALL_PROXY": url}), upstream, servers.ca_file) == "arrived"
        exempt = by_environment({"ALL_PROXY": url, "NO_PROXY": "localhost"})
        assert await ask(exempt, upstream, servers.ca_file) == "arrived"
    assert seen.ports == [proxy.port, upstream.port]


async def test_two_accounts_leave_each_by_their_own_proxy(nursery: trio.Nursery, servers: Servers) -> None:
    upstream = await start_upstream(nursery, servers.authority)
    first, second = through(way(servers, "http")[1]), through(way(servers, "socks5h, password")[1])
    assert first.key != second.key
    with sockets_seen() as seen:
        for egress in (first, second, first):
            assert await ask(egress, upstream, servers.ca_file) == "arrived"
    assert seen.ports == [servers.plain.port, servers.socks_with_password.port, servers.plain.port]
