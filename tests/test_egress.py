from __future__ import annotations

import pytest
import trio
from proxy_servers import free_port
from wires import connect_proxy, listen, tell_ok

from copilot_trio.upstream.egress import Egress, by_environment, direct, is_exempt, through, unusable
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

real_clock = pytest.mark.real_clock


async def fetch(egress: Egress, port: int) -> bytes:
    pool = AccountPool(egress.dial, shared_context)
    try:
        async with pool.send("GET", f"http://127.0.0.1:{port}/", []) as answer:
            return await answer.read(100)
    finally:
        await pool.aclose()


@real_clock
async def test_direct_goes_direct(nursery: trio.Nursery) -> None:
    assert await fetch(direct(), await listen(nursery, tell_ok)) == b"ok"
    assert (direct().key, direct().proxied) == ("direct", False)


def test_the_key_tells_ways_apart_and_holds_no_credentials() -> None:
    same = through("http://alice:secret@proxy.example:3128")
    assert same.proxied
    assert same.key == through(" http://alice:secret@Proxy.example:3128/").key
    others = {
        through(url).key
        for url in (
            "http://proxy.example:3128",
            "http://bob:secret@proxy.example:3128",
            "http://alice:other@proxy.example:3128",
            "https://alice:secret@proxy.example:3128",
            "http://alice:secret@proxy.example:3129",
        )
    }
    assert len(others | {same.key, direct().key}) == 7
    assert same.key.startswith("http://proxy.example:3128 ")
    assert "alice" not in same.key + repr(same)
    assert "secret" not in same.key + repr(same)


def test_a_url_that_cannot_be_used_is_an_error_not_a_direct_way() -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        through("ftp://proxy.example")


async def test_what_is_unusable_fails_every_call_with_its_reason() -> None:
    egress = unusable("the stored proxy cannot be used")
    with pytest.raises(OSError, match="the stored proxy cannot be used"):
        await egress.dial("127.0.0.1", 1)
    assert egress.key != direct().key
    assert not egress.proxied


# ---- the environment


def test_no_proxy_in_the_environment_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of HTTPS_PROXY"):
        by_environment({"HTTPS_PROXY": "", "NO_PROXY": "*"})


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy", "All_Proxy"])
def test_a_proxy_in_the_environment_that_cannot_be_used_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        by_environment({name: "proxy.example:3128"})


@real_clock
async def test_the_environments_proxy_is_used_but_for_exempt_hosts(nursery: trio.Nursery) -> None:
    port = await listen(nursery, tell_ok)
    seen: list[bytes] = []
    proxy = await listen(nursery, connect_proxy(seen))
    used = by_environment({"http_proxy": f"http://127.0.0.1:{proxy}"})
    assert used.proxied
    assert await fetch(used, port) == b"ok"
    exempt = by_environment({"ALL_PROXY": f"http://127.0.0.1:{proxy}", "NO_PROXY": "127.0.0.0/8"})
    assert await fetch(exempt, port) == b"ok"
    assert len(seen) == 1
    assert used.key != exempt.key


@real_clock
async def test_each_scheme_has_its_own_proxy(nursery: trio.Nursery) -> None:
    down = free_port()
    egress = by_environment({"HTTPS_PROXY": f"http://127.0.0.1:{down}", "HTTP_PROXY": "http://127.0.0.1:9"})
    with pytest.raises(OSError, match=f"the proxy 127.0.0.1:{down} cannot be reached"):
        await egress.dial("upstream.example", 443)


async def test_without_a_proxy_for_https_other_hosts_are_refused_not_dialled() -> None:
    egress = by_environment({"HTTP_PROXY": "http://127.0.0.1:9"})
    with pytest.raises(OSError, match="does not go direct"):
        await egress.dial("upstream.example", 8443)


@pytest.mark.parametrize(
    ("host", "no_proxy", "exempt"),
    [
        ("a.example.com", "example.com", True),
        ("a.example.com", ".example.com", True),
        ("example.com", ".example.com", True),
        ("badexample.com", "example.com", False),
        ("example.com", "other, Example.com", True),
        ("Example.com.", "other example.com", True),
        ("example.com", "example.com:443", True),
        ("example.com", "example.com:80", False),
        ("a.example.com", "*.example.com", True),
        ("example.com", "*.example.com", False),
        ("badexample.com", "*.example.com", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.0.0.1/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:443", True),
        ("10.1.2.3", "10.1.2.3:80", False),
        ("10.1.2.3", "2.3", False),
        ("10.1.2.3", "fd00::/8", False),
        ("fd00::7", "fd00::/8", True),
        ("::1", "[::1]", True),
        ("::1", "[::1]:443", True),
        ("::1", "::1", True),
        ("0:0::1", "::1", True),
        ("example.com", "10.0.0.0/8", False),
        ("x", "*", True),
        ("x", "", False),
        ("x", ",., ", False),
        ("x", "10.0.0.0/99", False),
    ],
)
def test_no_proxy(host: str, no_proxy: str, exempt: bool) -> None:
    assert is_exempt(host, 443, no_proxy) == exempt
