"""What the running server offers, as its list of models says it, and what of that suits a client. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from copilot_trio.models.mapping import closest, match_model
from copilot_trio.unreadable import UNREADABLE

KEYLESS = "any"  # what clients send where the server wants no key: some send nothing at all without one
USUAL_CONTEXT, USUAL_OUTPUT = 128_000, 16_384  # where the list is silent


class _Copilot(msgspec.Struct, frozen=True):
    type: str = "chat"
    endpoints: tuple[str, ...] = ()
    max_prompt_tokens: int | None = None
    max_output_tokens: int | None = None
    max_context_window_tokens: int | None = None
    vision: bool = False
    tool_calls: bool = False
    reasoning_effort: tuple[str, ...] = ()
    unavailable: str | None = None


class Model(msgspec.Struct, frozen=True):
    id: str
    copilot: _Copilot
    display_name: str = ""

    @property
    def usable(self) -> bool:
        return self.copilot.type == "chat" and self.copilot.unavailable is None

    @property
    def prompt(self) -> int:
        """Tokens that a request may have: the limit that conversations meet."""
        return self.copilot.max_prompt_tokens or self.context

    @property
    def output(self) -> int:
        return self.copilot.max_output_tokens or USUAL_OUTPUT

    @property
    def context(self) -> int:
        return self.copilot.max_context_window_tokens or self.copilot.max_prompt_tokens or USUAL_CONTEXT


class _Page(msgspec.Struct, frozen=True):
    data: tuple[Model, ...]


class Target(msgspec.Struct, frozen=True):
    """Where a client is sent. ``base_url`` is without ``/v1`` and a slash at its end; ``models``: the usable ones."""

    base_url: str
    models: tuple[Model, ...]
    main: Model
    small: Model
    key: str = KEYLESS

    def family(self, name: str) -> Model | None:
        return family(self.models, name)


class NoSuchModel(Exception):
    """Says which there are."""


_decode = msgspec.json.Decoder(_Page).decode


def read_models(body: bytes) -> tuple[Model, ...]:
    """The usable models of ``GET /v1/models``. Raises ``ValueError`` where that is no answer of this program's."""
    try:
        models = _decode(body).data
    except UNREADABLE as error:
        raise ValueError(f"no list of models with their limits: {error}") from None
    return tuple(model for model in models if model.usable)


def named(models: Sequence[Model], asked: str) -> Model:
    """As the server would understand the name. Raises ``NoSuchModel``."""
    by_id = {model.id: model for model in models}
    found = match_model(asked, by_id)
    if found is None:
        near = closest(asked, by_id) or list(by_id)
        raise NoSuchModel(f"no usable model is called {asked!r}; there is {', '.join(near)}")
    return by_id[found]


def family(models: Sequence[Model], name: str) -> Model | None:
    """The newest of Claude's ``opus``, ``sonnet`` or ``haiku``."""
    by_id = {model.id: model for model in models}
    found = match_model(name, by_id)
    return None if found is None else by_id[found]


def first(models: Sequence[Model], *tests: Callable[[Model], bool]) -> Model:
    """The first that passes the first test that any passes, else the first of all."""
    for test in tests:
        for model in models:
            if test(model):
                return model
    return models[0]


def calls_tools(model: Model) -> bool:
    return model.copilot.tool_calls
