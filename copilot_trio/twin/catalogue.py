"""The models on offer, and how ``/models`` lists them in either billing shape (upstream.md §6).

All numbers are samples: the real ones change every month (upstream.md §15).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from .accounts import Account
from .reply import JSON

Family = Literal["gpt", "claude", "gemini", "embeddings"]

CHAT, RESPONSES, SOCKET, MESSAGES = "/chat/completions", "/responses", "ws:/responses", "/v1/messages"
PAID = ("pro", "edu", "pro_plus", "max", "individual_trial", "business", "enterprise")
TOKEN_PRICES_SINCE = "2026-06-01"
BATCH = 1_000_000
NANO = 1_000_000_000
IMAGES = ["image/jpeg", "image/png", "image/webp", "image/gif"]
EFFORTS = ("low", "medium", "high")


class Model(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    vendor: str
    family: Family = "gpt"
    echo: str  # what answers call it (upstream.md §0.1 fact 10)
    multiplier: float = 1
    # AIU per million tokens: input, cache read, cache write, output.
    prices: tuple[float, float, float, float] = (0, 0, 0, 0)
    context: int = 128_000
    max_prompt: int = 128_000
    max_output: int = 16_384
    endpoints: tuple[str, ...] = ()  # empty: the field is absent, which means chat only
    audience: tuple[str, ...] = ()
    category: str = ""  # empty: not in the picker
    policy: Literal["", "enabled", "disabled", "unconfigured"] = "enabled"
    thinking: tuple[int, int] | None = None  # smallest and largest budget
    adaptive: bool = False
    efforts: tuple[str, ...] = ()
    tool_search: bool = False
    context_editing: bool = False
    default: bool = False

    @property
    def gpt5(self) -> bool:
        """These search the web, and want ``max_completion_tokens`` (upstream.md §7.1, §8.1)."""
        return self.id.startswith("gpt-5")

    @property
    def from_openai(self) -> bool:
        return "OpenAI" in self.vendor

    def serves(self, path: str) -> bool:
        if self.family == "embeddings":
            return path == "/embeddings"
        return path in (self.endpoints or (CHAT,))


_LIST = [
    Model(
        id="gpt-4.1", name="GPT-4.1", vendor="Azure OpenAI", echo="gpt-4.1-2025-04-14", multiplier=0,
        category="versatile", default=True,
    ),
    Model(
        id="gpt-4o", name="GPT-4o", vendor="Azure OpenAI", echo="gpt-4o-2024-11-20", multiplier=0,
        category="versatile",
    ),
    Model(
        id="gpt-5-mini", name="GPT-5 mini", vendor="Azure OpenAI", echo="gpt-5-mini", multiplier=0,
        prices=(25, 2.5, 0, 200), context=264_000, max_output=64_000, endpoints=(CHAT, RESPONSES, SOCKET),
        category="lightweight", efforts=EFFORTS,
    ),
    Model(
        id="gpt-5.3-codex", name="GPT-5.3-Codex", vendor="OpenAI", echo="gpt-5.3-codex",
        prices=(175, 17.5, 0, 1400), context=400_000, max_prompt=272_000, max_output=128_000,
        endpoints=(RESPONSES, SOCKET), audience=PAID, category="powerful", efforts=(*EFFORTS, "xhigh"), policy="",
    ),
    Model(
        id="gpt-5.5", name="GPT-5.5", vendor="OpenAI", echo="gpt-5.5", multiplier=7.5,
        prices=(500, 50, 0, 3000), context=400_000, max_prompt=272_000, max_output=128_000,
        endpoints=(RESPONSES, SOCKET), audience=PAID, category="powerful", efforts=("none", *EFFORTS, "xhigh"),
    ),
    Model(
        id="claude-haiku-4.5", name="Claude Haiku 4.5", vendor="Anthropic", family="claude", echo="claude-haiku-4-5",
        multiplier=0.33, prices=(100, 10, 125, 500), context=200_000, max_prompt=168_000, max_output=32_000,
        endpoints=(CHAT, MESSAGES), audience=PAID, category="lightweight", thinking=(1024, 32_000),
    ),
    Model(
        id="claude-sonnet-4.5", name="Claude Sonnet 4.5", vendor="Anthropic", family="claude",
        echo="claude-sonnet-4-5", prices=(300, 30, 375, 1500), context=200_000, max_prompt=168_000,
        max_output=32_000, endpoints=(CHAT, MESSAGES), audience=PAID, category="versatile", thinking=(1024, 32_000),
    ),
    Model(
        id="claude-opus-4.6", name="Claude Opus 4.6", vendor="Anthropic", family="claude", echo="claude-opus-4-6",
        multiplier=3, prices=(500, 50, 625, 2500), context=200_000, max_prompt=168_000, max_output=64_000,
        endpoints=(MESSAGES, CHAT), audience=PAID, category="powerful", thinking=(1024, 32_000), adaptive=True,
        efforts=EFFORTS,
    ),
    Model(
        id="claude-opus-4.7", name="Claude Opus 4.7", vendor="Anthropic", family="claude", echo="claude-opus-4-7",
        multiplier=7.5, prices=(500, 50, 625, 2500), context=200_000, max_prompt=168_000, max_output=64_000,
        endpoints=(MESSAGES, CHAT), audience=PAID, category="powerful", adaptive=True,
        efforts=(*EFFORTS, "xhigh", "max"), tool_search=True, context_editing=True,
    ),
    Model(
        id="gemini-2.5-pro", name="Gemini 2.5 Pro", vendor="Google", family="gemini", echo="gemini-2.5-pro",
        prices=(125, 12.5, 0, 1000), max_output=64_000, audience=PAID, category="powerful", thinking=(128, 32_768),
    ),
    Model(
        id="text-embedding-3-small", name="Embedding V3 small", vendor="Azure OpenAI", family="embeddings",
        echo="text-embedding-3-small", multiplier=0, policy="",
    ),
    Model(
        id="gpt-4o-mini-2024-07-18", name="GPT-4o mini", vendor="Azure OpenAI", echo="gpt-4o-mini-2024-07-18",
        multiplier=0, max_prompt=12_288, max_output=4_096, policy="",
    ),
    Model(
        id="oswe-vscode-prime", name="Raptor mini (Preview)", vendor="Azure OpenAI", echo="oswe-vscode-prime",
        multiplier=0, context=264_000, max_output=64_000, endpoints=(CHAT, RESPONSES), category="versatile",
        efforts=EFFORTS, policy="unconfigured",
    ),
    Model(
        id="grok-code-fast-1", name="Grok Code Fast 1", vendor="xAI", echo="grok-code-fast-1", multiplier=0.25,
        prices=(20, 2, 0, 150), audience=PAID, category="lightweight", policy="unconfigured",
    ),
    Model(
        id="gemini-3-pro-preview", name="Gemini 3 Pro (Preview)", vendor="Google", family="gemini",
        echo="gemini-3-pro-preview", prices=(200, 20, 0, 1200), audience=PAID, category="powerful", policy="disabled",
    ),
]  # fmt: skip
# The real list repeats some ids (upstream.md §0.1 fact 11).
_REPEATED = "gpt-4o-mini-2024-07-18"

MODELS = {model.id: model for model in _LIST}


def offered(account: Account) -> list[Model]:
    """What this account's ``/models`` lists, duplicates included."""
    listed = [*_LIST, MODELS[_REPEATED]]
    return [model for model in listed if _entitled(model, account)]


