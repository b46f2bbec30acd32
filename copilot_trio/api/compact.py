"""POST responses/compact: Codex asks for it, upstream has none, so it is emulated (:mod:`..dialects.compact`)."""

from __future__ import annotations

import msgspec

from copilot_trio.accounts.account import Account, Answer
from copilot_trio.admission import Admission
from copilot_trio.attempt import Attempts
from copilot_trio.dialects.compact import CompactPlan, make_compact_plan
from copilot_trio.dialects.dialect import RESPONSES
from copilot_trio.errors import ProxyError
from copilot_trio.job import read_job
from copilot_trio.models.model import Model
from copilot_trio.relay import RelaySettings, check_type, own_headers, read_whole, reply_headers
from copilot_trio.server.dispatch import announce
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

JSON = "application/json"
INTERACTION = "conversation-compaction"  # upstream.md §8.3


def add_routes(router: Router, attempts: Attempts, settings: RelaySettings, admission: Admission) -> None:
    async def compact(exchange: Exchange) -> None:
        job = read_job(
            exchange.request, RESPONSES, exchange.note, exchange.request_id, exchange.start_soon, exchange.pin
        )
        # A compaction is the client's housekeeping, no person's turn.
        job = msgspec.structs.replace(job, stream=False, initiator="agent", interaction=INTERACTION)
        announce(exchange)

        def plan(model: Model) -> CompactPlan:
            return make_compact_plan(job.asked, model, settings.gate)

        async def carry(answer: Answer, plan: CompactPlan, account: Account) -> None:
            check_type(answer, JSON)
            shown, job.note.usage = plan.whole_answer(await read_whole(job, answer, settings.silence))
            await exchange.respond(200, shown, headers=reply_headers(answer, account, job.watch))

        try:
            await admission.admit(job)
            await attempts.make(job, plan, carry)
        except ProxyError as error:
            error.headers += own_headers(job.note.account, job.watch) if job.note.account else []
            raise

    router.add_model_route("POST", "/responses/compact", compact)
