"""One request's way upstream: find the model, lease an account, send; repair what is free and send once more.

A request that upstream may have run is never sent twice (product.md §4.3). Cancellation appears nowhere, because it
needs no code: a client that leaves cancels all of this, and leaving ``Copilot.send`` closes the connection.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Container
from typing import Protocol, Self, TypeVar

import msgspec

from copilot_trio.accounts.account import Account, Answer, CopilotToken
from copilot_trio.accounts.frame import STATUS_OF, classify_frame
from copilot_trio.accounts.lease import AccountRemoved
from copilot_trio.accounts.outcome import Outcome, Refusal, Repair
from copilot_trio.accounts.registry import Accounts, Course, Wanted, catalogue_of
from copilot_trio.accounts.resend import Reached, next_move
from copilot_trio.dialects.repair import without_encrypted, without_item_ids, without_thinking
from copilot_trio.errors import (
    AccountPaused,
    ModelNotFound,
    NoAccount,
    ProxyError,
    RateLimited,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnreachable,
)
from copilot_trio.models.model import Model, explain_refusal
from copilot_trio.models.queue import ModelQueues
from copilot_trio.upstream.copilot import Call, Copilot

from .job import Job

logger = logging.getLogger(__name__)

_THINKING = re.compile(r"reasoning|thinking|effort", re.IGNORECASE)

MAX_ROUNDS = 100  # accounts that a request is offered, each of them more than once if it cools down meanwhile
BODY_REPAIRS: dict[Repair, Callable[[bytes], bytes]] = {
    "drop_thinking": without_thinking,
    "strip_ids": without_item_ids,
    "drop_encrypted": without_encrypted,
}
# Where upstream still refuses what was repaired, the next thing that costs nothing.
NEXT_REPAIR: dict[Repair, Repair] = {"strip_ids": "drop_encrypted"}


class Sendable(Protocol):
    """What a plan has to tell: the rest of it is between the planner and whoever carries the answer."""

    @property
    def endpoint(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def model(self) -> Model: ...
    @property
    def betas(self) -> str | None: ...
    def with_body(self, body: bytes, /) -> Self: ...
    def without_additions(self) -> Self | None: ...


PlanT = TypeVar("PlanT", bound=Sendable)
Planner = Callable[[Model], PlanT]
Carry = Callable[[Answer, PlanT, Account], Awaitable[None]]


class Attempts:
    """``websocket``: ask over a WebSocket where the model has one."""

    def __init__(self, accounts: Accounts, copilot: Copilot, queues: ModelQueues, *, websocket: bool = False) -> None:
        self.websocket = websocket
        self.refuse_thinking: set[tuple[str, str]] = set()  # model and endpoint, where what we add is not accepted
        self._accounts = accounts
        self._copilot = copilot
        self._queues = queues

    async def make(self, job: Job, planner: Planner[PlanT], carry: Carry[PlanT]) -> None:
        """Send ``job``, and send it again where that is provably free. Raises ``ProxyError``.

        ``carry`` gets the answer and sees it delivered.
        """
        job.watch.stop()
        job.note.initiator = job.initiator
        wanted = Wanted(job.model or job.asked.model, job.kind, job.conversation, job.pin)
        course = Course()
        for _ in range(MAX_ROUNDS):
            account, found = await self._accounts.choose(wanted, course)
            note = job.note
            note.account, note.group = account.label, self._accounts.group(account)
            note.upstream_model, note.billing = found.id, found.billing
            before = self._accounts.bind(wanted, account)  # at once: what the conversation asks beside goes there too
            try:
                if await self._through(account, found, job, planner, carry, moved=before not in {None, account.id}):
                    return
            except _Elsewhere as moving:
                course.leave(account, moving.error, egress=moving.egress)
            self._accounts.give_back(wanted, account, before)
        raise RateLimited("the accounts keep cooling down", remedy="Nothing was sent.", retry_after=5)

    async def _through(
        self, account: Account, found: Model, job: Job, planner: Planner[PlanT], carry: Carry[PlanT], *, moved: bool
    ) -> bool:
        """False if the account went out of use while we waited for our place. Raises ``_Elsewhere``."""
        lease = self._accounts.lease(account, found, user_initiated=job.initiator == "user")
        try:
            with lease:
                await self._pace(account, moved=moved)  # in no slot of the model's, which others could use
                async with self._queues.slot(found.id):
                    token = await self._token(account)
                    await account.pacer.start()
                    if not account.usable(found.id, free=found.free):
                        return False
                    lease.sent = True
                    await self._repeat(account, found, token, job, planner, carry)
        except AccountRemoved as error:
            if lease.sent:
                raise
            raise _Elsewhere(error) from None
        return True

    async def _pace(self, account: Account, *, moved: bool) -> None:
        try:
            await self._accounts.pace(account, moved=moved)
        except RateLimited as error:
            raise _Elsewhere(error) from None

    async def _token(self, account: Account, instead_of: CopilotToken | None = None) -> CopilotToken:
        """Nothing has been sent without one, so that another account may do."""
        try:
            return await self._copilot.token(account, instead_of=instead_of)
        except UpstreamError as error:
            raise _Elsewhere(error, egress=isinstance(error, UpstreamUnreachable)) from None

    async def _repeat(
        self,
        account: Account,
        found: Model,
        token: CopilotToken,
        job: Job,
        planner: Planner[PlanT],
        carry: Carry[PlanT],
    ) -> None:
        """Send, and send again what a repair makes good."""
        catalogue = catalogue_of(account)
        job.watch.go()
        plan = planner(found)
        repaired: set[Repair] = set()
        while True:
            try:
                return await self._send(account, plan, token, job, carry)
            except Refusal as refusal:
                outcome = refusal.outcome
            plain = plan.without_additions() if _is_about_thinking(outcome) else None
            if plain is not None:  # it was our doing, and is to be no more
                logger.info("%s: %s takes no thinking from us: %s", account.label, found.id, outcome.error.cause)
                self.refuse_thinking.add((found.id, plan.endpoint))
                plan = plain
                continue
            repair = _next_repair(outcome.repair, repaired, plan.body)
            move = next_move(
                "refused",
                outcome,
                repairable=repair != "none",
                failover_on_quota=self._accounts.settings.failover_on_quota,
            )
            if move != "repair":
                await self._refused(account, outcome, plan.model, job)
                if move == "next_account":
                    raise _Elsewhere(outcome.error)
                raise outcome.error
            repaired.add(repair)
            logger.info("%s: repairing once: %s", account.label, repair)
            if repair == "switch_endpoint":
                catalogue.learn_refused(plan.model.id, plan.endpoint)
                try:
                    plan = planner(await catalogue.find(job.model or job.asked.model, job.kind))
                except ModelNotFound as error:  # nor at any other; another account may have it
                    raise _Elsewhere(error) from None
            elif repair in {"refresh_token", "reread_host"}:  # the token's reply names the host too
                token = await self._token(account, instead_of=token)
            for done in repaired & BODY_REPAIRS.keys():
                plan = plan.with_body(BODY_REPAIRS[done](plan.body))
            self._check(account, plan.model)

    def _check(self, account: Account, model: Model) -> None:
        """It may have been limited or warned meanwhile, by another request."""
        try:
            self._accounts.check(account, model)
        except AccountPaused:
            raise
        except (UpstreamError, NoAccount) as error:
            raise _Elsewhere(error) from None

    async def _refused(self, account: Account, outcome: Outcome, model: Model, job: Job) -> None:
        """A refusal that nothing mends has its effect."""
        self._accounts.judge(account, outcome, model)
        if outcome.scope == "upstream":
            await account.pool.recycle()
        if isinstance(outcome.error, UpstreamError):
            outcome.error.account = account.label
        if outcome.error.code == "model_not_found":
            outcome.error.remedy = explain_refusal(model, job.model or job.asked.model)
            catalogue_of(account).doubt()

    def judge(self, account: Account, outcome: Outcome, model: Model) -> None:
        self._accounts.judge(account, outcome, model)

    async def _send(self, account: Account, plan: PlanT, token: CopilotToken, job: Job, carry: Carry[PlanT]) -> None:
        call = Call(
            endpoint=plan.endpoint,
            body=plan.body,
            initiator=job.initiator,
            request_id=job.request_id,
            vision=job.vision,
            betas=plan.betas,
            stream=job.stream,
            extra_headers=plan.model.extra_headers,
            intent=job.intent,
            interaction=job.interaction,
            websocket=self.websocket and job.stream and _speaks_websocket(plan),
        )
        job.watch.stop()
        reached: Reached = "unanswered"
        try:
            async with self._copilot.send(account, call, token) as answer:
                reached = "begun"
                self._accounts.succeeded(account)
                job.watch.go()
                await carry(answer, plan, account)
                if answer.quota_snapshots:
                    self._accounts.heard_frame(account, answer.quota_snapshots)
                self._accounts.spent(
                    account,
                    plan.model,
                    nano_aiu=None if job.note.usage is None else job.note.usage.nano_aiu,
                    user_initiated=job.initiator == "user",
                )
            return
        except UpstreamError as error:
            error.account = account.label
            failure = self._weighed(error, account, plan.model)
            if reached != "begun":
                self._accounts.failed(account, error)
                if isinstance(error, UpstreamUnreachable):
                    reached = "unreachable"
        # The connections of this account are in doubt: start afresh, and let what runs on them drain.
        await account.pool.recycle()
        if isinstance(failure, UpstreamError) and next_move(reached) == "other_egress":
            raise _Elsewhere(failure, egress=True)
        raise failure

    def _weighed(self, error: UpstreamError, account: Account, model: Model) -> UpstreamError | AccountPaused:
        """What failed in mid-answer may be a limit or a warning, which holds for what comes next."""
        if not _is_known(error):
            return error
        outcome = classify_frame(msgspec.json.encode({"error": {"code": error.code, "message": error.cause}}))
        self._accounts.judge(account, outcome, model)
        outcome.error.cost = error.cost
        if isinstance(outcome.error, UpstreamError):
            outcome.error.partial = error.partial
        return outcome.error


class _Elsewhere(Exception):
    """This account cannot serve the request, of which upstream has run nothing: on to the next."""

    def __init__(self, error: ProxyError, *, egress: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.egress = egress


def _is_known(error: UpstreamError) -> bool:
    return error.kind == "upstream" and (error.code or "").partition(":")[0] in STATUS_OF


def _is_about_thinking(outcome: Outcome) -> bool:
    refused = isinstance(outcome.error, UpstreamRefused) and outcome.error.status == 400
    return refused and outcome.repair == "none" and _THINKING.search(outcome.error.cause) is not None


def _next_repair(repair: Repair, done: Container[Repair], body: bytes) -> Repair:
    """What there is to try: nothing twice, and nothing that would change nothing."""
    while repair in done or (repair in BODY_REPAIRS and BODY_REPAIRS[repair](body) == body):
        repair = NEXT_REPAIR.get(repair, "none")
        if repair == "none":
            break
    return repair


def _speaks_websocket(plan: Sendable) -> bool:
    return plan.endpoint == "/responses" and "ws:/responses" in plan.model.endpoints