def _entitled(model: Model, account: Account) -> bool:
    if account.models is not None and model.id not in account.models:
        return False
    return not model.audience or account.audience in model.audience


def usable(model_id: str, account: Account) -> Model | None:
    """The model, if the account may send to it: its plan has it and its policy is agreed to."""
    model = MODELS.get(model_id)
    if model is None or not _entitled(model, account):
        return None
    blocked = model.policy == "disabled" or (model.policy == "unconfigured" and model.id not in account.accepted)
    return None if blocked else model


def listing(account: Account, api_version: str) -> JSON:
    """``X-GitHub-Api-Version`` picks the billing shape (upstream.md §0.1 fact 12)."""
    by_token = api_version >= TOKEN_PRICES_SINCE
    return {"data": [entry(model, account, by_token=by_token) for model in offered(account)], "object": "list"}


def entry(model: Model, account: Account, *, by_token: bool) -> JSON:
    shown: JSON = {
        "billing": _token_prices(model) if by_token else _multiplier(model),
        "capabilities": _capabilities(model),
        "id": model.id,
        "is_chat_default": model.default,
        "is_chat_fallback": model.default,
        "model_picker_enabled": bool(model.category),
        "name": model.name,
        "object": "model",
        "preview": "Preview" in model.name,
        "vendor": model.vendor,
        "version": model.echo if model.family == "gpt" else model.id,
    }
    if model.audience:
        shown["billing"]["restricted_to"] = list(model.audience)
    if model.category:
        shown["model_picker_category"] = model.category
    if model.category and by_token:
        shown["model_picker_price_category"] = _price_category(model)
    if model.policy:
        accepted = model.policy == "unconfigured" and model.id in account.accepted
        terms = f"Enable access to the latest {model.name} model. [Learn more](https://gh.io/example)."
        shown["policy"] = {"state": "enabled" if accepted else model.policy, "terms": terms}
    if model.endpoints:
        shown["supported_endpoints"] = list(model.endpoints)
    return shown


