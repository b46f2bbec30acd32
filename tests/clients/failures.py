"""What the clients make of failures: what they show, and how often they try again."""

from __future__ import annotations
from .scenarios import Evidence, Scenario, _say, answered

def _any(evidence: Evidence) -> str:
    return f"{len(evidence.calls or [])} calls {[c['status'] for c in evidence.calls or []]} {evidence.outcome.brief()}"

FAILING = tuple(Scenario(name=n, ask=_say(w), judge=_any, alone=True, patience=120.0) for n,w in {
 "400":"err400","401":"err401","403":"err403","404":"err404","413":"err413","429":"err429 VARIANT:retryafter","429x1":"ra429x1s2","500":"err500","503":"err503","529":"err529","503x1":"ra503x1s2","500x1":"flaky500x1",
 "errmid":"errmid","cut":"cut","cutx1":"cutx1","context":"err400 VARIANT:ctxlen"}.items())
