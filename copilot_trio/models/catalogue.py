"""The models that one account is offered: fetched when needed, kept for ten minutes, one fetch at a time."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec
import trio

from copilot_trio.errors import ModelNotFound, UpstreamError
from copilot_trio.unreadable import UNREADABLE

from .mapping import match_model
from .model import Model, parse_models

logger = logging.getLogger(__name__)

FRESH = 600.0  # seconds; as VS Code has it (upstream.md §6)
RETRY = 60.0  # after a failed fetch that left us with the old list
MAX_SHOWN = 20


class Catalogue:
    def __init__(self, fetch: Callable[[], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        self._lock = trio.Lock()
        self._models: tuple[Model, ...] = ()
        self._stale = float("-inf")
        self._endpoints_learned: dict[str, set[str]] = {}

    def __repr__(self) -> str:
        return f"<Catalogue of {len(self._models)} models>"

    async def models(self) -> tuple[Model, ...]:
        """Raises ``UpstreamError`` where there is no list at all, not even an old one."""
        if trio.current_time() < self._stale:
            return self._models
        async with self._lock:
            if trio.current_time() < self._stale:
                return self._models
            try:
                self._models = _parse(await self._fetch())
                self._stale = trio.current_time() + FRESH
            except UpstreamError as error:
                if not self._models:
                    raise
                logger.warning("the model list could not be refreshed, the old one is used: %s", error)
                self._stale = trio.current_time() + RETRY
        return self._models

    async def find(self, asked: str) -> Model:
        """The model that ``asked`` means. Raises ``ModelNotFound`` saying what there is."""
        models = {model.id: model for model in await self.models()}
        found = match_model(asked, models)
        if found is None:
            shown = ", ".join(list(models)[:MAX_SHOWN])
            raise ModelNotFound(
                f"no model is called {asked!r}", remedy=f"This account is offered: {shown}.", param="model"
            )
        model = models[found]
        refused = self._endpoints_learned.get(found)
        if not refused:
            return model
        left = tuple(endpoint for endpoint in model.endpoints if endpoint not in refused)
        return msgspec.structs.replace(model, supported_endpoints=left or ("/responses",))

    def learn_refused(self, model_id: str, endpoint: str) -> None:
        """Upstream says that the model is not reachable through this endpoint, whatever its list says (§12 row 8)."""
        self._endpoints_learned.setdefault(model_id, set()).add(endpoint)


def _parse(body: bytes) -> tuple[Model, ...]:
    try:
        models, unreadable = parse_models(body)
    except UNREADABLE as error:
        raise UpstreamError(f"upstream's model list cannot be read: {error}", cost="none") from None
    if unreadable:
        logger.warning("%d entries of upstream's model list cannot be read and are left out", unreadable)
    return models
