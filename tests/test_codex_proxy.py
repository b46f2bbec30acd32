"""The paths of codex-proxy, over the whole proxy in memory (systems.md §1.3 to §1.10)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from accounts_of import UNLIMITED, an_account, left
from memory_network import Client, Response
from world import World, chat

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.accounts.store import load_accounts
from copilot_trio.admin.codex_claude import _is_here
from copilot_trio.admin.codex_proxy import Home
from copilot_trio.admin.codex_view import find_called, shown_quota_of, shown_usage
from copilot_trio.admin.redaction import REDACTED
from copilot_trio.clients.places import place_of
from copilot_trio.config import ApiKey, load_config
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.server.dispatch import refuse
from copilot_trio.server.listen import Limits, Server
from copilot_trio.twin import AccountChange, Fault, sample_accounts

DEV, HOME, WORK = sample_accounts()
NOW = 1_790_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "accounts.json"


def decoded(answer: Response, status: int = 200) -> Any:
    assert answer.status == status, answer.body
    return msgspec.json.decode(answer.body)


def refused(answer: Response, status: int) -> str:
    value = decoded(answer, status)
    assert (set(value), value["success"]) == ({"success", "error"}, False)
    return str(value["error"])


def stored(path: Path) -> dict[str, AccountRecord]:
    return {record.label: record for record in load_accounts(path).accounts}


# ---- the list


async def test_accounts_are_listed_by_login(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    for name in ("/accounts", "/accounts/status"):
        told = decoded(await world.call("GET", name))
        assert (told["activeAccount"], told["active"], told["total"]) == (DEV.login, DEV.login, 2)
        first, second = told["accounts"]
        assert first == {
            "email": DEV.login, "accountId": "a1", "label": "work", "planType": "individual", "addedAt": None,
            "lastUsed": None, "isActive": True, "tokenExpired": False, "status": "active", "quota": None,
        }  # fmt: skip
        assert (second["email"], second["isActive"]) == (HOME.login, False)


async def test_the_one_account_of_the_newest_generation_is_the_active_one(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    await world.ask("/v1/chat/completions", chat("hi"))
    decoded(await world.call("POST", "/account/refresh"))
    for name in ("/account", "/account/status"):
        told = decoded(await world.call("GET", name))
        assert (told["account"]["email"], told["activeAccount"], told["total"]) == (DEV.login, DEV.login, 2)
        assert told["account"]["planType"] == "Individual Pro"
        assert told["account"]["lastUsed"].endswith("+00:00")
        assert told["account"]["quota"]["usage"]["percentage"] == pytest.approx(29.72)


async def test_without_accounts_there_is_none(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=0)
    assert decoded(await world.call("GET", "/account")) == {"account": None, "activeAccount": None, "total": 0}
    assert decoded(await world.call("GET", "/accounts"))["accounts"] == []
    for method, name in [("GET", "/account/quota"), ("POST", "/account/refresh"), ("DELETE", "/account")]:
        assert "there is no account" in refused(await world.call(method, name, {}), 404)
    assert decoded(await world.call("POST", "/accounts/refresh/all", {})) == []


async def test_a_refused_credential_is_an_expired_token(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.change_account(AccountChange(login=DEV.login, revoked=True))
    told = decoded(await world.call("POST", "/account/refresh"))
    assert (told["success"], "could not be refreshed" in told["message"]) == (False, True)
    account = decoded(await world.call("GET", "/account"))["account"]
    assert (account["tokenExpired"], account["status"]) == (True, "banned")


async def test_health_tells_it_to_who_may_know(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    told = decoded(await world.call("GET", "/health"))
    assert (told["status"], told["total"], told["active"], told["configPath"]) == ("ok", 1, DEV.login, str(path))
    assert told["account"]["email"] == DEV.login
    assert told["accounts"] == {"total": 1, "active": 1}  # ours
    locked = World(nursery, access=Access(keys=(ApiKey("k", hash_key("k"), ("inference",)),)))
    assert decoded(await locked.call("GET", "/health")) == {"status": "ok"}
    assert decoded(await locked.call("GET", "/health", None, ("x-api-key", "k"))) == {"status": "ok"}


# ---- one account, by its name


def test_a_name_is_an_id_a_label_or_a_login() -> None:
    first, second, third = an_account("Work"), an_account("home"), an_account("other")
    first.change(login="octo")
    second.change(login="Octo")
    third.change(login="work")
    accounts = (first, second, third)
    assert find_called(accounts, "id-home") == [second]
    assert find_called(accounts, "work") == [first]
    assert find_called(accounts, " HOME ") == [second]
    assert find_called(accounts, "octo") == [first, second]
    assert find_called(accounts, "") == []
    assert find_called((an_account("x"),), "") == []


@pytest.mark.parametrize("name", [DEV.login, DEV.login.upper(), "work", "a1"])
async def test_email_is_login_or_label(nursery: trio.Nursery, name: str) -> None:
    world = World(nursery, accounts=2)
    told = decoded(await world.call("GET", f"/accounts/quota?email={name}"))
    assert told["email"] == DEV.login


async def test_an_unknown_name_is_a_404_and_two_of_a_name_a_409(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    for method, name, body in [
        ("GET", "/accounts/quota?email=nobody", None),
        ("GET", "/account/models?email=nobody", None),
        ("POST", "/accounts/switch", {"email": "nobody"}),
        ("POST", "/accounts/nobody/refresh", None),
        ("DELETE", "/accounts/nobody", None),
        ("DELETE", "/accounts/work/nobody", None),
    ]:
        assert "nobody" in refused(await world.call(method, name, body), 404)
    world.app.accounts.accounts[1].change(login=DEV.login)
    assert "more than one account" in refused(await world.call("DELETE", f"/accounts/{DEV.login}"), 409)
    assert len(load_accounts(path).accounts) == 2


# ---- quota, usage, models


async def test_a_quota_is_fetched_once_in_five_minutes(nursery: trio.Nursery) -> None:
    world = World(nursery)

    async def quota(query: str = "") -> dict[str, Any]:
        value = decoded(await world.call("GET", f"/account/quota{query}"))
        assert isinstance(value, dict)
        return value

    first = await quota()
    assert (first["success"], first["email"], first["cached"]) == (True, DEV.login, False)
    assert first["quota"]["usage"].keys() >= {
        "totalTokenUsage",
        "limit",
        "remaining",
        "percentage",
        "resetAt",
        "allowed",
    }
    assert (await quota())["cached"] is True
    assert (await quota("?refresh=true"))["cached"] is False
    await trio.sleep(301)
    assert (await quota())["cached"] is False
    world.twin.add_fault(Fault(path="/copilot_internal/user", status=500))
    told = await quota("?refresh=true")
    assert (told["cached"], "earlier" in told["warning"]) == (True, True)


async def test_a_quota_that_was_never_had_is_an_error(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/copilot_internal/user", status=500, times=None))
    for name in ("/account/quota", "/accounts/usage"):
        assert "500" in refused(await world.call("GET", name), 502)
    told = decoded(await world.call("GET", "/accounts/quota/all"))
    assert told == {"accounts": [{"email": DEV.login, "quota": None}]}


async def test_usage_and_models_of_an_account(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    told = decoded(await world.call("GET", f"/accounts/usage?email={HOME.login}"))
    assert (told["email"], told["usage"]["limit"], told["usage"]["planType"]) == (HOME.login, 100, "Individual")
    told = decoded(await world.call("GET", "/account/models"))
    assert told["email"] == DEV.login
    model = next(model for model in told["models"] if model["id"] == "gpt-4.1")
    assert (model["name"], model["supportedInApi"], model["visibility"]) == ("GPT-4.1", True, "list")


@pytest.mark.parametrize(
    ("quota", "used", "remaining", "allowed"),
    [
        (left(25), 75, 25, True),
        (left(-15, overage=True), 115, -15, True),
        (left(0), 100, 0, False),
        (UNLIMITED, 0, 100, True),
    ],
)
def test_usage_is_a_share_of_a_hundred(quota: Quota, used: float, remaining: float, *, allowed: bool) -> None:
    told = shown_usage(quota, NOW)
    assert told is not None
    assert (told["percentage"], told["totalTokenUsage"], told["remaining"]) == (used, used, remaining)
    assert (told["allowed"], told["limitReached"]) == (allowed, not allowed)
    assert told["resetAt"] is None


def test_a_reset_is_told_as_a_moment_and_as_seconds() -> None:
    told = shown_usage(left(25, resets_in=90), NOW)
    assert told is not None
    assert (told["resetAfterSeconds"], told["resetAt"]) == (90, "2026-09-21T14:14:50+00:00")


def test_what_nobody_says_is_null() -> None:
    assert shown_quota_of(None, NOW) is None
    unknown = shown_quota_of(Quota(windows=(Window(name="premium"),), read_at=NOW), NOW)
    assert unknown is not None
    assert unknown["usage"] is None


# ---- who joins and who leaves


@pytest.mark.parametrize("prefix", ["/account", "/accounts"])
async def test_add_begins_a_sign_in_that_ends_by_itself(nursery: trio.Nursery, path: Path, prefix: str) -> None:
    world = World(nursery, accounts_file=path, stored=True, keep=True)
    told = decoded(await world.call("POST", f"{prefix}/add", {"port": 1455}))
    assert (told["status"], told["callback_port"]) == ("oauth_url", None)
    assert told["oauth_url"] == told["verification_uri"] == "http://127.0.0.1:1/login/device"
    world.twin.approve(told["user_code"], HOME.login)
    await trio.sleep(3 * told["interval"])
    assert set(stored(path)) == {"work", HOME.login}
    assert decoded(await world.call("GET", "/accounts"))["total"] == 2


async def test_a_sign_in_that_cannot_be_stored_is_tried_again(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, keep=True)
    told = decoded(await world.call("POST", "/accounts/add"))
    world.twin.approve(told["user_code"], HOME.login)
    text = await trio.to_thread.run_sync(path.read_text)
    await trio.to_thread.run_sync(path.write_text, "{")
    await trio.sleep(3 * told["interval"])
    await trio.to_thread.run_sync(path.write_text, text)
    await trio.sleep(3 * told["interval"])
    assert set(stored(path)) == {"work", HOME.login}


async def test_sign_ins_under_way_are_dropped(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, keep=True)
    told = decoded(await world.call("POST", "/accounts/add"))
    decoded(await world.call("POST", "/account/add"))
    cleaned = decoded(await world.call("POST", "/accounts/oauth/cleanup"))
    assert (cleaned["success"], cleaned["message"][-1]) == (True, "2")
    world.twin.approve(told["user_code"], HOME.login)
    await trio.sleep(10 * told["interval"])
    assert set(stored(path)) == {"work"}
    poll = await world.call("POST", "/api/accounts/auth/poll", {"device_code": told["device_code"]})
    assert decoded(poll)["status"] == "expired"
    assert decoded(await world.call("POST", "/account/oauth/cleanup"))["message"][-1] == "0"


async def test_a_token_is_added_by_hand(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    told = decoded(await world.call("POST", "/accounts/add/manual", {"githubToken": HOME.token, "label": "home"}))
    assert (told["success"], HOME.login in told["message"]) == (True, True)
    assert stored(path)["home"].login == HOME.login
    again = await world.call("POST", "/account/add/manual", {"githubToken": HOME.token, "label": "other"})
    assert "stored already" in refused(again, 409)
    unlabelled = await world.call("POST", "/account/add/manual", {"githubToken": WORK.token})
    assert decoded(unlabelled)["success"] is True
    assert WORK.login in stored(path)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "githubToken is required"),
        ({"code": "http://localhost:1455/auth/callback?code=x", "verifier": "y"}, 400, "no callback code"),
        ({"githubToken": "two words"}, 400, "one line"),
        ({"githubToken": "ghu_SYNTHETICunknown"}, 422, "refuses this token"),
        ({"githubToken": 1}, 400, "cannot be read"),
    ],
)
async def test_a_token_that_does_not_do_is_refused(
    nursery: trio.Nursery, path: Path, body: object, status: int, words: str
) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    assert words in refused(await world.call("POST", "/accounts/add/manual", body), status)
    assert set(stored(path)) == {"work"}


async def test_import_is_ours(nursery: trio.Nursery, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "copilot-api-plus"
    other.mkdir()
    accounts = [{"githubToken": HOME.token, "label": "home"}, {"githubToken": WORK.token, "proxy": "ftp://x"}]
    (other / "accounts.json").write_text(json.dumps(accounts))
    world = World(nursery, accounts_file=path, stored=True, home=Home(import_from=(other,)))
    told = decoded(await world.call("POST", "/accounts/import"))
    assert (told["success"], told["imported"], len(told["leftOut"])) == (True, ["home"], 1)
    assert WORK.token not in str(told)
    assert stored(path)["home"].github_token == HOME.token
    told = decoded(await world.call("POST", "/account/import", {}))
    assert (told["success"], "stored already" in told["message"]) == (False, True)


async def test_nothing_of_a_person_is_looked_into_unless_told(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True)
    told = decoded(await world.call("POST", "/accounts/import"))
    assert (told["success"], told["imported"], told["leftOut"]) == (False, [], [])


async def test_switching_prefers_an_account_in_its_group(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    told = decoded(await world.call("POST", "/accounts/switch", {"email": HOME.login}))
    assert (told["success"], HOME.login in told["message"]) == (True, True)
    listed = decoded(await world.call("GET", "/accounts"))
    assert (listed["activeAccount"], [one["isActive"] for one in listed["accounts"]]) == (HOME.login, [False, True])
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    assert answer.headers["x-copilot-trio-account"] == world.app.accounts.accounts[1].label
    await world.call("PUT", "/api/accounts/a2/status", {"status": "disabled"})
    assert decoded(await world.call("GET", "/account"))["activeAccount"] == DEV.login
    assert "email is required" in refused(await world.call("POST", "/accounts/switch", {}), 400)


async def test_accounts_are_refreshed(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    told = decoded(await world.call("POST", f"/accounts/{HOME.login}/refresh"))
    assert (told["success"], HOME.login in told["message"]) == (True, True)
    world.twin.change_account(AccountChange(login=HOME.login, revoked=True))
    told = decoded(await world.call("POST", "/accounts/refresh/all"))
    assert [(one["email"], one["success"]) for one in told] == [(DEV.login, True), (HOME.login, False)]
    paused = World(nursery, paused="spammy_user")
    told = decoded(await paused.call("POST", "/accounts/refresh"))
    assert (told["success"], "spammy_user" in told["message"]) == (False, True)


async def test_accounts_are_removed(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts_file=path, stored=True, accounts=3)
    world.app.accounts.accounts[1].change(label="at/home")
    assert decoded(await world.call("POST", "/accounts/at%2Fhome/refresh"))["success"] is True
    label = world.app.accounts.accounts[2].label
    assert decoded(await world.call("DELETE", f"/accounts/{HOME.login}"))["success"] is True
    assert decoded(await world.call("DELETE", "/account"))["message"].endswith(DEV.login)
    assert set(stored(path)) == {label}
    temporary = World(nursery, accounts_file=path)
    assert "this run only" in refused(await temporary.call("DELETE", "/account"), 409)


# ---- settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


async def test_the_mapping_is_shown_with_what_it_may_be(nursery: trio.Nursery, config: Path) -> None:
    told = decoded(await World(nursery, config_file=config).call("GET", "/settings/model-mappings"))
    assert (told["success"], told["aliases"]) == (True, ["opus", "sonnet", "haiku"])
    ids = {model["id"] for model in told["models"]}
    assert set(told["defaults"].values()) <= ids
    assert told["modelMappings"] == told["defaults"]
    assert "text-embedding-3-small" not in ids


async def test_a_mapping_is_stored_and_holds_at_once(nursery: trio.Nursery, config: Path) -> None:
    await trio.to_thread.run_sync(config.write_text, '{"model_mapping": {"mine": "gpt-4.1"}}')
    world = World(nursery, config_file=config, config=load_config(config))
    body = {"modelMappings": {"opus": "gpt-4.1"}}
    told = decoded(await world.call("POST", "/settings/model-mappings", body))
    assert told["modelMappings"]["opus"] == "gpt-4.1"
    assert load_config(config).model_mapping == {"mine": "gpt-4.1", "*opus*": "gpt-4.1"}
    await world.ask("/v1/chat/completions", chat("hi", model="claude-opus-4-5-20251101"))
    assert msgspec.json.decode(world.calls()[-1].body)["model"] == "gpt-4.1"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "modelMappings is required"),
        ({"modelMappings": []}, 400, "cannot be read"),
        ({"modelMappings": {"kilo": "gpt-4.1"}}, 400, "none of opus"),
        ({"modelMappings": {"opus": "no-such-model"}}, 400, "available"),
        ({"modelMappings": {"opus": 42}}, 400, "available"),
        ({"modelMappings": {"opus": "text-embedding-3-small"}}, 400, "available"),
        ({"modelMappings": {"opus": "gpt-4.1"}, "reasoningMappings": {"opus": "high"}}, 400, "effort"),
    ],
)
async def test_a_mapping_that_cannot_be_changes_nothing(
    nursery: trio.Nursery, config: Path, body: object, status: int, words: str
) -> None:
    world = World(nursery, config_file=config)
    assert words in refused(await world.call("POST", "/settings/model-mappings", body), status)
    assert load_config(config).model_mapping == {}


async def test_without_a_file_of_settings_nothing_is_mapped(nursery: trio.Nursery) -> None:
    world = World(nursery)
    assert decoded(await world.call("GET", "/settings/model-mappings"))["success"] is True
    body = {"modelMappings": {"opus": "gpt-4.1"}}
    assert "no config.json" in refused(await world.call("POST", "/settings/model-mappings", body), 409)


async def test_models_that_cannot_be_had_are_said(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.change_account(AccountChange(login=DEV.login, revoked=True))
    assert "could not be had" in refused(await world.call("GET", "/settings/model-mappings"), 502)


async def test_a_start_changes_nothing_of_claude_codes(nursery: trio.Nursery) -> None:
    world, name = World(nursery), "/settings/claude-proxy"
    nothing = {"success": True, "configureClaudeOnStartup": False}
    assert decoded(await world.call("GET", name)) == nothing
    assert decoded(await world.call("POST", name, {"configureClaudeOnStartup": False})) == nothing
    assert "setup claude-code" in refused(await world.call("POST", name, {"configureClaudeOnStartup": True}), 409)
    for body in ({"configureClaudeOnStartup": "true"}, {}):
        refused(await world.call("POST", name, body), 400)


@pytest.mark.parametrize(
    ("method", "name"),
    [("GET", "/settings/kilo-models"), ("GET", "/settings/haiku-model"), ("POST", "/settings/haiku-model")],
)
async def test_there_are_no_models_of_third_parties(nursery: trio.Nursery, method: str, name: str) -> None:
    assert "no third party" in refused(await World(nursery).call(method, name, {}), 404)


async def test_what_codex_proxy_has_dropped_is_not_there(nursery: trio.Nursery) -> None:
    assert "no route" in refused(await World(nursery).call("GET", "/settings/account-strategy"), 404)


# ---- Claude Code's settings


class OnLoopback:
    """The same server on a real socket: only there is a caller known to be on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def call(self, method: str, name: str, body: object = None, *headers: tuple[str, str]) -> Response:
        client = Client(await trio.open_tcp_stream("127.0.0.1", self.port))
        host = f"host: 127.0.0.1:{self.port}\r\n"
        text = b"" if body is None else msgspec.json.encode(body)
        lines = [f"{name}: {value}\r\n" for name, value in headers]
        head = f"{method} {name} HTTP/1.1\r\n{host}content-type: application/json\r\ncontent-length: {len(text)}\r\n"
        await client.stream.send_all((head + "".join(lines) + "\r\n").encode() + text)
        answer = await client.response(method)
        await client.stream.aclose()
        return answer


