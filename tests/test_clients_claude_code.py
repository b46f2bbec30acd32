from __future__ import annotations

from clients_offer import BASE_URL, entry, page, target

from copilot_trio.clients import claude_code
from copilot_trio.clients.document import change
from copilot_trio.clients.json_text import JsonDocument
from copilot_trio.clients.offer import Target, read_models


def test_its_variables_name_the_server_the_models_and_the_real_window() -> None:
    assert claude_code.variables(target(main="gpt-4.1")) == {
        "ANTHROPIC_BASE_URL": BASE_URL,
        "ANTHROPIC_AUTH_TOKEN": "any",
        "ANTHROPIC_MODEL": "gpt-4.1",
        "ANTHROPIC_SMALL_FAST_MODEL": "claude-haiku-4.5",
        "ANTHROPIC_DEFAULT_OPUS_MODEL": "claude-opus-4.6",
        "ANTHROPIC_DEFAULT_SONNET_MODEL": "claude-sonnet-4.5",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "claude-haiku-4.5",
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": "128000",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "128000",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    }


def test_what_would_lead_elsewhere_is_taken_out_and_the_rest_stays() -> None:
    theirs = '{"env": {"ANTHROPIC_API_KEY": "sk-ant", "CLAUDE_CODE_USE_BEDROCK": "1", "EDITOR": "vi"}, "hooks": {}}'
    content = JsonDocument(change(JsonDocument(theirs), claude_code.wanted(target(key="k"))).text).content()
    assert content == {"env": {"EDITOR": "vi", **claude_code.variables(target(key="k"))}, "hooks": {}}


def test_the_usual_models() -> None:
    def usual(*names: str) -> tuple[str, str]:
        main, small = claude_code.usual(read_models(page(*map(entry, names))))
        return main.id, small.id

    assert usual("gpt-4.1", "gpt-5-mini", "claude-sonnet-4", "claude-sonnet-4.5", "claude-haiku-4.5") == (
        "claude-sonnet-4.5", "claude-haiku-4.5",
    )  # fmt: skip
    assert usual("gemini-2.5-pro", "gpt-5-mini", "claude-opus-4.6") == ("claude-opus-4.6", "gpt-5-mini")
    assert usual("gpt-4.1") == ("gpt-4.1", "gpt-4.1")


def test_without_claude_every_alias_means_a_model_that_is_there() -> None:
    models = read_models(page(entry("gpt-4.1"), entry("gpt-5-mini")))
    found = claude_code.variables(Target(BASE_URL, models, models[0], models[1]))
    assert {value for name, value in found.items() if name.endswith("_MODEL")} == {"gpt-4.1", "gpt-5-mini"}


def test_notes_tell_of_auto_mode_the_window_and_the_shell() -> None:
    said = "\n".join(claude_code.notes(target(), {"ANTHROPIC_API_KEY": "sk", "PATH": ""}))
    assert "safeguards" in said
    assert "168000" in said
    assert "ANTHROPIC_API_KEY" in said
    assert "sk" not in said.split()
    small = read_models(page(entry("tiny", 64_000)))
    said = "\n".join(claude_code.notes(Target(BASE_URL, small, small[0], small[0])))
    assert "100000" in said
    assert "Your shell" not in said
