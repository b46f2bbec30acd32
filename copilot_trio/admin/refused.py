"""An admin request that cannot be done, and the reading of its body."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from copilot_trio.errors import Kind, ProxyError
from copilot_trio.server.exchange import Exchange
from copilot_trio.unreadable import UNREADABLE

Shape = TypeVar("Shape", bound=msgspec.Struct)


class Refused(ProxyError):
    """``status`` is 400 to 503. Nothing is said of cost: none of these requests has one."""

    kind: Kind = "bad_request"

    def __init__(self, status: int, cause: str, remedy: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(cause, remedy=remedy, retry_after=retry_after, code="admin")
        self.status = status

    def __str__(self) -> str:
        return sentences(self)


def sentences(error: ProxyError) -> str:
    """Cause and remedy."""
    cause = error.cause if error.cause.endswith((".", "!", "?")) else f"{error.cause}."
    return f"{cause} {error.remedy}".strip()


def body_of(exchange: Exchange, shape: type[Shape]) -> Shape:
    """An empty body is an empty object. Raises ``Refused``."""
    try:
        return msgspec.json.decode(exchange.request.body or b"{}", type=shape)
    except UNREADABLE as error:
        raise Refused(400, f"the body cannot be read: {error}") from None


@contextmanager
def values_checked() -> Iterator[None]:
    """A ``ValueError`` in here is a sentence about what was asked."""
    try:
        yield
    except ValueError as error:
        raise Refused(400, str(error)) from None
