"""The failing hop is named: over real sockets, real proxies, real TLS."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trustme
from proxy_servers import PASSWORD, USER, free_port, microsocks, tinyproxy
from wires import listen, secured, tell_ok

from copilot_trio.doctor.finding import Finding
from copilot_trio.doctor.hops import check_way
from copilot_trio.doctor.way import Way, direct_way, own_way, way_by
from copilot_trio.upstream.egress import by_environment, direct, through, unusable

pytestmark = pytest.mark.real_clock


def straight(**environment: str) -> Way:
    return direct_way(direct(), environment)


def by(url: str) -> Way:
    return own_way(url, through(url))


async def check(url: str, way: Way, ca_file: str | None = None) -> Finding:
    return await check_way("egress", url, way, ca_file=ca_file, account="work")


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority, str(tmp_path / "ca.pem")


async def test_a_way_that_is_open_tells_its_hops(nursery: trio.Nursery, authority: tuple[trustme.CA, str]) -> None:
    port = await listen(nursery, secured(authority[0], "localhost", tell_ok))
    found = await check(f"https://localhost:{port}", straight(), authority[1])
    assert (found.state, found.account) == ("ok", "work")
    assert [detail.split()[0] for detail in found.details] == ["name", "connection", "TLS"]
    port = await listen(nursery, tell_ok)
    assert len((await check(f"http://localhost:{port}", straight())).details) == 2


async def test_a_name_that_nobody_knows(nursery: trio.Nursery) -> None:
    found = await check("https://nowhere.invalid", straight(HTTPS_PROXY="http://p:1"))
    assert (found.state, "nowhere.invalid:443 directly fails at DNS" in found.message) == ("failed", True)
    assert "HTTPS_PROXY is set and not used" in found.remedy


async def test_a_host_that_refuses() -> None:
    found = await check(f"https://localhost:{free_port()}", straight())
    assert "fails at TCP" in found.message
    assert "Connection refused" in found.message
    assert "copilot-trio proxy --set" in found.remedy


async def test_a_ca_that_is_not_trusted(nursery: trio.Nursery, authority: tuple[trustme.CA, str]) -> None:
    port = await listen(nursery, secured(authority[0], "localhost", tell_ok))
    found = await check(f"https://localhost:{port}", straight())
    assert (found.state, "fails at the CA" in found.message) == ("failed", True)
    assert "--ca-file" in found.remedy


async def test_a_certificate_for_another_host(nursery: trio.Nursery, authority: tuple[trustme.CA, str]) -> None:
    port = await listen(nursery, secured(authority[0], "elsewhere.example", tell_ok))
    found = await check(f"https://localhost:{port}", straight(), authority[1])
    assert "fails at the certificate" in found.message


async def test_something_that_does_not_speak_tls(nursery: trio.Nursery) -> None:
    async def garble(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    found = await check(f"https://localhost:{await listen(nursery, garble)}", straight())
    assert "fails at TLS" in found.message


async def test_a_proxy_that_is_down_or_unknown() -> None:
    found = await check("https://api.github.com", by(f"http://{USER}:{PASSWORD}@127.0.0.1:{free_port()}"))
    assert "through the account's own proxy fails at the proxy: Connection refused" in found.message
    assert "/proxy" in found.remedy
    assert PASSWORD not in repr(found)
    found = await check("https://api.github.com", by("socks5h://nowhere.invalid"))
    assert "fails at the proxy's DNS" in found.message


async def test_real_proxies_that_let_through_and_that_want_credentials(nursery: trio.Nursery, tmp_path: Path) -> None:
    base = f"http://127.0.0.1:{await listen(nursery, tell_ok)}"
    with tinyproxy(tmp_path, credentials=True) as http, microsocks(tmp_path, credentials=True) as socks:
        for server, scheme in ((http, "http"), (socks, "socks5h")):
            right = await check(base, by(server.url(scheme, user=USER, password=PASSWORD)))
            assert (right.state, len(right.details)) == ("ok", 3), right
            wrong = await check(base, by(server.url(scheme, user=USER, password="wrongword")))
            assert "fails at the proxy" in wrong.message
            assert "wants other credentials" in wrong.message
            assert "Correct user and password" in wrong.remedy
            assert "wrongword" not in repr(wrong)


async def test_a_proxy_that_cannot_be_used_at_all() -> None:
    found = await check("https://api.github.com", own_way("ftp://u:s3cret@x", unusable("it cannot")))
    assert (found.state, "fails at the proxy: this proxy URL cannot be used" in found.message) == ("failed", True)
    assert "s3cret" not in repr(found)


async def test_a_saved_proxy_and_what_it_leaves_out(nursery: trio.Nursery) -> None:
    variables = {"HTTP_PROXY": f"http://127.0.0.1:{free_port()}", "NO_PROXY": "localhost"}
    way = way_by(variables, by_environment(variables), "through the saved proxy", "`copilot-trio proxy --show`")
    port = await listen(nursery, tell_ok)
    left_out = await check(f"http://localhost:{port}", way)
    assert (left_out.state, left_out.message) == ("ok", "localhost directly")
    found = await check(f"http://127.0.0.1:{port}", way)
    assert "through the saved proxy fails at the proxy: Connection refused" in found.message
    assert "proxy --show" in found.remedy
