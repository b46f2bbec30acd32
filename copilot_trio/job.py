"""What one model request wants, as far as the relay looks, and what is noted of it while it runs."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

import msgspec
import trio

from copilot_trio.accounts.groups import NO_PIN, Pin
from copilot_trio.dialects.conversation import conversation_key
from copilot_trio.dialects.dialect import MESSAGES, RESPONSES, Dialect
from copilot_trio.dialects.envelope import Initiator, has_image, initiator, peek
from copilot_trio.dialects.plan import Asked
from copilot_trio.dialects.surrogates import without_half_pairs
from copilot_trio.server.exchange import Request
from copilot_trio.usage.note import RequestNote

SEED_LENGTH = 24


class Stopwatch:
    """Our own share of the time: what passes before the upstream call and after its first byte, waits left out."""

    def __init__(self, received: float) -> None:
        self._since: float | None = received  # None while it is stopped
        self._own = 0.0

    def stop(self) -> None:
        """From here on we wait for somebody else."""
        self._own = self._so_far()
        self._since = None

    def go(self) -> None:
        self._since = trio.current_time()

    def overhead_ms(self) -> float:
        return self._so_far() * 1000

    def _so_far(self) -> float:
        return self._own + (0.0 if self._since is None else trio.current_time() - self._since)


class Job(msgspec.Struct, frozen=True):
    """``start_soon`` runs something beside the job, until its handler ends."""

    asked: Asked
    stream: bool
    initiator: Initiator
    vision: bool
    request_id: str
    codex: bool  # its client heeds no retry hint, only what the stream says (product.md §5.8)
    note: RequestNote
    watch: Stopwatch
    start_soon: Callable[[Callable[[], Awaitable[object]]], None]
    intent: str | None = None  # instead of the identity's
    interaction: str | None = None
    kind: str = "chat"  # of model
    model: str = ""  # to ask instead of the one that the client named
    conversation: str = ""  # what keeps it with one account; empty for what stands alone
    pin: Pin = NO_PIN

    @property
    def downstream(self) -> Dialect:
        return self.asked.downstream


def read_job(
    request: Request,
    downstream: Dialect,
    note: RequestNote,
    request_id: str,
    start_soon: Callable[[Callable[[], Awaitable[object]]], None],
    pin: Pin = NO_PIN,
) -> Job:
    """Raises ``BadRequest`` for what no upstream could make sense of."""
    body = without_half_pairs(request.body)
    dialect = downstream
    envelope = peek(body, downstream.name)
    if envelope.of_responses:  # Cursor's agent asks so on the chat route
        dialect = RESPONSES
    note.model = envelope.model[:100]
    note.thinking = envelope.thinks
    note.stream = envelope.stream
    asked = Asked(
        body=body,
        model=envelope.model,
        dialect=dialect,
        downstream=downstream,
        betas=request.headers.get("anthropic-beta") if downstream is MESSAGES else None,
        created=int(time.time()),
        seed=seed_of(request_id),
    )
    return Job(
        asked=asked,
        stream=envelope.stream,
        initiator=initiator(envelope, subagent=_is_subagent(request)),
        vision=has_image(envelope, body),
        request_id=request_id,
        codex=request.headers.get("originator", "").startswith("codex"),
        note=note,
        watch=Stopwatch(request.received),
        start_soon=start_soon,
        conversation=conversation_key(request.headers, envelope, f"{pin.group}:{pin.account}" if pin else ""),
        pin=pin,
    )


def _is_subagent(request: Request) -> bool:
    return "x-claude-code-agent-id" in request.headers or "x-openai-subagent" in request.headers


def seed_of(request_id: str) -> str:
    """The stem of the ids that we make up for one answer."""
    return request_id.replace("-", "")[:SEED_LENGTH]
