"""Codex: a provider and the model's limits in ``config.toml`` (product.md §12, clients.md §4). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .document import Path
from .offer import KEYLESS, Model, Target, calls_tools, first

COMMAND = "codex"
NAME = "copilot-trio"
COMPACT_AT = 0.9  # of the window; Codex itself allows no more


def usual(models: Sequence[Model]) -> tuple[Model, Model]:
    """A model made for it, else one that speaks its API by itself. It knows no small one."""
    main = first(
        models,
        lambda model: "codex" in model.id and calls_tools(model),
        lambda model: "/responses" in model.copilot.endpoints and calls_tools(model),
        calls_tools,
    )
    return main, main


def wanted(target: Target) -> dict[Path, str | int | None]:
    """The key lies in the file, for without a variable in every shell ``env_key`` would fail; none where none is
    asked for.
    """
    provider = ("model_providers", NAME)
    window = target.main.prompt
    return {
        ("model",): target.main.id,
        ("model_provider",): NAME,
        ("model_context_window",): window,
        ("model_auto_compact_token_limit",): int(window * COMPACT_AT),
        (*provider, "name"): NAME,
        (*provider, "base_url"): f"{target.base_url}/v1",
        (*provider, "wire_api"): "responses",
        (*provider, "env_key"): None,
        (*provider, "experimental_bearer_token"): None if target.key == KEYLESS else target.key,
    }


def notes(target: Target) -> list[str]:
    main = target.main
    return [
        f"The window of {main.prompt} tokens is {main.id}'s: after another --model, run this again.",
        "`supports_websockets = true` beside base_url makes Codex use a WebSocket, if you like.",
    ]
