from __future__ import annotations

import pytest
from clients_offer import entry, page

from copilot_trio.clients.offer import (
    USUAL_CONTEXT,
    USUAL_OUTPUT,
    NoSuchModel,
    calls_tools,
    family,
    first,
    named,
    read_models,
)


def test_only_models_that_can_be_used_for_talking_are_offered() -> None:
    ids = [model.id for model in read_models(page())]
    assert "gpt-4.1" in ids
    assert "claude-opus-9" not in ids
    assert "text-embedding-3-small" not in ids


def test_limits_are_the_lists_and_where_it_is_silent_the_usual_ones() -> None:
    full, bare, half = read_models(
        page(
            entry("a", 1000),
            entry("b", None, max_output_tokens=None, max_context_window_tokens=None),
            entry("c", 5000, max_context_window_tokens=None),
        )
    )
    assert (full.prompt, full.output, full.context) == (1000, 16_000, 200_000)
    assert (bare.prompt, bare.output, bare.context) == (USUAL_CONTEXT, USUAL_OUTPUT, USUAL_CONTEXT)
    assert half.context == 5000


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data":[{"id":"gpt-4.1"}]}', b'{"object":"list"}', b"\xff"])
def test_another_programs_answer_is_not_taken_for_ours(body: bytes) -> None:
    with pytest.raises(ValueError, match="no list of models"):
        read_models(body)


def test_a_model_is_named_as_the_server_would_understand_it() -> None:
    models = read_models(page())
    assert named(models, "claude-sonnet-4-5-20250929").id == "claude-sonnet-4.5"
    assert named(models, "opus").id == "claude-opus-4.6"
    with pytest.raises(NoSuchModel, match=r"'gpt-4\.2'; there is gpt-4\.1"):
        named(models, "gpt-4.2")
    with pytest.raises(NoSuchModel, match=r"there is gpt-4\.1, gemini"):
        named(models, "zzz")
    with pytest.raises(NoSuchModel):
        named(models, "claude-opus-9-20260101")


def test_choosing_without_being_told() -> None:
    models = read_models(page(entry("a", tool_calls=False), entry("b"), entry("c")))
    assert first(models, lambda model: model.id == "z", calls_tools).id == "b"
    assert first(models, lambda model: model.id == "z").id == "a"
    assert family(models, "sonnet") is None
    assert family(read_models(page()), "sonnet") == named(read_models(page()), "claude-sonnet-4.5")
