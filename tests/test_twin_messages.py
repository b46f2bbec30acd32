"""``/v1/messages``: the shapes of its answers and what it refuses (upstream.md §10, §12)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twin_client import WEATHER, chunks, copilot, decoded, message, new_state, wire

from copilot_trio.twin.catalogue import MODELS
from copilot_trio.twin.state import State

TOOLS = [{"name": "write_file", "input_schema": WEATHER}, {"name": "read_file", "input_schema": WEATHER}]
THINKING = {"type": "enabled", "budget_tokens": 1024}
TOOL_SEARCH = {"anthropic-beta": "advanced-tool-use-2025-11-20"}


def send(body: object, state: State | None = None, *, beta: str = "") -> Any:
    headers = {"anthropic-beta": beta} if beta else {}
    return copilot(state or new_state(), "/v1/messages", body, headers=headers).reply


def stream(prompt: str, **more: Any) -> list[Any]:
    return chunks(send(message(prompt, stream=True, **more)))


def refusal(body: dict[str, Any], state: State | None = None, headers: dict[str, str] | None = None) -> str:
    reply = copilot(state or new_state(), "/v1/messages", body, headers=headers or {}).reply
    assert reply.status == 400
    assert reply.content_type == "text/plain; charset=utf-8"
    error = decoded(reply)["error"]
    assert error["code"] == "invalid_request_body"
    return str(error["message"])


def test_thinking_text_and_a_call() -> None:
    events = stream("SCENARIO:thinktool FILE=/a", tools=TOOLS, thinking=THINKING)
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 3
    started = events[0]["message"]
    assert (started["id"][:9], started["model"]) == ("msg_vrtx_", "claude-sonnet-4-5")
    assert started["usage"]["cache_creation"] == {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0}
    opened = [event["content_block"] for event in events if event["type"] == "content_block_start"]
    assert opened[0] == {"signature": "", "thinking": "", "type": "thinking"}
    assert opened[1] == {"text": "", "type": "text"}
    assert opened[2]["input"] == {}
    assert opened[2]["id"].startswith("toolu_vrtx_")


def test_deltas_of_thinking_and_arguments() -> None:
    events = stream("SCENARIO:thinktool FILE=/a CONTENT=c", tools=TOOLS)
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    thinking = [delta for delta in deltas if delta["type"] == "thinking_delta"]
    signature = next(index for index, delta in enumerate(deltas) if delta["type"] == "signature_delta")
    assert thinking[-1]["thinking"] == ""
    assert deltas[signature - 1] == thinking[-1]
    pieces = [delta["partial_json"] for delta in deltas if delta["type"] == "input_json_delta"]
    assert pieces[0] == ""
    assert msgspec.json.decode("".join(pieces)) == {"path": "/a", "content": "c"}


def test_the_end_carries_cost_and_usage_and_then_done() -> None:
    body = message("SCENARIO:text", stream=True)
    reply = send(body)
    closing = chunks(reply)[-2]
    assert list(closing) == ["copilot_usage", "delta", "type", "usage"]
    assert closing["delta"] == {"stop_details": None, "stop_reason": "end_turn", "stop_sequence": None}
    assert closing["usage"]["output_tokens_details"] == {"thinking_tokens": 0}
    assert wire(reply).endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\ndata: [DONE]\n\n')


def test_keys_are_sorted_at_every_level() -> None:
    for stream_it in (True, False):
        reply = send(message("SCENARIO:thinktool", tools=TOOLS, stream=stream_it))
        bodies = [frame.data for frame in reply.frames[:-1]] if reply.frames else [reply.body]
        for body in bodies:
            assert body == msgspec.json.encode(msgspec.json.decode(body), order="sorted")


def test_without_a_stream() -> None:
    body = decoded(send(message("SCENARIO:thinktool FILE=/a", tools=TOOLS)))
    assert [block["type"] for block in body["content"]] == ["thinking", "text", "tool_use"]
    assert (body["type"], body["role"], body["stop_reason"]) == ("message", "assistant", "tool_use")
    assert body["usage"]["output_tokens"] > 0
    assert body["copilot_usage"]["total_nano_aiu"] > 0


@pytest.mark.parametrize(("scenario", "reason"), [
    ("text", "end_turn"), ("maxtok", "max_tokens"), ("refusal", "refusal"), ("empty", "end_turn"),
])  # fmt: skip
def test_stop_reasons(scenario: str, reason: str) -> None:
    delta = stream(f"SCENARIO:{scenario}")[-2]["delta"]
    assert delta["stop_reason"] == reason
    assert (delta["stop_details"] is not None) == (reason == "refusal")


def test_cache_marks_are_written_and_read() -> None:
    marked = {"type": "text", "text": "word " * 100, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    usage = decoded(send(message("hi", system=[marked])))["usage"]
    assert usage["cache_creation_input_tokens"] > 50
    assert usage["input_tokens"] == 3
    history = [{"role": "user", "content": [marked]}, {"role": "assistant", "content": "a"}]
    body = message("hi") | {"messages": [*history, {"role": "user", "content": "b"}]}
    assert decoded(send(body))["usage"]["cache_read_input_tokens"] > 50


def test_rarer_shapes() -> None:
    redacted = stream("SCENARIO:redacted_thinking")[1]["content_block"]
    assert redacted["type"] == "redacted_thinking"
    assert redacted["data"]
    cited = [event for event in stream("SCENARIO:citations") if "copilot_annotations" in event]
    assert cited[0]["type"] == "content_block_delta"
    broken = stream("SCENARIO:errmid")
    assert broken[-1]["error"]["type"] == "overloaded_error"
    assert send(message("SCENARIO:errmid")).status == 529
    edited = send(
        message("SCENARIO:text", stream=True, context_management={"edits": []}),
        beta="context-management-2025-06-27",
    )
    assert chunks(edited)[-2]["context_management"] == {"applied_edits": []}
    assert [event["type"] for event in stream("SCENARIO:text VARIANT:nofinish")][-1] == "message_stop"
    unsigned = stream("SCENARIO:thinking VARIANT:nosignature")
    assert not any(event.get("delta", {}).get("type") == "signature_delta" for event in unsigned)


def test_usage_may_be_missing() -> None:
    events = stream("SCENARIO:text VARIANT:nousage")
    assert "usage" not in events[0]["message"]
    assert "usage" not in events[-2]
    assert "usage" not in decoded(send(message("SCENARIO:text VARIANT:nousage")))


@pytest.mark.parametrize(("field", "value"), [
    ("safeguards", {}), ("inference_geo", "eu"), ("nonsense", 1), ("context_management", {"edits": []}),
    ("effort", "high"), ("cache_control", {"type": "ephemeral"}), ("speed", "fast"),
])  # fmt: skip
def test_fields_that_are_not_known(field: str, value: Any) -> None:
    assert refusal(message("x", **{field: value})) == f"{field}: Extra inputs are not permitted"


def test_fields_that_are_missing_or_of_the_wrong_kind() -> None:
    body = message("x")
    del body["max_tokens"]
    assert refusal(body) == "max_tokens: Field required"
    assert refusal(message("x") | {"max_tokens": "many"}) == "max_tokens: Input should be a valid integer"
    assert refusal(message("x") | {"max_tokens": 0}).startswith("max_tokens: Input should be greater")
    assert refusal(message("x") | {"messages": []}).startswith("messages: at least one")
    assert refusal(message("x") | {"messages": "x"}) == "messages: Input should be a valid list"
    assert refusal(message("x") | {"messages": [{"role": "user"}]}) == "messages.0.content: Field required"


def test_roles_and_prefill() -> None:
    system = {"role": "system", "content": "x"}
    user = {"role": "user", "content": "x"}
    assert refusal(message("x") | {"messages": [user, system]}) == (
        "messages.1.role: Input should be 'user' or 'assistant'"
    )
    assert "assistant message prefill" in refusal(
        message("x") | {"messages": [user, {"role": "assistant", "content": "x"}]}
    )
    extra = user | {"output_config": {"effort": "high"}}
    assert refusal(message("x") | {"messages": [extra]}) == "messages.0.output_config: Extra inputs are not permitted"


def test_empty_and_unknown_blocks() -> None:
    empty = {"type": "text", "text": ""}
    for content in ([empty], [{"type": "tool_result", "tool_use_id": "t", "content": [empty]}]):
        assert refusal(message("x") | {"messages": [{"role": "user", "content": content}]}).endswith(
            "text content blocks must be non-empty"
        )
    assert refusal(message("x", system=[empty])) == "system: text content blocks must be non-empty"
    assert refusal(message("x", system=[{"type": "image"}])) == "system.0.type: Input should be 'text'"
    assert refusal(message("x") | {"messages": [{"role": "user", "content": ""}]}) == (
        "messages.0: all messages must have non-empty content"
    )
    strange = {"role": "user", "content": [{"type": "input_text", "text": "x"}]}
    assert refusal(message("x") | {"messages": [strange]}).startswith(
        "messages.0.content.0: Input tag 'input_text' found using 'type' does not match any of the expected tags: "
    )
    listed = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": "{}"}]}
    assert refusal(message("x") | {"messages": [listed]}) == (
        "messages.0.content.0.tool_use.input: Input should be a valid dictionary"
    )


def test_betas() -> None:
    assert refusal(
        message("x"), headers={"anthropic-beta": "afk-mode-2026-01-31, interleaved-thinking-2025-05-14"}
    ) == (
        "Unexpected value(s) `afk-mode-2026-01-31` for the `anthropic-beta` header. Please consult our documentation "
        "at docs.anthropic.com or try again without the header."
    )
    known = "interleaved-thinking-2025-05-14,context-management-2025-06-27,extended-cache-ttl-2025-04-11"
    assert send(message("x"), beta=known).status == 200
    assert "`claude-code-20250219`" in refusal(message("x"), headers={"anthropic-beta": "claude-code-20250219"})


def test_tools() -> None:
    deferred = [TOOLS[0] | {"defer_loading": True}]
    assert refusal(message("x", tools=deferred)) == "tools.0.custom.defer_loading: Extra inputs are not permitted"
    assert copilot(new_state(), "/v1/messages", message("x", tools=deferred), headers=TOOL_SEARCH).reply.status == 200
    for word in ("oneOf", "allOf", "anyOf"):
        combined = [{"name": "f", "input_schema": {word: []}}]
        assert refusal(message("x", tools=combined)).startswith("tools.0.custom.input_schema: ")
    assert refusal(message("x", tools=[{"name": "f"}])) == "tools.0.custom.input_schema: Field required"
    finder = [{"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}]
    assert "Input tag 'tool_search_tool_regex_20251119'" in refusal(message("x", tools=finder))
    assert copilot(new_state(), "/v1/messages", message("x", tools=finder), headers=TOOL_SEARCH).reply.status == 200


def test_tools_that_the_vendor_would_run() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    assert refusal(message("x", tools=[search])).endswith("use of the web search tool is not supported")
    fetch = {"type": "web_fetch_20250910", "name": "web_fetch"}
    assert refusal(message("x", tools=[fetch])).endswith("use of the web fetch tool is not supported")


def test_references_to_tools_need_the_search_for_tools() -> None:
    used = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "ToolSearch", "input": {}}]}
    found = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "f"}]}
    messages = [{"role": "user", "content": "x"}, used, {"role": "user", "content": [found]}]
    body = message("x") | {"messages": messages}
    assert refusal(body).startswith("messages.2.content.0.tool_result.content.0: Input tag 'tool_reference' found")
    assert copilot(new_state(), "/v1/messages", body, headers=TOOL_SEARCH).reply.status == 200


def test_cache_control() -> None:
    scoped = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "scope": "global"}}
    assert refusal(message("x", system=[scoped])) == (
        "system.0.cache_control.ephemeral.scope: Extra inputs are not permitted"
    )
    inner = {"type": "tool_result", "tool_use_id": "t", "content": [scoped]}
    assert refusal(message("x") | {"messages": [{"role": "user", "content": [inner]}]}).startswith(
        "messages.0.content.0.tool_result.content.0.cache_control"
    )
    marked = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    assert refusal(message("x", system=[marked] * 5)) == (
        "A maximum of 4 blocks with cache_control may be provided. Found 5."
    )


def test_thinking_settings() -> None:
    assert refusal(message("x", thinking={"type": "enabled", "budget_tokens": 4000})) == (
        "`max_tokens` must be greater than `thinking.budget_tokens`."
    )
    assert "greater than or equal to 1024" in refusal(message("x", thinking={"type": "enabled", "budget_tokens": 5}))
    assert refusal(message("x", thinking={"type": "enabled"})).endswith("budget_tokens: Field required")
    assert "Input tag 'adaptive'" in refusal(message("x", thinking={"type": "adaptive"}))
    assert send(message("x", "claude-opus-4.6", thinking={"type": "adaptive"})).status == 200
    assert "Input tag 'None'" in refusal(message("x", thinking={"budget_tokens": 2000}))
    assert refusal(message("x", "claude-opus-4.7", thinking=THINKING)).startswith(
        '"thinking.type.enabled" is not supported for this model.'
    )


@pytest.mark.parametrize(("thinking", "wanted"), [
    ({"type": "adaptive", "display": "omitted"}, "thinking.adaptive.display: Input should be 'summarized'"),
    (THINKING | {"display": "updates"}, "thinking.enabled.display: Input should be 'summarized'"),
    ({"type": "adaptive", "budget_tokens": 2000}, "thinking.adaptive.budget_tokens: Extra inputs are not permitted"),
    (THINKING | {"budget_tokens_max": 9}, "thinking.enabled.budget_tokens_max: Extra inputs are not permitted"),
    ({"type": "disabled", "display": "summarized"}, "thinking.disabled.display: Extra inputs are not permitted"),
])  # fmt: skip
def test_members_of_thinking(thinking: dict[str, Any], wanted: str) -> None:
    assert refusal(message("x", "claude-opus-4.6", thinking=thinking)) == wanted


def test_a_summary_of_the_thinking_may_be_asked_for() -> None:
    for thinking in ({"type": "adaptive", "display": "summarized"}, THINKING, {"type": "disabled"}):
        assert send(message("x", "claude-opus-4.6", thinking=thinking)).status == 200


@pytest.mark.parametrize(("beside", "wanted"), [
    ({"temperature": 0.1}, "`temperature` may only be set to 1"), ({"top_k": 5}, "`top_k` must be unset"),
    ({"top_p": 0.9}, "`top_p` must be greater"), ({"tool_choice": {"type": "any"}}, "tool_choice forces tool use"),
    ({"tool_choice": {"type": "tool", "name": "read_file"}}, "tool_choice forces tool use"),
])  # fmt: skip
@pytest.mark.parametrize("thinking", [THINKING, {"type": "adaptive"}], ids=["enabled", "adaptive"])
def test_what_cannot_stand_beside_thinking(thinking: dict[str, Any], beside: dict[str, Any], wanted: str) -> None:
    body = message("x", "claude-opus-4.6", tools=TOOLS, **beside)
    assert wanted in refusal(body | {"thinking": thinking})
    assert send(body).status == 200
    assert send(body | {"thinking": {"type": "disabled"}}).status == 200


def test_what_can_stand_beside_thinking() -> None:
    beside: dict[str, Any] = {"temperature": 1, "top_p": 1, "tool_choice": {"type": "auto"}}
    assert send(message("x", thinking=THINKING, tools=TOOLS, **beside)).status == 200


def test_output_config() -> None:
    def config(value: dict[str, Any], model: str = "claude-opus-4.6") -> dict[str, Any]:
        return message("x", model, output_config=value)

    wanted = "output_config.effort: Input should be 'low', 'medium', 'high'"
    assert refusal(config({"effort": "xhigh"})) == wanted
    assert refusal(config({"effort": "high"}, "claude-sonnet-4.5")) == (
        "This model does not support the effort parameter."
    )
    assert refusal(config({"task_budget": 1})) == "output_config.task_budget: Extra inputs are not permitted"
    schema = {"type": "json_schema", "schema": {"type": "object"}}
    nested = {"format": schema | {"json_schema": {}}}
    assert refusal(config(nested)) == "output_config.format.json_schema: Extra inputs are not permitted"
    assert send(config({"effort": "high", "format": schema})).status == 200
    assert send(config({"effort": "xhigh"}, "claude-opus-4.7")).status == 200


def replayed(state: State, thinking: dict[str, Any], model: str = "claude-sonnet-4.5") -> dict[str, Any]:
    history = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": [thinking, {"type": "text", "text": "ok"}]},
        {"role": "user", "content": "y"},
    ]
    return message("x", model) | {"messages": history}


def test_thinking_goes_back_only_as_it_came() -> None:
    state = new_state()
    block = decoded(send(message("SCENARIO:thinking"), state))["content"][0]
    assert send(replayed(state, block), state).status == 200
    wanted = "messages.1.content.0: Invalid `signature` in `thinking` block"
    altered = block | {"thinking": "something else"}
    unsigned = {"type": "thinking", "thinking": block["thinking"]}
    foreign = block | {"signature": "RXNpZy1zeW50aGV0aWM="}
    for bad in (altered, unsigned, foreign, block | {"signature": "über"}):
        assert refusal(replayed(state, bad), state) == wanted
    assert refusal(replayed(state, block, "claude-opus-4.6"), state) == wanted
    token = state.accounts["octo-work"].token
    other = copilot(state, "/v1/messages", replayed(state, block), token=token).reply
    assert decoded(other)["error"]["message"] == wanted
    marked = block | {"cache_control": {"type": "ephemeral"}}
    assert refusal(replayed(state, marked), state).endswith("thinking.cache_control: Extra inputs are not permitted")


def test_redacted_thinking_goes_back_only_as_it_came() -> None:
    state = new_state()
    block = decoded(send(message("SCENARIO:redacted_thinking"), state))["content"][0]
    assert send(replayed(state, block), state).status == 200
    assert "redacted_thinking" in refusal(replayed(state, {"type": "redacted_thinking", "data": "AAAA"}), state)
    assert "redacted_thinking" in refusal(replayed(state, block, "claude-opus-4.6"), state)


def test_calls_and_results_pair_up() -> None:
    used = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]}
    user = {"role": "user", "content": "x"}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}]}
    assert refusal(message("x") | {"messages": [user, used, user]}) == (
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1"
    )
    assert "unexpected `tool_use_id`" in refusal(message("x") | {"messages": [result]})
    assert send(message("x") | {"messages": [user, used, result]}).status == 200


def test_the_sample_claude_models_all_answer() -> None:
    for model in (model for model in MODELS.values() if model.family == "claude"):
        assert send(message("hi", model.id)).status == 200
