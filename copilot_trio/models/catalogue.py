"""The models that one account is offered: fetched when needed, kept for ten minutes, one fetch at a time."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import trio

from copilot_trio.errors import ModelNotFound, ProxyError, UpstreamError
from copilot_trio.unreadable import UNREADABLE

from .mapping import closest, resolve
from .model import SETTINGS, Model, parse_models

logger = logging.getLogger(__name__)

FRESH = 600.0  # seconds; as VS Code has it (upstream.md §6)
RETRY = 60.0  # after a failed fetch that left us with the old list, and at the least where the list is in doubt
MAX_SHOWN = 20
NO_MAPPING: Mapping[str, str] = {}
OTHER_ROUTES = {"embeddings": "Send it to /v1/embeddings."}
GUESSED = "/responses"  # where a model may be whose listed endpoints upstream refuses


class Catalogue:
    """``mapping`` as in ``config.json``. It is kept, not copied: a change of it holds from the next request on."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]], mapping: Mapping[str, str] = NO_MAPPING) -> None:
        self._fetch = fetch
        self._mapping = mapping
        self._lock = trio.Lock()
        self._failure: ProxyError | None = None  # of the last fetch that failed its caller; never raised itself
        self._models: dict[str, Model] = {}
        self._unusable: frozenset[str] = frozenset()
        self._stale = float("-inf")
        self._tried = float("-inf")
        self._endpoints_refused: dict[str, set[str]] = {}

    def __repr__(self) -> str:
        return f"<Catalogue of {len(self._models)} models>"

    @property
    def fresh(self) -> bool:
        """Whether the list at hand is used as it is, without asking upstream."""
        return trio.current_time() < self._stale

    async def models(self) -> tuple[Model, ...]:
        """All that is listed, each id once, whether it can be used or not.

        Raises ``UpstreamError`` where there is no list at all, not even an old one.
        """
        await self._refresh()
        return tuple(self._models.values())

    async def look_up(self, asked: str) -> Model:
        """The listed model that ``asked`` means by the mapping and by :func:`.mapping.resolve`.

        Raises ``ModelNotFound`` saying what there is, ``UpstreamError`` as :meth:`models` does.
        """
        await self._refresh()
        target, found = resolve(asked, self._mapping, self._models, self._unusable)
        if found is None:
            raise self._missing(asked, target)
        return self._models[found]

    def known(self, asked: str) -> Model | None:
        """What :meth:`look_up` finds in the list at hand, however old it is; upstream is not asked for another."""
        _, found = resolve(asked, self._mapping, self._models, self._unusable)
        return None if found is None else self._models[found]

    async def find(self, asked: str, kind: str = "chat") -> Model:
        """The model to send a request of this ``kind`` (``chat`` or ``embeddings``) to, if upstream will have it.

        Raises as :meth:`look_up` does, and ``ModelNotFound`` where the list shows that upstream would refuse: a
        policy, another kind of model, no endpoint left. Nothing has been sent then.
        """
        model = await self.look_up(asked)
        if model.unavailable:  # unless somebody has just seen to it
            self.doubt()
            model = await self.look_up(asked)
        named = model.id if model.id == asked else f"{model.id} (asked for as {_short(asked)})"
        if model.unavailable:
            raise ModelNotFound(
                f"{named} is in the account's model list, but {model.unavailable}",
                remedy=f"Enable it at {SETTINGS} or ask the organisation's administrator, and wait a minute.",
                param="model",
            )
        if model.capabilities.type != kind:
            raise ModelNotFound(
                f"{named} is of the type {_short(model.capabilities.type)}, and this route is for {kind} models",
                remedy=OTHER_ROUTES.get(model.capabilities.type) or self._offer(kind),
                param="model",
            )
        return self._reachable(model, named)

    def learn_refused(self, model_id: str, endpoint: str) -> None:
        """Upstream says that the model is not reachable through this endpoint, whatever its list says (§12 row 8).

        Believed until the list is read again.
        """
        self._endpoints_refused.setdefault(model_id, set()).add(endpoint)

    def doubt(self) -> None:
        """Upstream acts otherwise than its list says: whoever needs the list next reads it again, once a minute."""
        self._stale = self._tried + RETRY

    async def _refresh(self) -> None:
        """Who waits for a fetch that fails shares its failure, as with a token."""
        if trio.current_time() < self._stale:
            return
        before = self._failure
        async with self._lock:
            if trio.current_time() < self._stale:
                return
            if self._failure is not None and self._failure is not before:
                raise self._failure.fresh()
            try:
                models = _parse(await self._fetch())
            except ProxyError as error:
                if not self._models or not isinstance(error, UpstreamError):
                    self._failure = error.fresh()
                    raise
                logger.warning("the model list could not be refreshed, the old one is used: %s", error)
                self._stale = trio.current_time() + RETRY
            else:
                self._models = {model.id: model for model in models}
                self._unusable = frozenset(model.id for model in models if model.unavailable)
                self._endpoints_refused.clear()
                self._stale = trio.current_time() + FRESH
            self._tried = trio.current_time()

    def _reachable(self, model: Model, named: str) -> Model:
        refused = self._endpoints_refused.get(model.id)
        if not refused:
            return model
        # A WebSocket is another way to the same endpoint.
        left = tuple(endpoint for endpoint in model.endpoints if endpoint.removeprefix("ws:") not in refused)
        if not left and GUESSED in refused:
            raise ModelNotFound(
                f"{named} is in the account's model list, but upstream refuses it at {', '.join(sorted(refused))}",
                remedy="Choose another model, or try again in ten minutes, when the list has been read again.",
                param="model",
            )
        return msgspec.structs.replace(model, supported_endpoints=left or (GUESSED,))

    def _missing(self, asked: str, target: str) -> ModelNotFound:
        if target == asked:
            cause = f"no model is called {_short(asked)}"
        else:
            cause = (
                f"{_short(asked)} is mapped to {_short(target)} by model_mapping, and this account is not offered that"
            )
        alike = closest(target, (name for name in self._models if name not in self._unusable))
        hint = f"Did you mean {' or '.join(alike)}? " if alike else ""
        return ModelNotFound(cause, remedy=hint + self._offer(), param="model")

    def _offer(self, kind: str | None = None) -> str:
        fitting = [
            model.id
            for model in self._models.values()
            if not model.unavailable and kind in {None, model.capabilities.type}
        ]
        shown = ", ".join(fitting[:MAX_SHOWN]) or "nothing"
        more = f" and {len(fitting) - MAX_SHOWN} more" if len(fitting) > MAX_SHOWN else ""
        return f"This account is offered: {shown}{more}."


def _short(name: str) -> str:
    """A name that somebody else chose, fit for an error."""
    return repr(name if len(name) <= 100 else name[:100] + "…")


def _parse(body: bytes) -> tuple[Model, ...]:
    try:
        models, unreadable = parse_models(body)
    except UNREADABLE as error:
        raise UpstreamError(f"upstream's model list cannot be read: {error}", cost="none") from None
    if unreadable:
        logger.warning("%d entries of upstream's model list cannot be read and are left out", unreadable)
    return models
