"""The admin API of models, over the whole proxy in memory."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from test_admin_accounts import decoded, refused
from world import World, chat

from copilot_trio.accounts.outcome import paused
from copilot_trio.config import ApiKey, load_config
from copilot_trio.server.auth import Access, hash_key

MAPPING, CONCURRENCY = "/api/models/mapping", "/api/models/concurrency"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def put(path: Path, text: str) -> None:
    path.write_text(text)


def read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


# ---- what there is


async def test_the_models_of_all_accounts_are_listed_as_upstream_has_them(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts=2, config_file=path)
    answer = await world.call("GET", "/api/models/available")
    assert answer.status == 200
    models: list[dict[str, Any]] = msgspec.json.decode(answer.body)
    by_id = {model["id"]: model for model in models}
    assert len(by_id) == len(models)
    model = by_id["gpt-4.1"]
    assert model["capabilities"]["limits"]["max_output_tokens"] > 0
    assert {"name", "vendor", "billing", "policy", "supported_endpoints"} <= set(model)
    assert (model["unavailable"], model["accounts"][0]) in {("", "work"), (None, "work")}
    assert len(model["accounts"]) == 2


async def test_an_account_that_cannot_be_asked_is_left_out(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts=2, config_file=path)
    world.app.accounts.accounts[0].warning = paused("suspicious")
    (label,) = (account.label for account in world.app.accounts.accounts[1:])
    models = msgspec.json.decode((await world.call("GET", "/api/models/available")).body)
    assert {name for model in models for name in model["accounts"]} == {label}
    world.app.accounts.accounts[1].warning = paused("suspicious")
    assert "no account" in refused(await world.call("GET", "/api/models/available"), 503)


# ---- the mapping


async def test_a_mapping_is_stored_and_holds_at_once(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    assert decoded(await world.call("GET", MAPPING)) == {"mapping": {}, "concurrency": {"default": 10}}
    mapping = {"mine": "gpt-4.1", "claude-*": "claude-sonnet-4.5"}
    answer = decoded(await world.call("PUT", MAPPING, {"mapping": mapping}))
    assert answer == {"mapping": mapping, "concurrency": {"default": 10}}
    assert load_config(path).model_mapping == mapping
    assert (await world.ask("/v1/chat/completions", chat("hi", model="mine"))).status == 200
    decoded(await world.call("PUT", MAPPING, {"mapping": {"*": "gpt-4.1"}}))  # replaces all of it
    assert load_config(path).model_mapping == {"*": "gpt-4.1"}
    assert decoded(await world.call("GET", MAPPING))["mapping"] == {"*": "gpt-4.1"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "mapping is required"),
        ({"mapping": None}, "mapping is required"),
        ({"mapping": []}, "Expected `object | null`, got `array`"),
        ({"mapping": {"mine": ""}}, "'mine'"),
        ({"mapping": {"mine": 5}}, "'mine'"),
        ({"mapping": {"mine": "a b"}}, "'mine'"),
        ({"mapping": {"mine": "gpt-*"}}, "'mine'"),
        ({"mapping": {"": "gpt-4.1"}}, "''"),
        ({"mapping": {"**": "gpt-4.1"}}, "'**'"),
        ({"maping": {}}, "maping"),
    ],
)
async def test_what_is_no_mapping_is_refused_by_name(
    nursery: trio.Nursery, path: Path, body: object, said: str
) -> None:
    world = World(nursery, config_file=path)
    assert said in refused(await world.call("PUT", MAPPING, body), 400)
    assert read(path) is None


async def test_a_body_that_is_no_json_is_refused(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    answer = await world.call("PUT", MAPPING, "text")
    assert "Expected `object`" in refused(answer, 400)


# ---- how many at once


async def test_limits_are_stored_and_hold_at_once(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, config_file=path)
    await world.ask("/v1/chat/completions", chat("hi"))
    assert decoded(await world.call("GET", CONCURRENCY)) == {"concurrency": {"default": 10}}
    answer = decoded(await world.call("PUT", CONCURRENCY, {"concurrency": {"gpt-4.1": 2}}))
    assert answer == {"concurrency": {"default": 10, "gpt-4.1": 2}}
    assert load_config(path).concurrency == {"gpt-4.1": 2}
    assert world.app.queues.snapshot()["gpt-4.1"].limit == 2


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", True, None])
async def test_what_is_no_limit_is_refused_by_name(nursery: trio.Nursery, path: Path, limit: object) -> None:
    world = World(nursery, config_file=path)
    answer = await world.call("PUT", CONCURRENCY, {"concurrency": {"default": 5, "gpt-4.1": limit}})
    assert "'gpt-4.1' must be a whole number from 1 up" in refused(answer, 400)
    assert "is required" in refused(await world.call("PUT", CONCURRENCY, {}), 400)
    answer = await world.call("PUT", CONCURRENCY, {"concurrency": {"gpt *": 1}})
    assert "'gpt *'" in refused(answer, 400)
    assert read(path) is None


# ---- what may go wrong


async def test_a_damaged_file_is_left_as_it_is(
    nursery: trio.Nursery, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(nursery, config_file=path)
    put(path, '{"concurrency": 5}')
    with caplog.at_level(logging.INFO):
        said = refused(await world.call("PUT", MAPPING, {"mapping": {"mine": "gpt-4.1"}}), 409)
    assert "$.concurrency" in said
    assert read(path) == '{"concurrency": 5}'
    assert decoded(await world.call("GET", MAPPING))["mapping"] == {}


async def test_a_directory_that_cannot_be_written_is_said(nursery: trio.Nursery, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no directory")
    world = World(nursery, config_file=tmp_path / "data" / "config.json")
    said = refused(await world.call("PUT", MAPPING, {"mapping": {"mine": "gpt-4.1"}}), 503)
    assert "could not be written" in said
    assert decoded(await world.call("GET", MAPPING))["mapping"] == {}


@pytest.mark.parametrize("target", ["/api/models/available", MAPPING, CONCURRENCY, "/api/config"])
async def test_only_admins_may_look(nursery: trio.Nursery, path: Path, target: str) -> None:
    key = ApiKey("client", hash_key("a-client's-key"), ("inference",))
    world = World(nursery, access=Access(keys=(key,)), config_file=path)
    assert (await world.call("GET", target)).status == 401
    answer = await world.call("GET", target, None, ("x-api-key", "a-client's-key"))
    assert answer.status == 403
    assert b"admin" in answer.body