@asynccontextmanager
async def on_loopback(world: World) -> AsyncIterator[OnLoopback]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Server(world.app._dispatcher.handle, Limits(), refuse)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, listeners)
        yield OnLoopback(listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel("test over")
    for listener in listeners:
        await listener.aclose()


def claude_in(tmp_path: Path, text: str | None = None) -> tuple[Home, Path]:
    place = place_of("claude-code", {}, tmp_path)
    if text is not None:
        place.path.parent.mkdir(parents=True)
        place.path.write_text(text)
    return Home(claude=place), place.path


def env_in(file: Path) -> dict[str, str]:
    return dict(json.loads(file.read_text()).get("env", {}))


@pytest.mark.real_clock
async def test_claude_code_is_pointed_here_and_back(nursery: trio.Nursery, path: Path, tmp_path: Path) -> None:
    original = '{"theme": "dark", "env": {"ANTHROPIC_API_KEY": "sk-of-somebody"}}\n'
    home, file = claude_in(tmp_path, original)
    world = World(nursery, accounts_file=path, stored=True, home=home)
    async with on_loopback(world) as here:
        told = decoded(await here.call("GET", "/claude/config"))
        assert told["configPath"] == str(file)
        assert told["config"] == {"theme": "dark", "env": {"ANTHROPIC_API_KEY": REDACTED}}
        told = decoded(await here.call("POST", "/claude/config/proxy"))
        assert (told["success"], told["config"]["env"]["ANTHROPIC_AUTH_TOKEN"]) == (True, REDACTED)
        env = env_in(file)
        assert env["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{here.port}"
        assert "ANTHROPIC_API_KEY" not in env
        assert Path(told["backup"]).read_text() == original  # noqa: ASYNC240 (a test's own file)
        told = decoded(await here.call("POST", "/claude/config/direct", {"apiKey": "sk-ant-mine"}))
        assert (env_in(file)["ANTHROPIC_API_KEY"], "ANTHROPIC_BASE_URL" in env_in(file)) == ("sk-ant-mine", False)
        assert "sk-ant-mine" not in str(told)
        told = decoded(
            await here.call("POST", "/claude/config/set", {"apiUrl": "http://localhost:8081/", "apiKey": "key"})
        )
        assert env_in(file)["ANTHROPIC_BASE_URL"] == "http://localhost:8081"
        decoded(await here.call("POST", "/claude/config/reset"))
        assert json.loads(file.read_text()) == json.loads(original)
        assert "not been changed" in refused(await here.call("POST", "/claude/config/reset"), 404)


@pytest.mark.real_clock
@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("direct", {}, "apiKey is required"),
        ("set", {"apiKey": "k"}, "apiUrl is required"),
        ("set", {"apiUrl": "http://localhost:1"}, "apiKey is required"),
        ("set", {"apiUrl": "localhost", "apiKey": "k"}, "no http(s) URL"),
        ("set", {"apiUrl": "https://example.com/proxy", "apiKey": "k"}, "loopback"),
        ("set", {"apiUrl": "http://192.168.1.50:8081", "apiKey": "k"}, "loopback"),
        ("set", {"apiUrl": "http://user:pass@localhost:1", "apiKey": "k"}, "user name"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_written(
    nursery: trio.Nursery, path: Path, tmp_path: Path, name: str, body: object, words: str
) -> None:
    home, file = claude_in(tmp_path)
    async with on_loopback(World(nursery, accounts_file=path, stored=True, home=home)) as here:
        assert words in refused(await here.call("POST", f"/claude/config/{name}", body), 400)
        assert decoded(await here.call("GET", "/claude/config"))["config"] == {}
    assert not file.exists()


@pytest.mark.real_clock
async def test_a_file_that_cannot_be_read_is_left_alone(nursery: trio.Nursery, path: Path, tmp_path: Path) -> None:
    home, file = claude_in(tmp_path, "{ broken")
    async with on_loopback(World(nursery, accounts_file=path, stored=True, home=home)) as here:
        refused(await here.call("GET", "/claude/config"), 409)
        refused(await here.call("POST", "/claude/config/proxy"), 409)
    assert file.read_text() == "{ broken"


@pytest.mark.real_clock
async def test_claude_code_gets_the_callers_key_if_that_may_ask_models(
    nursery: trio.Nursery, path: Path, tmp_path: Path
) -> None:
    home, file = claude_in(tmp_path)
    keys = (ApiKey("full", hash_key("full")), ApiKey("chores", hash_key("chores"), ("admin",)))
    async with on_loopback(
        World(nursery, accounts_file=path, stored=True, home=home, access=Access(keys=keys))
    ) as here:
        refused(await here.call("POST", "/claude/config/proxy"), 401)
        answer = await here.call("POST", "/claude/config/proxy", None, ("x-api-key", "chores"))
        assert "may not ask models" in refused(answer, 400)
        decoded(await here.call("POST", "/claude/config/proxy", None, ("authorization", "Bearer full")))
        assert env_in(file)["ANTHROPIC_AUTH_TOKEN"] == "full"
        decoded(await here.call("POST", "/claude/config/proxy", {"apiKey": "another"}, ("x-api-key", "chores")))
        assert env_in(file)["ANTHROPIC_AUTH_TOKEN"] == "another"
        answer = await here.call("POST", "/claude/config/proxy", None, ("x-api-key", "full"), ("x-host", "1"))
        assert answer.status == 200


@pytest.mark.real_clock
async def test_a_server_of_its_own_leaves_claude_code_alone(nursery: trio.Nursery, path: Path) -> None:
    async with on_loopback(World(nursery, accounts_file=path, stored=True)) as here:
        for method, name in [
            ("GET", ""),
            ("POST", "/proxy"),
            ("POST", "/direct"),
            ("POST", "/set"),
            ("POST", "/reset"),
        ]:
            body = {"apiKey": "k", "apiUrl": "http://localhost:1"}
            assert "leaves" in refused(await here.call(method, f"/claude/config{name}", body), 409)


@pytest.mark.parametrize(
    ("peer", "here"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True), ("", False),
        ("192.168.1.50", False), ("::ffff:192.168.1.50", False), ("fe80::1%lo", False), ("localhost", False),
    ],
)  # fmt: skip
def test_who_is_on_this_machine(peer: str, *, here: bool) -> None:
    assert _is_here(peer) is here


async def test_who_is_not_on_this_machine_is_refused(nursery: trio.Nursery, path: Path, tmp_path: Path) -> None:
    home, file = claude_in(tmp_path)
    keys = (ApiKey("full", hash_key("full")),)
    world = World(nursery, accounts_file=path, stored=True, home=home, access=Access(keys=keys))
    claims = ("x-api-key", "full"), ("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1")
    for method, name in [("GET", ""), ("POST", "/proxy"), ("POST", "/direct"), ("POST", "/set"), ("POST", "/reset")]:
        body = {"apiKey": "k", "apiUrl": "http://localhost:1"}
        answer = await world.call(method, f"/claude/config{name}", body, *claims)
        assert "this machine only" in refused(answer, 403)
    assert not file.exists()
