from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest
import trio
from test_websocket import ask, create, text_of, websocket
from world import World, chat, error_of, messages

from copilot_trio.config import AccountSettings, ApiKey, Config, DamagedFile, Identity, TimeoutSettings, load_config
from copilot_trio.config_file import update_config
from copilot_trio.reload import Reloaded, Reloader, differing
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.twin import Fault

SOON = 2.5  # seconds: the file is looked at every 2


def put(path: Path, text: str) -> None:
    """As an editor does."""
    path.write_text(text)


def remove(path: Path) -> None:
    path.unlink()


def there(path: Path) -> bool:
    return path.exists()


class Running:
    """A reloader beside its file, and what it let hold."""

    def __init__(self, path: Path, **hooks: object) -> None:
        self.applied: list[Config] = []
        self.path = path
        config = load_config(path)
        self.reloader = Reloader(path, config, apply=self.applied.append, **hooks)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def with_limit(config: Config, limit: int = 3) -> Config:
    return msgspec.structs.replace(config, concurrency={**config.concurrency, "gpt-4.1": limit})


# ---- what differs


def test_what_differs_is_named() -> None:
    before = Config(concurrency={"a": 1}, timeouts=TimeoutSettings(silence=9))
    after = Config(concurrency={"a": 2}, identity=Identity(user_agent="x"), accounts=AccountSettings(start_gap=2))
    names = ["identity.user_agent", "timeouts.silence", "concurrency", "accounts.start_gap"]
    assert differing(before, after) == names
    assert differing(after, after) == []


def test_the_order_of_a_mapping_is_a_difference() -> None:
    one, other = {"a*": "x", "*a": "y"}, {"*a": "y", "a*": "x"}
    assert differing(Config(model_mapping=one), Config(model_mapping=other)) == ["model_mapping"]


# ---- following the file


