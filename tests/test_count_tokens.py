"""``count_tokens`` through the whole proxy: cold, after a reply, and for what nobody offers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from world import World, error_of, messages

from copilot_trio.tokens.exact import exact_counter

FOUND = exact_counter("gpt-4.1")
assert FOUND is not None
TRUTH = FOUND


async def count(world: World, body: Any) -> int:
    answer = await world.ask("/v1/messages/count_tokens?beta=true", body)
    assert answer.status == 200, answer.body
    counted = msgspec.json.decode(answer.body)
    assert list(counted) == ["input_tokens"]
    number: int = counted["input_tokens"]
    return number


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-4.1", "gpt-5.3-codex", "nobody-knows-this"])
async def test_a_short_text(nursery: trio.Nursery, model: str) -> None:
    world = World(nursery)
    text = "The quick brown fox jumps over the lazy dog. " * 20
    counted = await count(world, messages(text, model=model))
    assert TRUTH(text) * 0.8 < counted < TRUTH(text) * 1.2 + 20
    assert world.calls() == []


async def test_an_image_is_not_text(nursery: trio.Nursery) -> None:
    data = "A" * 2_000_000
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    body = {"model": "claude-sonnet-4.5", "messages": [{"role": "user", "content": [image]}]}
    assert await count(World(nursery), body) < 3000


async def test_what_a_reply_said_is_believed(nursery: trio.Nursery) -> None:
    world = World(nursery)
    body: Any = messages("SCENARIO:text REPLY=yes " + "naïve café — 你好 " * 200, model="claude-sonnet-4.5")
    reply = msgspec.json.decode((await world.ask("/v1/messages", body)).body)
    usage = reply["usage"]
    real = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    assert await count(world, body) == pytest.approx(real, rel=0.05)
    body["messages"] += [{"role": "assistant", "content": reply["content"]}, {"role": "user", "content": "and?"}]
    assert await count(world, body) == pytest.approx(real + usage["output_tokens"] + 8, rel=0.05)


async def test_many_at_once(nursery: trio.Nursery) -> None:
    """Claude Code's /context sends 35 within a tenth of a second."""
    world = World(nursery)
    counts: list[int] = []

    async def one(number: int) -> None:
        counts.append(await count(world, messages("word " * (number + 1) * 10, model="claude-sonnet-4.5")))

    async with trio.open_nursery() as inner:
        for number in range(35):
            inner.start_soon(one, number)
    assert len(set(counts)) == 35


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"{}", 400), (b'{"model":"m"}', 400)])
async def test_what_cannot_be_counted(nursery: trio.Nursery, body: bytes, status: int) -> None:
    answer = await World(nursery).ask("/v1/messages/count_tokens", body)
    assert answer.status == status
    assert error_of(answer)["type"] == "invalid_request_error"
