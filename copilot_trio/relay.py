"""The story of one request: find the model, lease an account, send, carry the answer back; repair what is free.

A request that upstream may have run is never sent twice (product.md §4.3). Cancellation appears nowhere, because it
needs no code: a client that leaves cancels all of this, and leaving ``Copilot.send`` closes the connection.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
import trio

from copilot_trio.accounts.account import Account, Answer, CopilotToken
from copilot_trio.accounts.outcome import Refusal, Repair
from copilot_trio.accounts.registry import Accounts
from copilot_trio.dialects.dialect import Dialect
from copilot_trio.dialects.envelope import has_image, initiator, peek
from copilot_trio.dialects.gate import GateSettings, without_thinking
from copilot_trio.dialects.plan import Plan, make_plan
from copilot_trio.dialects.stream import BodyRelay
from copilot_trio.dialects.surrogates import without_half_pairs
from copilot_trio.errors import NoAccount, ProxyError, UpstreamError, UpstreamTimeout
from copilot_trio.models.model import Model
from copilot_trio.server.dispatch import announce, error_headers
from copilot_trio.server.event_stream import EventStream
from copilot_trio.server.exchange import Exchange
from copilot_trio.upstream.copilot import Call, Copilot, passed_on

logger = logging.getLogger(__name__)

MAX_ANSWER = 64 * 1024 * 1024  # bytes of a non-streamed answer
LINGER = 1.0  # seconds after the terminal event for upstream to end the body, so that the connection can be reused
REMEMBERED_FAILURES = 1000
JSON = "application/json"

Carry = Callable[[Answer, Plan, Account], Awaitable[None]]


class RelaySettings(msgspec.Struct, frozen=True):
    """``silence``: seconds without a byte from upstream in a running answer (product.md §5.7)."""

    silence: float = 300
    gate: GateSettings = GateSettings()


class Job(msgspec.Struct, frozen=True):
    """What the client wants, as far as we looked."""

    body: bytes
    asked: str
    stream: bool
    downstream: Dialect
    initiator: str
    vision: bool
    betas: str | None
    request_id: str


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


class Relay:
    def __init__(self, accounts: Accounts, copilot: Copilot, settings: RelaySettings) -> None:
        self._accounts = accounts
        self._copilot = copilot
        self._settings = settings
        self._failures: OrderedDict[int, tuple[int, str | None]] = OrderedDict()

    async def generate(self, exchange: Exchange, downstream: Dialect) -> None:
        """Answer a model request, with an error if need be."""
        job = _read(exchange, downstream)
        if job.stream:
            await self._generate_stream(exchange, job)
        else:
            await self._generate_whole(exchange, job)

    async def _generate_stream(self, exchange: Exchange, job: Job) -> None:
        out = EventStream(exchange, job.downstream.heartbeat)
        exchange.start_soon(out.beat)
        watch = Stopwatch(exchange.request.received)

        async def carry(answer: Answer, plan: Plan, account: Account) -> None:
            _check_type(answer, "text/event-stream")
            out.headers = _reply_headers(answer, account, watch)
            await self._carry_stream(exchange, out, answer, plan)

        error = await self._try(exchange, job, carry, watch)
        if error is None:
            return
        if isinstance(error, UpstreamError) and error.partial:
            await out.send(error.partial)
        if out.committed:  # part of an answer was had
            error.cost = "unknown"
        body, events = job.downstream.render_error(error), job.downstream.render_stream_error(error)
        await out.fail(error.status, self._error_headers(exchange, job, error, watch), body, events)

    async def _generate_whole(self, exchange: Exchange, job: Job) -> None:
        watch = Stopwatch(exchange.request.received)

        async def carry(answer: Answer, plan: Plan, account: Account) -> None:
            _check_type(answer, JSON)
            body = await self._read_whole(exchange, answer)
            shown, exchange.note.usage = plan.whole_answer(body)
            await exchange.respond(200, shown, headers=_reply_headers(answer, account, watch))

        error = await self._try(exchange, job, carry, watch)
        if error is not None and not exchange.started:
            headers = self._error_headers(exchange, job, error, watch)
            await exchange.respond(error.status, job.downstream.render_error(error), headers=headers)

    async def _try(self, exchange: Exchange, job: Job, carry: Carry, watch: Stopwatch) -> ProxyError | None:
        """What went wrong, if anything did. A bug too ends in an answer: a stream must have an end."""
        try:
            await self._attempt(exchange, job, carry, watch)
        except ProxyError as error:
            exchange.note.error = str(error.code or error.kind)
            return error
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise
        except Exception:
            logger.exception("relaying %s failed", exchange.request.path)
            exchange.note.error = "internal"
            return ProxyError("the proxy failed; its log says more", cost="unknown")
        if self._failures:  # hashing a long prompt is not for every request
            self._failures.pop(hash(job.body), None)
        return None

    def _error_headers(
        self, exchange: Exchange, job: Job, error: ProxyError, watch: Stopwatch
    ) -> list[tuple[str, str]]:
        headers = error_headers(error, seen_before=self._failed_before(job, error))
        return [*headers, *(_own_headers(exchange.note.account, watch) if exchange.note.account else ())]

    async def _attempt(self, exchange: Exchange, job: Job, carry: Carry, watch: Stopwatch) -> None:
        """Send, and send again after a repair that is provably free. Raises ``ProxyError``."""
        watch.stop()
        async with self._accounts.lease() as account:
            exchange.note.account = account.label
            model = await self._find_model(account, job.asked)
            await self._accounts.rested(account, model.id)
            token = await self._copilot.token(account)
            watch.go()
            plan = self._plan(job, model)
            repaired: set[Repair] = set()
            while True:
                try:
                    return await self._send(account, plan, token, job, carry, watch)
                except Refusal as refusal:
                    outcome = refusal.outcome
                if outcome.repair == "none" or outcome.repair in repaired:
                    self._accounts.judge(account, outcome, model.id)
                    if outcome.scope == "upstream":
                        await account.pool.recycle()
                    raise outcome.error
                repaired.add(outcome.repair)
                logger.info("%s: repairing once: %s", account.label, outcome.repair)
                plan, token = await self._repair(outcome.repair, account, job, plan, token)
                if "drop_thinking" in repaired:
                    plan = msgspec.structs.replace(plan, body=without_thinking(plan.body))

    async def _send(
        self, account: Account, plan: Plan, token: CopilotToken, job: Job, carry: Carry, watch: Stopwatch
    ) -> None:
        call = Call(
            endpoint=plan.upstream.endpoint,
            body=plan.body,
            initiator=job.initiator,
            request_id=job.request_id,
            vision=job.vision,
            betas=plan.betas,
            stream=job.stream,
            extra_headers=plan.model.extra_headers,
        )
        watch.stop()
        try:
            async with self._copilot.send(account, call, token) as answer:
                watch.go()
                await carry(answer, plan, account)
            return
        except UpstreamError as error:
            error.account = account.label
            failure = error
        # The connections of this account are in doubt: start afresh, and let what runs on them drain.
        await account.pool.recycle()
        raise failure

    async def _carry_stream(self, exchange: Exchange, out: EventStream, answer: Answer, plan: Plan) -> None:
        body = plan.body_relay()
        silence = SilenceWatch(self._settings.silence)
        exchange.start_soon(silence.run)
        try:
            with silence.scope:
                await _pump(answer, body, out, silence)
        finally:
            exchange.note.usage = body.usage
        if silence.scope.cancelled_caught:
            raise UpstreamTimeout(f"upstream fell silent for {self._settings.silence:.0f} s")

    async def _read_whole(self, exchange: Exchange, answer: Answer) -> bytes:
        """A whole answer, however long it takes as long as something comes."""
        silence = SilenceWatch(self._settings.silence)
        exchange.start_soon(silence.run)
        body = bytearray()
        with silence.scope:
            while piece := await answer.receive():
                body += piece
                silence.heard = trio.current_time()
                if len(body) > MAX_ANSWER:
                    raise UpstreamError(f"upstream's answer is over {MAX_ANSWER} bytes")
        if silence.scope.cancelled_caught:
            raise UpstreamTimeout(f"upstream fell silent for {self._settings.silence:.0f} s")
        return bytes(body)

    async def _repair(
        self, repair: Repair, account: Account, job: Job, plan: Plan, token: CopilotToken
    ) -> tuple[Plan, CopilotToken]:
        match repair:
            case "refresh_token" | "reread_host":  # the token's reply names the host too
                return plan, await self._copilot.token(account, instead_of=token)
            case "switch_endpoint":
                if account.catalogue is not None:
                    account.catalogue.learn_refused(plan.model.id, plan.upstream.endpoint)
                return self._plan(job, await self._find_model(account, job.asked)), token
            case "resend" | "drop_thinking" | "none":
                return plan, token

    def _plan(self, job: Job, model: Model) -> Plan:
        return make_plan(job.body, job.asked, job.downstream, model, self._settings.gate, job.betas)

    async def _find_model(self, account: Account, asked: str) -> Model:
        if account.catalogue is None:
            raise NoAccount(f"account {account.label} has no model list")
        return await account.catalogue.find(asked)

    def _failed_before(self, job: Job, error: ProxyError) -> bool:
        """One retry of a failure that cost is the client's choice; the second identical failure says stop."""
        if error.cost == "none" or error.status < 500:
            return False
        key, failure = hash(job.body), (error.status, error.code)
        seen = self._failures.get(key) == failure
        self._failures[key] = failure
        self._failures.move_to_end(key)
        if len(self._failures) > REMEMBERED_FAILURES:
            self._failures.popitem(last=False)
        return seen


