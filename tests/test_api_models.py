from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from memory_network import get
from world import World, chat, error_of

from copilot_trio.config import Config

MAPPED = Config(model_mapping={"my-model": "claude-sonnet-4-5", "lost": "nobody", "*": "gpt-4.1"})


async def look(world: World, path: str, *headers: tuple[str, str]) -> tuple[int, Any]:
    client = await world.client()
    await get(client.stream, path, *headers)
    answer = await client.response("GET")
    return answer.status, msgspec.json.decode(answer.body)


@pytest.mark.parametrize("path", ["/models", "/v1/models", "/copilot/v1/models", "/v1/models?client_version=0.99.0"])
async def test_the_list_is_the_same_wherever_it_is_asked_for(nursery: trio.Nursery, path: str) -> None:
    status, page = await look(World(nursery), path)
    ids = [model["id"] for model in page["data"]]
    assert status == 200
    assert (page["object"], page["has_more"]) == ("list", False)
    assert (page["first_id"], page["last_id"]) == (ids[0], ids[-1])
    assert len(ids) == len(set(ids))  # upstream's own list repeats one


async def test_a_model_has_both_apis_fields_and_copilots(nursery: trio.Nursery) -> None:
    status, model = await look(World(nursery), "/v1/models/claude-sonnet-4.5")
    copilot = model.pop("copilot")
    assert status == 200
    assert model == {
        "id": "claude-sonnet-4.5",
        "object": "model",
        "type": "model",
        "created": 0,
        "created_at": "1970-01-01T00:00:00Z",
        "owned_by": "Anthropic",
        "display_name": "Claude Sonnet 4.5",
        "max_input_tokens": 168000,
        "max_tokens": 32000,
    }
    prices = copilot.pop("billing")["token_prices"]["default"]
    assert prices == {"input_price": 300, "cache_price": 30, "cache_write_price": 375, "output_price": 1500}
    assert copilot == {
        "type": "chat",
        "endpoints": ["/chat/completions", "/v1/messages"],
        "max_prompt_tokens": 168000,
        "max_output_tokens": 32000,
        "max_non_streaming_output_tokens": 16000,
        "max_context_window_tokens": 200000,
        "max_inputs": None,
        "vision": True,
        "tool_calls": True,
        "reasoning_effort": [],
        "policy": "enabled",
        "unavailable": None,
        "preview": False,
    }


async def test_an_embeddings_model_is_shown_with_its_own_limit(nursery: trio.Nursery) -> None:
    _, model = await look(World(nursery), "/v1/models/text-embedding-3-small")
    assert (model["copilot"]["type"], model["copilot"]["max_inputs"]) == ("embeddings", 512)
    assert (model["max_input_tokens"], model["max_tokens"]) == (None, None)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sonnet", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("my-model", "claude-sonnet-4.5"),
        ("any%2Fthing", "gpt-4.1"),
    ],
)
async def test_a_model_is_found_under_any_name_that_a_request_may_use(
    nursery: trio.Nursery, name: str, found: str
) -> None:
    status, model = await look(World(nursery, config=MAPPED), f"/v1/models/{name}")
    assert (status, model["id"]) == (200, found)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("grok-code-fast-1", "terms have not been accepted"), ("gemini-3-pro-preview", "has disabled it")],
)
async def test_what_cannot_be_used_is_shown_with_the_reason_and_refused_unsent(
    nursery: trio.Nursery, name: str, reason: str
) -> None:
    world = World(nursery)
    status, model = await look(world, f"/v1/models/{name}")
    assert status == 200
    assert reason in model["copilot"]["unavailable"]
    answer = await world.ask("/v1/chat/completions", chat("hi", model=name))
    assert (answer.status, error_of(answer)["code"]) == (404, "model_not_found")
    assert reason in str(error_of(answer)["message"])
    assert world.calls() == []


@pytest.mark.parametrize(
    ("config", "name", "said"),
    [
        (Config(), "gpt-4.11", "no model is called 'gpt-4.11'. Did you mean gpt-4.1"),
        (MAPPED, "lost", "'lost' is mapped to 'nobody' by model_mapping"),
    ],
    ids=["unknown", "mapped"],
)
async def test_a_missing_model_is_404_with_the_reason_in_the_clients_words(
    nursery: trio.Nursery, config: Config, name: str, said: str
) -> None:
    world = World(nursery, config=config)
    status, body = await look(world, f"/v1/models/{name}")
    assert (status, body["error"]["code"], body["error"]["param"]) == (404, "model_not_found", "model")
    assert said in body["error"]["message"]
    status, body = await look(world, f"/v1/models/{name}", ("anthropic-version", "2023-06-01"))
    assert (status, body["type"], body["error"]["type"]) == (404, "error", "not_found_error")
    assert said in body["error"]["message"]


async def test_a_mapped_model_answers_under_the_name_it_was_asked_by(nursery: trio.Nursery) -> None:
    world = World(nursery, config=MAPPED)
    answer = await world.ask("/v1/chat/completions", chat("hi", model="my-model"))
    assert msgspec.json.decode(answer.body)["model"] == "my-model"
    assert msgspec.json.decode(world.calls()[0].body)["model"] == "claude-sonnet-4.5"
