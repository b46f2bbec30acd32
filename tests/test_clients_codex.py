from __future__ import annotations

import tomllib

from clients_offer import entry, page, target

from copilot_trio.clients import codex
from copilot_trio.clients.document import change
from copilot_trio.clients.offer import read_models
from copilot_trio.clients.toml_text import TomlDocument


def test_a_new_file_has_the_provider_and_the_models_limits() -> None:
    text = change(TomlDocument(""), codex.wanted(target("gpt-5.3-codex"))).text
    assert tomllib.loads(text) == {
        "model": "gpt-5.3-codex",
        "model_provider": "copilot-trio",
        "model_context_window": 272_000,
        "model_auto_compact_token_limit": 244_800,
        "model_providers": {
            "copilot-trio": {"name": "copilot-trio", "base_url": "http://127.0.0.1:4141/v1", "wire_api": "responses"}
        },
    }


def test_a_key_takes_the_place_of_a_variable_and_other_members_stay() -> None:
    theirs = (
        '[model_providers.copilot-trio]\nenv_key = "MY_KEY"\nrequest_max_retries = 1\n\n[analytics]\nenabled = false\n'
    )
    content = tomllib.loads(change(TomlDocument(theirs), codex.wanted(target(key="secret"))).text)
    provider = content["model_providers"]["copilot-trio"]
    assert provider["experimental_bearer_token"] == "secret"
    assert provider["request_max_retries"] == 1
    assert "env_key" not in provider
    assert content["analytics"] == {"enabled": False}


def test_the_usual_model_is_one_made_for_it() -> None:
    assert codex.usual(read_models(page()))[0].id == "gpt-5.3-codex"
    without = read_models(page(entry("gpt-4.1"), entry("gpt-5-mini", endpoints=["/responses"])))
    assert codex.usual(without)[0].id == "gpt-5-mini"
    assert codex.usual(read_models(page(entry("gpt-4.1"))))[0].id == "gpt-4.1"


def test_notes_tell_whose_window_it_is() -> None:
    assert "168000 tokens is claude-sonnet-4.5's" in codex.notes(target())[0]
