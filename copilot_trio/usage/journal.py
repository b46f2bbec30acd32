"""Every request to a model from its beginning to its end: who is under way, the newest that ended, and the sums.

What is kept is told on: to the usage store, and to whoever follows ``events``. Each request costs some microseconds, a
piece of a stream nothing.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
import trio

from copilot_trio.feed import Feed
from copilot_trio.turn import Usage

from .note import RequestNote
from .preview import preview, shown_headers, shown_query
from .price import NANO, price
from .record import UsageRecord

KEPT = 100  # requests that have ended
EVENTS = 1000  # for those who follow
MAX_MODELS = 256  # counted apart
PREFIXES = ("/copilot/v1/", "/v1/", "/")
COUNTING = "/v1/messages/count_tokens"  # answered here: it asks no model, so the usage store has nothing of it
ENDPOINTS = {
    f"/v1/{name}"
    for name in (
        "chat/completions",
        "messages",
        "messages/count_tokens",
        "responses",
        "responses/compact",
        "embeddings",
    )
}
LEFT = 499  # the status of a request whose client did not wait
SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Asked(Protocol):
    """What there is to know of a request itself."""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def query(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


class Spread:
    """How long something took: a count for each of ``SECONDS`` and one for what was longer."""

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(SECONDS, seconds)] += 1
        self.sum += seconds


class Spent(msgspec.Struct):
    """By one model, since the start."""

    requests: int = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    nano_aiu: int = 0


class Journal:
    """``record`` stores what a request was; ``now`` is in Unix seconds. ``inspecting``: headers and bodies are kept."""

    def __init__(
        self,
        record: Callable[[UsageRecord], None] = lambda _: None,
        now: Callable[[], float] = time.time,
        *,
        inspecting: bool = False,
    ) -> None:
        self.inspecting = inspecting
        self.events: Feed[bytes] = Feed(EVENTS)
        self.ended_by_status: dict[tuple[str, int], int] = {}
        self.durations: dict[str, Spread] = {}
        self.first_pieces: dict[str, Spread] = {}
        self.spent: dict[str, Spent] = {}
        self._record = record
        self._now = now
        self._under_way: dict[RequestNote, dict[str, Any]] = {}
        self._ended: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def begun(self, note: RequestNote, request_id: str, asked: Asked) -> None:
        """Once its model is known, or it is refused before that."""
        if not note.endpoint:
            return
        entry: dict[str, Any] = {
            "id": request_id,
            "timestamp": _moment(self._now()),
            "method": asked.method,
            "path": asked.path,
            "query": shown_query(asked.query),
            "endpoint": note.endpoint,
            "model": note.model,
            "stream": note.stream,
            "contentType": asked.headers.get("content-type", ""),
            "requestBytes": len(asked.body),
            "headers": shown_headers(asked.headers) if self.inspecting else None,
            "bodyPreview": preview(asked.body) if self.inspecting else None,
        }
        self._under_way[note] = entry
        self.tell("request_begun", request=_without_contents(entry))

    def ended(self, note: RequestNote, status: int, began: float) -> None:
        """``began``: on Trio's clock."""
        entry = self._under_way.pop(note, None)
        if entry is None:
            return
        now = trio.current_time()
        first = None if note.first_piece is None else note.first_piece - began
        record = self._recorded(note, status, entry["id"], now - began, first)
        entry |= _outcome(record, note)
        self._ended.append(entry)
        self._count(record, note.usage, now - began, first)
        if record.endpoint != COUNTING:
            self._record(record)
        self.tell("request_ended", request=_without_contents(entry))

    @property
    def running(self) -> int:
        return len(self._under_way)

    def under_way(self) -> list[dict[str, Any]]:
        """The oldest first."""
        return [_without_contents(entry) for entry in self._under_way.values()]

    def recent(self) -> list[dict[str, Any]]:
        """Those that have ended, the newest first."""
        return list(reversed(self._ended))

    def forget(self) -> None:
        self._ended.clear()

    def inspect(self, *, on: bool) -> None:
        """Switched off, it forgets what it has seen."""
        self.inspecting = on
        if not on:
            for entry in (*self._ended, *self._under_way.values()):
                entry |= {"headers": None, "bodyPreview": None}

    def tell(self, kind: str, **fields: Any) -> None:
        if self.events.followers:
            self.events.put(event(kind, self._now(), **fields))

    def _recorded(
        self, note: RequestNote, status: int, request_id: str, seconds: float, first: float | None
    ) -> UsageRecord:
        used = note.usage or Usage()
        return UsageRecord(
            time_ms=round((self._now() - seconds) * 1000),
            endpoint=note.endpoint,
            requested_model=note.model,
            upstream_model=note.upstream_model,
            account=note.account,
            group=note.group,
            stream=note.stream,
            initiator=note.initiator,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cache_read_tokens=used.cache_read_tokens,
            cache_write_tokens=used.cache_write_tokens,
            nano_aiu=None if note.usage is None else price(note.usage, note.billing),
            status=status,
            error=note.error or ("client_left" if status == LEFT else ""),
            ttft_ms=None if first is None else round(first * 1000),
            duration_ms=round(seconds * 1000),
            request_id=request_id,
        )

    def _count(self, record: UsageRecord, usage: Usage | None, seconds: float, first: float | None) -> None:
        endpoint, key = record.endpoint, (record.endpoint, record.status)
        self.ended_by_status[key] = self.ended_by_status.get(key, 0) + 1
        self.durations.setdefault(endpoint, Spread()).add(seconds)
        if first is not None:
            self.first_pieces.setdefault(endpoint, Spread()).add(first)
        if usage is None or not record.upstream_model:
            return
        model = record.upstream_model
        if model not in self.spent and len(self.spent) >= MAX_MODELS:
            model = "other"
        spent = self.spent.setdefault(model, Spent())
        spent.requests += 1
        spent.input += record.input_tokens
        spent.output += record.output_tokens
        spent.cache_read += record.cache_read_tokens
        spent.cache_write += record.cache_write_tokens
        spent.nano_aiu += record.nano_aiu or 0


def endpoint_of(path: str) -> str:
    """``/v1/messages`` for each way to ask for it; empty for what asks no model."""
    path = path.rstrip("/")
    for prefix in PREFIXES:
        if path.startswith(prefix):
            endpoint = f"/v1/{path.removeprefix(prefix)}"
            return endpoint if endpoint in ENDPOINTS else ""
    return ""


def event(kind: str, now: float, **fields: Any) -> bytes:
    return msgspec.json.encode({"type": kind, "at": round(now * 1000), **fields})


def _outcome(record: UsageRecord, note: RequestNote) -> dict[str, Any]:
    known = note.usage is not None
    return {
        "model": record.requested_model,
        "stream": record.stream,
        "status": record.status,
        "durationMs": record.duration_ms,
        "ttftMs": record.ttft_ms,
        "upstreamModel": record.upstream_model or None,
        "accountLabel": record.account or None,
        "initiator": record.initiator or None,
        "inputTokens": record.input_tokens if known else None,
        "outputTokens": record.output_tokens if known else None,
        "cacheReadInputTokens": record.cache_read_tokens if known else None,
        "credits": None if record.nano_aiu is None else record.nano_aiu / NANO,
        "errorType": record.error or None,
    }


def _without_contents(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in {"headers", "bodyPreview"}}


def _moment(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
