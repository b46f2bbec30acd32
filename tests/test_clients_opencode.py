from __future__ import annotations

from clients_offer import entry, page, target

from copilot_trio.clients import opencode
from copilot_trio.clients.document import change
from copilot_trio.clients.json_text import JsonDocument
from copilot_trio.clients.offer import Target, read_models


def test_every_model_comes_with_both_limits_and_what_it_can() -> None:
    content = JsonDocument(change(JsonDocument("{}"), opencode.wanted(target())).text).content()
    assert content["model"] == "copilot-trio/claude-sonnet-4.5"
    assert content["small_model"] == "copilot-trio/claude-haiku-4.5"
    provider = content["provider"]["copilot-trio"]
    assert provider["npm"] == "@ai-sdk/openai-compatible"
    assert provider["options"] == {"baseURL": "http://127.0.0.1:4141/v1", "apiKey": "any"}
    models = provider["models"]
    assert len(models) == 8
    assert all(model["limit"].keys() == {"context", "input", "output"} for model in models.values())
    assert models["gpt-5.3-codex"]["limit"] == {"context": 400_000, "input": 272_000, "output": 16_000}
    assert models["gemini-2.5-pro"]["modalities"]["input"] == ["text", "image"]
    assert models["gpt-5-mini"]["reasoning"] is True
    assert "attachment" not in models["gpt-4.1"]


def test_models_that_are_offered_no_more_go_at_the_next_time_and_those_of_others_stay() -> None:
    first = change(JsonDocument('{"provider": {"mine": {"models": {}}}}'), opencode.wanted(target()))
    mine = JsonDocument(first.text).put(("provider", "copilot-trio", "models", "own"), '{"name": "own"}')
    models = read_models(page(entry("gpt-4.1")))
    fewer = Target("http://127.0.0.1:4141", models, models[0], models[0])
    provider = JsonDocument(change(mine, opencode.wanted(fewer), first.memory).text).content()["provider"]
    assert provider["copilot-trio"]["models"].keys() == {"gpt-4.1", "own"}
    assert provider["mine"] == {"models": {}}


def test_models_without_tools_are_left_out_unless_chosen() -> None:
    models = read_models(page(entry("a"), entry("b", tool_calls=False), entry("c", tool_calls=False)))
    wanted = opencode.wanted(Target("http://h", models, models[0], models[1]))
    assert [path[-1] for path in wanted if path[-2:-1] == ("models",)] == ["a", "b"]


def test_the_usual_models() -> None:
    main, small = opencode.usual(read_models(page()))
    assert (main.id, small.id) == ("claude-sonnet-4.5", "gpt-5-mini")
    main, small = opencode.usual(read_models(page(entry("gemini-2.5-pro"), entry("gpt-4.1"))))
    assert (main.id, small.id) == ("gemini-2.5-pro", "gemini-2.5-pro")
