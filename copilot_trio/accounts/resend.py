"""Whether a request that failed may be sent again, and where: the re-send table of product.md §4.3. Pure.

A request that upstream may have run is never sent twice. What happens on the connection itself (a reused one that was
closed before a byte came back, a dial that failed) is tried once more by the pool, before anything gets here.
"""

from __future__ import annotations

from typing import Literal

from copilot_trio.errors import QuotaExhausted

from .outcome import Outcome

Reached = Literal["unreachable", "unanswered", "refused", "begun"]
"""How far it got: nothing written; written and no status; a status other than 200; a 200."""

Move = Literal["stop", "repair", "next_account", "other_egress"]


def next_move(
    reached: Reached, outcome: Outcome | None = None, *, repairable: bool = False, failover_on_quota: bool = True
) -> Move:
    """``outcome`` is that of a refusal; ``repairable``: its repair has not been tried and would change something.

    ``other_egress``: the next account, if it leaves by another way; the one that failed would fail it too.
    """
    if reached == "unreachable":
        return "other_egress"
    if reached != "refused" or outcome is None or outcome.scope == "warning":
        return "stop"
    if repairable:
        return "repair"
    if isinstance(outcome.error, QuotaExhausted):
        return "next_account" if failover_on_quota else "stop"
    if outcome.error.status >= 500 and outcome.scope != "account":
        return "stop"
    feature_missing = outcome.error.code == "model_not_found"
    return "next_account" if outcome.scope in {"account", "model"} or feature_missing else "stop"
