"""Diallers through a proxy: HTTP CONNECT, in plain or over TLS, by h11; SOCKS5 by python-socks.

Every failure is an ``OSError`` that names the proxy, never its user or password. No other way is ever tried.
"""

from __future__ import annotations

import base64
import math
import socket
from typing import TYPE_CHECKING

import h11
import trio

from .network import Dial, dial_failure, keep_alive, open_socket, said_by, secure
from .proxy_url import ProxyUrl, parse_proxy_url
from .tls import shared_context

if TYPE_CHECKING:
    from python_socks.async_.trio.v2 import Proxy

MAX_HEAD = 16 * 1024
MAX_REASON = 100
SHARE = 0.9  # of the time there is to connect: the rest is for saying that it was the proxy who kept silent


def dial_through(proxy_url: str, *, ca_file: str | None = None) -> Dial:
    """Raises ``ValueError`` for a URL that cannot be used. ``ca_file`` is for the certificate of an HTTPS proxy."""
    proxy = parse_proxy_url(proxy_url)
    if proxy.scheme in {"http", "https"}:
        return _in_time(_Connect(proxy, ca_file).dial, proxy)
    return _in_time(_Socks(proxy).dial, proxy)


def _in_time(dial: Dial, proxy: ProxyUrl) -> Dial:
    async def timed(host: str, port: int) -> trio.abc.Stream:
        patience = (trio.current_effective_deadline() - trio.current_time()) * SHARE
        with trio.move_on_after(max(0.0, patience)):
            return await dial(host, port)
        raise OSError(f"the proxy {proxy.address} did not open a connection to {_authority(host, port)} in time")

    return timed


class _Connect:
    def __init__(self, proxy: ProxyUrl, ca_file: str | None) -> None:
        self._proxy = proxy
        self._who = f"the proxy {proxy.address}"
        self._ca_file = ca_file

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        stream: trio.abc.Stream
        try:
            stream = await open_socket(self._proxy.host, self._proxy.port)
        except OSError as error:
            raise OSError(f"{self._who} cannot be reached: {error}") from error
        try:
            if self._proxy.scheme == "https":
                stream = await secure(stream, shared_context(self._ca_file), self._proxy.host, self._who)
            await self._ask(stream, _authority(host, port))
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return stream

    async def _ask(self, stream: trio.abc.Stream, authority: str) -> None:
        machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        headers = [("Host", authority), *self._authorization()]
        request = machine.send(h11.Request(method="CONNECT", target=authority, headers=headers)) or b""
        machine.send(h11.EndOfMessage())
        try:
            await stream.send_all(request)
            answer = await self._answer(stream, machine)
        except trio.BrokenResourceError as error:
            raise OSError(f"{self._who} broke the connection: {said_by(error)}") from error
        except h11.RemoteProtocolError as error:
            raise OSError(f"{self._who} does not answer as an HTTP proxy does: {error}") from error
        if answer.status_code in {401, 407}:  # tinyproxy answers wrong ones by 401
            raise OSError(f"{self._who} wants {_credentials_it_wants(self._proxy)}")
        if not 200 <= answer.status_code < 300:
            raise OSError(f"{self._who} refused the connection to {authority}: {_status(answer)}")
        if machine.trailing_data[0]:  # to be heard by nobody: in TLS as in HTTP the client speaks first
            raise OSError(f"{self._who} sent more than its answer")

    async def _answer(self, stream: trio.abc.Stream, machine: h11.Connection) -> h11.Response:
        while True:
            event = machine.next_event()
            if isinstance(event, h11.Response):
                return event
            if event is h11.NEED_DATA:
                data = await stream.receive_some(MAX_HEAD)
                if not data:
                    raise OSError(f"{self._who} closed the connection before it answered")
                machine.receive_data(bytes(data))

    def _authorization(self) -> list[tuple[str, str]]:
        if not self._proxy.user and not self._proxy.password:
            return []
        pair = f"{self._proxy.user}:{self._proxy.password}".encode()
        return [("Proxy-Authorization", f"Basic {base64.b64encode(pair).decode()}")]


class _Socks:
    def __init__(self, proxy: ProxyUrl) -> None:
        self._proxy = proxy
        self._who = f"the proxy {proxy.address}"

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        from python_socks import ProxyConnectionError, ProxyError

        authority = _authority(host, port)
        try:
            opened = await self._client().connect(host, port, timeout=math.inf)
        except ProxyConnectionError as error:
            raise OSError(f"{self._who} cannot be reached: {dial_failure(error.__cause__ or error)}") from error
        except ProxyError as error:
            if "authentication" in str(error).lower():  # the library tells it apart by its words only
                raise OSError(f"{self._who} wants {_credentials_it_wants(self._proxy)}") from error
            raise OSError(f"{self._who} refused the connection to {authority}: {error}") from error
        except socket.gaierror as error:
            raise OSError(f"{host} cannot be resolved: {said_by(error)}; socks5h:// lets the proxy do it") from error
        except (trio.BrokenResourceError, OSError) as error:
            raise OSError(f"{self._who} broke the connection: {said_by(error)}") from error
        except ValueError as error:
            raise OSError(f"{self._who} does not answer as a SOCKS5 proxy does") from error
        stream = opened.trio_stream
        assert isinstance(stream, trio.SocketStream)
        keep_alive(stream)
        return stream

    def _client(self) -> Proxy:
        from python_socks import ProxyType  # with the rest of it, 30 ms that most never need
        from python_socks.async_.trio.v2 import Proxy

        proxy = self._proxy
        remote = proxy.scheme == "socks5h"
        return Proxy(ProxyType.SOCKS5, proxy.host, proxy.port, proxy.user or None, proxy.password or None, rdns=remote)


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _credentials_it_wants(proxy: ProxyUrl) -> str:
    return "other credentials" if proxy.user or proxy.password else "credentials: user:password@ before its host"


def _status(answer: h11.Response) -> str:
    reason = "".join(filter(str.isprintable, bytes(answer.reason).decode("latin-1")))
    return f"{answer.status_code} {reason[:MAX_REASON]}".rstrip()
