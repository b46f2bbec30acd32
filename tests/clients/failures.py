"""What the clients make of failures: what they show, and what their retries cost upstream.

Clients multiply failures by up to thirty (clients.md §3.7, §4.5, §5.3); the proxy's hints keep that down (product.md
§5.8). Every cell has servers of its own, for a failure leaves cooldowns behind.
"""

from __future__ import annotations

import re

from .rig import Client
from .scenarios import Evidence, Scenario, answered, say

PATIENCE = 110.0  # opencode gives up after some 90 s
WAIT = 2  # seconds that upstream asks for

# The most calls upstream that a failure may cost, beside what a client asks for anyway (``side_calls``). 401 costs two:
# the proxy tries a new token once.
USUAL = {"400": 1, "401": 2, "403": 1, "404": 1, "500": 2, "503": 2, "529": 2, "errmid": 1, "cut": 1, "context": 1}
MOST = {
    # Takes off its betas one by one at any 400, and asks again without streaming after a 404 or a broken stream.
    "claude-code": USUAL | {"400": 6, "404": 2, "errmid": 3, "cut": 3},
    # Heeds no hint but what a failed response says: the second identical failure ends it.
    "codex": USUAL | {"errmid": 2, "cut": 2},
    # Heeds no hint for 5xx either: six tries, and three for the title. Compacts a context that is too long. Both of its
    # calls may meet the 401.
    "opencode": USUAL | {"401": 3, "500": 8, "503": 8, "529": 8, "errmid": 6, "cut": 6, "context": 2},
    "cursor": USUAL | {"500": 1, "503": 1, "529": 1},  # as our agent asks: once
}
# Claude Code keeps the reason of a 404 to itself.
SHOWN = {("claude-code", "404"): "selected model", ("codex", "context"): "context window"}
CAUSES = {
    "errmid": "upstream failure|Overloaded|The server had an error",
    "cut": "connection to upstream broke",
    "context": "(?i)prompt is too long",
}


def _family(client: Client) -> str:
    return client.name if client.name == "claude-code" else client.name.partition("-")[0]


def _failed(evidence: Evidence, name: str) -> str:
    """It gave up, said why, and did not try too often."""
    outcome, family = evidence.outcome, _family(evidence.client)
    most = MOST.get(family, USUAL)[name] + evidence.client.side_calls
    found = [call["status"] for call in evidence.calls or ()]
    if len(found) > most:
        return f"{len(found)} calls upstream, {most} are bearable: {found}; {outcome.brief()}"
    if not outcome.code:
        return f"failed without saying so: {outcome.brief()}"
    cause = SHOWN.get((family, name)) or CAUSES.get(name, f"status {name}")
    return "" if re.search(cause, outcome.text) else f"shows no {cause!r}: {outcome.brief()}"


def _recovered(evidence: Evidence, wait: float) -> str:
    """It tried again, when it was told to, and got its answer."""
    if evidence.outcome.seconds < wait:
        return f"answered before the {wait} s that upstream asked for: {evidence.outcome.brief()}"
    found = [call["status"] for call in evidence.calls or ()]
    most = 2 * (1 + evidence.client.side_calls)
    if len(found) > most:
        return f"{len(found)} calls upstream instead of {most}: {found}"
    return answered(evidence, evidence.word)


def _failing(name: str, words: str) -> Scenario:
    return Scenario(
        name=name,
        ask=say(words),
        judge=lambda evidence: _failed(evidence, name),
        alone=True,
        patience=PATIENCE,
    )


def _recovering(name: str, words: str, wait: float = 0) -> Scenario:
    return Scenario(
        name=name,
        ask=say(words),
        judge=lambda evidence: _recovered(evidence, wait),
        needs=lambda client: client.retries == "broken" or (client.retries == "refused" and name != "cut-once"),
        alone=True,
        patience=PATIENCE,
    )


LIMIT = 120  # seconds that upstream keeps one account waiting for


def _handed_over(evidence: Evidence) -> str:
    """Another account answered at once; the client has noticed nothing."""
    found = [(call["account"], call["status"]) for call in evidence.calls or ()]
    asked = 1 + evidence.client.side_calls  # each of them may be the first that an account refuses
    limits = [status for _, status in found].count(429)
    if evidence.outcome.seconds >= LIMIT:
        return f"took {evidence.outcome.seconds:.0f} s: {evidence.outcome.brief()}"
    if not 1 <= limits <= asked or len({account for account, _ in found}) != 1 + limits:
        return f"not handed over from one account to another: {found}"
    if len(found) > asked + limits:
        return f"{len(found)} calls upstream: {found}"
    return answered(evidence, evidence.word)


FAILING = (
    *(_failing(name, f"err{name}") for name in ("400", "401", "403", "404", "500", "503", "529")),
    _failing("context", "err400 VARIANT:ctxlen"),
    _failing("errmid", "errmid"),
    _failing("cut", "cut"),
    _recovering("429-wait", f"ra429x1s{WAIT}", WAIT),
    Scenario(
        name="handover",
        ask=say(f"ra429x1s{LIMIT}"),
        judge=_handed_over,
        alone=True,
        accounts=3,
        patience=PATIENCE,
    ),
    _recovering("500-once", "flaky500x1"),
    _recovering("cut-once", "cutx1"),
)
