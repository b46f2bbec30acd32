"""Asking the monitoring routes, in tests of them."""

from __future__ import annotations

from typing import Any

import msgspec
from memory_network import Response
from world import World

from copilot_trio.config import ApiKey
from copilot_trio.server.auth import Access, hash_key

KEYS = Access(
    keys=(
        ApiKey("inference", hash_key("inference-key"), ("inference",)),
        ApiKey("admin", hash_key("admin-key"), ("admin",)),
    )
)


def bearer(key: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {key}")


def decoded(answer: Response, status: int = 200) -> Any:
    assert answer.status == status, answer.body
    return msgspec.json.decode(answer.body)


async def told(world: World, path: str, status: int = 200) -> Any:
    return decoded(await world.ask_get(path), status)


async def error(world: World, path: str, status: int) -> str:
    value = await told(world, path, status)
    assert set(value) == {"error"}
    return str(value["error"])
