from __future__ import annotations

import pytest

from copilot_trio.doctor.models import explain, listed, why_not
from copilot_trio.models.model import Capabilities, Model, Policy

FREE = Model(id="gpt-4.1")
PAID = Model(
    id="claude-opus-4.6", billing={"restricted_to": ["pro_plus", "business"]}, supported_endpoints=("/v1/messages",)
)
TERMS = Model(id="grok", policy=Policy("unconfigured"))
FORBIDDEN = Model(id="gemini", policy=Policy("disabled"))
OTHER = Model(id="gpt-41-copilot", capabilities=Capabilities(type="completion"))
FAR = Model(id="far", supported_endpoints=("/somewhere",))
ALL = (FREE, PAID, TERMS, FORBIDDEN, OTHER, FAR)


@pytest.mark.parametrize(
    ("model", "plan", "words"),
    [
        (FREE, "individual", ""),
        (PAID, "individual_pro", ""),
        (PAID, "", ""),
        (PAID, "something_new", ""),
        (PAID, "individual", "plan: it is for pro_plus, business, and the account's is pro"),
        (PAID, "free_limited_copilot", "and the account's is free"),
        (TERMS, "", "policy: its terms have not been accepted"),
        (FORBIDDEN, "", "policy: a policy of the account or its organisation"),
        (OTHER, "", "endpoint: it is of the type completion"),
        (FAR, "", "endpoint: it is offered at /somewhere only"),
    ],
)
def test_each_reason_has_its_words(model: Model, plan: str, words: str) -> None:
    why = why_not(model, plan)
    assert words in why if words else why == ""


def test_the_list_counts_what_can_be_used_and_names_the_rest() -> None:
    found = listed(ALL, "individual_pro", "work")
    assert found.state == "ok"
    assert found.message == "2 usable; not: grok, gemini, gpt-41-copilot, far (--verbose says why)"
    assert found.details[0] == "usable: gpt-4.1, claude-opus-4.6"
    assert listed((FREE,), "", "work").message == "1 usable"
    assert listed((FREE,), "", "work", unreadable=2).state == "warning"
    assert listed((TERMS,), "", "work").state == "failed"
    assert listed((), "", "work").state == "failed"


def test_a_model_that_somebody_has() -> None:
    offers = {"work": (ALL, "business"), "home": (ALL, "individual")}
    found = explain("claude-opus-4-6", offers, {}, where="claude-code (ANTHROPIC_MODEL)")
    assert (found.check, found.state) == ("model claude-opus-4-6", "ok")
    assert found.message == (
        "asked for by claude-code (ANTHROPIC_MODEL), which means claude-opus-4.6: offered to work; not to "
        "home: plan: it is for pro_plus, business, and the account's is pro"
    )


@pytest.mark.parametrize(
    ("asked", "mapping", "reason", "remedy"),
    [
        ("grok", {}, "work: policy: its terms", "Enable it at https://github.com/settings/copilot"),
        ("claude-opus-4.6", {}, "work: plan:", "Choose another model"),
        ("far", {}, "work: endpoint:", "Choose another model"),
        ("gpt-4.2", {}, "work: its list does not have it", "Did you mean gpt-4.1"),
        ("mine", {"mine": "gpt-9"}, "which means gpt-9", "a region may keep it from the list"),
    ],
)
def test_a_model_that_nobody_has(asked: str, mapping: dict[str, str], reason: str, remedy: str) -> None:
    found = explain(asked, {"work": (ALL, "individual")}, mapping, where="--model", missing="failed")
    assert found.state == "failed"
    assert reason in found.message
    assert remedy in found.remedy
    assert explain(asked, {"work": (ALL, "individual")}, mapping, where="x").state == "warning"
