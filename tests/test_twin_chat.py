"""The shapes of ``/chat/completions``, vendor by vendor (upstream.md §7)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twin_client import chat, chunks, copilot, decoded, function, new_state, wire

TOOLS = [function("write_file"), function("read_file")]
PARALLEL = "SCENARIO:parallel FILE=/a CONTENT=x"
MODELS = ["gpt-4.1", "claude-sonnet-4.5", "gemini-2.5-pro"]


def stream(prompt: str, model: str = "gpt-4.1", **more: Any) -> list[Any]:
    return chunks(copilot(new_state(), "/chat/completions", chat(prompt, model, stream=True, **more)).reply)


def whole(prompt: str, model: str = "gpt-4.1", **more: Any) -> Any:
    return decoded(copilot(new_state(), "/chat/completions", chat(prompt, model, **more)).reply)


def deltas(events: list[Any]) -> list[Any]:
    return [event["choices"][0]["delta"] for event in events if event["choices"]]


def text(events: list[Any]) -> str:
    return "".join(delta.get("content") or "" for delta in deltas(events))


def finishes(events: list[Any]) -> list[str]:
    reasons = [event["choices"][0].get("finish_reason") for event in events if event["choices"]]
    return [reason for reason in reasons if reason]


def call_parts(events: list[Any]) -> list[Any]:
    return [part for delta in deltas(events) for part in delta.get("tool_calls", [])]


def test_gpt_text() -> None:
    events = stream("SCENARIO:text REPLY=hello")
    first, role, content, finish, usage = events
    assert first["choices"] == []
    assert (first["created"], first["id"], first["model"], first["object"]) == (0, "", "", "")
    assert first["prompt_filter_results"][0]["content_filter_results"]["hate"]["severity"] == "safe"
    assert role["choices"][0]["delta"] == {"content": "", "refusal": None, "role": "assistant"}
    assert list(role) == ["choices", "created", "id", "model", "object", "system_fingerprint", "usage"]
    assert content["choices"][0]["delta"] == {"content": "hello"}
    assert content["choices"][0]["content_filter_results"]["violence"] == {"filtered": False, "severity": "safe"}
    assert (content["model"], content["usage"]) == ("gpt-4.1-2025-04-14", None)
    assert (finish["choices"][0]["delta"], finish["choices"][0]["finish_reason"]) == ({}, "stop")
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"] == usage["usage"]["prompt_tokens"] + usage["usage"]["completion_tokens"]
    assert usage["copilot_usage"]["total_nano_aiu"] == 0


def test_framing() -> None:
    body = wire(copilot(new_state(), "/chat/completions", chat("SCENARIO:text", stream=True)).reply)
    assert b"event:" not in body
    assert body.endswith(b"data: [DONE]\n\n")
    assert all(line.startswith(b"data: ") for line in body.split(b"\n\n")[:-1])


def test_gpt_parallel_calls_have_indexes_and_stream_their_arguments() -> None:
    events = stream(PARALLEL, tools=TOOLS)
    parts = call_parts(events)
    openings = [part for part in parts if "id" in part]
    assert [part["index"] for part in openings] == [0, 1]
    assert all(part["function"]["arguments"] == "" for part in openings)
    assert all(set(part) == {"function", "index"} for part in parts if "id" not in part)
    for index, path in enumerate(["/a", "/a.2"]):
        arguments = "".join(part["function"]["arguments"] for part in parts if part["index"] == index)
        assert msgspec.json.decode(arguments) == {"path": path, "content": "x"}
    assert finishes(events) == ["tool_calls"]


def test_a_gpt_call_without_text_names_the_speaker() -> None:
    encoded = "W3sibmFtZSI6ICJyZWFkX2ZpbGUiLCAiYXJncyI6IHsicGF0aCI6ICJhIn19XQ=="
    events = stream(f"SCENARIO:script SCRIPT={encoded}", tools=TOOLS)
    assert deltas(events)[0]["role"] == "assistant"
    assert deltas(events)[0]["content"] is None
    assert text(events) == ""


def test_claude_text_and_usage_in_the_finish_chunk() -> None:
    events = stream("SCENARIO:text REPLY=hello", "claude-sonnet-4.5")
    assert [list(event) for event in events[:-1]] == [["choices", "created", "id", "model"]]
    assert events[0]["choices"][0] == {"index": 0, "delta": {"content": "hello", "role": "assistant"}}
    assert events[0]["model"] == "claude-sonnet-4-5"
    assert events[0]["id"].count("-") == 4
    assert events[-1]["choices"][0] == {"finish_reason": "stop", "index": 0, "delta": {"content": None}}
    assert events[-1]["usage"]["prompt_tokens_details"] == {"cached_tokens": 0}


def test_claude_parallel_calls_all_have_index_zero() -> None:
    parts = call_parts(stream(PARALLEL, "claude-sonnet-4.5", tools=TOOLS))
    assert {part["index"] for part in parts} == {0}
    openings = [part for part in parts if "id" in part]
    assert len({part["id"] for part in openings}) == 2
    assert all("arguments" not in part["function"] for part in openings)
    assert all(part["id"].startswith("toolu_vrtx_") for part in openings)


def test_claude_thinks_before_it_speaks() -> None:
    said = deltas(stream("SCENARIO:thinking REPLY=ok", "claude-sonnet-4.5"))
    assert "".join(delta.get("reasoning_text", "") for delta in said) == "RIG-THINKING about it"
    opaque = [index for index, delta in enumerate(said) if "reasoning_opaque" in delta]
    spoken = [index for index, delta in enumerate(said) if delta.get("content")]
    assert len(opaque) == 1
    assert opaque[0] < spoken[0]


def test_a_follow_up_reads_from_the_cache() -> None:
    body = chat("one", "claude-sonnet-4.5")
    body["messages"] += [{"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}]
    usage = decoded(copilot(new_state(), "/chat/completions", body).reply)["usage"]
    assert 0 < usage["prompt_tokens_details"]["cached_tokens"] < usage["prompt_tokens"]


def test_gemini_repeats_the_role_and_zeroes_the_usage() -> None:
    events = stream(PARALLEL, "gemini-2.5-pro", tools=TOOLS)
    assert all("object" not in event for event in events)
    assert all(delta["role"] == "assistant" for delta in deltas(events))
    assert all(event["usage"]["total_tokens"] == 0 for event in events[:-1])
    parts = call_parts(events)
    assert [part["index"] for part in parts] == [0, 1]
    assert [msgspec.json.decode(part["function"]["arguments"])["path"] for part in parts] == ["/a", "/a.2"]
    assert finishes(events) == ["tool_calls"]


def test_gemini_counts_reasoning_in_the_total_only() -> None:
    usage = stream("SCENARIO:thinking REPLY=ok", "gemini-2.5-pro")[-1]["usage"]
    assert usage["reasoning_tokens"] > 0
    assert usage["total_tokens"] == (usage["prompt_tokens"] + usage["completion_tokens"] + usage["reasoning_tokens"])


@pytest.mark.parametrize(("prompt", "place"), [
    ("SCENARIO:thinking REPLY=a", "finish"),
    ("SCENARIO:thinking VARIANT:opaque_middle REPLY=a", "text"),
    ("SCENARIO:thinktool VARIANT:opaque_text FILE=/a", "text"),
    ("SCENARIO:thinktool FILE=/a", "call"),
    ("SCENARIO:thinktool VARIANT:opaque_finish FILE=/a", "finish"),
])  # fmt: skip
def test_gemini_puts_its_opaque_reasoning_in_four_places(prompt: str, place: str) -> None:
    events = stream(prompt, "gemini-2.5-pro", tools=TOOLS)
    [event] = [event for event in events if "reasoning_opaque" in event["choices"][0]["delta"]]
    delta = event["choices"][0]["delta"]
    found = {"text": bool(delta["content"]), "call": "tool_calls" in delta}
    found["finish"] = "finish_reason" in event["choices"][0]
    assert found[place]


@pytest.mark.parametrize("model", MODELS)
def test_the_reply_without_a_stream(model: str) -> None:
    body = whole("SCENARIO:thinking REPLY=hello", model)
    assert list(body)[:5] == ["choices", "created", "id", "usage", "model"]
    assert "object" not in body
    message = body["choices"][0]["message"]
    assert (message["content"], message["role"], len(message["padding"])) == ("hello", "assistant", 14)
    assert ("reasoning_opaque" in message) == (model != "gpt-4.1")
    assert body["copilot_usage"]["token_details"]
    called = whole(PARALLEL, model, tools=TOOLS)["choices"][0]
    assert called["finish_reason"] == "tool_calls"
    assert [msgspec.json.decode(call["function"]["arguments"])["path"] for call in called["message"]["tool_calls"]] == [
        "/a",
        "/a.2",
    ]


def test_text_and_calls_may_come_as_two_choices() -> None:
    choices = whole(f"{PARALLEL} VARIANT:splitchoices", "claude-sonnet-4.5", tools=TOOLS)["choices"]
    assert choices[0]["message"]["content"] == "Running two tools."
    assert len(choices[1]["message"]["tool_calls"]) == 2


@pytest.mark.parametrize("model", MODELS)
def test_the_stream_and_the_whole_reply_say_the_same(model: str) -> None:
    prompt = "SCENARIO:text REPLY=same"
    assert text(stream(prompt, model)) == whole(prompt, model)["choices"][0]["message"]["content"]
    assert text(stream("SCENARIO:long", model)) == whole("SCENARIO:long", model)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("scenario", "reason"), [("maxtok", "length"), ("refusal", "content_filter"), ("empty", "stop")]
)
def test_finish_reasons(model: str, scenario: str, reason: str) -> None:
    assert finishes(stream(f"SCENARIO:{scenario}", model)) == [reason]
    assert whole(f"SCENARIO:{scenario}", model)["choices"][0]["finish_reason"] == reason


@pytest.mark.parametrize("model", MODELS)
def test_an_error_in_mid_stream_is_the_last_frame(model: str) -> None:
    reply = copilot(new_state(), "/chat/completions", chat("SCENARIO:errmid", model, stream=True)).reply
    assert reply.frames is not None
    last = msgspec.json.decode(reply.frames[-1].data)
    assert last == {"error": {"code": 500, "message": "upstream failure", "metadata": {}}, "model": model}
    assert copilot(new_state(), "/chat/completions", chat("SCENARIO:errmid", model)).reply.status == 500


@pytest.mark.parametrize("model", MODELS)
def test_variants_leave_things_out(model: str) -> None:
    assert finishes(stream("SCENARIO:text VARIANT:nofinish", model)) == []
    assert not any(event.get("usage") for event in stream("SCENARIO:text VARIANT:nousage", model))
    assert "usage" not in whole("SCENARIO:text VARIANT:nousage", model)
    body = chat("SCENARIO:text VARIANT:nodone", model, stream=True)
    assert b"[DONE]" not in wire(copilot(new_state(), "/chat/completions", body).reply)
    body = chat("SCENARIO:text VARIANT:jsonreply", model, stream=True)
    assert copilot(new_state(), "/chat/completions", body).reply.frames is None


def test_legacy_reasoning_comes_after_the_finish_reason() -> None:
    events = stream("SCENARIO:cot")
    assert any("cot_summary" in delta for delta in deltas(events))
    finish = next(index for index, event in enumerate(events) if event["choices"] and finishes([event]))
    assert events[finish + 1]["choices"][0]["delta"]["cot_id"].startswith("cot_")


def test_filters_annotations_and_frames_without_choices() -> None:
    filtered = stream("SCENARIO:content_filter")
    assert finishes(filtered) == ["content_filter"]
    assert "TextCopyright" in deltas(filtered)[-1]["copilot_annotations"]
    assert "TextCopyright" in whole("SCENARIO:content_filter")["choices"][0]["message"]["copilot_annotations"]
    assert any(
        "IPCodeCitations" in delta.get("copilot_annotations", {}) for delta in deltas(stream("SCENARIO:annotations"))
    )
    assert any(
        "CodeVulnerability" in delta.get("copilot_annotations", {})
        for delta in deltas(stream("SCENARIO:vulnerability"))
    )
    assert stream("SCENARIO:references")[0]["choices"] is None
    assert stream("SCENARIO:agent_errors")[0]["copilot_errors"][0]["code"] == "agent_failed"
    assert stream("SCENARIO:confirmation")[0]["copilot_confirmation"]["confirmation"] == {"id": "c1"}


def test_the_cost_may_be_inside_the_usage() -> None:
    usage = stream("SCENARIO:text VARIANT:usageinside")[-1]
    assert "copilot_usage" in usage["usage"]
    assert "copilot_usage" not in usage
