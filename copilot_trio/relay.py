"""The story of one request: read it, attempt it, carry the answer back in the client's dialect, an error if need be."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import msgspec
import trio

from copilot_trio.accounts.account import Account, Answer
from copilot_trio.accounts.frame import classify_frame
from copilot_trio.dialects import splice
from copilot_trio.dialects.dialect import Dialect
from copilot_trio.dialects.gate import GateSettings
from copilot_trio.dialects.plan import Plan, make_plan
from copilot_trio.dialects.stream import BodyRelay
from copilot_trio.errors import ProxyError, UpstreamError, UpstreamTimeout
from copilot_trio.models.model import Model
from copilot_trio.server.dispatch import announce, error_headers
from copilot_trio.server.event_stream import EventStream
from copilot_trio.server.exchange import Exchange, Headers
from copilot_trio.tokens.ledger import TokenLedger
from copilot_trio.tokens.read import read_prompt
from copilot_trio.turn import Turn
from copilot_trio.unreadable import UNREADABLE_OR_ODD
from copilot_trio.upstream.copilot import passed_on

from .admission import Admission
from .attempt import Attempts
from .job import Job, Stopwatch, read_job
from .websearch import SearchRouting, context_of, events_of

logger = logging.getLogger(__name__)

MAX_ANSWER = 64 * 1024 * 1024  # bytes of a non-streamed answer
LINGER = 1.0  # seconds after the terminal event for upstream to end the body, so that the connection can be reused
REMEMBERED_FAILURES = 1000
TRIED_AGAIN_BY_CODEX = {401, 403, 404, 405, 413, 421, 422, 424}  # (clients.md §4.5)
MAX_LEARNED = 2 * 1024 * 1024  # bytes of a prompt whose length is learned: some ms on the loop
JSON = "application/json"


class RelaySettings(msgspec.Struct):
    """``silence``: seconds without a byte from upstream in a running answer (product.md §5.7).

    Kept, not copied, by who is given it: a change holds from the next request on.
    """

    silence: float = 300
    gate: GateSettings = GateSettings()


class Sink(Protocol):
    """Where a streamed answer goes: events of an HTTP answer, or frames of a WebSocket."""

    committed: bool
    headers: Headers

    async def send(self, data: bytes, /) -> None: ...
    async def finish(self, data: bytes = b"", /) -> None: ...
    async def fail(self, status: int, headers: Headers, body: bytes, events: bytes, /) -> None: ...


class SilenceWatch:
    """Cancels ``scope`` when nothing was heard for a while. One task a stream, and nothing to do per chunk."""

    def __init__(self, patience: float) -> None:
        self.scope = trio.CancelScope()
        self.heard = trio.current_time()
        self._patience = patience

    async def run(self) -> None:
        while (deadline := self.heard + self._patience) > trio.current_time():  # noqa: ASYNC110 (it moves per chunk)
            await trio.sleep_until(deadline)
        self.scope.cancel("upstream fell silent")


class Relay:
    def __init__(
        self,
        attempts: Attempts,
        settings: RelaySettings,
        ledger: TokenLedger,
        search: SearchRouting,
        admission: Admission,
    ) -> None:
        self._attempts = attempts
        self._settings = settings
        self._ledger = ledger
        self._search = search
        self._admission = admission
        self._failures: OrderedDict[int, tuple[int, str | None]] = OrderedDict()

    async def generate(self, exchange: Exchange, downstream: Dialect, sink: Sink | None = None) -> None:
        """Answer a model request, with an error if need be. With a ``sink``, as a stream into that."""
        job = read_job(
            exchange.request, downstream, exchange.note, exchange.request_id, exchange.start_soon, exchange.pin
        )
        announce(exchange)
        routed = self._search.routed(job)
        if isinstance(routed, Turn):
            await self._answer_ourselves(exchange, job, routed)
            return
        job = routed
        if sink is None and not job.stream:
            await self._generate_whole(exchange, job)
            return
        if sink is None:
            sink = EventStream(exchange, downstream.heartbeat)
            job.start_soon(sink.beat)
        await self._generate_stream(job, sink)

    async def _answer_ourselves(self, exchange: Exchange, job: Job, turn: Turn) -> None:
        context = context_of(job)
        if job.stream:
            encoder = job.downstream.encoder(context)
            stream = b"".join(encoder.feed(event) for event in events_of(turn))
            await exchange.respond(200, stream, "text/event-stream")
        else:
            await exchange.respond(200, job.downstream.render_answer(turn, context))

    async def _generate_stream(self, job: Job, out: Sink) -> None:
        async def carry(answer: Answer, plan: Plan, account: Account) -> None:
            check_type(answer, "text/event-stream")
            out.headers = reply_headers(answer, account, job.watch)
            failure = await self._carry_stream(job, out, answer, plan)
            if failure:
                outcome = classify_frame(failure)
                job.note.error = str(outcome.error.code or outcome.error.kind)
                self._attempts.judge(account, outcome, plan.model)

        error = await self._try(job, carry)
        if error is None:
            return
        if isinstance(error, UpstreamError) and error.partial:
            await out.send(error.partial)
        if out.committed:  # part of an answer was had
            error.cost = "unknown"
        headers = self._error_headers(job, error)
        error.final = ("x-should-retry", "false") in headers
        body, events = job.downstream.render_error(error), job.downstream.render_stream_error(error, job.asked.seed)
        if job.codex and (error.status >= 500 or error.status in TRIED_AGAIN_BY_CODEX):
            # It tries a status up to 30 times, an event 6 times, and at most once where the event says so.
            out.headers = headers
            await out.finish(events)
        else:
            await out.fail(error.status, headers, body, events)

    async def _generate_whole(self, exchange: Exchange, job: Job) -> None:
        async def carry(answer: Answer, plan: Plan, account: Account) -> None:
            check_type(answer, JSON)
            body = await read_whole(job, answer, self._settings.silence)
            shown, job.note.usage = plan.whole_answer(body)
            await exchange.respond(200, shown, headers=reply_headers(answer, account, job.watch))
            self._learn(job, plan.model)

        error = await self._try(job, carry)
        if error is not None and not exchange.started:
            headers = self._error_headers(job, error)
            await exchange.respond(error.status, job.downstream.render_error(error), headers=headers)

    async def _try(self, job: Job, carry: Callable[[Answer, Plan, Account], Awaitable[None]]) -> ProxyError | None:
        """What went wrong, if anything did. A bug too ends in an answer: a stream must have an end."""
        try:
            await self._admission.admit(job)
            await self._attempts.make(job, lambda model: self._plan(job, model), carry)
        except ProxyError as error:
            job.note.error = str(error.code or error.kind)
            return error
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise
        except Exception:
            logger.exception("relaying to %s failed", job.note.account or "no account")
            job.note.error = "internal"
            return ProxyError("the proxy failed; its log says more", cost="unknown")
        if self._failures:  # hashing a long prompt is not for every request
            self._failures.pop(_key_of(job), None)
        return None

    def _plan(self, job: Job, model: Model) -> Plan:
        plan = make_plan(job.asked, model, self._settings.gate)
        if plan.thinking_added and (model.id, plan.endpoint) in self._attempts.refuse_thinking:
            plan = plan.without_additions() or plan
        job.note.thinking = job.note.thinking or plan.thinking_added
        return plan

    async def _carry_stream(self, job: Job, out: Sink, answer: Answer, plan: Plan) -> bytes:
        """Returns the error event that was handed on, if there was one."""
        body = plan.body_relay()
        silence = SilenceWatch(self._settings.silence)
        job.start_soon(silence.run)
        try:
            with silence.scope:
                await _pump(answer, body, out, silence, job)
        finally:
            job.note.usage = body.usage
        if silence.scope.cancelled_caught:
            raise UpstreamTimeout(f"upstream fell silent for {self._settings.silence:.0f} s")
        self._learn(job, plan.model)
        return body.failure

    def _learn(self, job: Job, model: Model) -> None:
        """What the prompt really counted, for ``count_tokens``. The answer is out: nobody waits for this."""
        if job.note.usage is not None and not job.model and len(job.asked.body) <= MAX_LEARNED:
            self._ledger.learn(read_prompt(job.asked.body), model.id, job.note.usage)

    def _error_headers(self, job: Job, error: ProxyError) -> list[tuple[str, str]]:
        headers = error_headers(error, seen_before=self._failed_before(job, error))
        return [*headers, *(own_headers(job.note.account, job.watch) if job.note.account else ())]

    def _failed_before(self, job: Job, error: ProxyError) -> bool:
        """One retry of a failure that cost is the client's choice; the second identical failure says stop."""
        if error.cost == "none" or error.status < 500:
            return False
        key, failure = _key_of(job), (error.status, error.code)
        seen = self._failures.get(key) == failure
        self._failures[key] = failure
        self._failures.move_to_end(key)
        if len(self._failures) > REMEMBERED_FAILURES:
            self._failures.popitem(last=False)
        return seen


