"""The admin API of accounts, over the whole proxy in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from memory_network import Response
from world import World, chat

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.lock import StoreBusy
from copilot_trio.accounts.outcome import paused
from copilot_trio.accounts.store import load_accounts, pause_of, save_accounts, without_account
from copilot_trio.admin.office import _explained
from copilot_trio.admin.refused import Refused
from copilot_trio.config import AccountSettings, ApiKey, Config
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.twin import AccountChange, Fault, sample_accounts

DEV, HOME, WORK = sample_accounts()
PREFIXES = ("/api/accounts", "/admin/accounts")
PROXY = "socks5h://bob:s3cret@proxy.example:1080"


def decoded(answer: Response, status: int = 200) -> dict[str, Any]:
    assert answer.status == status, answer.body
    value = msgspec.json.decode(answer.body)
    assert isinstance(value, dict)
    return value


def refused(answer: Response, status: int) -> str:
    value = decoded(answer, status)
    assert set(value) == {"error"}
    assert "charged" not in value["error"]
    return str(value["error"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "accounts.json"


def stored(path: Path) -> dict[str, AccountRecord]:
    return {record.label: record for record in load_accounts(path).accounts}


def to_add(**fields: object) -> dict[str, object]:
    return {"githubToken": HOME.token, "label": "home", **fields}


# ---- the list


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_accounts_are_listed_without_their_secrets(nursery: trio.Nursery, path: Path, prefix: str) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    await world.call("PUT", "/api/accounts/a2/proxy", {"proxy": PROXY})
    answer = await world.call("GET", prefix)
    work, home = decoded(answer)["accounts"]
    assert (work["id"], work["label"], work["githubToken"]) == ("a1", "work", "ghu_...0000")
    assert (work["status"], work["statusMessage"], work["cooldownUntil"]) == ("active", None, None)
    assert (work["githubLogin"], work["accountType"], work["group"]) == (
        "octo-dev",
        "individual",
        "github.com/individual",
    )
    assert (work["stored"], work["direct"], work["inFlight"], work["warning"]) == (True, False, 0, None)
    assert work["machineId"] == "m" * 64
    assert home["proxy"] == "socks5h://bob:***@proxy.example:1080"
    for secret in (DEV.token, HOME.token, "s3cret"):
        assert secret.encode() not in answer.body


async def test_the_list_has_limits_quota_and_use(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.add_fault(
        Fault(path="/chat/completions", status=429, body={"error": {"code": "user_model_rate_limited"}})
    )
    await world.ask("/v1/chat/completions", chat("hi"))
    decoded(await world.call("POST", "/api/accounts/a1/refresh"))
    (work,) = decoded(await world.call("GET", "/api/accounts"))["accounts"]
    assert (work["status"], list(work["modelCooldowns"])) == ("active", ["gpt-4.1"])
    assert work["modelCooldowns"]["gpt-4.1"]["until"] == pytest.approx((world.now() + 60) * 1000, abs=5000)
    assert "limits the rate" in work["modelCooldowns"]["gpt-4.1"]["reason"]
    assert (work["usage"]["premium_remaining"], work["usage"]["premium_total"]) == (DEV.remaining, DEV.entitlement)
    assert (work["usage"]["chat_remaining"], work["usage"]["chat_total"]) == (None, None)  # unlimited
    assert work["usage"]["quotaResetDate"].endswith("-01T00:00:00+00:00")
    assert work["quota"]["plan"] == "individual_pro"
    assert "premium" in {window["name"] for window in work["quota"]["windows"]}
    assert work["copilotApiEndpoint"] == "http://127.0.0.1:1"
    assert work["lastUsedAt"] == pytest.approx(world.now() * 1000, abs=5000)


async def test_a_limited_account_says_until_when_and_why(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.add_fault(Fault(path="/chat/completions", status=429, body="slow", headers={"retry-after": "600"}))
    await world.ask("/v1/chat/completions", chat("hi"))
    (work,) = decoded(await world.call("GET", "/api/accounts"))["accounts"]
    assert (work["status"], work["modelCooldowns"]) == ("rate_limited", {})
    assert work["cooldownUntil"] == pytest.approx((world.now() + 600) * 1000, abs=5000)
    assert "limits the rate" in work["statusMessage"]


async def test_usage_is_summed_and_told_by_account(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    before = decoded(await world.call("GET", "/api/accounts/usage"))
    assert (before["totalAccounts"], before["activeAccounts"]) == (2, 2)
    assert [one["usage"] for one in before["accounts"]] == [None, None]
    for name in ("a1", "a2"):
        assert decoded(await world.call("POST", f"/api/accounts/{name}/refresh"))["errors"] == []
    after = decoded(await world.call("GET", "/admin/accounts/usage"))
    assert after["aggregatedUsage"]["premium_remaining"] == DEV.remaining + HOME.remaining
    assert after["aggregatedUsage"]["premium_total"] == DEV.entitlement + HOME.entitlement
    assert after["accounts"][1]["quota"]["plan"] == "individual"


# ---- adding


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_an_account_is_checked_then_stored_then_used(nursery: trio.Nursery, path: Path, prefix: str) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    answer = await world.call("POST", prefix, to_add(proxy=PROXY, accountType="business"))
    account = decoded(answer, 201)["account"]
    assert (account["label"], account["githubLogin"], account["accountType"]) == ("home", HOME.login, "business")
    assert "note" not in decoded(answer, 201)  # another group
    assert HOME.token.encode() not in answer.body
    record = stored(path)["home"]
    assert (record.github_token, record.login, record.proxy) == (HOME.token, HOME.login, PROXY)
    assert len(record.machine_id) == 64
    assert world.ways == [PROXY]  # GitHub was asked by the account's own way
    assert world.app.accounts.get(account["id"]) is not None


async def test_a_second_account_of_a_group_is_explained(nursery: trio.Nursery, path: Path) -> None:
    config = Config(accounts=AccountSettings(failover_on_quota=False))
    world = World(nursery, accounts_file=path, stored=True, config=config)
    note = decoded(await world.call("POST", "/api/accounts", to_add()), 201)["note"]
    for word in ("github.com/individual", "work and home", "`failover_on_quota` is off", "config.json", '"groups"'):
        assert word in note
    third = await world.call("POST", "/api/accounts", {"githubToken": WORK.token, "label": "third"})
    assert "note" not in decoded(third, 201)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "githubToken and label are required"),
        ({"githubToken": HOME.token}, "githubToken and label are required"),
        ({"label": "x"}, "githubToken and label are required"),
        (to_add(proxy="ftp://x"), "must begin with one of http://"),
        (to_add(proxy="socks5://u:s3cret@host:x"), "host or port"),
        (to_add(accountType="family"), "accountType"),
        (to_add(accountTyp="business"), "accountTyp"),
        (to_add(label=7), "label"),
        (to_add(label="12"), "must not be a number"),
        (to_add(label="x" * 61), "printable characters"),
        (to_add(label="a\nb"), "printable characters"),
        (to_add(githubToken="two words"), "one line of printable characters"),
        (to_add(enterpriseHost="not a host"), "no host name"),
        (["githubToken"], "object"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_stored(
    nursery: trio.Nursery, path: Path, body: object, words: str
) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    error = refused(await world.call("POST", "/api/accounts", body), 400)
    assert words in error
    assert "s3cret" not in error
    assert list(stored(path)) == ["work"]
    assert world.ways == []


async def test_a_body_that_is_no_json_is_a_400(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    for body in (b"{", b"\xff", b"[" * 5000):
        answer = await world.ask("/api/accounts", body)
        assert "cannot be read" in refused(answer, 400)


async def test_a_token_that_github_refuses_is_not_stored(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    error = refused(await world.call("POST", "/api/accounts", to_add(githubToken="ghu_SYNTHETICwrong")), 422)
    assert error.startswith("GitHub refuses this token")
    assert "SYNTHETICwrong" not in error
    assert list(stored(path)) == ["work"]


@pytest.mark.parametrize(("fault", "status"), [(503, 502), (429, 429)])
async def test_a_github_that_cannot_be_asked_stores_nothing(
    nursery: trio.Nursery, path: Path, fault: int, status: int
) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.add_fault(Fault(path="/user", status=fault, body="down"))
    answer = await world.call("POST", "/api/accounts", to_add())
    assert "Nothing was stored. Try again." in refused(answer, status)
    assert ("retry-after" in answer.headers) == (status == 429)
    assert list(stored(path)) == ["work"]


async def test_a_warning_at_the_check_stores_nothing(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.add_fault(Fault(path="/user", status=403, body={"message": "Your account was suspended"}))
    assert "suspended" in refused(await world.call("POST", "/api/accounts", to_add()), 403)
    assert list(stored(path)) == ["work"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (to_add(githubToken=DEV.token), "stored already, as 'work'"),
        (to_add(label="WORK"), "another account has the label 'WORK'"),
    ],
)
async def test_nothing_is_stored_twice(nursery: trio.Nursery, path: Path, body: object, words: str) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    assert words in refused(await world.call("POST", "/api/accounts", body), 409)
    assert list(stored(path)) == ["work"]


async def test_another_token_of_the_same_login_is_the_same_account(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.accounts.grant("ghu_SYNTHETICother", DEV.login)
    body = to_add(githubToken="ghu_SYNTHETICother")
    assert "as 'work'" in refused(await world.call("POST", "/api/accounts", body), 409)


async def test_two_at_once_are_stored_once(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    statuses: list[int] = []

    async def add() -> None:
        statuses.append((await world.call("POST", "/api/accounts", to_add())).status)

    async with trio.open_nursery() as callers:
        callers.start_soon(add)
        callers.start_soon(add)
    assert sorted(statuses) == [201, 409]
    assert list(stored(path)) == ["work", "home"]


async def test_a_token_that_github_warned_about_is_not_even_tried(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    home = world.app.accounts.accounts[1]
    world.app.accounts.warn(home, paused("spammy_user"))
    refused(await world.call("DELETE", "/api/accounts/a2/x"), 404)
    decoded(await world.call("DELETE", "/api/accounts/a2"))
    world.ways.clear()
    assert "auth --acknowledge" in refused(await world.call("POST", "/api/accounts", to_add()), 403)
    assert world.ways == []


# ---- changing


async def test_an_account_is_switched_off_and_on(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    answer = await world.call("PUT", "/api/accounts/a1/status", {"status": "disabled"})
    assert decoded(answer)["account"]["status"] == "disabled"
    assert stored(path)["work"].status == "disabled"
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 503
    assert world.calls() == []
    answer = await world.call("PUT", "/admin/accounts/a1/status", {"status": "active"})
    assert decoded(answer)["account"]["status"] == "active"
    assert stored(path)["work"].status == "active"
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_switching_on_forgets_limits(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.add_fault(Fault(path="/chat/completions", status=429, body="slow", headers={"retry-after": "600"}))
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 429
    account = decoded(await world.call("PUT", "/api/accounts/a1/status", {"status": "active"}))["account"]
    assert (account["status"], account["cooldownUntil"]) == ("active", None)
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


@pytest.mark.parametrize("body", [{"status": "banned"}, {}, {"status": None}, {"stat": "active"}])
async def test_only_two_statuses_are_a_persons_to_give(nursery: trio.Nursery, path: Path, body: object) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    refused(await world.call("PUT", "/api/accounts/a1/status", body), 400)
    assert stored(path)["work"].status == "active"


async def test_a_proxy_is_set_used_and_taken_away(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    answer = await world.call("PUT", "/api/accounts/a1/proxy", {"proxy": PROXY})
    assert decoded(answer)["account"]["proxy"] == "socks5h://bob:***@proxy.example:1080"
    await world.ask("/v1/chat/completions", chat("hi"))
    assert set(world.ways) == {PROXY}
    world.ways.clear()
    assert decoded(await world.call("PUT", "/api/accounts/a1/proxy", {"proxy": None}))["account"]["proxy"] is None
    assert stored(path)["work"].proxy is None
    await world.ask("/v1/chat/completions", chat("hi"))
    assert set(world.ways) == {None}


@pytest.mark.parametrize("body", [{}, {"proxy": "ftp://x:s3cret@y"}, {"proxy": ""}, {"proxy": 7}])
async def test_a_bad_proxy_changes_nothing(nursery: trio.Nursery, path: Path, body: object) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    assert "s3cret" not in refused(await world.call("PUT", "/api/accounts/a1/proxy", body), 400)
    assert stored(path)["work"].proxy is None


async def test_a_removed_account_is_gone_everywhere(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    assert decoded(await world.call("DELETE", "/api/accounts/a2")) == {"success": True}
    assert list(stored(path)) == ["work"]
    refused(await world.call("DELETE", "/api/accounts/a2"), 404)
    assert len(decoded(await world.call("GET", "/api/accounts"))["accounts"]) == 1


@pytest.mark.parametrize(
    ("method", "end", "body"),
    [
        ("DELETE", "", None),
        ("PUT", "/status", {"status": "active"}),
        ("PUT", "/proxy", {"proxy": None}),
        ("POST", "/refresh", None),
        ("POST", "/acknowledge", None),
    ],
)
@pytest.mark.parametrize("name", ["nobody", "a%201", "%2e%2e", "x" * 5000])
async def test_an_unknown_id_is_a_404(
    nursery: trio.Nursery, path: Path, name: str, method: str, end: str, body: object
) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    error = refused(await world.call(method, f"/api/accounts/{name}{end}", body), 404)
    assert len(error) < 300


async def test_an_id_may_be_percent_encoded(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    decoded(await world.call("PUT", "/api/accounts/%611/status", {"status": "disabled"}))


@pytest.mark.parametrize(
    ("method", "path_", "allow"),
    [
        ("PUT", "/api/accounts", "GET, POST"),
        ("POST", "/api/accounts/usage", "GET"),
        ("POST", "/api/accounts/a1/status", "PUT"),
        ("GET", "/api/accounts/a1", "DELETE"),
    ],
)
async def test_another_method_is_a_405(nursery: trio.Nursery, method: str, path_: str, allow: str) -> None:
    answer = await World(nursery).call(method, path_, {})
    assert (answer.status, answer.headers["allow"]) == (405, allow)


# ---- refresh and warnings


async def test_a_refresh_brings_a_new_token_and_the_quota(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    await world.ask("/v1/chat/completions", chat("hi"))
    before = world.app.accounts.accounts[0].token
    world.twin.change_account(AccountChange(login=DEV.login, remaining=7))
    answer = decoded(await world.call("POST", "/api/accounts/a1/refresh"))
    assert (answer["errors"], answer["account"]["usage"]["premium_remaining"]) == ([], 7)
    assert world.app.accounts.accounts[0].token is not before
    assert len(world.calls("/copilot_internal/v2/token")) == 2


async def test_a_refresh_that_fails_says_why_and_keeps_the_token(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    await world.ask("/v1/chat/completions", chat("hi"))
    before = world.app.accounts.accounts[0].token
    world.twin.add_fault(Fault(path="/copilot_internal/v2/token", status=503, body="down"))
    answer = decoded(await world.call("POST", "/api/accounts/a1/refresh"))
    assert answer["errors"] == ["GitHub answered 503."]
    assert answer["account"]["status"] == "active"
    assert world.app.accounts.accounts[0].token is before
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_a_refresh_finds_a_dead_credential(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.change_account(AccountChange(login=DEV.login, revoked=True))
    answer = decoded(await world.call("POST", "/api/accounts/a1/refresh"))
    assert "GitHub refuses the account's token" in answer["errors"][0]
    assert answer["account"]["status"] == "banned"


async def test_a_refresh_ends_a_rest_that_has_no_cause_any_more(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.change_account(AccountChange(login=DEV.login, blocked="no_copilot_access"))
    assert decoded(await world.call("POST", "/api/accounts/a1/refresh"))["account"]["status"] == "error"
    world.twin.change_account(AccountChange(login=DEV.login, blocked=""))
    assert decoded(await world.call("POST", "/api/accounts/a1/refresh"))["account"]["status"] == "active"


async def test_a_direct_account_has_a_quota_only_to_refresh(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    account = decoded(await world.call("POST", "/api/accounts", to_add(direct=True)), 201)["account"]
    assert account["direct"]
    answer = decoded(await world.call("POST", f"/api/accounts/{account['id']}/refresh"))
    assert (answer["errors"], answer["account"]["status"]) == ([], "active")
    assert world.calls("/copilot_internal/v2/token") == []


async def test_a_warning_holds_until_it_is_acknowledged(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    world.twin.add_fault(Fault(path="/chat/completions", error="tos_block"))
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 403
    (work,) = decoded(await world.call("GET", "/api/accounts"))["accounts"]
    assert (work["status"], work["warning"]) == ("banned", work["statusMessage"])
    assert "GitHub warned" in refused(await world.call("POST", "/api/accounts/a1/refresh"), 403)
    assert "/api/accounts/a1/acknowledge" in refused(
        await world.call("PUT", "/api/accounts/a1/status", {"status": "active"}), 409
    )
    assert pause_of(load_accounts(path), DEV.token) is not None
    answer = decoded(await world.call("POST", "/api/accounts/a1/acknowledge"))
    assert answer["acknowledged"] == work["warning"]
    assert (answer["account"]["status"], answer["account"]["warning"]) == ("active", None)
    assert pause_of(load_accounts(path), DEV.token) is None
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200
    again = decoded(await world.call("POST", "/api/accounts/a1/acknowledge"))
    assert (again["acknowledged"], again["account"]["status"]) == (None, "active")


# ---- accounts of this run only


async def test_an_account_of_this_run_is_shown_as_such_and_not_stored(nursery: trio.Nursery, path: Path) -> None:
    for file in (None, path):
        world = World(nursery, accounts_file=file)
        (work,) = decoded(await world.call("GET", "/api/accounts"))["accounts"]
        assert work["stored"] is False
        assert "add-account" in refused(await world.call("DELETE", "/api/accounts/a1"), 409)
        assert "of this run only" in refused(await world.call("PUT", "/api/accounts/a1/proxy", {"proxy": None}), 409)
        assert "started with" in refused(await world.call("POST", "/api/accounts", to_add()), 409)
        assert "started with" in refused(await world.call("POST", "/api/accounts/auth/start", {}), 409)
        off = decoded(await world.call("PUT", "/api/accounts/a1/status", {"status": "disabled"}))
        assert off["account"]["status"] == "disabled"
        on = decoded(await world.call("PUT", "/api/accounts/a1/status", {"status": "active"}))
        assert on["account"]["status"] == "active"
        world.app.accounts.warn(world.app.accounts.accounts[0], paused("spammy_user"))
        assert decoded(await world.call("POST", "/api/accounts/a1/acknowledge"))["account"]["status"] == "active"
    assert not load_accounts(path).accounts
    assert not load_accounts(path).paused


# ---- the file


async def test_a_damaged_file_is_named_and_left_alone(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    await trio.Path(path).write_text("{")
    for method, end, body in (
        ("POST", "", to_add()),
        ("DELETE", "/a1", None),
        ("PUT", "/a1/status", {"status": "disabled"}),
    ):
        error = refused(await world.call(method, f"/api/accounts{end}", body), 409)
        assert str(path) in error
        assert "damaged" in error
    assert await trio.Path(path).read_text() == "{"
    (work,) = decoded(await world.call("GET", "/api/accounts"))["accounts"]
    assert work["status"] == "active"


async def test_a_directory_that_cannot_be_written_is_said(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    lock = path.with_name("accounts.json.lock")
    lock.unlink()
    lock.mkdir()
    error = refused(await world.call("DELETE", "/api/accounts/a1"), 503)
    assert str(path) in error
    assert "Nothing was stored" in error


def test_a_file_that_another_program_holds_is_said_to_be_busy(path: Path) -> None:
    with pytest.raises(Refused, match="another program has held") as caught, _explained(path):
        raise StoreBusy(path, 10)
    assert (caught.value.status, caught.value.retry_after) == (503, 1)


async def test_what_another_program_removed_meanwhile_is_a_404(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    save_accounts(path, without_account(load_accounts(path), "a2"))
    assert "removed" in refused(await world.call("PUT", "/api/accounts/a2/status", {"status": "disabled"}), 404)


# ---- who may call


async def test_web_pages_and_bodies_of_another_type_are_kept_out(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    for header, status in (
        (("origin", "https://evil.example"), 403),
        (("sec-fetch-site", "cross-site"), 403),
        (("origin", "vscode-file://vscode-app"), 403),
        (("content-type", "text/plain"), 415),
    ):
        answer = await world.call("POST", "/api/accounts", to_add(), header)
        assert answer.status == status
        assert set(msgspec.json.decode(answer.body)) == {"error"}
    assert list(stored(path)) == ["work"]


@pytest.mark.parametrize(
    ("method", "end"),
    [
        ("GET", ""), ("POST", ""), ("GET", "/usage"), ("DELETE", "/a1"), ("PUT", "/a1/status"), ("PUT", "/a1/proxy"),
        ("POST", "/a1/refresh"), ("POST", "/a1/acknowledge"), ("POST", "/auth/start"), ("POST", "/auth/poll"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("prefix", PREFIXES)
async def test_every_route_needs_a_key_with_the_admin_right(
    nursery: trio.Nursery, prefix: str, method: str, end: str
) -> None:
    keys = (ApiKey("user", hash_key("u"), ("inference",)), ApiKey("admin", hash_key("a"), ("admin",)))
    world = World(nursery, access=Access(keys=keys))
    assert (await world.call(method, prefix + end, {})).status == 401
    assert (await world.call(method, prefix + end, {}, ("authorization", "Bearer u"))).status == 403
    assert (await world.call(method, prefix + end, {}, ("authorization", "Bearer a"))).status not in {401, 403, 500}
