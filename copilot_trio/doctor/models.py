"""Why a model is not there: plan, policy, endpoint, or no such name. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from copilot_trio.dialects.dialect import DIALECTS
from copilot_trio.models.mapping import closest, resolve
from copilot_trio.models.model import SETTINGS, Model

from .finding import Finding, State, failed, ok, warning

SPOKEN = {dialect.endpoint for dialect in DIALECTS} | {"/embeddings", "ws:/responses"}
SERVED_KINDS = {"chat", "embeddings"}
# What the list calls the plans (upstream.md §6.1).
AUDIENCES = {
    "individual": "pro",
    "individual_pro": "pro_plus",
    "individual_max": "max",
    "business": "business",
    "enterprise": "enterprise",
}
SHOWN = 12


def listed(models: Sequence[Model], plan: str, label: str, unreadable: int = 0) -> Finding:
    reasons = {model.id: why for model in models if (why := why_not(model, plan))}
    usable = [model.id for model in models if model.id not in reasons]
    details = (f"usable: {', '.join(usable)}", *(f"{name}: {why}" for name, why in reasons.items()))
    if not usable:
        remedy = f"Look at the plan and its policies at {SETTINGS}."
        return failed("models", "none that can be used is offered", remedy, account=label, details=details)
    named = list(reasons)[:SHOWN]
    more = f" and {len(reasons) - SHOWN} more" if len(reasons) > SHOWN else ""
    message = f"{len(usable)} usable" + (f"; not: {', '.join(named)}{more} (--verbose says why)" if reasons else "")
    if unreadable:
        remedy = "Upstream's list has changed: look for a newer version of this program."
        return warning(
            "models", f"{message}; {unreadable} entries cannot be read", remedy, account=label, details=details
        )
    return ok("models", message, account=label, details=details)


def why_not(model: Model, plan: str = "") -> str:
    """Empty for a model that can be used, as far as the list says. ``plan`` as in a quota; empty if not known."""
    if model.unavailable:
        return f"policy: {model.unavailable}"
    audience = "free" if plan.startswith("free") else AUDIENCES.get(plan, "")
    if model.plans and audience and audience not in model.plans:
        return f"plan: it is for {', '.join(model.plans)}, and the account's is {audience}"
    if model.capabilities.type not in SERVED_KINDS:
        return f"endpoint: it is of the type {model.capabilities.type}, which is not served here"
    if not SPOKEN.intersection(model.endpoints):
        return f"endpoint: it is offered at {', '.join(model.endpoints)} only, which is not spoken here"
    return ""


def explain(
    asked: str,
    offers: Mapping[str, tuple[Sequence[Model], str]],
    mapping: Mapping[str, str],
    *,
    where: str,
    missing: State = "warning",
) -> Finding:
    """``offers``: by an account's label, what its list has, and its plan. ``where``: who asks for the model."""
    check = "model " + _short(asked)
    usable, reasons, known = [], [], set[str]()
    meant = asked
    for label, (models, plan) in offers.items():
        by_id = {model.id: model for model in models}
        known |= by_id.keys()
        target, found = resolve(asked, mapping, by_id, {model.id for model in models if why_not(model, plan)})
        why = "its list does not have it" if found is None else why_not(by_id[found], plan)
        meant = found or (target if meant == asked else meant)
        if why:
            reasons.append(f"{label}: {why}")
        else:
            usable.append(label)
    named = f"asked for by {where}" + ("" if meant == asked else f", which means {_short(meant)}")
    if usable:
        refused = f"; not to {'; '.join(reasons)}" if reasons else ""
        return ok(check, f"{named}: offered to {', '.join(usable)}{refused}")
    make = failed if missing == "failed" else warning
    return make(check, f"{named}: offered to no account. {'; '.join(reasons)}", _remedy(meant, known, reasons))


def _remedy(meant: str, known: Iterable[str], reasons: Sequence[str]) -> str:
    known = list(known)
    if meant in known:
        if any(": policy:" in reason for reason in reasons):
            return f"Enable it at {SETTINGS}, or ask the organisation's administrator."
        return f"Choose another model; {SETTINGS} shows the account's plan."
    alike = closest(meant, known)
    hint = f"Did you mean {' or '.join(alike)}? " if alike else ""
    return f"{hint}A plan, a policy or a region may keep it from the list; {SETTINGS} shows the account's."


def _short(name: str) -> str:
    return name if len(name) <= 100 else name[:100] + "…"