async def read_whole(job: Job, answer: Answer, patience: float) -> bytes:
    """A whole answer, however long it takes as long as something comes."""
    silence = SilenceWatch(patience)
    job.start_soon(silence.run)
    body = bytearray()
    with silence.scope:
        while piece := await answer.receive():
            body += piece
            silence.heard = trio.current_time()
            if len(body) > MAX_ANSWER:
                raise UpstreamError(f"upstream's answer is over {MAX_ANSWER} bytes")
    if silence.scope.cancelled_caught:
        raise UpstreamTimeout(f"upstream fell silent for {patience:.0f} s")
    return bytes(body)


def _key_of(job: Job) -> int:
    """Of one prompt: what stands around it, Codex's metadata for one, is another at each try."""
    asked = job.asked
    try:
        prompt = splice.member(asked.body, splice.whole(asked.body), asked.dialect.prompt_field)
    except UNREADABLE_OR_ODD:
        prompt = None
    text = asked.body if prompt is None else splice.text_of(asked.body, prompt)
    return hash((asked.model, text))


def check_type(answer: Answer, wanted: str) -> None:
    """A 200 can be a page of some proxy on the way. Raises ``UpstreamError``."""
    kind = answer.headers.get("content-type", wanted).partition(";")[0].strip().lower()
    coded = answer.headers.get("content-encoding", "identity").lower()
    if coded != "identity":
        raise UpstreamError(f"upstream sent its answer as {coded[:40]!r}, which was not asked for")
    if kind not in {wanted, JSON, "text/plain"}:  # upstream's own types are not always right (upstream.md §0.1)
        raise UpstreamError(f"upstream answered with {kind[:80]!r} instead of {wanted}")


