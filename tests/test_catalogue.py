from __future__ import annotations

import logging

import msgspec
import pytest
import trio

from copilot_trio.errors import AccountPaused, ModelNotFound, ProxyError, UpstreamError
from copilot_trio.models.catalogue import Catalogue


class List:
    """A model list that can fail; counts how often it was asked for."""

    def __init__(self, *ids: str) -> None:
        self.ids = list(ids)
        self.fetches = 0
        self.failure: ProxyError | None = None
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
    with pytest.raises(ModelNotFound, match=r"no model is called 'x'.*This account is offered: a, b\.") as caught:
        await Catalogue(List("a", "b").fetch).find("x")
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
    assert caught.value.cost == "none"


async def test_names_that_look_alike_are_suggested() -> None:
    with pytest.raises(ModelNotFound, match=r"Did you mean gpt-4\.1\? This account"):
        await Catalogue(List("gpt-4.1", "claude-opus-4.6").fetch).find("gtp-4.1")


async def test_what_cannot_be_used_is_not_suggested() -> None:
    upstream = List("a")
    upstream.extra = [policy("gpt-4.1", "disabled")]
    with pytest.raises(ModelNotFound, match=r"no model is called 'gpt-4\.11'\. This account"):
        await Catalogue(upstream.fetch).find("gpt-4.11")


async def test_a_long_list_is_cut_and_counted() -> None:
    with pytest.raises(ModelNotFound, match=r": m0, .*, m19 and 5 more\."):
        await Catalogue(List(*(f"m{number}" for number in range(25))).fetch).find("zzz")


async def test_an_empty_list_offers_nothing() -> None:
    with pytest.raises(ModelNotFound, match=r"This account is offered: nothing\."):
        await Catalogue(List().fetch).find("x")


async def test_a_long_name_is_cut_in_the_error() -> None:
    with pytest.raises(ModelNotFound) as caught:
        await Catalogue(List("a").fetch).find("x" * 100_000)
    assert len(str(caught.value)) < 300


async def test_a_mapping_comes_before_the_list_and_its_change_is_heard() -> None:
    mapping = {"a": "b"}
    catalogue = Catalogue(List("a", "b").fetch, mapping)
    assert (await catalogue.find("a")).id == "b"
    del mapping["a"]
    assert (await catalogue.find("a")).id == "a"


async def test_a_mapping_to_what_is_not_offered_is_said_to_be_one() -> None:
    catalogue = Catalogue(List("gpt-4.1").fetch, {"a": "gpt-4.2", "*": "gpt-4.1"})
    with pytest.raises(ModelNotFound, match=r"'a' is mapped to 'gpt-4\.2' by model_mapping.*Did you mean gpt-4\.1\?"):
        await catalogue.find("a")
    assert (await catalogue.find("anything")).id == "gpt-4.1"


async def test_the_last_resort_can_be_missing_too() -> None:
    with pytest.raises(ModelNotFound, match=r"'a' is mapped to 'nobody' by model_mapping"):
        await Catalogue(List("gpt-4.1").fetch, {"*": "nobody"}).find("a")


def policy(name: str, state: str) -> object:
    return {"id": name, "policy": {"state": state, "terms": "x"}}


@pytest.mark.parametrize(
    ("state", "reason"), [("unconfigured", "its terms have not been accepted"), ("disabled", "policy of the account")]
)
async def test_what_a_policy_forbids_is_refused_with_the_reason(state: str, reason: str) -> None:
    upstream = List("a")
    upstream.extra = [policy("p", state)]
    catalogue = Catalogue(upstream.fetch)
    with pytest.raises(ModelNotFound, match=rf"^p is in .*{reason}.*https://github\.com/settings/copilot"):
        await catalogue.find("p")
    assert (await catalogue.look_up("p")).id == "p"
    with pytest.raises(ModelNotFound, match=r"This account is offered: a\."):
        await catalogue.find("zzz")


async def test_a_policy_unknown_to_us_refuses_nothing() -> None:
    upstream = List()
    upstream.extra = [policy("p", "enabled"), policy("q", "unheard-of")]
    catalogue = Catalogue(upstream.fetch)
    assert [(await catalogue.find(name)).id for name in "pq"] == ["p", "q"]


async def test_a_policy_that_was_agreed_to_is_noticed_within_a_minute() -> None:
    upstream = List()
    upstream.extra = [policy("p", "unconfigured")]
    catalogue = Catalogue(upstream.fetch)
    for _ in range(5):
        with pytest.raises(ModelNotFound):
            await catalogue.find("p")
    assert upstream.fetches == 1
    upstream.extra = [policy("p", "enabled")]
    await trio.sleep(61)
    assert (await catalogue.find("p")).id == "p"
    await trio.sleep(61)
    await catalogue.find("p")
    assert upstream.fetches == 2


