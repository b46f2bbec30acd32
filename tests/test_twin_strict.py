"""What the APIs in OpenAI's formats refuse, and what they take (upstream.md §7.1, §8.1, §12)."""

from __future__ import annotations

from typing import Any

import pytest
from twin_client import WEATHER, chat, copilot, decoded, function, new_state

from copilot_trio.twin.catalogue import MODELS, RESPONSES

CHAT_MODELS = [
    model.id for model in MODELS.values() if model.serves("/chat/completions") and model.policy != "disabled"
]
MARK = {"cache_control": {"type": "ephemeral"}}
CUSTOM = {"type": "custom", "name": "ApplyPatch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
FLAT = {"type": "function", "name": "f", "parameters": WEATHER}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def send(path: str, body: dict[str, Any]) -> Any:
    state = new_state()
    for account in state.accounts:
        account.accepted = set(MODELS)
    return copilot(state, path, body).reply


def refusal(path: str, body: dict[str, Any]) -> str:
    reply = send(path, body)
    assert (reply.status, reply.content_type) == (400, "text/plain; charset=utf-8")
    error = decoded(reply)["error"]
    assert error["code"] == "invalid_request_body"
    return str(error["message"])


def refused_chat(model: str = "gpt-4.1", **more: Any) -> str:
    return refusal("/chat/completions", chat("x", model) | more)


def refused(model: str = "gpt-5.3-codex", **more: Any) -> str:
    return refusal("/responses", {"model": model, "input": "x"} | more)


def taken(model: str = "gpt-5.3-codex", **more: Any) -> bool:
    return bool(send("/responses", {"model": model, "input": "x"} | more).status == 200)


@pytest.mark.parametrize("model", CHAT_MODELS)
@pytest.mark.parametrize("field", ["safeguards", "input", "thinking", "system", "context_management", "cache_control"])
def test_chat_fields_that_are_not_known(field: str, model: str) -> None:
    assert refused_chat(model, **{field: {}}) == f"Unknown parameter: '{field}'."


@pytest.mark.parametrize("model", CHAT_MODELS)
@pytest.mark.parametrize(("message", "place"), [
    ({"role": "user", "content": "x", **MARK}, "messages[0].cache_control"),
    ({"role": "assistant", "content": "x", "reasoning_content": "y"}, "messages[0].reasoning_content"),
    ({"role": "user", "content": [{"type": "text", "text": "x", **MARK}]}, "messages[0].content[0].cache_control"),
    ({"role": "assistant", "tool_calls": [CALL | MARK]}, "messages[0].tool_calls[0].cache_control"),
    ({"role": "assistant", "tool_calls": [CALL | {"function": {"name": "f", "arguments": "{}", **MARK}}]},
     "messages[0].tool_calls[0].function.cache_control"),
])  # fmt: skip
def test_members_of_chat_messages_that_are_not_known(message: dict[str, Any], place: str, model: str) -> None:
    assert refused_chat(model, messages=[message]) == f"Unknown parameter: '{place}'."


@pytest.mark.parametrize(("tool", "wanted"), [
    (CUSTOM, "Invalid value: 'custom'. Supported values are: 'function'."),
    ({"type": "custom", "custom": {"name": "ApplyPatch"}}, "Invalid value: 'custom'."),
    (FLAT, "Missing required parameter: 'tools[0].function'."),
    (function("f") | MARK, "Unknown parameter: 'tools[0].cache_control'."),
    ({"type": "function", "function": {"name": "f", "input_schema": {}}}, "Unknown parameter: 'tools[0].function.inp"),
])  # fmt: skip
def test_chat_tools(tool: dict[str, Any], wanted: str) -> None:
    assert refused_chat(tools=[tool]).startswith(wanted)


def test_chat_tool_choice() -> None:
    assert refused_chat(tool_choice={"type": "any"}).startswith("Invalid value: 'any'.")
    assert refused_chat(tool_choice="any").startswith("Invalid value: 'any'.")
    assert refused_chat(tool_choice={"type": "function", "name": "f"}) == (
        "Missing required parameter: 'tool_choice.function'."
    )
    for choice in ("none", "auto", "required", {"type": "function", "function": {"name": "f"}}):
        assert send("/chat/completions", chat("x", tools=[function("f")], tool_choice=choice)).status == 200


def test_chat_limits() -> None:
    assert refused_chat("gpt-5-mini", max_tokens=9).endswith("Use 'max_completion_tokens' instead.")
    assert "at the same time" in refused_chat(max_tokens=9, max_completion_tokens=9)
    assert send("/chat/completions", chat("x", "gpt-5-mini", max_completion_tokens=9)).status == 200
    assert send("/chat/completions", chat("x", "claude-sonnet-4.5", max_tokens=9)).status == 200


def test_chat_reasoning() -> None:
    assert refused_chat("gpt-5-mini", reasoning_effort="xhigh") == (
        "Unsupported value: 'xhigh' is not supported with the 'gpt-5-mini' model. "
        "Supported values are: 'low', 'medium', and 'high'."
    )
    unsupported = "Unsupported parameter: '{}' is not supported with this model."
    for model in ("gpt-4.1", "claude-sonnet-4.5", "gemini-2.5-pro"):
        assert refused_chat(model, reasoning_effort="low") == unsupported.format("reasoning_effort")
    assert refused_chat("gpt-4.1", thinking_budget=2000) == unsupported.format("thinking_budget")
    assert send("/chat/completions", chat("x", "gpt-5-mini", reasoning_effort="high")).status == 200
    assert send("/chat/completions", chat("x", "claude-sonnet-4.5", thinking_budget=2000)).status == 200


@pytest.mark.parametrize(("model", "status"), [
    ("gpt-4.1", 200), ("gpt-5-mini", 200), ("claude-sonnet-4.5", 400), ("gemini-2.5-pro", 400),
    ("grok-code-fast-1", 400),
])  # fmt: skip
def test_developers_speak_to_openai_only(model: str, status: int) -> None:
    messages = [{"role": "developer", "content": "x"}, {"role": "user", "content": "y"}]
    assert send("/chat/completions", chat("x", model) | {"messages": messages}).status == status


def test_parts_of_chat_content() -> None:
    strange = [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]
    assert refused_chat(messages=strange).startswith("Invalid value: 'input_text'. Supported values are: 'text', ")
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "auto"}}
    fine = [{"role": "user", "content": [{"type": "text", "text": "x"}, image]}]
    assert send("/chat/completions", chat("x") | {"messages": fine}).status == 200


