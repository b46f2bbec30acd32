"""``/responses``: its events, the ids that change with each, and what it refuses to take back (upstream.md §8)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twin_client import DEV, chunks, copilot, decoded, new_state, wire

from copilot_trio.twin.identifiers import Identifiers, Seal
from copilot_trio.twin.state import State

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": name, "parameters": {}} for name in ("write_file", "read_file")
]
SECRETS = {"include": ["reasoning.encrypted_content"]}


def ask(prompt: object, state: State | None = None, **more: Any) -> Any:
    body = {"model": "gpt-5.3-codex", "input": prompt, **more}
    return copilot(state or new_state(), "/responses", body).reply


def stream(prompt: object, **more: Any) -> list[Any]:
    return chunks(ask(prompt, stream=True, **more))


def ids(value: Any) -> list[str]:
    if isinstance(value, list):
        return [found for item in value for found in ids(item)]
    if not isinstance(value, dict):
        return []
    own = [item for name, item in value.items() if name in {"id", "item_id"} and isinstance(item, str)]
    return own + [found for item in value.values() for found in ids(item)]


def test_a_text_with_a_reasoning_summary() -> None:
    events = stream("SCENARIO:thinking REPLY=hello")
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds == [
        "created", "in_progress", "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.delta", "reasoning_summary_text.delta", "reasoning_summary_text.done",
        "reasoning_summary_part.done", "output_item.done", "output_item.added", "content_part.added",
        "output_text.delta", "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["copilot_usage"]["total_nano_aiu"] > 0
    assert "copilot_usage" not in events[-1]["response"]
    assert events[-1]["response"]["output"][1]["content"][0]["text"] == "hello"
    assert events[-1]["response"]["output"][1]["phase"] == "final_answer"


def test_frames_are_named_and_sorted_and_there_is_no_done() -> None:
    reply = ask("SCENARIO:text", stream=True)
    assert b"[DONE]" not in wire(reply)
    for frame in reply.frames:
        event = msgspec.json.decode(frame.data)
        assert frame.name == event["type"]
        assert frame.data == msgspec.json.encode(event, order="sorted")


def test_every_id_is_another() -> None:
    found = ids(stream("SCENARIO:thinktool FILE=/a", tools=TOOLS, **SECRETS))
    found = [each for each in found if not each.startswith("call_")]
    assert len(found) == len(set(found)) > 15
    assert all(400 <= len(each) <= 500 for each in found)


def test_calls_keep_their_call_id() -> None:
    events = stream("SCENARIO:tool FILE=/a CONTENT=c", tools=TOOLS)
    calls = [event["item"] for event in events if event.get("item", {}).get("type") == "function_call"]
    final = [item for item in events[-1]["response"]["output"] if item["type"] == "function_call"]
    assert len({item["call_id"] for item in [*calls, *final]}) == 1
    assert calls[0]["arguments"] == ""
    deltas = [event for event in events if event["type"] == "response.function_call_arguments.delta"]
    assert "".join(event["delta"] for event in deltas) == calls[1]["arguments"] == final[0]["arguments"]
    assert all(event["obfuscation"] for event in deltas)


def test_parallel_calls_and_other_turns_have_other_call_ids() -> None:
    output = decoded(ask("SCENARIO:parallel FILE=/a", tools=TOOLS))["output"]
    assert len({item["call_id"] for item in output if item["type"] == "function_call"}) == 2


def test_custom_tools_get_text() -> None:
    tools = [{"type": "custom", "name": "exec"}, {"type": "custom", "name": "apply_patch"}]
    events = stream("SCENARIO:tool FILE=/a CONTENT=c", tools=tools)
    [done] = [event for event in events if event["type"] == "response.custom_tool_call_input.done"]
    assert "tools.exec_command" in done["input"]
    item = events[-1]["response"]["output"][1]
    assert (item["type"], item["input"]) == ("custom_tool_call", done["input"])


def test_namespaces_come_back() -> None:
    tools = [{"type": "namespace", "name": "files", "tools": TOOLS}]
    output = decoded(ask("SCENARIO:tool FILE=/a", tools=tools))["output"]
    assert output[1]["namespace"] == "files"


SEARCH = {"type": "web_search", "external_web_access": True}


def test_a_search_and_what_it_found() -> None:
    events = stream("tell me SCENARIO:search REPLY=news", tools=[*TOOLS, SEARCH])
    kinds = [event["type"].removeprefix("response.") for event in events if "delta" not in event]
    assert kinds == [
        "created", "in_progress", "output_item.added", "web_search_call.in_progress", "web_search_call.searching",
        "web_search_call.completed", "output_item.done", "output_item.added", "content_part.added",
        "output_text.annotation.added", "output_text.annotation.added", "output_text.done", "content_part.done",
        "output_item.done", "completed",
    ]  # fmt: skip
    assert "action" not in events[2]["item"]
    search, answer = events[-1]["response"]["output"]
    assert (search["type"], search["status"]) == ("web_search_call", "completed")
    assert search["action"] == {"type": "search", "query": "tell me"}
    [part] = answer["content"]
    assert part["text"].startswith("news")
    noted = [event for event in events if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation"] for event in noted] == part["annotations"]
    assert [event["annotation_index"] for event in noted] == [0, 1]
    for number, citation in enumerate(part["annotations"]):
        cited = part["text"][citation["start_index"] : citation["end_index"]]
        assert cited == f"According to {citation['title']} it is so."
        assert (citation["type"], citation["url"][:19]) == ("url_citation", "https://example.com")
        assert number == part["annotations"].index(citation)
    assert events[-1]["response"]["tool_usage"]["web_search"] == {"num_requests": 1}
    assert events[0]["response"]["tool_usage"]["web_search"] == {"num_requests": 0}


def test_when_the_twin_searches() -> None:
    def kinds(**more: Any) -> list[str]:
        return [item["type"] for item in decoded(ask("what is new?", **more))["output"]]

    assert kinds(tools=[SEARCH]) == ["web_search_call", "message"]
    assert kinds(tools=[*TOOLS, SEARCH]) == ["message"]
    assert kinds(tools=[*TOOLS, SEARCH], tool_choice={"type": "web_search"}) == ["web_search_call", "message"]
    without = decoded(ask("SCENARIO:search", tools=TOOLS))["output"]
    assert [item["type"] for item in without] == ["message"]
    assert ask("SCENARIO:err429", tools=[SEARCH]).status == 429


def test_the_sources_of_a_search_only_if_asked_for() -> None:
    [search, _] = decoded(ask("x", tools=[SEARCH], include=["web_search_call.action.sources"]))["output"]
    assert [source["type"] for source in search["action"]["sources"]] == ["url", "url"]


def test_a_search_may_be_replayed() -> None:
    state = new_state()
    search = decoded(ask("x", state, tools=[SEARCH]))["output"][0]
    assert replay(state, search).status == 200


def test_encrypted_content_only_if_asked_for() -> None:
    without = decoded(ask("SCENARIO:thinking"))["output"][0]
    assert without["encrypted_content"] is None
    events = stream("SCENARIO:thinking", **SECRETS)
    secrets = [
        event["item"]["encrypted_content"] for event in events if event.get("item", {}).get("type") == "reasoning"
    ]
    secrets.append(events[-1]["response"]["output"][0]["encrypted_content"])
    assert len(set(secrets)) == 3


def replay(state: State, item: dict[str, Any], token: str = "") -> Any:
    items = [{"role": "user", "content": "x"}, item, {"role": "user", "content": "y"}]
    body = {"model": "gpt-5.3-codex", "input": items}
    return copilot(state, "/responses", body, token=token or DEV).reply


def test_reasoning_goes_back_to_its_own_account_only() -> None:
    state = new_state()
    item = decoded(ask("SCENARIO:thinking", state, **SECRETS))["output"][0]
    assert replay(state, item).status == 200
    other = state.accounts["octo-work"].token
    foreign = replay(state, item, other)
    assert decoded(foreign)["error"]["message"] == "input item ID does not belong to this connection"
    without_id = {name: value for name, value in item.items() if name != "id"}
    assert replay(state, without_id).status == 200
    assert b"could not be decrypted or parsed" in replay(state, without_id, other).body
    assert b"could not be decrypted or parsed" in replay(state, item | {"encrypted_content": "AAAA"}).body


def test_an_id_must_match_its_content() -> None:
    state = new_state()
    output = decoded(ask("SCENARIO:thinking", state, **SECRETS))["output"]
    assert b"did not match the target item id" in replay(state, output[0] | {"id": output[1]["id"]}).body


def test_ids_of_others_are_ignored() -> None:
    message = {
        "type": "message",
        "role": "assistant",
        "id": "msg_123",
        "content": [{"type": "output_text", "text": "x"}],
    }
    assert replay(new_state(), message).status == 200


def test_no_state_is_kept() -> None:
    assert decoded(ask("x", previous_response_id="resp_1"))["error"]["code"] == "previous_response_not_found"
    assert replay(new_state(), {"type": "item_reference", "id": "x"}).status == 400


@pytest.mark.parametrize("body", [{"input": None}, {"input": 3}, {"input": "x", "stream_options": {}}])
def test_what_is_refused(body: dict[str, Any]) -> None:
    assert copilot(new_state(), "/responses", {"model": "gpt-5.3-codex", **body}).reply.status == 400


def test_other_endings() -> None:
    cut_off = stream("SCENARIO:maxtok")[-1]
    assert cut_off["type"] == "response.incomplete"
    assert cut_off["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    filtered = decoded(ask("SCENARIO:content_filter"))
    assert (filtered["status"], filtered["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    assert stream("SCENARIO:errmid")[-1]["type"] == "error"
    failed = stream("SCENARIO:errmid VARIANT:failed")[-1]
    assert (failed["type"], failed["response"]["error"]["code"]) == ("response.failed", "server_error")
    twice = stream("SCENARIO:errmid VARIANT:doubleerror")[-2:]
    assert [event["type"] for event in twice] == ["response.failed", "error"]
    assert twice[1]["sequence_number"] == twice[0]["sequence_number"] + 1
    assert ask("SCENARIO:errmid").status == 500
    assert stream("SCENARIO:text VARIANT:nofinish")[-1]["type"] == "response.output_item.done"


def test_without_a_stream_the_cost_is_at_the_top() -> None:
    body = decoded(ask("SCENARIO:text REPLY=hello"))
    assert body["object"] == "response"
    assert body["status"] == "completed"
    assert body["output"][0]["content"][0]["text"] == "hello"
    assert body["usage"]["total_tokens"] == body["usage"]["input_tokens"] + body["usage"]["output_tokens"]
    assert body["copilot_usage"]["token_details"]


def test_seals_open_only_what_they_closed() -> None:
    seal = Seal(Identifiers(1))
    blob = seal.close("item 1", "octo-dev")
    assert seal.open(blob) == ("octo-dev", "item 1")
    assert blob != seal.close("item 1", "octo-dev")
    assert seal.open(blob[:-8] + "AAAAAAA=") is None
    assert seal.open("msg_123") is None
    assert seal.open("") is None
    assert seal.open("ünreadable") is None
    assert Seal(Identifiers(2)).open(blob) is None
