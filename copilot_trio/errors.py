"""Everything that can go wrong with a request, named once.

Raised anywhere, turned into bytes only by a dialect. ``kind`` and ``status`` are class attributes, so this module
is the table: what went wrong, the status, whether it cost the user anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Self

from .unreadable import UNREADABLE_OR_ODD

Kind = Literal[
    "internal", "bad_request", "too_large", "unauthorized", "forbidden", "not_found", "method_not_allowed",
    "unsupported_media", "request_timeout", "head_too_large", "upgrade_required", "no_account", "upstream", "timeout",
    "overloaded", "rate_limited", "quota", "account_rejected", "paused", "refused", "context_too_long", "filtered",
    "model_not_found",
]  # fmt: skip

Cost = Literal["none", "unknown"]
COST_SENTENCES: dict[Cost, str] = {"none": "Nothing was charged.", "unknown": "It may have been charged."}


class ProxyError(Exception):
    """Base class. ``str(error)`` is what a client gets to read: cause, remedy, cost; never a secret.

    ``cost`` says whether upstream may have run the request; ``retry_after`` is in seconds.
    """

    kind: Kind = "internal"
    status = 500
    code: str | None = None
    cost: Cost = "none"

    def __init__(
        self,
        cause: str,
        *,
        remedy: str = "",
        cost: Cost | None = None,
        retry_after: float | None = None,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        self.cause = cause
        self.remedy = remedy
        if cost is not None:
            self.cost = cost
        if code is not None:
            self.code = code
        self.param = param
        self.final = False  # asking again would end alike
        self.retry_after = retry_after
        self.headers: list[tuple[str, str]] = []  # of upstream's answer, for the client to see
        super().__init__(cause)

    def fresh(self) -> Self:
        """The same failure for another request, without the headers and the partial answer that were this one's.

        An instance that is raised holds the frames it passed, and with them a request's body. So what is kept is never
        raised and what is raised is never kept: a fresh one is.
        """
        cls = type(self)
        other = cls.__new__(cls, *self.args)
        other.__dict__ |= self.__dict__ | {"headers": []}
        other.__dict__.pop("partial", None)
        return other

    def __str__(self) -> str:
        return " ".join(filter(None, [_sentence(self.cause), self.remedy, COST_SENTENCES[self.cost]]))


def _sentence(cause: str) -> str:
    return cause if cause.endswith((".", "!", "?", ":")) or not cause else cause + "."


class BadRequest(ProxyError):
    kind: Kind = "bad_request"
    status = 400
    code: str | None = "invalid_request"


@contextmanager
def reading(what: str) -> Iterator[None]:
    """What cannot be read in here is the client's fault."""
    try:
        yield
    except RecursionError:
        raise BadRequest(f"{what} is nested too deeply") from None
    except UNREADABLE_OR_ODD as error:
        raise BadRequest(f"{what} cannot be read: {error}") from None


class TooLarge(BadRequest):
    kind: Kind = "too_large"
    status = 413
    code: str | None = "request_too_large"


class HeadTooLarge(BadRequest):
    kind: Kind = "head_too_large"
    status = 431
    code: str | None = "header_too_large"


class RequestTimeout(BadRequest):
    kind: Kind = "request_timeout"
    status = 408
    code: str | None = "request_timeout"


class UnsupportedMedia(BadRequest):
    kind: Kind = "unsupported_media"
    status = 415
    code: str | None = "unsupported_media_type"


class NotImplementedHere(BadRequest):
    """A part of HTTP or of an API that this server does not speak."""

    kind: Kind = "bad_request"
    status = 501
    code: str | None = "not_implemented"


class Unauthorized(ProxyError):
    kind: Kind = "unauthorized"
    status = 401
    code: str | None = "invalid_api_key"


class TooManyWrongKeys(Unauthorized):
    """Of one peer; the right key is let in nevertheless."""

    kind: Kind = "rate_limited"
    status = 429
    code: str | None = "too_many_wrong_keys"


class Forbidden(ProxyError):
    kind: Kind = "forbidden"
    status = 403
    code: str | None = "forbidden"


