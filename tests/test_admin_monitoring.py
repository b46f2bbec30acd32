"""What only looks on: who may, and what the routes answer."""

from __future__ import annotations

import pytest
import trio
from monitoring_of import KEYS, bearer, decoded, error, told
from prometheus_client.parser import text_string_to_metric_families
from world import World, chat

from copilot_trio.twin import Fault

ROUTES = (
    "/usage", "/token", "/metrics", "/api/stats", "/api/requests", "/api/quota", "/api/logs", "/api/logs/stream",
    "/api/live", "/api/metrics/summary", "/api/metrics/recent", "/api/metrics/storage",
)  # fmt: skip


@pytest.mark.parametrize("path", ROUTES)
async def test_a_key_without_the_admin_right_is_refused(nursery: trio.Nursery, tmp_path: object, path: str) -> None:
    world = World(nursery, access=KEYS, usage_file=tmp_path / "usage.sqlite3")  # type: ignore[operator]
    for headers, status in (((), 401), ((bearer("inference-key"),), 403)):
        answer = await world.ask_get(path, *headers)
        assert set(decoded(answer, status)) == {"error"}


@pytest.mark.parametrize("path", ["/usage", "/metrics", "/api/stats"])
async def test_the_admin_right_is_enough(nursery: trio.Nursery, path: str) -> None:
    assert (await World(nursery, access=KEYS).ask_get(path, bearer("admin-key"))).status == 200


@pytest.mark.parametrize("path", ["/usage", "/usage/", "/api/quota"])
async def test_errors_are_plain(nursery: trio.Nursery, path: str) -> None:
    assert "nobody" in await error(World(nursery), f"{path}?account=nobody", 404)
    assert "20 fields" in await error(World(nursery), f"{path}?{'a=1&' * 30}", 400)


# ---- /usage


@pytest.mark.parametrize("name", ["a2", "home", "OCTO-HOME"])
async def test_usage_is_githubs_own_word(nursery: trio.Nursery, name: str) -> None:
    world = World(nursery, accounts=2)
    assert (await told(world, "/usage"))["login"] == "octo-dev"
    world.app.accounts.accounts[1].change(label="home")
    usage = await told(world, f"/usage?account={name}")
    assert (usage["login"], "quota_snapshots" in usage) == ("octo-home", True)
    assert world.app.accounts.accounts[1].quota is not None  # it was of use to us, too


async def test_usage_that_we_cannot_read_is_passed_on(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/copilot_internal/user", status=200, body={"odd": [1]}))
    assert await told(world, "/usage") == {"odd": [1]}
    assert world.app.accounts.accounts[0].quota is None


@pytest.mark.parametrize(("status", "shown"), [(500, 502), (503, 502), (401, 409), (429, 429)])
async def test_usage_that_github_refuses(nursery: trio.Nursery, status: int, shown: int) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/copilot_internal/user", status=status, body="no"))
    assert "GitHub does not tell the usage of work" in await error(world, "/usage", shown)


async def test_nothing_is_asked_on_an_account_that_github_warned_about(nursery: trio.Nursery) -> None:
    world = World(nursery, paused="spammy_user")
    await error(world, "/usage", 403)
    await error(world, "/usage?account=work", 403)
    assert not [record for record in world.twin.records if "copilot_internal" in record.path]


async def test_without_any_account_there_is_no_usage(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.app.accounts.disable(world.app.accounts.accounts[0])
    await error(world, "/usage", 503)


# ---- /token


async def test_no_token_is_shown_unless_the_server_was_told_to(nursery: trio.Nursery) -> None:
    assert "--show-token" in await error(World(nursery), "/token", 403)


async def test_a_token_is_the_one_in_use_and_never_stored(nursery: trio.Nursery) -> None:
    world = World(nursery, show_token=True)
    await world.ask("/v1/chat/completions", chat("hi"))
    token = world.app.accounts.accounts[0].token
    assert token is not None
    answer = await world.ask_get("/token")
    assert decoded(answer) == {"token": token.value}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_token_is_exchanged_where_there_is_none_yet(nursery: trio.Nursery) -> None:
    world = World(nursery, show_token=True, accounts=2)
    assert (await told(world, "/token?account=a2"))["token"].startswith("tid=")


async def test_a_github_token_is_never_shown(nursery: trio.Nursery) -> None:
    world = World(nursery, show_token=True)
    account = world.app.accounts.accounts[0]
    account.change(direct=True)
    assert account.record.github_token not in await error(world, "/token", 409)


async def test_a_token_that_cannot_be_had(nursery: trio.Nursery) -> None:
    world = World(nursery, show_token=True)
    world.twin.add_fault(Fault(path="/copilot_internal/v2/token", status=500, body="no"))
    assert "no token could be had for work" in await error(world, "/token", 502)


# ---- /api/quota


async def test_quota_is_told_as_far_as_known_and_github_is_not_asked(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    await world.call("POST", "/api/accounts/a1/refresh")
    asked = len(world.twin.records)
    work, home = (await told(world, "/api/quota"))["accounts"]
    assert len(world.twin.records) == asked
    assert (work["id"], work["label"], work["planLabel"], work["error"]) == ("a1", "work", "Individual Pro", None)
    assert work["windows"][0]["name"] == "premium"
    assert work["windows"][0]["pace"]["stage"]
    assert (home["windows"], home["readAt"], home["error"]) == ([], None, None)
    (alone,) = (await told(world, "/api/quota?account=a2"))["accounts"]
    assert alone["id"] == "a2"


async def test_quota_of_an_account_that_is_off_says_why(nursery: trio.Nursery) -> None:
    world = World(nursery, paused="spammy_user", accounts=2)
    world.app.accounts.disable(world.app.accounts.accounts[1])
    work, home = (await told(world, "/api/quota"))["accounts"]
    assert work["error"]
    assert home["error"] == "disabled"


# ---- /api/stats


async def test_stats_have_accounts_and_queues(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    world.app.accounts.disable(world.app.accounts.accounts[1])
    await world.ask("/v1/chat/completions", chat("hi"))
    stats = await told(world, "/api/stats")
    assert stats["accounts"] == {"total": 2, "active": 1}
    assert stats["models"] == {"gpt-4.1": {"active": 0, "queued": 0, "maxConcurrency": 10, "totalRequests": 1}}
    assert isinstance(stats["uptime"], float)


async def test_a_reset_begins_to_count_anew(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/chat/completions", chat("hi"))
    assert decoded(await world.call("DELETE", "/api/stats")) == {"success": True}
    assert (await told(world, "/api/stats"))["models"]["gpt-4.1"]["totalRequests"] == 0
    await world.ask("/v1/chat/completions", chat("hi"))
    assert (await told(world, "/api/stats"))["models"]["gpt-4.1"]["totalRequests"] == 1
    page = (await world.ask_get("/metrics")).body.decode()
    assert 'copilot_trio_model_requests_total{model="gpt-4.1"} 2' in page  # a counter of Prometheus never goes back


# ---- /metrics


async def test_prometheus_can_read_it(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    await world.call("POST", "/api/accounts/a1/refresh")
    for stream in (True, False):
        await world.ask("/v1/chat/completions", chat("hi", stream=stream))
    answer = await world.ask_get("/metrics")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(answer.body.decode())}
    (requests,) = families["copilot_trio_requests"].samples
    assert (requests.labels["status"], requests.value) == ("200", 2)
    assert {sample.labels["account"] for sample in families["copilot_trio_account_in_flight"].samples} >= {"work"}
