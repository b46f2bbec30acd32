"""What is answered: the words in a prompt, the tools a client offers, the errors by name, and plain questions."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from twin_client import NOW, WEATHER, chat, copilot, decoded, function, message, new_state

from copilot_trio.twin import errors
from copilot_trio.twin.answers import arguments_for, shortened
from copilot_trio.twin.plan import Call, Plan, Text
from copilot_trio.twin.prompt import Prompt, Tool, read_chat, read_messages, read_responses
from copilot_trio.twin.scenario import Counters, make_plan
from copilot_trio.twin.state import State

BASH = function("Bash", {"type": "object", "properties": {"command": {}, "description": {}}, "required": ["command"]})
CAT = "cat '/f'"
TERMS = (
    "Access to this endpoint is forbidden. Please review our [Terms of Service]"
    "(https://docs.github.com/en/site-policy/github-terms/github-terms-of-service)."
)
WEEKLY = (
    '{"error":{"message":"Sorry, you\'ve exceeded your weekly rate limit. Please review our Terms of Service.",'
    '"code":"user_weekly_rate_limited"}}\n'
)
FILES = [function("write_file"), function("read_file")]


def plan(prompt: str, *, tools: list[Any] | None = None, counters: Counters | None = None) -> Plan:
    return make_plan(read_chat(chat(prompt, tools=tools or [])), counters or Counters(), NOW, 0.02)


def after(prompt: str, results: int, tools: list[Any]) -> Plan:
    """The plan once ``results`` tool results are in."""
    messages: list[Any] = [{"role": "user", "content": prompt}]
    for number in range(results):
        call = {"id": f"call_{number}", "function": {"name": "f", "arguments": "{}"}}
        messages += [
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{number}", "content": "done"},
        ]
    body = {"model": "gpt-4.1", "messages": messages, "tools": tools}
    return make_plan(read_chat(body), Counters(), NOW, 0.0)


def test_words_fill_in() -> None:
    assert plan("SCENARIO:text REPLY=ja").text == "ja"
    assert plan("SCENARIO:text").text == "RIG-TEXT-OK"
    assert plan("SCENARIO:unheard_of REPLY=ja").text == "ja"
    assert plan("first SCENARIO:refusal then SCENARIO:text REPLY=last").text == "last"


def test_a_stream_takes_its_time() -> None:
    planned = plan("SCENARIO:stream REPLY=w")
    assert planned.text.split() == [f"w-{number}" for number in range(12)]
    assert planned.delivery.pace == 0.25
    assert plan("SCENARIO:long REPLY=w").text.endswith("w-3999")


@pytest.mark.parametrize(("scenario", "field", "value"), [
    ("slow3", "delay", 3.0), ("stall4", "stall", 4.0), ("pings2", "pings", 2.0), ("cut", "cut", "reset"),
    ("truncate", "cut", "truncate"), ("connection_reset", "at", "start"),
])  # fmt: skip
def test_deliveries(scenario: str, field: str, value: object) -> None:
    assert getattr(plan(f"SCENARIO:{scenario}").delivery, field) == value


def test_variants_of_the_delivery() -> None:
    delivery = plan("SCENARIO:cut VARIANT:crlf,comment").delivery
    assert (delivery.crlf, delivery.comments, delivery.cut) == (True, True, "reset")


def test_flaky_counts_by_run() -> None:
    counters = Counters()
    statuses = []
    for run in ("a", "a", "a", "b"):
        failure = plan(f"SCENARIO:flaky503x2 RUN:{run}", counters=counters).failure
        statuses.append(failure.status if failure else 200)
    assert statuses == [503, 503, 200, 503]
    with_tools = plan("SCENARIO:flaky503x2 RUN:a", counters=counters, tools=FILES).failure
    assert with_tools is not None  # side requests without tools have a count of their own
    cuts = [plan("SCENARIO:cutx1 RUN:c", counters=counters).delivery.cut for _ in range(2)]
    assert cuts == ["reset", ""]


def test_counters_are_bounded() -> None:
    counters = Counters()
    counters.next("first")
    for number in range(10_000):
        counters.next(str(number))
    assert counters.next("first") == 1


def headers_of(prompt: str) -> dict[str, str]:
    failure = plan(prompt).failure
    assert failure is not None
    return dict(failure.headers)


def test_retry_after_in_every_form() -> None:
    assert headers_of("SCENARIO:ra429x1s7")["retry-after"] == "7"
    assert headers_of("SCENARIO:err429 VARIANT:retryafter,noretry") == {
        "x-content-type-options": "nosniff", "retry-after": "1", "x-should-retry": "false",
    }  # fmt: skip
    assert headers_of("SCENARIO:rate_limited VARIANT:retrynegative")["retry-after"] == "-9223372036"
    assert headers_of("SCENARIO:rate_limited VARIANT:retryhuge")["retry-after"] == "1234800"
    assert headers_of("SCENARIO:rate_limited VARIANT:retrydate")["retry-after"].endswith(" GMT")
    assert "rst=2026-09-21T16%3A13%3A20Z" in headers_of("SCENARIO:row38")["x-usage-ratelimit-session"]
    assert "x-usage-ratelimit-weekly" in headers_of("SCENARIO:user_weekly_rate_limited")


def test_shapes_of_an_error() -> None:
    html = plan("SCENARIO:err502 VARIANT:html").failure
    assert html is not None
    assert html.content_type.startswith("text/html")
    empty = plan("SCENARIO:err500 VARIANT:emptybody").failure
    assert empty is not None
    assert empty.body == b""
    for body, path in ((chat("SCENARIO:err400 VARIANT:ctxlen"), "/chat/completions"),
                       (message("SCENARIO:err400 VARIANT:ctxlen"), "/v1/messages")):  # fmt: skip
        reply = copilot(new_state(), path, body).reply
        assert reply.status == 400
        assert b"250000" in reply.body


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 429, 466, 499, 500, 503, 529])
def test_any_status(status: int) -> None:
    reply = copilot(new_state(), "/chat/completions", chat(f"SCENARIO:err{status}")).reply
    assert reply.status == status
    assert decoded(reply)["error"]["message"]
    vendor = decoded(copilot(new_state(), "/v1/messages", message(f"SCENARIO:err{status}")).reply)
    assert (vendor["type"], bool(vendor["error"]["type"])) == ("error", True)


@pytest.mark.parametrize("number", range(1, 46))
def test_every_row_of_the_catalogue_has_a_scenario(number: int) -> None:
    reply = copilot(new_state(), "/chat/completions", chat(f"SCENARIO:row{number}")).reply
    row = errors.NUMBERED[number]
    assert (reply.status, reply.body.decode()) == (row.status, row.body)
    assert "x-request-id" in dict(reply.headers)
    assert "x-quota-snapshot-chat" not in dict(reply.headers)


@pytest.mark.parametrize(("name", "status", "body"), [
    ("quota_exceeded", 402, '{"error":{"message":"You have no quota","code":"quota_exceeded"}}\n'),
    ("tos_block", 403, TERMS),
    ("misdirected", 421, "Misdirected Request\n"),
    ("item_id_401", 401, "input item ID does not belong to this connection\n"),
    ("empty_message", 400, '{"error":{"message":"","code":"invalid_request_body"}}\n'),
    ("user_weekly_rate_limited", 429, WEEKLY),
])  # fmt: skip
def test_errors_by_name(name: str, status: int, body: str) -> None:
    failure = plan(f"SCENARIO:{name}").failure
    assert failure is not None
    assert (failure.status, failure.body.decode()) == (status, body)
    assert failure.content_type == "text/plain; charset=utf-8"


def test_names_are_unique() -> None:
    assert len(errors.NAMED) > 60
    assert set(errors.NUMBERED) == set(range(1, 46))
    assert errors.named("row99") is None


def calls(planned: Plan) -> list[tuple[str, Any]]:
    return [(call.name, call.text if call.text is not None else call.arguments) for call in planned.calls]


def test_a_tool_loop_with_a_writer_and_a_reader() -> None:
    prompt = "SCENARIO:tool FILE=/tmp/f CONTENT=c"
    assert calls(after(prompt, 0, FILES)) == [("write_file", {"path": "/tmp/f", "content": "c"})]
    assert calls(after(prompt, 1, FILES)) == [("read_file", {"path": "/tmp/f"})]
    assert after(prompt, 2, FILES).text == "RIG-DONE c"
    assert plan(prompt).text == "RIG-TEXT-OK"  # no tools, no calls


def test_a_tool_loop_with_a_shell() -> None:
    tools = [BASH, function("Write", {"properties": {"file_path": {}, "content": {}}})]
    prompt = "SCENARIO:bigtool FILE=/f CONTENT=c"
    [(name, arguments)] = calls(after(prompt, 0, tools))
    assert (name, arguments["command"]) == ("Bash", "printf '%s' 'c' > '/f'")
    assert "description" in arguments
    assert calls(after(prompt, 1, tools))[0][1]["command"] == "cat '/f'"
    assert calls(after(prompt, 2, tools)) == [("Write", {"file_path": "/f.2", "content": "c" * 2000})]


@pytest.mark.parametrize(("name", "parameters", "expected"), [
    ("exec_command", {"properties": {"cmd": {"type": "string"}, "yield_time_ms": {"type": "number"}},
                      "required": ["cmd", "yield_time_ms"]}, {"cmd": CAT, "yield_time_ms": 10_000}),
    ("shell", {"properties": {"command": {"type": "array"}}}, {"command": ["bash", "-lc", CAT]}),
    ("run_terminal_cmd", {"properties": {"command": {}, "is_background": {"type": "boolean"}, "why": {}},
                          "required": ["is_background", "why"]},
     {"command": CAT, "is_background": False, "why": "twin"}),
])  # fmt: skip
def test_shells_of_all_sorts(name: str, parameters: Any, expected: dict[str, Any]) -> None:
    assert calls(after("SCENARIO:tool FILE=/f CONTENT=c", 1, [function(name, parameters)])) == [(name, expected)]


def test_patches() -> None:
    tools = [BASH, function("apply_patch", {"properties": {"patchText": {}}})]
    [(name, arguments)] = calls(after("SCENARIO:tool FILE=/f CONTENT=c", 2, tools))
    assert name == "apply_patch"
    assert "*** Add File: /f.2\n+c" in arguments["patchText"]


def test_parallel_calls() -> None:
    planned = plan("SCENARIO:parallel FILE=/f CONTENT=c", tools=FILES)
    assert [call.arguments["path"] for call in planned.calls] == ["/f", "/f.2"]
    assert after("SCENARIO:parallel FILE=/f CONTENT=c", 2, FILES).text == "RIG-DONE c"
    assert plan("SCENARIO:parallel", tools=[function("other")]).text == "RIG-DONE rig-content"


def test_a_script() -> None:
    script = base64.b64encode(b'[{"name": "read_file", "args": {"path": "x"}}, {"name": "q", "input": "y"}]').decode()
    prompt = f"SCENARIO:script SCRIPT={script} REPLY=end"
    assert calls(after(prompt, 0, FILES)) == [("read_file", {"path": "x"})]
    assert calls(after(prompt, 1, FILES)) == [("q", "y")]
    assert after(prompt, 2, FILES).text == "RIG-DONE end"
    assert plan("SCENARIO:script SCRIPT=!!!", tools=FILES).text.startswith("RIG-DONE")
    assert plan("SCENARIO:script SCRIPT=AAA", tools=FILES).text.startswith("RIG-DONE")


def test_deferred_tools_are_not_called() -> None:
    tools = [{"name": "write_file", "input_schema": WEATHER, "defer_loading": True}]
    planned = make_plan(read_messages(message("SCENARIO:tool", tools=tools)), Counters(), NOW, 0.0)
    assert planned.text == "RIG-DONE rig-content"


def test_a_plain_question_is_answered_about_itself() -> None:
    planned = plan("What is a nursery in Trio?")
    assert "“What is a nursery in Trio?”" in planned.text
    assert "This is the demo twin of gpt-4.1, no network was used." in planned.text
    assert planned.delivery.pace == 0.02
    assert "…" in plan("word " * 100).text
    assert "no text" in plan("").text
    reminded = plan("<system-reminder>secret</system-reminder> What now?").text
    assert "What now?" in reminded
    assert "secret" not in reminded


@pytest.mark.parametrize(
    "prompt", ["Please use get_weather for Paris", "call `get_weather` with Paris", "get_weather Paris"]
)
def test_a_tool_that_is_named_is_called(prompt: str) -> None:
    planned = plan(prompt, tools=[function("other"), function("get_weather")])
    assert calls(planned) == [("get_weather", {"city": "Paris", "unit": "celsius"})]
    assert planned.stop == "tool"


def test_a_tool_of_one_word_must_be_asked_for() -> None:
    tools = [function("write")]
    assert plan("write a poem", tools=tools).calls == []
    assert plan("use write on a.txt", tools=tools).calls[0].name == "write"


def test_a_tool_result_is_reported() -> None:
    planned = after("Please use get_weather for Paris", 1, [function("get_weather")])
    assert planned.calls == []
    assert "“done”" in planned.text


def test_thoughts_only_for_those_who_ask() -> None:
    asked = make_plan(read_messages(message("hi", thinking={"type": "adaptive"})), Counters(), NOW, 0.0)
    assert asked.thoughts
    assert not make_plan(read_messages(message("hi")), Counters(), NOW, 0.0).thoughts


def test_arguments_from_a_schema() -> None:
    schema = {
        "type": "object",
        "properties": {
            "path": {"type": ["string", "null"]},
            "lines": {"type": "array", "items": {"type": "integer"}},
            "options": {"type": "object", "properties": {"deep": {"type": "boolean"}}, "required": ["deep"]},
            "rate": {"type": "number"},
            "optional": {"type": "string"},
        },
        "required": ["path", "lines", "options", "rate"],
    }
    tool = Tool(name="read_file", schema=schema)
    assert arguments_for(tool, "read_file “my notes.txt” please") == {
        "path": "my notes.txt", "lines": [1], "options": {"deep": True}, "rate": 1,
    }  # fmt: skip
    assert arguments_for(Tool(name="f", schema={"properties": {"query": {}}}), "f") == {"query": "query"}
    assert arguments_for(Tool(name="f"), "f x") == {}
    endless: dict[str, Any] = {"type": "object", "required": ["again"], "properties": {}}
    endless["properties"]["again"] = endless
    assert arguments_for(Tool(name="f", schema=endless), "f x")["again"]["again"]["again"] == {"again": {}}


def test_custom_tools_get_words() -> None:
    body = {"model": "gpt-5.3-codex", "input": "use my_tool on a.txt", "tools": [{"type": "custom", "name": "my_tool"}]}
    assert calls(make_plan(read_responses(body), Counters(), NOW, 0.0)) == [("my_tool", "use my_tool on a.txt")]


def test_shortening() -> None:
    assert shortened("short") == "short"
    assert shortened("one two three", 8) == "one two…" or shortened("one two three", 8) == "one…"


def test_prompts_of_every_surface_read_alike() -> None:
    responses = read_responses(
        {
            "model": "m",
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
                {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "r"},
                {"type": "reasoning", "summary": []},
                {"type": "additional_tools", "tools": [{"type": "function", "name": "late"}]},
            ],
        }
    )
    messages = read_messages(
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": [{"type": "tool_use", "name": "f"}]},
                {"role": "user", "content": [{"type": "tool_result", "content": [{"type": "text", "text": "r"}]}]},
            ],
        }
    )
    completions = read_chat(
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]},
                {"role": "tool", "content": "r"},
            ],
        }
    )
    expected = [("user", "a"), ("call", "f"), ("result", "r")]
    for prompt in (responses, messages, completions):
        assert [(event.kind, event.text) for event in prompt.events] == expected
    assert [tool.name for tool in responses.tools] == ["late"]


@pytest.mark.parametrize("body", [
    {}, {"messages": "x"}, {"messages": [None, 3, {"role": 1}]}, {"input": [None, {"type": 5}]}, {"tools": [None, "x"]},
    {"messages": [{"role": "user", "content": [None, 3]}, {"role": "assistant", "tool_calls": [None]}]},
])  # fmt: skip
def test_readers_take_anything(body: dict[str, Any]) -> None:
    for read in (read_chat, read_messages, read_responses):
        assert isinstance(read(body), Prompt)


def test_a_fault_can_force_a_scenario() -> None:
    prompt = read_chat(chat("hello"))
    forced = make_plan(prompt, Counters(), NOW, 0.0, forced="misdirected")
    assert forced.failure is not None
    assert forced.failure.status == 421
    assert make_plan(prompt, Counters(), NOW, 0.0, forced="text").blocks == (Text("RIG-TEXT-OK"),)


def test_call_arguments_on_the_wire() -> None:
    assert msgspec.json.decode(Call(name="f", arguments={"a": 1}).wire_arguments) == {"a": 1}
    assert Call(name="f", text="as it is").wire_arguments == "as it is"


def test_plans_do_not_charge_for_failures() -> None:
    state: State = new_state()
    before = state.accounts["octo-dev"].remaining
    copilot(state, "/chat/completions", chat("SCENARIO:err500", "claude-opus-4.6"))
    copilot(state, "/chat/completions", chat("SCENARIO:errmid", "claude-opus-4.6"))
    assert state.accounts["octo-dev"].remaining == before


def test_parallel_calls_of_a_shell() -> None:
    planned = plan("SCENARIO:parallel FILE=/f CONTENT=c", tools=[BASH])
    assert [call.arguments["command"] for call in planned.calls] == [
        "printf '%s' 'c' > '/f'",
        "printf '%s' 'c' > '/f.2'",
    ]


def test_thinking_comes_before_each_call() -> None:
    planned = after("SCENARIO:thinktool FILE=/f CONTENT=c", 1, FILES)
    assert (planned.thoughts, planned.text, planned.calls[0].name) == ("RIG-THINKING step 1", "Step 1.", "read_file")


def test_a_question_without_tools_that_fit_is_only_answered() -> None:
    assert plan("SCENARIO:tool", tools=[function("unrelated")]).text == "RIG-DONE rig-content"
    assert plan("SCENARIO:script").text == "RIG-TEXT-OK"