class NotFound(ProxyError):
    kind: Kind = "not_found"
    status = 404
    code: str | None = "not_found"


class ModelNotFound(NotFound):
    kind: Kind = "model_not_found"
    code: str | None = "model_not_found"


class MethodNotAllowed(ProxyError):
    kind: Kind = "method_not_allowed"
    status = 405
    code: str | None = "method_not_allowed"

    def __init__(self, cause: str, *, allow: str) -> None:
        super().__init__(cause, remedy=f"Use {allow}.")
        self.allow = allow


class UpgradeRequired(ProxyError):
    """A WebSocket where none is served: Codex falls back to POST at a 426, and at nothing else (clients.md §2)."""

    kind: Kind = "upgrade_required"
    status = 426
    code: str | None = "websocket_not_served"


class NoWebSocket(Exception):
    """Upstream does not let us speak WebSocket here; nothing was asked yet, so HTTP will do."""


class NoAccount(ProxyError):
    """No account is configured, or none can carry the request for other reasons than limits."""

    kind: Kind = "no_account"
    status = 503
    code: str | None = "no_account"


class AccountPaused(ProxyError):
    """GitHub warned about the account; nothing is sent on it until a person acknowledges (product.md §4.5)."""

    kind: Kind = "paused"
    status = 403
    code: str | None = "account_paused"


class UpstreamError(ProxyError):
    """Copilot, or the way to it, failed."""

    kind: Kind = "upstream"
    status = 502
    code: str | None = "upstream_error"
    cost: Cost = "unknown"
    account = ""  # label, set by the lease it happened under
    partial = b""  # what a stream still brought, in the client's dialect, before it failed


class UpstreamUnreachable(UpstreamError):
    """Nothing was written: DNS, proxy, connect or TLS failed."""

    code: str | None = "upstream_unreachable"
    cost: Cost = "none"


class UpstreamTimeout(UpstreamError):
    kind: Kind = "timeout"
    status = 504
    code: str | None = "upstream_timeout"


class UpstreamOverloaded(UpstreamError):
    """A 5xx that upstream answered itself; passed on with its status."""

    kind: Kind = "overloaded"
    status = 503
    code: str | None = "upstream_error"

    def __init__(self, cause: str, *, status: int, retry_after: float | None = None) -> None:
        super().__init__(cause, retry_after=retry_after)
        self.status = status


class StreamTruncated(UpstreamError):
    """The stream ended before its terminal event."""

    code: str | None = "stream_truncated"


class RateLimited(UpstreamError):
    kind: Kind = "rate_limited"
    status = 429
    code: str | None = "rate_limit_exceeded"
    cost: Cost = "none"


class QuotaExhausted(UpstreamError):
    kind: Kind = "quota"
    status = 429
    code: str | None = "insufficient_quota"
    cost: Cost = "none"


class AccountRejected(UpstreamError):
    """GitHub refuses the account's credential, after one refresh."""

    kind: Kind = "account_rejected"
    status = 502
    code: str | None = "account_rejected"
    cost: Cost = "none"


class UpstreamRefused(UpstreamError):
    """A 4xx about the request itself: no other account will think better of it."""

    kind: Kind = "refused"
    status = 400
    code: str | None = "upstream_refused"
    cost: Cost = "none"

    def __init__(self, cause: str, *, status: int, code: str | None = None, param: str | None = None) -> None:
        super().__init__(cause, code=code, param=param)
        self.status = status


class ContextTooLong(UpstreamError):
    """``str`` begins with the words that Claude Code compacts at (clients.md §3.7)."""

    kind: Kind = "context_too_long"
    status = 400
    code: str | None = "context_length_exceeded"
    cost: Cost = "none"

    def __init__(self, tokens: int, limit: int) -> None:
        super().__init__(f"prompt is too long: {tokens} tokens > {limit} maximum", remedy="Shorten the conversation.")


class ContentFiltered(UpstreamError):
    kind: Kind = "filtered"
    status = 400
    code: str | None = "content_filter"
    cost: Cost = "none"