def _check_type(answer: Answer, wanted: str) -> None:
    """A 200 can be a page of some proxy on the way. Raises ``UpstreamError``."""
    kind = answer.headers.get("content-type", wanted).partition(";")[0].strip().lower()
    coded = answer.headers.get("content-encoding", "identity").lower()
    if coded != "identity":
        raise UpstreamError(f"upstream sent its answer as {coded[:40]!r}, which was not asked for")
    if kind not in {wanted, JSON, "text/plain"}:  # upstream's own types are not always right (upstream.md §0.1)
        raise UpstreamError(f"upstream answered with {kind[:80]!r} instead of {wanted}")


async def _pump(answer: Answer, body: BodyRelay, out: EventStream, silence: SilenceWatch) -> None:
    """The hot loop: one upstream read, at most one downstream write."""
    while piece := await answer.receive():
        data = body.feed(piece)
        if body.complete:
            await out.finish(data + body.finish())
            await _drain(answer)
            return
        if data:
            await out.send(data)
        silence.heard = trio.current_time()
    await out.finish(body.finish())


def _read(exchange: Exchange, downstream: Dialect) -> Job:
    request = exchange.request
    body = without_half_pairs(request.body)
    envelope = peek(body)
    exchange.note.model = envelope.model[:100]
    exchange.note.thinking = envelope.thinks
    announce(exchange)
    return Job(
        body=body,
        asked=envelope.model,
        stream=envelope.stream,
        downstream=downstream,
        initiator=initiator(envelope, subagent="x-claude-code-agent-id" in request.headers),
        vision=has_image(envelope, body),
        betas=request.headers.get("anthropic-beta"),
        request_id=exchange.request_id,
    )


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


def _reply_headers(answer: Answer, account: Account, watch: Stopwatch) -> list[tuple[str, str]]:
    return [*passed_on(answer), *_own_headers(account.label, watch)]


def _own_headers(label: str, watch: Stopwatch) -> list[tuple[str, str]]:
    return [
        ("x-copilot-trio-account", _header_value(label)),
        ("x-copilot-trio-overhead-ms", f"{watch.overhead_ms():.2f}"),
    ]
