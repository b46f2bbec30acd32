"""POST embeddings."""

from __future__ import annotations

from copilot_trio.accounts.account import Account, Answer
from copilot_trio.attempt import Attempts
from copilot_trio.dialects.dialect import CHAT
from copilot_trio.dialects.embeddings import EmbeddingsPlan, make_plan, read_request, tokens_in
from copilot_trio.dialects.plan import Asked
from copilot_trio.dialects.surrogates import without_half_pairs
from copilot_trio.errors import ProxyError
from copilot_trio.job import Job, Stopwatch, seed_of
from copilot_trio.models.model import Model
from copilot_trio.relay import RelaySettings, check_type, own_headers, read_whole, reply_headers
from copilot_trio.server.dispatch import announce
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router
from copilot_trio.turn import Usage

JSON = "application/json"
INTENT = "copilot-panel"  # as VS Code's own embeddings (upstream.md §11.1)


def add_routes(router: Router, attempts: Attempts, settings: RelaySettings) -> None:
    async def embed(exchange: Exchange) -> None:
        body = without_half_pairs(exchange.request.body)
        request = read_request(body)
        job = _job(exchange, request.model)
        announce(exchange)

        def plan(model: Model) -> EmbeddingsPlan:
            return make_plan(body, request, model)

        async def carry(answer: Answer, plan: EmbeddingsPlan, account: Account) -> None:
            check_type(answer, JSON)
            reply = await read_whole(job, answer, settings.silence)
            job.note.usage = Usage(input_tokens=tokens_in(reply))
            await exchange.respond(200, plan.whole_answer(reply), headers=reply_headers(answer, account, job.watch))

        try:
            await attempts.make(job, plan, carry)
        except ProxyError as error:
            error.headers += own_headers(job.note.account, job.watch) if job.note.account else []
            raise

    router.add_model_route("POST", "/embeddings", embed)


def _job(exchange: Exchange, model: str) -> Job:
    exchange.note.model = model[:100]
    return Job(
        asked=Asked(exchange.request.body, model, CHAT, CHAT, seed=seed_of(exchange.request_id)),
        stream=False,
        initiator="user",
        vision=False,
        request_id=exchange.request_id,
        codex=False,
        note=exchange.note,
        watch=Stopwatch(exchange.request.received),
        start_soon=exchange.start_soon,
        intent=INTENT,
        kind="embeddings",
        pin=exchange.pin,
    )
