from __future__ import annotations

import logging

import msgspec
import pytest
import trio

from copilot_trio.errors import ModelNotFound, UpstreamError
from copilot_trio.models.catalogue import Catalogue


class List:
    """A model list that can fail; counts how often it was asked for."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)
        self.fetches = 0
        self.failure: UpstreamError | None = None
        self.extra: list[object] = []

    async def fetch(self) -> bytes:
        self.fetches += 1
        await trio.sleep(1)
        if self.failure is not None:
            raise self.failure
        return msgspec.json.encode({"data": [*({"id": name} for name in self.ids), *self.extra]})


async def test_the_list_is_kept_for_ten_minutes() -> None:
    upstream = List("a")
    catalogue = Catalogue(upstream.fetch)
    await catalogue.models()
    await trio.sleep(590)
    await catalogue.models()
    assert upstream.fetches == 1
    await trio.sleep(20)
    await catalogue.models()
    assert upstream.fetches == 2


async def test_many_callers_make_one_fetch() -> None:
    upstream = List("a")
    catalogue = Catalogue(upstream.fetch)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(catalogue.models)
    assert upstream.fetches == 1


async def test_a_failing_refresh_keeps_the_old_list(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    upstream = List("a")
    catalogue = Catalogue(upstream.fetch)
    await catalogue.models()
    upstream.failure = UpstreamError("down")
    await trio.sleep(700)
    assert [model.id for model in await catalogue.models()] == ["a"]
    assert "the old one is used" in caplog.text


async def test_without_any_list_the_failure_is_the_callers() -> None:
    upstream = List()
    upstream.failure = UpstreamError("down")
    with pytest.raises(UpstreamError, match="down"):
        await Catalogue(upstream.fetch).models()


async def test_entries_that_cannot_be_read_are_left_out_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    upstream = List("a")
    upstream.extra = [{"id": 5}, {"id": "b", "capabilities": "odd"}]
    assert [model.id for model in await Catalogue(upstream.fetch).models()] == ["a"]
    assert "2 entries" in caplog.text


async def test_what_is_no_list_is_an_error() -> None:
    async def fetch() -> bytes:
        return b"<html>"

    with pytest.raises(UpstreamError, match="cannot be read"):
        await Catalogue(fetch).models()


async def test_a_missing_model_is_named_with_what_there_is() -> None:
    with pytest.raises(ModelNotFound, match=r"no model is called 'x'.*This account is offered: a, b"):
        await Catalogue(List("a", "b").fetch).find("x")


async def test_a_refused_endpoint_is_remembered() -> None:
    upstream = List()
    upstream.extra = [{"id": "c", "supported_endpoints": ["/v1/messages", "/chat/completions"]}]
    catalogue = Catalogue(upstream.fetch)
    assert (await catalogue.find("c")).endpoints == ("/v1/messages", "/chat/completions")
    catalogue.learn_refused("c", "/v1/messages")
    assert (await catalogue.find("c")).endpoints == ("/chat/completions",)
    assert repr(catalogue) == "<Catalogue of 1 models>"
