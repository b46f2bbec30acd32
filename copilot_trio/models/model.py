"""One entry of Copilot's model list, read tolerantly: every field may be missing (upstream.md §6.1)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from copilot_trio.unreadable import UNREADABLE

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]{0,510}[!-~])?")
OUR_HEADERS = {"authorization", "host", "content-length", "content-type", "transfer-encoding", "connection",
               "accept-encoding", "x-initiator", "expect", "upgrade", "te", "trailer"}  # fmt: skip

SETTINGS = "https://github.com/settings/copilot"  # where a model's terms are accepted
UNAVAILABLE = {
    "unconfigured": "its terms have not been accepted",
    "disabled": "a policy of the account or its organisation has disabled it",
}


class Vision(msgspec.Struct, frozen=True):
    max_prompt_images: int = 0
    max_prompt_image_size: int = 0
    supported_media_types: tuple[str, ...] = ()


class ModelLimits(msgspec.Struct, frozen=True):
    max_context_window_tokens: int = 0
    max_prompt_tokens: int = 0
    max_output_tokens: int = 0
    max_non_streaming_output_tokens: int = 0
    max_inputs: int = 0  # texts at once, for embeddings
    vision: Vision = Vision()


class Supports(msgspec.Struct, frozen=True):
    tool_calls: bool = False
    parallel_tool_calls: bool = False
    vision: bool = False
    structured_outputs: bool = False
    reasoning_effort: tuple[str, ...] = ()
    adaptive_thinking: bool = False
    min_thinking_budget: int = 0
    max_thinking_budget: int = 0
    tool_search: bool = False
    context_editing: bool = False
    sampling_parameters: bool = True  # only ever listed as false (peers.md §6.1)


class Capabilities(msgspec.Struct, frozen=True):
    type: str = "chat"
    family: str = ""
    limits: ModelLimits = ModelLimits()
    supports: Supports = Supports()


class Policy(msgspec.Struct, frozen=True):
    state: str = "enabled"


class Model(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    vendor: str = ""
    version: str = ""
    preview: bool = False
    policy: Policy | None = None
    supported_endpoints: tuple[str, ...] = ()
    billing: dict[str, Any] = {}
    capabilities: Capabilities = Capabilities()
    request_headers: dict[str, str] = {}

    @property
    def endpoints(self) -> tuple[str, ...]:
        """What it can be asked through; an absent list means chat only, or embeddings by type."""
        if self.supported_endpoints:
            return self.supported_endpoints
        return ("/embeddings",) if self.capabilities.type == "embeddings" else ("/chat/completions",)

    @property
    def extra_headers(self) -> tuple[tuple[str, str], ...]:
        """What upstream's list asks for with this model, as far as a header can carry it and it is not ours to set."""
        return tuple(
            (name, value)
            for name, value in self.request_headers.items()
            if _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value) and name.lower() not in OUR_HEADERS
        )

    @property
    def unavailable(self) -> str | None:
        """Why upstream refuses it although its list has it, as far as the list says so; None where it does not.

        Such a model stays listed; a request for it gets 400 ``model_not_supported`` (upstream.md §6.3, §12 row 6).
        """
        return UNAVAILABLE.get(self.policy.state) if self.policy else None

    @property
    def multiplier(self) -> float:
        """Premium requests that a turn costs, in the older shape of billing; 1 where the list does not say."""
        listed = self.billing.get("multiplier")
        return float(listed) if isinstance(listed, int | float) and listed >= 0 else 1.0

    @property
    def free(self) -> bool:
        """Whether the list says, in either shape of billing, that it costs nothing (upstream.md §6.1)."""
        prices = self.billing.get("token_prices")
        if isinstance(prices, dict):
            return prices.get("batch_size") == 0
        return self.billing.get("is_premium") is False or self.billing.get("multiplier") == 0

    @property
    def plans(self) -> tuple[str, ...]:
        """The plans that it is restricted to, in the list's own words; empty for all."""
        listed = self.billing.get("restricted_to")
        return tuple(str(plan) for plan in listed) if isinstance(listed, list) else ()

    @property
    def limits(self) -> ModelLimits:
        return self.capabilities.limits

    @property
    def supports(self) -> Supports:
        return self.capabilities.supports


def explain_refusal(model: Model | None, asked: str) -> str:
    """What may be behind upstream's word that it does not support a model (upstream.md §12 rows 6, 7).

    ``model`` is the list's entry, None if there is none. Whole sentences, fit for an error's remedy.
    """
    if model is None:
        return f"The account's model list has no {asked[:100]!r}."
    if model.unavailable:
        return f"In the account's model list, but {model.unavailable}: see {SETTINGS}."
    if model.plans:
        return (
            f"{model.id} is only for the plans {', '.join(model.plans)}: see {SETTINGS} for the account's own, "
            "and ask its organisation whether a policy forbids the model."
        )
    return (
        f"{model.id} is in the account's model list, open to every plan: a policy of its organisation or a limit "
        f"of its region may forbid it. See {SETTINGS}."
    )


class _Envelope(msgspec.Struct):
    data: list[msgspec.Raw]


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_model = msgspec.json.Decoder(Model, strict=False).decode


def _read(raw: msgspec.Raw) -> Model:
    try:
        return _decode_model(raw)
    except msgspec.ValidationError:  # a null stands for a missing field
        return msgspec.convert(_without_nulls(msgspec.json.decode(raw)), Model, strict=False)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value if inner is not None]
    return value


def parse_models(body: bytes) -> tuple[tuple[Model, ...], int]:
    """The list, duplicates by id removed (first wins), and how many entries could not be read.

    Raises ``msgspec.DecodeError`` if the body is no model list at all.
    """
    models: dict[str, Model] = {}
    unreadable = 0
    for raw in _decode_envelope(body).data:
        try:
            model = _read(raw)
        except UNREADABLE:
            unreadable += 1
            continue
        models.setdefault(model.id, model)
    return tuple(models.values()), unreadable
