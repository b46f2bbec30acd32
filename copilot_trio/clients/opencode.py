"""opencode: a provider with every model and its limits (product.md §12, clients.md §5). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .document import Path
from .offer import Model, Target, calls_tools, family, first

COMMAND = "opencode"
NAME = "copilot-trio"
PACKAGE = "@ai-sdk/openai-compatible"
SCHEMA = "https://opencode.ai/config.json"


def usual(models: Sequence[Model]) -> tuple[Model, Model]:
    main = family(models, "sonnet") or first(models, calls_tools)
    return main, first(models, lambda model: "-mini" in model.id, lambda model: model is main)


def wanted(target: Target) -> dict[Path, Any]:
    """Of models those that can call tools: opencode asks nothing without."""
    provider = ("provider", NAME)
    models = [model for model in target.models if calls_tools(model) or model in {target.main, target.small}]
    return {
        ("model",): f"{NAME}/{target.main.id}",
        ("small_model",): f"{NAME}/{target.small.id}",
        (*provider, "npm"): PACKAGE,
        (*provider, "name"): "GitHub Copilot (copilot-trio)",
        (*provider, "options", "baseURL"): f"{target.base_url}/v1",
        (*provider, "options", "apiKey"): target.key,
        **{(*provider, "models", model.id): _entry(model) for model in models},
    }


def _entry(model: Model) -> dict[str, Any]:
    """``input`` is what it compacts by; without ``output`` it refuses the whole file."""
    entry: dict[str, Any] = {
        "name": model.display_name or model.id,
        "limit": {"context": model.context, "input": model.prompt, "output": model.output},
        "tool_call": model.copilot.tool_calls,
    }
    if model.copilot.vision:
        entry |= {"attachment": True, "modalities": {"input": ["text", "image"], "output": ["text"]}}
    if model.copilot.reasoning_effort:
        entry["reasoning"] = True
    return entry


def notes(target: Target) -> list[str]:
    return [f"opencode compacts by each model's own limit; its list holds {len(target.models)} models."]
