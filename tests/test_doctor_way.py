from __future__ import annotations

import pytest
import trio

from copilot_trio.doctor.hops import PATIENCE, check_way
from copilot_trio.doctor.way import direct_way, own_way, way_by
from copilot_trio.upstream.egress import Egress, by_environment, direct

SECURE, PLAIN = "http://secure.example:1", "http://plain.example:2"


@pytest.mark.parametrize(
    ("variables", "host", "expected"),
    [
        ({"HTTPS_PROXY": SECURE, "http_proxy": PLAIN}, "api.github.com", SECURE),
        ({"HTTPS_PROXY": SECURE, "http_proxy": PLAIN}, "127.0.0.1", PLAIN),
        ({"ALL_PROXY": PLAIN}, "api.github.com", PLAIN),
        ({"HTTPS_PROXY": SECURE, "NO_PROXY": ".github.com"}, "api.github.com", None),
        ({"HTTPS_PROXY": SECURE, "no_proxy": "other"}, "api.github.com", SECURE),
    ],
)
def test_the_proxy_is_the_one_that_the_environment_names(
    variables: dict[str, str], host: str, expected: str | None
) -> None:
    assert way_by(variables, by_environment(variables), "", "").proxy_for(host, 443) == expected


def test_an_own_proxy_takes_everything_and_a_direct_way_nothing() -> None:
    assert own_way(SECURE, direct()).proxy_for("localhost", 1) == SECURE
    assert direct_way(direct(), {"HTTPS_PROXY": SECURE}).proxy_for("api.github.com", 443) is None


async def test_who_keeps_silent_is_not_waited_for_for_ever() -> None:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    way = direct_way(Egress(dial, "silent", proxied=False), {})
    began = trio.current_time()
    found = await check_way("egress", "https://127.0.0.1", way, ca_file=None)
    assert f"fails at TCP: no answer within {PATIENCE:.0f} s" in found.message
    assert trio.current_time() - began == PATIENCE