async def test_a_list_in_doubt_is_read_again_once_a_minute_even_where_that_fails() -> None:
    upstream = List("a")
    catalogue = Catalogue(upstream.fetch)
    await catalogue.models()
    await trio.sleep(100)
    upstream.failure = UpstreamError("down")
    for _ in range(5):
        catalogue.doubt()
        await catalogue.models()
    assert upstream.fetches == 2
    await trio.sleep(61)
    await catalogue.models()
    assert upstream.fetches == 3


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("embeddings", r"'embeddings', and this route is for chat models\. Send it to /v1/embeddings\."),
        ("completion", r"'completion', and this route is for chat models\. This account is offered: a\."),
    ],
)
async def test_what_is_no_chat_model_is_refused_to_a_chat(kind: str, said: str) -> None:
    upstream = List("a")
    upstream.extra = [{"id": "e", "capabilities": {"type": kind}}]
    with pytest.raises(ModelNotFound, match=rf"^e is of the type {said}"):
        await Catalogue(upstream.fetch).find("e")


async def test_a_chat_model_is_refused_to_who_wants_embeddings() -> None:
    upstream = List("a")
    upstream.extra = [{"id": "e", "capabilities": {"type": "embeddings"}}]
    with pytest.raises(ModelNotFound, match=r"^a is of the type 'chat'.*This account is offered: e\."):
        await Catalogue(upstream.fetch).find("a", "embeddings")


async def test_an_embeddings_model_is_found_for_its_route() -> None:
    upstream = List()
    upstream.extra = [{"id": "e", "capabilities": {"type": "embeddings"}}]
    assert (await Catalogue(upstream.fetch).find("e", "embeddings")).endpoints == ("/embeddings",)


async def test_a_refusal_names_what_was_asked_for_and_what_that_meant() -> None:
    upstream = List()
    upstream.extra = [policy("claude-opus-4.6", "disabled")]
    with pytest.raises(ModelNotFound, match=r"^claude-opus-4\.6 \(asked for as 'opus'\) is in"):
        await Catalogue(upstream.fetch).find("opus")


async def test_an_alias_avoids_what_a_policy_forbids() -> None:
    upstream = List("claude-opus-4.5")
    upstream.extra = [policy("claude-opus-4.6", "unconfigured")]
    assert (await Catalogue(upstream.fetch).find("opus")).id == "claude-opus-4.5"


async def test_a_refused_endpoint_is_remembered_until_the_list_is_read_again() -> None:
    upstream = List()
    upstream.extra = [{"id": "c", "supported_endpoints": ["/v1/messages", "/chat/completions"]}]
    catalogue = Catalogue(upstream.fetch)
    assert (await catalogue.find("c")).endpoints == ("/v1/messages", "/chat/completions")
    catalogue.learn_refused("c", "/v1/messages")
    assert (await catalogue.find("c")).endpoints == ("/chat/completions",)
    assert (await catalogue.look_up("c")).endpoints == ("/v1/messages", "/chat/completions")
    assert repr(catalogue) == "<Catalogue of 1 models>"
    await trio.sleep(601)
    assert (await catalogue.find("c")).endpoints == ("/v1/messages", "/chat/completions")


async def test_where_no_endpoint_is_left_responses_is_tried_and_then_nothing() -> None:
    catalogue = Catalogue(List("c").fetch)
    await catalogue.models()
    catalogue.learn_refused("c", "/chat/completions")
    assert (await catalogue.find("c")).endpoints == ("/responses",)
    catalogue.learn_refused("c", "/responses")
    with pytest.raises(ModelNotFound, match=r"upstream refuses it at /chat/completions, /responses.*ten minutes"):
        await catalogue.find("c")


async def failing(catalogue: Catalogue, met: list[tuple[ProxyError, float]]) -> None:
    with pytest.raises(ProxyError) as caught:
        await catalogue.find("a")
    met.append((caught.value, trio.current_time()))


@pytest.mark.parametrize("failure", [UpstreamError("down"), AccountPaused("warned")], ids=lambda error: error.kind)
async def test_who_waits_for_a_fetch_that_fails_shares_its_failure(failure: ProxyError) -> None:
    upstream = List("a")
    upstream.failure = failure
    catalogue = Catalogue(upstream.fetch)
    met: list[tuple[ProxyError, float]] = []
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(failing, catalogue, met)
            await trio.sleep(0.1)
    assert [when for _, when in met] == [1.0] * 5
    assert len({id(error) for error, _ in met}) == 5
    assert {(type(error), str(error)) for error, _ in met} == {(type(failure), str(failure))}
    assert upstream.fetches == 1
    await failing(catalogue, met)
    assert upstream.fetches == 2
    upstream.failure = None
    assert (await catalogue.find("a")).id == "a"


async def test_who_leaves_in_the_middle_of_a_fetch_fails_nobody_else() -> None:
    upstream = List("a")
    catalogue = Catalogue(upstream.fetch)
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(0.5):
            async with trio.open_nursery() as leaving:
                leaving.start_soon(catalogue.models)
                await trio.sleep(0.1)
                nursery.start_soon(catalogue.models)
    assert (upstream.fetches, catalogue.known("a") is not None) == (2, True)


async def test_what_is_known_is_told_without_a_fetch() -> None:
    upstream = List("gpt-4.1")
    catalogue = Catalogue(upstream.fetch, {"mine": "gpt-4.1"})
    assert catalogue.known("gpt-4.1") is None
    assert upstream.fetches == 0
    await catalogue.models()
    await trio.sleep(700)
    for asked in ("gpt-4.1", "mine"):
        model = catalogue.known(asked)
        assert model is not None
        assert model.id == "gpt-4.1"
    assert catalogue.known("nobody") is None
    assert upstream.fetches == 1