async def _pump(answer: Answer, body: BodyRelay, out: Sink, silence: SilenceWatch, job: Job) -> None:
    """The hot loop: one upstream read, at most one downstream write."""
    piece = await answer.receive()
    job.note.first_piece = trio.current_time()
    while piece:
        data = body.feed(piece)
        if body.complete:
            try:
                ending = body.finish()
            except UpstreamError as error:
                error.partial = data + error.partial
                raise
            await out.finish(data + ending)
            await _drain(answer)
            return
        if data:
            await out.send(data)
        silence.heard = trio.current_time()
        piece = await answer.receive()
    await out.finish(body.finish())


async def _drain(answer: Answer) -> None:
    """The answer is complete; wait a moment for the body's formal end, so that the connection can be used again.

    Shielded, within its limit: clients hang up as soon as they have what they want, and there is nothing to save.
    """
    with trio.move_on_after(LINGER, shield=True), suppress(UpstreamError):
        while await answer.receive():
            pass


def _header_value(text: str) -> str:
    """A user's own text as a header can carry it."""
    return "".join(character if " " <= character <= "~" else "?" for character in text).strip()


def reply_headers(answer: Answer, account: Account, watch: Stopwatch) -> list[tuple[str, str]]:
    return [*passed_on(answer), *own_headers(account.label, watch)]


def own_headers(label: str, watch: Stopwatch) -> list[tuple[str, str]]:
    return [
        ("x-copilot-trio-account", _header_value(label)),
        ("x-copilot-trio-overhead-ms", f"{watch.overhead_ms():.2f}"),
    ]
