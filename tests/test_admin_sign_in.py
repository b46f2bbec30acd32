"""Signing in from a web page, over the whole proxy in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from memory_network import post
from test_admin_accounts import decoded, refused, stored
from world import World, chat

from copilot_trio.accounts.outcome import paused
from copilot_trio.accounts.store import load_accounts
from copilot_trio.admin.sign_in import MAX_FLOWS
from copilot_trio.twin import AccountChange, Fault, sample_accounts

DEV, HOME, WORK = sample_accounts()
START, POLL = "/api/accounts/auth/start", "/api/accounts/auth/poll"
QUESTION = "/login/oauth/access_token"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accounts.json"


async def start(world: World, **body: object) -> dict[str, Any]:
    return decoded(await world.call("POST", START, body or None))


async def poll(world: World, code: dict[str, Any], **more: object) -> dict[str, Any]:
    return decoded(await world.call("POST", POLL, {"device_code": code["device_code"], **more}))


async def wait_and_poll(world: World, code: dict[str, Any], **more: object) -> dict[str, Any]:
    await trio.sleep(code["interval"])
    return await poll(world, code, **more)


async def test_a_person_enters_the_code_and_the_account_is_stored(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    assert code["verification_uri"] == "http://127.0.0.1:1/login/device"
    assert (code["interval"], code["expires_in"]) == (6, 900)
    assert await wait_and_poll(world, code) == {"status": "pending", "interval": 6}
    world.twin.approve(code["user_code"], HOME.login)
    done = await wait_and_poll(world, code, label="home", account_type="business")
    assert done["status"] == "complete"
    assert (done["account"]["label"], done["account"]["githubLogin"]) == ("home", HOME.login)
    record = stored(path)["home"]
    assert (record.login, record.account_type, record.github_token[:4]) == (HOME.login, "business", "ghu_")
    assert record.github_token not in msgspec.json.encode(done).decode()
    assert await poll(world, code) == done  # who missed the answer asks again
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_an_account_is_called_as_its_login_and_the_group_explained(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    world.twin.approve(code["user_code"], HOME.login)
    done = await wait_and_poll(world, code)
    assert done["account"]["label"] == HOME.login
    assert "failover_on_quota" in done["note"]


async def test_github_is_never_asked_more_often_than_it_allows(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    for _ in range(40):
        assert (await poll(world, code))["status"] == "pending"
        await trio.sleep(0.5)
    assert len(world.calls(QUESTION)) == 3
    assert all(record.status == 200 for record in world.calls(QUESTION))
    assert (await wait_and_poll(world, code)) == {"status": "pending", "interval": 6}  # no slow_down came


async def test_slow_down_makes_the_interval_longer(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    world.twin.add_fault(Fault(path=QUESTION, status=200, body={"error": "slow_down", "interval": 30}))
    assert await wait_and_poll(world, code) == {"status": "pending", "interval": 31}
    await wait_and_poll(world, code)
    assert len(world.calls(QUESTION)) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [("access_denied", "denied"), ("expired_token", "expired"), ("unsupported_grant_type", "error")],
)
async def test_an_end_is_told_and_stays(nursery: trio.Nursery, path: Path, error: str, status: str) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    world.twin.add_fault(Fault(path=QUESTION, status=200, body={"error": error, "error_description": "as it is"}))
    for _ in range(2):
        assert await wait_and_poll(world, code) == {"status": status, "message": "as it is"}
    assert len(world.calls(QUESTION)) == 1


async def test_a_code_runs_out_on_our_clock_too(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    await trio.sleep(901)
    assert (await poll(world, code))["status"] == "expired"
    assert world.calls(QUESTION) == []


async def test_a_code_that_nobody_was_given_is_expired(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    assert (await poll(world, {"device_code": "guessed"}))["status"] == "expired"


async def test_everybody_gets_a_code_of_their_own_and_githubs_stays_here(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    first, second = await start(world), await start(world)
    assert first["user_code"] != second["user_code"]
    assert first["device_code"] != second["device_code"]
    assert first["device_code"] not in {code.device_code for code in world.twin.state.devices.pending(world.now())}
    world.twin.approve(second["user_code"], HOME.login)
    assert (await wait_and_poll(world, second))["status"] == "complete"
    assert (await poll(world, first))["status"] == "pending"


async def test_only_so_many_are_kept_and_what_has_ended_goes_first(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    codes = [await start(world) for _ in range(MAX_FLOWS)]
    world.twin.decide(codes[3]["user_code"], "denied")
    assert (await wait_and_poll(world, codes[3]))["status"] == "denied"
    await start(world)
    assert (await poll(world, codes[3]))["status"] == "expired"
    assert (await poll(world, codes[0]))["status"] == "pending"
    await start(world)
    assert (await poll(world, codes[0]))["status"] == "expired"


async def test_a_sign_in_goes_its_accounts_own_way(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    proxy = "http://proxy.example:3128"
    code = await start(world, proxy=proxy, enterpriseHost="https://octocorp.ghe.com/")
    world.twin.approve(code["user_code"], HOME.login)
    await wait_and_poll(world, code)
    assert set(world.ways) == {proxy}
    record = stored(path)[HOME.login]
    assert (record.proxy, record.enterprise_host) == (proxy, "octocorp.ghe.com")


async def test_signing_in_again_renews_the_account(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.change_account(AccountChange(login=DEV.login, revoked=True))
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 502
    world.twin.change_account(AccountChange(login=DEV.login, revoked=False))
    code = await start(world)
    world.twin.approve(code["user_code"], DEV.login)
    done = await wait_and_poll(world, code)
    assert (done["account"]["id"], done["account"]["label"], done["account"]["status"]) == ("a1", "work", "active")
    assert "note" not in done
    (record,) = load_accounts(path).accounts
    assert record.github_token != DEV.token
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_signing_in_again_is_no_way_round_a_warning(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.app.accounts.warn(world.app.accounts.accounts[0], paused("spammy_user"))
    code = await start(world)
    world.twin.approve(code["user_code"], DEV.login)
    done = await wait_and_poll(world, code)
    assert (done["status"], done["account"]["status"]) == ("complete", "banned")
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 403


async def test_an_outage_costs_no_code_and_no_token(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    world.twin.approve(code["user_code"], HOME.login)
    world.twin.add_fault(Fault(path=QUESTION, status=503, body="<html>"))
    assert "GitHub could not be asked" in (await wait_and_poll(world, code))["message"]
    world.twin.add_fault(Fault(path="/user", status=503, body="down"))
    first = await wait_and_poll(world, code)
    assert (first["status"], "whose token" in first["message"]) == ("pending", True)
    assert (await wait_and_poll(world, code))["status"] == "complete"
    assert len(world.calls(QUESTION)) == 2  # GitHub tells a token once


async def test_a_file_that_cannot_be_written_costs_no_token(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    world.twin.approve(code["user_code"], HOME.login)
    good = await trio.Path(path).read_bytes()
    await trio.Path(path).write_bytes(b"{")
    await trio.sleep(code["interval"])
    assert "damaged" in refused(await world.call("POST", POLL, {"device_code": code["device_code"]}), 409)
    await trio.Path(path).write_bytes(good)
    assert (await wait_and_poll(world, code))["status"] == "complete"


async def test_a_token_that_is_refused_at_once_is_an_error(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    world.twin.approve(code["user_code"], HOME.login)
    world.twin.add_fault(Fault(path="/user", status=401, body={"message": "Bad credentials"}))
    done = await wait_and_poll(world, code)
    assert (done["status"], "GitHub refuses" in done["message"]) == ("error", True)
    assert list(stored(path)) == ["work"]


async def test_a_page_that_leaves_in_mid_question_loses_nothing(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    world.twin.approve(code["user_code"], HOME.login)
    world.twin.add_fault(Fault(path=QUESTION, delay=4.0))
    await trio.sleep(code["interval"])
    client = await world.client()
    await post(client.stream, POLL, msgspec.json.encode({"device_code": code["device_code"]}))
    await trio.sleep(1)
    assert (await poll(world, code))["status"] == "pending"  # one question at a time
    await client.stream.aclose()
    await trio.sleep(10)
    assert (await poll(world, code))["status"] == "complete"
    assert len(world.calls(QUESTION)) == 1


async def test_a_code_that_cannot_be_had_is_said(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.add_fault(Fault(path="/login/device/code", status=503, body="down"))
    assert "no code could be had" in refused(await world.call("POST", START, {}), 502)


@pytest.mark.parametrize(
    ("at", "body", "words"),
    [
        (START, {"proxy": "ftp://x"}, "must begin with"),
        (START, {"enterpriseHost": "a b"}, "no host name"),
        (START, {"nonsense": 1}, "nonsense"),
        (POLL, {}, "device_code is required"),
        (POLL, {"device_code": 7}, "device_code"),
        (POLL, {"device_code": "x", "label": "7"}, "must not be a number"),
        (POLL, {"device_code": "x", "account_type": "family"}, "account_type"),
    ],
)
async def test_what_is_wrong_is_a_400(nursery: trio.Nursery, path: Path, at: str, body: object, words: str) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    assert words in refused(await world.call("POST", at, body), 400)


async def test_a_label_that_is_taken_gets_a_number(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    code = await start(world)
    world.twin.approve(code["user_code"], HOME.login)
    assert (await wait_and_poll(world, code, label="work"))["account"]["label"] == "work 2"