def _price_category(model: Model) -> str:
    output = model.prices[3]
    return "low" if output < 1000 else "medium" if output < 2000 else "high"


def _multiplier(model: Model) -> JSON:
    return {"is_premium": model.multiplier > 0, "multiplier": model.multiplier}


def _token_prices(model: Model) -> JSON:
    names = ("input_price", "cache_price", "cache_write_price", "output_price")
    # The list cuts fractions off; the costs of a reply have them (upstream.md §5.3).
    prices = {name: int(price) for name, price in zip(names, model.prices, strict=True)}
    return {"token_prices": {"batch_size": BATCH if any(model.prices) else 0, "default": prices}}


def _capabilities(model: Model) -> JSON:
    if model.family == "embeddings":
        limits: JSON = {"max_inputs": 512}
        supports: JSON = {"dimensions": True}
    else:
        limits = _limits(model)
        supports = {"parallel_tool_calls": True, "streaming": True, "tool_calls": True, "vision": True}
    if model.family == "gpt":
        supports["structured_outputs"] = True
    if model.thinking:
        supports["min_thinking_budget"], supports["max_thinking_budget"] = model.thinking
    if model.adaptive:
        supports["adaptive_thinking"] = True
    supports |= {name: True for name in ("tool_search", "context_editing") if getattr(model, name)}
    if model.efforts:
        supports["reasoning_effort"] = list(model.efforts)
    return {
        "family": model.id,
        "limits": limits,
        "object": "model_capabilities",
        "supports": supports,
        "tokenizer": "cl100k_base" if model.family == "embeddings" else "o200k_base",
        "type": "embeddings" if model.family == "embeddings" else "chat",
    }


def _limits(model: Model) -> JSON:
    limits: JSON = {
        "max_context_window_tokens": model.context,
        "max_output_tokens": model.max_output,
        "max_prompt_tokens": model.max_prompt,
        "vision": {"max_prompt_image_size": 3145728, "max_prompt_images": 5, "supported_media_types": IMAGES},
    }
    if model.family == "claude":
        limits["max_non_streaming_output_tokens"] = 16_000
    return limits


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one answer. ``fresh`` is what neither came from the cache nor went into it."""

    fresh: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    reasoning: int = 0

    @property
    def prompt(self) -> int:
        return self.fresh + self.cache_read + self.cache_write


def cost(model: Model, usage: Usage) -> JSON:
    """``copilot_usage``: exact, and always with four entries (upstream.md §5.3)."""
    counts = (usage.fresh, usage.cache_read, usage.cache_write, usage.output)
    kinds = ("input", "cache_read", "cache_write", "output")
    details = [
        {"batch_size": BATCH, "cost_per_batch": int(price * NANO), "token_count": count, "token_type": kind}
        for kind, count, price in zip(kinds, counts, model.prices, strict=True)
    ]
    total = sum(count * int(price * NANO) for count, price in zip(counts, model.prices, strict=True)) // BATCH
    return {"token_details": details, "total_nano_aiu": total}
