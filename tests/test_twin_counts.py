"""Exact prompt sizes in the usage of every API, and the models on the list that clients ask for."""

from __future__ import annotations

from typing import Any

import pytest
from twin_client import chat, copilot, decoded, message, new_state

from copilot_trio.twin import Prompt, catalogue

EXACT = 1_234


@pytest.mark.parametrize(("path", "body", "names"), [
    ("/chat/completions", chat("x"), ("prompt_tokens",)),
    ("/chat/completions", chat("x", "gemini-2.5-pro"), ("prompt_tokens",)),
    ("/responses", {"model": "gpt-5.5", "input": "x"}, ("input_tokens",)),
    ("/v1/messages", message("x"), ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")),
    ("/embeddings", {"model": "text-embedding-3-small", "input": ["x", "y"]}, ("prompt_tokens",)),
])  # fmt: skip
def test_prompts_may_be_counted_exactly(path: str, body: dict[str, Any], names: tuple[str, ...]) -> None:
    seen: list[Prompt] = []

    def count_tokens(prompt: Prompt) -> int:
        seen.append(prompt)
        return EXACT

    usage = decoded(copilot(new_state(count_tokens=count_tokens), path, body).reply)["usage"]
    assert sum(usage[name] for name in names) == EXACT
    assert [prompt.body for prompt in seen] == [body]


def test_exact_counts_are_what_the_limit_and_the_cache_go_by() -> None:
    state = new_state(count_tokens=lambda _: 1_000)
    history = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    body = chat("x") | {"messages": [*history, {"role": "user", "content": "c"}]}
    usage = decoded(copilot(state, "/chat/completions", body).reply)["usage"]
    assert (usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]) == (1_000, 500)
    too_many = new_state(count_tokens=lambda _: 138_898)
    refused = copilot(too_many, "/chat/completions", chat("x")).reply
    assert "138898 exceeds the limit of 128000" in decoded(refused)["error"]["message"]


def test_the_models_that_clients_ask_for() -> None:
    account = new_state().accounts["octo-dev"]
    listed = {entry["id"]: entry for entry in catalogue.listing(account, "2026-06-01")["data"]}
    endpoints = {name: entry.get("supported_endpoints") for name, entry in listed.items()}
    assert endpoints["gpt-5-mini"] == ["/chat/completions", "/responses", "ws:/responses"]
    assert endpoints["gpt-5.3-codex"] == endpoints["gpt-5.5"] == ["/responses", "ws:/responses"]
    assert endpoints["gpt-4.1"] is endpoints["gpt-4o"] is endpoints["gemini-2.5-pro"] is None
    assert "xhigh" in listed["gpt-5.5"]["capabilities"]["supports"]["reasoning_effort"]
    newest = listed["claude-opus-4.7"]["capabilities"]["supports"]
    assert newest["adaptive_thinking"]
    assert newest["tool_search"]
    assert newest["context_editing"]
    assert "max_thinking_budget" not in newest
    assert {"text-embedding-3-small", "claude-haiku-4.5", "claude-sonnet-4.5", "claude-opus-4.6"} <= set(listed)
