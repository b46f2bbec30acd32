"""The re-send table of product.md §4.3, row by row."""

from __future__ import annotations

import msgspec
import pytest

from copilot_trio.accounts.outcome import Outcome, Scope, classify
from copilot_trio.accounts.resend import Move, Reached, next_move
from copilot_trio.errors import RateLimited, UpstreamOverloaded


def refusal(status: int, message: str = "no", code: str = "", endpoint: str = "/chat/completions") -> Outcome:
    body = msgspec.json.encode({"error": {"message": message, "code": code}})
    return classify(endpoint, status, {}, body, now=0)


class Row(msgspec.Struct):
    name: str
    reached: Reached
    move: Move
    outcome: Outcome | None = None
    repairable: bool = False


EXPIRED = refusal(401, "IDE token expired: unauthorized: token expired")
MISDIRECTED = refusal(421)
SLOW = refusal(408)
REPAIRED_400 = [
    refusal(400, "model x is not accessible via the /chat/completions endpoint", "unsupported_api_for_model"),
    refusal(400, "messages.1.content.0: Invalid `signature` in `thinking` block", "invalid_request_body"),
    refusal(400, "input item ID does not belong to this connection"),
    refusal(400, "The encrypted content gAAA could not be verified.", "invalid_request_body"),
]

ROWS = [
    Row("nothing written", "unreachable", "other_egress"),
    Row("written, no headers", "unanswered", "stop"),
    Row("200 begun", "begun", "stop"),
    Row("401 expired", "refused", "repair", EXPIRED, repairable=True),
    Row("401 after one refresh", "refused", "next_account", EXPIRED),
    Row("408", "refused", "repair", SLOW, repairable=True),
    Row("408 again", "refused", "stop", SLOW),
    Row("421", "refused", "repair", MISDIRECTED, repairable=True),
    Row("421 again", "refused", "stop", MISDIRECTED),
    *(
        Row(f"400 {outcome.repair}", "refused", "repair", outcome, repairable=True) for outcome in REPAIRED_400
    ),
    *(Row(f"400 {outcome.repair} again", "refused", "stop", outcome) for outcome in REPAIRED_400),
    Row("402", "refused", "next_account", refusal(402)),
    Row("a quota code with another status", "refused", "next_account", refusal(429, code="overage_limit_reached")),
    Row("429 of the account", "refused", "next_account", refusal(429, code="user_weekly_rate_limited")),
    Row("429 of the model", "refused", "next_account", refusal(429, code="model_overloaded")),
    Row("feature missing", "refused", "next_account", refusal(403, "not authorized to use this Copilot feature")),
    Row("model missing", "refused", "next_account", refusal(400, code="model_not_supported")),
    Row("model not for us", "refused", "next_account", refusal(400, code="model_not_available_for_integrator")),
    *(Row(str(status), "refused", "stop", refusal(status)) for status in (500, 502, 503, 504)),
    *(Row(str(status), "refused", "stop", refusal(status)) for status in (400, 403, 404, 405, 413, 422, 424, 466, 499)),
    Row("too long", "refused", "stop", refusal(400, "prompt is too long: 9 tokens > 6 maximum")),
    Row("a warning", "refused", "stop", refusal(403, "Please review our Terms of Service")),
    Row("GitHub's outage", "refused", "stop", refusal(503, endpoint="/copilot_internal/v2/token")),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_request_is_sent_again(row: Row) -> None:
    assert next_move(row.reached, row.outcome, repairable=row.repairable) == row.move


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_without_failover_on_quota_only_a_used_up_quota_ends_it(row: Row) -> None:
    quota = row.outcome is not None and row.outcome.error.kind == "quota"
    assert next_move(row.reached, row.outcome, repairable=row.repairable, failover_on_quota=False) == (
        "stop" if quota else row.move
    )


@pytest.mark.parametrize("reached", ["unanswered", "begun"])
@pytest.mark.parametrize("outcome", [refusal(402), refusal(429), EXPIRED], ids=["402", "429", "401"])
def test_what_upstream_may_have_run_is_never_sent_twice(reached: Reached, outcome: Outcome) -> None:
    assert next_move(reached, outcome, repairable=True) == "stop"


def test_a_refusal_that_nobody_classified_ends_it() -> None:
    assert next_move("refused", None, repairable=True) == "stop"


def test_a_warning_is_not_repaired() -> None:
    assert next_move("refused", refusal(403, "Your account was suspended"), repairable=True) == "stop"


@pytest.mark.parametrize("scope", ["request", "model", "upstream"])
def test_a_5xx_is_passed_on_whatever_its_scope(scope: Scope) -> None:
    assert next_move("refused", Outcome(UpstreamOverloaded("no", status=503), scope)) == "stop"


def test_a_limit_of_the_request_alone_is_no_other_accounts() -> None:
    assert next_move("refused", Outcome(RateLimited("no"), "request")) == "stop"