async def test_what_a_command_stores_holds_within_seconds(
    nursery: trio.Nursery, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = Running(path)
    await nursery.start(running.reloader.run)
    await trio.sleep(SOON)
    assert running.applied == []
    with caplog.at_level(logging.INFO):
        update_config(path, with_limit)
        await trio.sleep(SOON)
    assert [config.concurrency for config in running.applied] == [{"gpt-4.1": 3}]
    assert "config.json: in force now: concurrency" in caplog.text


async def test_what_needs_a_restart_is_said_and_not_applied(
    nursery: trio.Nursery, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = Running(path)
    await nursery.start(running.reloader.run)
    put(
        path,
        '{"identity":{"user_agent":"x/1"},"timeouts":{"connect":3,"response_headers":9,"silence":60},'
        '"proxy":{"http_proxy":"http://bob:s3cret@proxy.example:1"}}',
    )
    await trio.sleep(SOON)
    (held,) = running.applied
    assert held == Config(timeouts=TimeoutSettings(silence=60))
    waiting = ("identity.user_agent", "timeouts.connect", "timeouts.response_headers", "proxy")
    assert running.reloader.waiting() == Reloaded(restart=waiting)
    assert f"in force after a restart: {', '.join(waiting)}" in caplog.text
    assert "s3cret" not in caplog.text
    put(path, '{"timeouts":{"silence":60}}')
    await trio.sleep(SOON)
    assert running.reloader.waiting() == Reloaded()
    assert len(running.applied) == 1


async def test_a_bad_file_changes_nothing_and_is_said_once_by_its_field(
    nursery: trio.Nursery, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = Running(path)
    await nursery.start(running.reloader.run)
    put(path, '{"concurrency":{"gpt-4.1":3},"timeouts":{"silence":"long"}}')
    await trio.sleep(5 * SOON)
    assert running.applied == []
    (said,) = [record.getMessage() for record in caplog.records]
    assert "the settings in use stay as they were" in said
    assert "$.timeouts.silence" in said
    put(path, '{"concurrency":{"gpt-4.1":3}}')
    await trio.sleep(SOON)
    assert [config.concurrency for config in running.applied] == [{"gpt-4.1": 3}]


async def test_a_file_that_vanished_changes_nothing(
    nursery: trio.Nursery, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(path, '{"concurrency":{"gpt-4.1":3}}')
    running = Running(path)
    await nursery.start(running.reloader.run)
    await trio.sleep(SOON)
    remove(path)
    await trio.sleep(2 * SOON)
    assert running.applied == []
    assert caplog.text.count("is gone") == 1
    with pytest.raises(DamagedFile, match="is gone"):
        await running.reloader.update(with_limit)
    assert not there(path)
    put(path, "{}")
    await trio.sleep(SOON)
    assert running.applied == [Config()]


async def test_settings_that_this_server_cannot_run_with_are_refused(
    nursery: trio.Nursery, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def check(config: Config) -> None:
        if config.concurrency:
            raise ValueError("`concurrency` is not for this server")

    running = Running(path, check=check)
    await nursery.start(running.reloader.run)
    with pytest.raises(ValueError, match="not for this server"):
        await running.reloader.update(with_limit)
    assert not there(path)
    update_config(path, with_limit)
    await trio.sleep(2 * SOON)
    assert running.applied == []
    assert caplog.text.count("not for this server") == 1


async def test_what_a_flag_says_counts_for_more(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def amend(config: Config) -> Config:
        return msgspec.structs.replace(config, auto_thinking=False)

    put(path, '{"auto_thinking":false}')
    running = Running(path, amend=amend)
    change = await running.reloader.update(lambda config: msgspec.structs.replace(config, auto_thinking=True))
    assert change == Reloaded(overruled=("auto_thinking",))
    assert running.applied == []
    assert load_config(path).auto_thinking
    assert "overruled by a flag: auto_thinking" in caplog.text


# ---- changes from here


async def test_a_change_is_stored_and_holds_at_once(nursery: trio.Nursery, path: Path) -> None:
    running = Running(path)
    await nursery.start(running.reloader.run)
    change = await running.reloader.update(with_limit)
    assert change == Reloaded(applied=("concurrency",))
    assert load_config(path) == running.reloader.stored == running.applied[-1]
    await trio.sleep(2 * SOON)
    assert len(running.applied) == 1  # what it finds in the file is its own


async def test_no_writer_loses_what_another_wrote(nursery: trio.Nursery, path: Path) -> None:
    running = Running(path)
    await nursery.start(running.reloader.run)

    async def by_api(number: int) -> None:
        await running.reloader.update(lambda config: _more(config, f"api-{number}"))

    async def by_command(number: int) -> None:
        await trio.to_thread.run_sync(update_config, path, lambda config: _more(config, f"command-{number}"))

    async with trio.open_nursery() as writers:
        for number in range(10):
            writers.start_soon(by_api, number)
            writers.start_soon(by_command, number)
    await trio.sleep(SOON)
    wanted = {f"{who}-{number}" for who in ("api", "command") for number in range(10)}
    assert set(load_config(path).concurrency) == set(running.reloader.running.concurrency) == wanted


def _more(config: Config, name: str) -> Config:
    return msgspec.structs.replace(config, concurrency={**config.concurrency, name: 1})


# ---- over the whole proxy


def write(path: Path, **fields: object) -> None:
    path.write_bytes(msgspec.json.encode(fields))


async def test_a_mapping_and_limits_hold_from_the_next_request_on(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, keep=True, config_file=path)
    assert (await world.ask("/v1/chat/completions", chat("hi", model="mine"))).status == 404
    write(path, model_mapping={"mine": "gpt-4.1"}, concurrency={"default": 2}, timeouts={"wait": 7})
    await trio.sleep(SOON)
    assert (await world.ask("/v1/chat/completions", chat("hi", model="mine"))).status == 200
    assert world.app.queues.snapshot()["gpt-4.1"].limit == 2
    assert world.app.queues.max_wait == 7


async def test_settings_of_accounts_and_groups_hold_for_those_there_are(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, accounts=2, keep=True, config_file=path)
    first, second = world.app.accounts.accounts
    assert world.app.accounts.group(first) == world.app.accounts.group(second)
    write(
        path,
        groups={"mine": [second.label]},
        accounts={"start_gap": 0.5, "failures_allowed": 1, "error_seconds": 9, "affinity_seconds": 60,
                  "affinity_entries": 5, "default_group": "mine", "pool_seconds": 60, "pool_jitter": 0},
        timeouts={"wait": 7},
    )  # fmt: skip
    await trio.sleep(SOON)
    accounts = world.app.accounts
    assert (accounts.group(second), accounts.of_group()[0]) == ("mine", "mine")
    assert (first.pacer.gap, first.pacer.max_wait) == (0.5, 7)
    assert (first.health.failures_allowed, first.health.error_seconds) == (1, 9)
    assert (accounts.affinity.seconds, accounts.affinity.entries) == (60, 5)
    assert world.app.keepers.settings.pool_seconds == 60


async def test_thinking_and_search_are_switched(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, keep=True, config_file=path)
    body = messages("SCENARIO:text", model="claude-opus-4.6", max_tokens=30_000)
    await world.ask("/v1/messages", body)
    assert b'"thinking"' in world.calls()[-1].body
    write(path, auto_thinking=False, web_search_model="gpt-5-mini", keep_billing_header=True)
    await trio.sleep(SOON)
    await world.ask("/v1/messages", body)
    assert b'"thinking"' not in world.calls()[-1].body
    assert world.app._search.model == "gpt-5-mini"
    assert (world.app._settings.gate.web_search, world.app._settings.gate.keep_billing_header) == (True, True)


async def test_silence_and_websockets_are_switched(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, keep=True, config_file=path)
    write(path, timeouts={"silence": 5}, websocket=False, upstream_websocket=True)
    await trio.sleep(SOON)
    handshake = (("upgrade", "websocket"), ("connection", "upgrade"))
    assert (await world.ask_get("/v1/responses", *handshake)).status == 426
    assert world.app._attempts.websocket
    world.twin.add_fault(Fault(path="/chat/completions", stall=10_000, at="middle"))
    answer = await world.ask("/v1/chat/completions", chat("hi", stream=True))
    assert b"silent for 5 s" in answer.body


async def test_keys_are_given_and_revoked_while_it_runs(
    nursery: trio.Nursery, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def access_of(config: Config) -> Access:
        return Access(keys=config.keys)

    world = World(nursery, keep=True, config_file=path, access_of=access_of)
    assert (await world.ask_get("/v1/models")).status == 200
    keys = [ApiKey("one", hash_key("first-key")), ApiKey("two", hash_key("second-key"))]
    write(path, keys=keys)
    await trio.sleep(SOON)
    assert (await world.ask_get("/v1/models")).status == 401
    with_first = ("authorization", "Bearer first-key")
    assert (await world.ask_get("/v1/models", with_first)).status == 200
    write(path, keys=keys[1:])
    await trio.sleep(SOON)
    assert (await world.ask_get("/v1/models", with_first)).status == 401
    assert (await world.ask_get("/v1/models", ("x-api-key", "second-key"))).status == 200
    write(path)
    await trio.sleep(SOON)
    assert (await world.ask_get("/v1/models")).status == 200
    assert "no API key is left" in caplog.text
    assert error_of(await world.ask("/v1/chat/completions", {"model": "x", "messages": []}))


async def test_a_websocket_whose_key_was_revoked_is_refused_at_its_next_request(
    nursery: trio.Nursery, path: Path
) -> None:
    keys = [ApiKey("one", hash_key("first-key")), ApiKey("two", hash_key("second-key"))]
    write(path, keys=keys)
    config = load_config(path)
    world = World(
        nursery,
        config=config,
        access=Access(keys=config.keys),
        keep=True,
        config_file=path,
        access_of=lambda config: Access(keys=config.keys),
    )
    async with websocket(world, ("authorization", "Bearer first-key")) as socket:
        assert text_of(await ask(socket, create("SCENARIO:text REPLY=hello"))) == "hello"
        write(path, keys=keys[1:])
        await trio.sleep(SOON)
        (refused,) = await ask(socket, create("hi"))
        assert refused["status"] == 401
