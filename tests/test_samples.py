"""What the gate and the envelope make of the requests that real clients send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gate_cases import MODERN, NEWEST, REASONS
from recordings import GEMINI, GPT, GPT5, OPUS, SONNET
from samples_of import Sample, load, names

from copilot_trio.dialects import DialectName
from copilot_trio.dialects.envelope import has_image, initiator, peek
from copilot_trio.dialects.gate import GateSettings, pass_gate
from copilot_trio.dialects.repair import without_encrypted, without_item_ids, without_thinking
from copilot_trio.dialects.thinking import auto_thinking
from copilot_trio.models.model import Model

ENDPOINTS: dict[DialectName, str] = {
    "messages": "/v1/messages",
    "chat": "/chat/completions",
    "responses": "/responses",
}
MODELS: dict[DialectName, list[Model]] = {
    "messages": [SONNET, OPUS, MODERN, NEWEST],
    "chat": [GPT, GPT5, SONNET, OPUS, GEMINI],
    "responses": [GPT5, REASONS],
}
# Names of members that the gate may cut or change, or put in, in whatever place.
GATED = {
    "annotations", "budget_tokens", "cache_control", "context_management", "copilot_cache_control", "defer_loading",
    "detail", "display", "eager_input_streaming", "effort", "id", "internal_chat_message_metadata_passthrough",
    "max_completion_tokens", "max_output_tokens",
    "max_tokens", "model", "output_config", "reasoning", "reasoning_content", "reasoning_effort", "reasoning_text",
    "role", "safeguards", "service_tier", "stream_options", "temperature", "thinking", "thinking_budget", "top_p",
}  # fmt: skip
GENERATING = [*names("POST"), *names("WS-FRAME")]
GENERATING = [name for name in GENERATING if "count_tokens" not in name and "embeddings" not in name]

AGENTS = {
    "claude_image_pdf_tool_results", "claude_sonnet-4.5_toolloop_last", "claude_subagent",
    "claude_unknown-model_gpt-4.1_toolloop_last", "claude_toolsearch_tool_reference",
    "codex_gpt-5.5_toolloop_last", "codex_gpt-6-sol_code-mode_toolloop_last", "codex_image_and_namespace_call",
    "codex_ws_frame3_tool_output", "cursor_agent_custom_tool", "cursor_agent_responses_shape",
    "cursor_ask_mixed_tools", "opencode_anthropic_toolloop_last", "opencode_compat_claude_toolloop_last",
    "opencode_compat_gpt-5.5", "opencode_openai_responses_toolloop_last", "py_anthropic_messages",
    "py_openai_chat_tools", "py_openai_responses", "qwen_toolloop_last",
}  # fmt: skip
WITH_IMAGES = {"claude_image_pdf_tool_results", "codex_image_and_namespace_call"}
SHAPED = {"cursor_agent_custom_tool", "cursor_agent_responses_shape"}


def route(sample: Sample) -> DialectName:
    if "/messages" in sample.path:
        return "messages"
    return "chat" if "/chat/" in sample.path else "responses"


def dialect(name: str, sample: Sample) -> DialectName:
    """In which the body is."""
    return "responses" if name in SHAPED else route(sample)


def test_the_samples_are_all_here() -> None:
    assert len(names()) == 56
    assert len(names("POST", "/v1/messages")) == 26
    assert {load(name).method for name in names()} == {"GET", "HEAD", "POST", "WS-FRAME"}


def test_no_sample_holds_a_key_or_a_cut_text() -> None:
    for name in names():
        sample = load(name)
        assert "…" not in sample.body.decode()
        for header, value in sample.headers.items():
            if header.lower() in {"authorization", "x-api-key"}:
                assert value in {"Bearer synthetic-key", "synthetic-key"}


@pytest.mark.parametrize("name", GENERATING)
def test_what_routing_needs_is_found(name: str) -> None:
    sample = load(name)
    envelope = peek(sample.body, route(sample))
    subagent = "x-claude-code-agent-id" in {header.lower() for header in sample.headers}
    assert envelope.model == json.loads(sample.body)["model"]
    assert initiator(envelope, subagent=subagent) == ("agent" if name in AGENTS else "user")
    assert has_image(envelope, sample.body) is (name in WITH_IMAGES)
    assert envelope.of_responses is (dialect(name, sample) == "responses")


CASES = [(name, model) for name in GENERATING for model in MODELS[dialect(name, load(name))]]


@pytest.mark.parametrize(("name", "model"), CASES, ids=[f"{name} {model.id}" for name, model in CASES])
def test_a_sample_passes_the_gate_with_nothing_changed_but_what_is_gated(name: str, model: Model) -> None:
    sample = load(name)
    endpoint = ENDPOINTS[dialect(name, sample)]
    left = pass_gate(sample.body, endpoint, model, GateSettings(), rename=True)
    assert pass_gate(left, endpoint, model, GateSettings(), rename=True) == left
    assert plain(json.loads(left)) == plain(mapped(json.loads(sample.body), model))
    assert json.loads(left)["model"] == model.id


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if key not in GATED}
    return value


def mapped(body: dict[str, Any], model: Model) -> dict[str, Any]:
    """What the gate does to the samples beyond cutting members, said once more and in another way."""
    unwanted = set() if "tool_choice" in body and "input" not in body else {"web_search", "web_search_20250305"}
    if "input" in body:
        _map_custom_calls(body)
    if "tools" in body:
        body["tools"] = [
            tool
            for tool in body["tools"]
            if tool.get("type") not in unwanted
            and (tool.get("name") != "DeferredToolPlaceholder" or model.supports.tool_search)
        ]
    if isinstance(body.get("system"), list):
        body["system"] = [block for block in body["system"] if "x-anthropic-billing-header" not in block["text"]]
    for message in body.get("messages", []) if isinstance(body.get("system"), list) else []:
        if message["role"] == "system" and isinstance(message["content"], str):
            message["content"] = f"<system-reminder>\n{message['content']}\n</system-reminder>"
        elif message["role"] == "system":
            (only,) = message["content"]
            only["text"] = f"<system-reminder>\n{only['text']}\n</system-reminder>"
        for block in message["content"] if not model.supports.tool_search else []:
            for number, part in enumerate(block.get("content", []) if isinstance(block, dict) else []):
                if isinstance(part, dict) and part["type"] == "tool_reference":
                    told = f"Tool {part['tool_name']} is now available."
                    block["content"][number] = {"type": "text", "text": told}
    return body


def _map_custom_calls(body: dict[str, Any]) -> None:
    custom = {tool["name"] for tool in body.get("tools", []) if tool["type"] == "custom"}
    calls = {item["call_id"] for item in body["input"] if item.get("name") in custom}
    for item in body["input"]:
        if item.get("call_id") in calls and item["type"].startswith("function_call"):
            item["type"] = "custom_tool" + item["type"].removeprefix("function")
            if "arguments" in item:
                item["input"] = item.pop("arguments")


@pytest.mark.parametrize("name", GENERATING)
def test_a_sample_thinks_by_itself_only_where_its_client_is_silent(name: str) -> None:
    sample = load(name)
    spoken = json.loads(sample.body).keys() & {"thinking", "reasoning", "reasoning_effort"}
    kind = dialect(name, sample)
    for model in MODELS[kind]:
        left = pass_gate(sample.body, ENDPOINTS[kind], model, GateSettings(), rename=True)
        made = auto_thinking(left, ENDPOINTS[kind], model, sample.body)
        if spoken:
            assert made is left
        elif made is not left:
            assert len(json.loads(made)) == len(json.loads(left)) + 1
            assert made.startswith(left[:-1])


@pytest.mark.parametrize("name", GENERATING)
def test_a_sample_can_be_repaired(name: str) -> None:
    body = load(name).body
    for repair in (without_thinking, without_item_ids, without_encrypted):
        left = repair(body)
        assert repair(left) is left
        assert json.loads(left).keys() >= json.loads(body).keys() - {"thinking"}
    assert b'"thinking","thinking":' not in without_thinking(body)
    assert b'"encrypted_content":' not in without_encrypted(body)
