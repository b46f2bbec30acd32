"""The way to a host, hop by hop: name, proxy, connection, TLS. The first that fails is named."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import trio

from copilot_trio.upstream.network import UNKNOWN_CA, dial_failure, open_socket, secure
from copilot_trio.upstream.proxy_url import ProxyUrl, parse_proxy_url
from copilot_trio.upstream.tls import shared_context

from .finding import Finding, failed, ok
from .way import Way

PATIENCE = 8.0  # seconds for one hop


class Broken(Exception):
    """A hop that fails."""

    def __init__(self, hop: str, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.hop = hop
        self.remedy = remedy


async def check_way(check: str, url: str, way: Way, *, ca_file: str | None, account: str = "") -> Finding:
    """``url`` is a base URL: only connections are opened, nothing is asked."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    walk = _Walk(way, ca_file)
    try:
        with trio.fail_after(3 * PATIENCE):
            await walk.to(host, port, encrypted=parts.scheme == "https")
    except Broken as broken:
        message = f"{host}:{port} {walk.how} fails at {broken.hop}: {broken}"
        return failed(check, message, broken.remedy, account=account, details=tuple(walk.passed))
    return ok(check, f"{host} {walk.how}", account=account, details=tuple(walk.passed))


class _Walk:
    """``passed``: the hops so far, and what each took. ``how`` it goes: directly where NO_PROXY has the host."""

    def __init__(self, way: Way, ca_file: str | None) -> None:
        self._way = way
        self._ca_file = ca_file
        self.passed: list[str] = []
        self.how = way.source

    async def to(self, host: str, port: int, *, encrypted: bool) -> None:
        """Raises ``Broken``."""
        proxy = self._proxy(host, port)
        if proxy is None:
            self.how = "directly"
            with self._hop("DNS", f"name of {host}", f"Look at this machine's DNS and network, or {self._way.where}."):
                await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            hop, what = "TCP", f"connection to {host}:{port}"
            remedy = f"A firewall may stand between; {self._way.where}."
        else:
            await self._reach(proxy)
            hop, what = "the proxy", f"connection to {host}:{port} through {proxy.shown()}"
            remedy = f"Correct user and password, or ask who runs it whether it allows the host. See {self._way.where}."
        with self._hop(hop, what, remedy):
            stream = await self._way.egress.dial(host, port)
        try:
            if encrypted:
                stream = await self._secure(stream, host)
        finally:
            await trio.aclose_forcefully(stream)

    def _proxy(self, host: str, port: int) -> ProxyUrl | None:
        text = self._way.proxy_for(host, port)
        try:
            return None if text is None else parse_proxy_url(text)
        except ValueError as error:
            raise Broken("the proxy", str(error), f"See {self._way.where}.") from None

    async def _reach(self, proxy: ProxyUrl) -> None:
        with self._hop("the proxy's DNS", f"name of the proxy {proxy.host}", f"See {self._way.where}."):
            await trio.socket.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
        remedy = f"Start it, or correct its address. See {self._way.where}."
        with self._hop("the proxy", f"connection to the proxy {proxy.address}", remedy):
            await trio.aclose_forcefully(await open_socket(proxy.host, proxy.port))

    async def _secure(self, stream: trio.abc.Stream, host: str) -> trio.abc.Stream:
        with self._hop("TLS", f"TLS with {host}", "Something on the way does not let TLS pass as it is."):
            return await secure(stream, shared_context(self._ca_file), host, host)
        raise AssertionError("a hop that fails raises")

    @contextmanager
    def _hop(self, name: str, what: str, remedy: str) -> Iterator[None]:
        began = trio.current_time()
        try:
            with trio.fail_after(PATIENCE):
                yield
        except trio.TooSlowError:
            raise Broken(name, f"no answer within {PATIENCE:.0f} s", remedy) from None
        except (OSError, UnicodeError) as error:
            raise _broken(name, error, remedy) from error
        self.passed.append(f"{what}: {1000 * (trio.current_time() - began):.0f} ms")


def _broken(hop: str, error: Exception, remedy: str) -> Broken:
    certificate = _certificate_error(error)
    if certificate is None:
        problem = dial_failure(error) if isinstance(error, socket.gaierror) else str(error)
        return Broken(hop, problem or type(error).__name__, remedy)
    if certificate.verify_code in UNKNOWN_CA:
        remedy = "Give the CA of whoever opens TLS here, say your company: --ca-file FILE, or SSL_CERT_FILE."
        return Broken("the CA", str(error), remedy)
    return Broken("the certificate", str(error), "Look at this machine's clock, and at who answers for that host.")


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__
    return None