def test_what_editors_send_is_taken_by_chat() -> None:
    messages = [
        {"role": "system", "content": "x", "copilot_cache_control": {"type": "ephemeral"}},
        {"role": "user", "content": "x", "name": "me"},
        {"role": "assistant", "content": "", "reasoning_text": "r", "reasoning_opaque": "o",
         "tool_calls": [CALL | {"index": 0}]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
    ]  # fmt: skip
    body = chat(
        "x", "claude-sonnet-4.5", temperature=0.1, top_p=1, n=1, max_tokens=100, snippy={"enabled": True},
        stream_options={"include_usage": True}, tools=[function("f")], tool_choice="auto", user="u", seed=1,
    )  # fmt: skip
    assert send("/chat/completions", body | {"messages": messages}).status == 200


@pytest.mark.parametrize(("field", "value"), [
    ("service_tier", "priority"), ("messages", []), ("max_tokens", 9), ("reasoning_effort", "low"), ("stop", "x"),
    ("safeguards", {}), ("generate", False), ("initiator", "user"), ("background", True), ("response_format", {}),
    ("stream_options", {}),
])  # fmt: skip
def test_fields_of_responses_that_are_not_known(field: str, value: Any) -> None:
    assert refused(**{field: value}) == f"Unknown parameter: '{field}'."


def test_stream_options_are_refused_by_their_member() -> None:
    assert refused(stream_options={"include_usage": True}) == "Unknown parameter: 'stream_options.include_usage'."


def test_limits_and_efforts_of_responses() -> None:
    assert refused(max_output_tokens=15) == (
        "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 15 instead."
    )
    assert taken(max_output_tokens=16)
    assert "'minimal' is not supported with the 'gpt-5.5' model" in refused("gpt-5.5", reasoning={"effort": "minimal"})
    assert refused(reasoning={"max_tokens": 1}) == "Unknown parameter: 'reasoning.max_tokens'."
    assert taken("gpt-5.5", reasoning={"effort": "xhigh", "summary": "auto", "context": "all_turns"})


@pytest.mark.parametrize("model", [model.id for model in MODELS.values() if model.serves(RESPONSES)])
def test_who_searches_the_web(model: str) -> None:
    tools = [{"type": "web_search", "external_web_access": True, "search_content_types": ["text", "image"]}]
    if model.startswith("gpt-5"):
        assert taken(model, tools=tools)
    else:
        assert refused(model, tools=tools) == f"Hosted tool 'web_search' is not supported with {model}."


def test_tools_of_responses() -> None:
    assert refused(tools=[function("f")]) == "Missing required parameter: 'tools[0].name'."
    assert refused(tools=[{"type": "wizard"}]).startswith("Invalid value: 'wizard'.")
    assert refused(tools=[FLAT | MARK]) == "Unknown parameter: 'tools[0].cache_control'."
    nested = {"type": "function", "function": {"name": "f"}}
    assert refused(tools=[FLAT], tool_choice=nested) == "Missing required parameter: 'tool_choice.name'."
    assert refused(tools=[FLAT], tool_choice="any").startswith("Invalid value: 'any'.")
    assert taken(tools=[FLAT], tool_choice={"type": "function", "name": "f"})


def test_items_of_responses() -> None:
    def item(**members: Any) -> str:
        return refused(input=[members])

    assert item(role="tool", content="x").startswith("Invalid value: 'tool'.")
    assert item(role="user", content=[{"type": "text", "text": "x"}]).startswith("Invalid value: 'text'.")
    assert item(type="thinking").startswith("Invalid value: 'thinking'.")
    assert item(role="user", content="x", **MARK) == "Unknown parameter: 'input[0].cache_control'."
    marked = [{"type": "input_text", "text": "x", **MARK}]
    assert item(role="user", content=marked) == "Unknown parameter: 'input[0].content[0].cache_control'."
    answered = {"type": "function_call_output", "call_id": "c", "output": [{"type": "text", "text": "x"}]}
    assert item(**answered).startswith("Invalid value: 'text'.")


@pytest.mark.parametrize(
    ("kind", "name"), [("function_call", "function call"), ("custom_tool_call", "custom tool call")]
)
def test_calls_and_outputs_pair_up(kind: str, name: str) -> None:
    call = {"type": kind, "call_id": "c1", "name": "f", "arguments": "{}", "input": ""}
    output = {"type": f"{kind}_output", "call_id": "c1", "output": "x"}
    assert refused(input=[output]) == f"No tool call found for {name} output with call_id c1."
    assert refused(input=[call]) == f"No tool output found for {name} c1."
    assert taken(input=[call, output])


def test_sealed_output_of_others() -> None:
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    sealed = [{"type": "encrypted_content", "encrypted_content": "gAAAAA"}]
    output = {"type": "function_call_output", "call_id": "c1", "output": sealed}
    assert refused(input=[call, output]) == ("Encrypted function output content could not be decrypted or decoded.")


def test_what_codex_sends_is_taken() -> None:
    tools = [
        FLAT | {"strict": False}, CUSTOM, {"type": "tool_search", "execution": "client"},
        {"type": "web_search", "external_web_access": True}, {"type": "namespace", "name": "n", "tools": [FLAT]},
    ]  # fmt: skip
    items = [
        {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [CUSTOM]},
        {"type": "message", "id": "msg_1", "role": "developer", "content": [{"type": "input_text", "text": "x"}]},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c1", "name": "ApplyPatch", "input": "x"},
        {"type": "custom_tool_call_output", "id": "ctco_1", "call_id": "c1",
         "output": [{"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "high"}]},
        {"type": "tool_search_call", "call_id": "c2", "execution": "client", "arguments": {}},
        {"type": "tool_search_output", "call_id": "c2", "execution": "client", "tools": [FLAT]},
        {"role": "user", "content": "y"},
    ]  # fmt: skip
    assert taken(
        input=items, tools=tools, tool_choice="auto", store=False, include=["reasoning.encrypted_content"],
        prompt_cache_key="k", client_metadata={"a": "b"}, text={"verbosity": "low"}, parallel_tool_calls=True,
        reasoning={"effort": "medium", "summary": "auto"}, user="u", truncation="disabled", instructions="x",
    )  # fmt: skip
