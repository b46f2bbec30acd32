"""GET models: OpenAI's and Anthropic's shape in one (product.md §2.1)."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec

from copilot_trio.accounts.offer import look_up, offered
from copilot_trio.accounts.registry import Accounts
from copilot_trio.models.model import Model
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

SERVED = {"chat", "embeddings"}
UNKNOWN_DATE = "1970-01-01T00:00:00Z"  # Copilot's list has no dates; both SDKs want one


def add_routes(router: Router, accounts: Accounts) -> None:
    async def list_models(exchange: Exchange) -> None:
        listed = await offered(accounts, exchange.pin)
        models = [shown(model) for model in listed if model.capabilities.type in SERVED]
        ids = [str(model["id"]) for model in models]
        page = {"first_id": ids[0] if ids else None, "last_id": ids[-1] if ids else None}
        await exchange.respond(200, msgspec.json.encode({"object": "list", "data": models, "has_more": False, **page}))

    async def get_model(exchange: Exchange) -> None:
        asked = unquote(exchange.request.path.partition("/models/")[2])
        await exchange.respond(200, msgspec.json.encode(shown(await look_up(accounts, asked, exchange.pin))))

    router.add_model_route("GET", "/models", list_models)
    router.add_model_route("GET", "/models/{id}", get_model)


def shown(model: Model) -> dict[str, Any]:
    """``max_input_tokens`` and ``max_tokens`` are Anthropic's names for what OpenAI's shape has no place for.

    ``billing`` holds the price as upstream lists it, in either of its shapes (upstream.md §6.1); ``unavailable`` says
    why a request would be refused, and is null where none would be.
    """
    limits, supports = model.limits, model.supports
    return {
        "id": model.id,
        "object": "model",
        "type": "model",
        "created": 0,
        "created_at": UNKNOWN_DATE,
        "owned_by": model.vendor,
        "display_name": model.name or model.id,
        "max_input_tokens": limits.max_prompt_tokens or None,
        "max_tokens": limits.max_output_tokens or None,
        "copilot": {
            "type": model.capabilities.type,
            "endpoints": model.endpoints,
            "max_prompt_tokens": limits.max_prompt_tokens or None,
            "max_output_tokens": limits.max_output_tokens or None,
            "max_non_streaming_output_tokens": limits.max_non_streaming_output_tokens or None,
            "max_context_window_tokens": limits.max_context_window_tokens or None,
            "max_inputs": limits.max_inputs or None,
            "vision": supports.vision,
            "tool_calls": supports.tool_calls,
            "reasoning_effort": supports.reasoning_effort,
            "billing": model.billing,
            "policy": model.policy.state if model.policy else None,
            "unavailable": model.unavailable,
            "preview": model.preview,
        },
    }
