"""``/api/config``, over the whole proxy in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from test_admin_accounts import decoded, refused
from world import World

from copilot_trio.accounts.lock import locked
from copilot_trio.admin.config import patched, shown
from copilot_trio.config import ApiKey, Config, ProxySettings, TimeoutSettings, load_config
from copilot_trio.config_file import update_config
from copilot_trio.server.auth import Access, hash_key

ROUTE = "/api/config"
ADMIN = ("x-api-key", "the-admin's-key")
KEYS = (ApiKey("admin", hash_key(ADMIN[1])), ApiKey("client", hash_key("a-client's-key"), ("inference",)))
PROXY = ProxySettings(http_proxy="http://bob:s3cret@proxy.example:3128")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def with_keys(nursery: trio.Nursery, path: Path, **more: Any) -> World:
    config = update_config(path, lambda before: msgspec.structs.replace(before, keys=KEYS, **more))

    def access_of(config: Config) -> Access:
        if not config.keys:
            raise ValueError("`keys` is empty")
        return Access(keys=config.keys)

    return World(nursery, config=config, access=access_of(config), config_file=path, access_of=access_of)


def read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


# ---- what is shown


async def test_all_settings_are_shown_with_their_defaults(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    answer = decoded(await world.call("GET", ROUTE))
    assert answer["config"]["timeouts"] == {"connect": 15, "response_headers": 120, "silence": 300, "wait": 30}
    assert set(answer["config"]) == set(Config.__struct_fields__)
    assert (answer["restart"], answer["overruled"]) == ([], [])
    others = {name: answer[name] for name in ("apiKey", "maxThinking", "thinkingEffort")}
    assert others == {"apiKey": "dummy", "maxThinking": True, "thinkingEffort": "auto"}
    assert (answer["selectedModel"], answer["selectedSmallModel"]) == (None, None)
    world.app.chosen = ("claude-opus-4.6", "claude-haiku-4.5")
    answer = decoded(await world.call("GET", ROUTE))
    assert (answer["selectedModel"], answer["selectedSmallModel"]) == world.app.chosen


async def test_no_secret_is_shown(nursery: trio.Nursery, path: Path) -> None:
    world = with_keys(nursery, path, proxy=PROXY, management_key="b" * 64)
    raw = await world.call("GET", ROUTE, None, ADMIN)
    answer = decoded(raw)
    assert answer["apiKey"] is None
    assert [key["label"] for key in answer["config"]["keys"]] == ["admin", "client"]
    assert answer["config"]["proxy"]["http_proxy"] == "http://bob:***@proxy.example:3128"
    for secret in ("s3cret", ADMIN[1], "b" * 64, *(key.sha256 for key in KEYS)):
        assert secret.encode() not in raw.body


# ---- what is changed


async def test_a_change_is_stored_holds_and_is_answered(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    answer = decoded(await world.call("PUT", ROUTE, {"timeouts": {"silence": 60}, "web_search_model": "gpt-5-mini"}))
    timeouts = {"connect": 15, "response_headers": 120, "silence": 60, "wait": 30}
    assert answer == {
        "ok": True,
        "updated": {"timeouts": timeouts, "web_search_model": "gpt-5-mini"},
        "applied": ["timeouts.silence", "web_search_model"],
        "restart": [],
        "overruled": [],
    }
    assert load_config(path) == Config(timeouts=TimeoutSettings(silence=60), web_search_model="gpt-5-mini")
    assert set(msgspec.json.decode(read(path) or "")) == {"timeouts", "web_search_model"}
    answer = decoded(await world.call("PUT", ROUTE, {"timeouts": {"silence": None}, "web_search_model": None}))
    assert answer["applied"] == ["timeouts.silence", "web_search_model"]
    assert load_config(path) == Config()


async def test_what_needs_a_restart_is_said(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    body = {"identity": {"editor_version": "vscode/9"}, "timeouts": {"connect": 5, "wait": 9}}
    answer = decoded(await world.call("PUT", ROUTE, body))
    waiting = ["identity.editor_version", "timeouts.connect"]
    assert (answer["applied"], answer["restart"]) == (["timeouts.wait"], waiting)
    answer = decoded(await world.call("GET", ROUTE))
    assert (answer["restart"], answer["config"]["timeouts"]["connect"]) == (waiting, 5)


async def test_the_names_of_another_proxys_dashboard(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    answer = decoded(await world.call("PUT", ROUTE, {"maxThinking": False, "thinkingEffort": "auto"}))
    assert answer["updated"] == {"maxThinking": False, "thinkingEffort": "auto"}
    assert answer["applied"] == ["auto_thinking"]
    assert not load_config(path).auto_thinking
    for body in (
        {"maxThinking": "yes"}, {"maxThinking": True, "auto_thinking": False}, {"thinkingEffort": "high"},
        {"thinkingEffort": 5}, {"maxThinking": True, "thinkingEffort": "most"},
    ):  # fmt: skip
        refused(await world.call("PUT", ROUTE, body), 400)
    assert not load_config(path).auto_thinking


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"timeouts": {"silence": "long"}}, "$.timeouts.silence"),
        ({"timeouts": {"silence": 0}}, "$.timeouts.silence"),
        ({"timeouts": 5}, "$.timeouts"),
        ({"timeouts": {"silense": 5}}, "silense"),
        ({"auto_thinkin": True}, "auto_thinkin"),
        ({"auto_thinking": 1}, "$.auto_thinking"),
        ({"concurrency": {"x": 0}}, "$.concurrency"),
        ({"accounts": {"move_delay": [5, 1]}}, "move_delay"),
        ({"groups": {"a": ["x"], "b": ["x"]}}, "'x'"),
        ({"proxy": {"enabled": True}}, "http_proxy"),
        ({"proxy": {"http_proxy": "ftp://x"}}, "http_proxy"),
        ({"keys": [{"label": "new"}]}, "sha256"),
        ({"keys": [5]}, "$.keys"),
        ({"keys": 5}, "$.keys"),
        ([], "object"),
        ("text", "object"),
    ],
)
async def test_what_is_no_setting_is_refused_by_name(
    nursery: trio.Nursery, path: Path, body: object, said: str
) -> None:
    world = World(nursery, config_file=path)
    assert said in refused(await world.call("PUT", ROUTE, body), 400)
    assert read(path) is None


async def test_all_or_nothing(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    refused(await world.call("PUT", ROUTE, {"auto_thinking": False, "concurrency": {"x": 0}}), 400)
    assert decoded(await world.call("GET", ROUTE))["config"]["auto_thinking"] is True
    assert read(path) is None


async def test_two_who_change_at_once_lose_nothing(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    async with trio.open_nursery() as writers:
        writers.start_soon(world.call, "PUT", ROUTE, {"auto_thinking": False})
        writers.start_soon(world.call, "PUT", ROUTE, {"timeouts": {"wait": 9}})
        writers.start_soon(world.call, "PUT", "/api/models/mapping", {"mapping": {"mine": "gpt-4.1"}})
        writers.start_soon(world.call, "PUT", "/api/models/concurrency", {"concurrency": {"default": 3}})
    config = load_config(path)
    assert (config.auto_thinking, config.timeouts.wait, config.concurrency) == (False, 9, {"default": 3})
    assert config.model_mapping == {"mine": "gpt-4.1"}


async def test_what_a_command_stored_meanwhile_stays(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)  # nobody follows the file
    update_config(path, lambda before: msgspec.structs.replace(before, concurrency={"default": 3}))
    answer = decoded(await world.call("PUT", ROUTE, {"auto_thinking": False}))
    assert answer["applied"] == ["concurrency", "auto_thinking"]
    assert load_config(path).concurrency == {"default": 3}


async def test_a_file_that_somebody_keeps_locked(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    path.parent.mkdir(exist_ok=True)
    with locked(path.with_name("config.json.lock"), 1.0):
        answer = await world.call("PUT", ROUTE, {"auto_thinking": False})
    refused(answer, 503)
    assert answer.headers["retry-after"] == "1"


# ---- secrets that were shown masked


async def test_a_key_is_revoked_by_leaving_it_out(nursery: trio.Nursery, path: Path) -> None:
    world = with_keys(nursery, path)
    keys = decoded(await world.call("GET", ROUTE, None, ADMIN))["config"]["keys"]
    assert (await world.ask_get("/v1/models", ("x-api-key", "a-client's-key"))).status == 200
    answer = decoded(await world.call("PUT", ROUTE, {"keys": keys[:1]}, ADMIN))
    assert answer["applied"] == ["keys"]
    assert "sha256" not in answer["updated"]["keys"][0]
    assert load_config(path).keys == KEYS[:1]
    assert (await world.ask_get("/v1/models", ("x-api-key", "a-client's-key"))).status == 401
    new = {"label": "new", "sha256": hash_key("a-new-key-of-hers"), "rights": ["inference"]}
    decoded(await world.call("PUT", ROUTE, {"keys": [*keys[:1], new]}, ADMIN))
    assert (await world.ask_get("/v1/models", ("x-api-key", "a-new-key-of-hers"))).status == 200
    assert "`keys` is empty" in refused(await world.call("PUT", ROUTE, {"keys": []}, ADMIN), 400)
    assert len(load_config(path).keys) == 2


def test_what_was_shown_masked_means_what_it_was() -> None:
    before = Config(keys=KEYS, proxy=PROXY, management_key="b" * 64)
    assert patched(before, shown(before)) == before
    changed = patched(before, {"proxy": {"https_proxy": "http://other.example:1"}, "management_key": None})
    assert changed.proxy == ProxySettings(http_proxy=PROXY.http_proxy, https_proxy="http://other.example:1")
    assert changed.management_key is None
    assert patched(before, {"proxy": None}).proxy is None
    assert patched(Config(), {"proxy": {"http_proxy": "http://one.example:1"}}).proxy is not None


def test_maps_are_replaced_and_sections_are_merged() -> None:
    before = Config(concurrency={"a": 1}, groups={"g": ("x",)})
    after = patched(before, {"concurrency": {"b": 2}, "groups": {}, "accounts": {"start_gap": 2}})
    assert (after.concurrency, after.groups, after.accounts.start_gap) == ({"b": 2}, {}, 2)
    assert after.accounts.pool_seconds == before.accounts.pool_seconds
