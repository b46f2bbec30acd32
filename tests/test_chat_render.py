from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recordings import GEMINI, GPT, GPT5, OPUS, SONNET

from copilot_trio.dialects.chat.render import clamp_effort, render_request
from copilot_trio.dialects.messages.parse import parse_request
from copilot_trio.errors import BadRequest
from copilot_trio.models.model import Model
from copilot_trio.turn import (
    Conversation,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    SearchHit,
    SearchTool,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    WebSearch,
)

HI = {"role": "user", "content": "hi"}
CACHE = {"type": "ephemeral"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
IMAGE_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object"}}


def text(words: str, **more: object) -> dict[str, object]:
    return {"type": "text", "text": words, **more}


def user(*blocks: object) -> dict[str, object]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: object) -> dict[str, object]:
    return {"role": "assistant", "content": list(blocks)}


def call(number: int) -> dict[str, object]:
    return {"type": "tool_use", "id": f"t{number}", "name": "f", "input": {"n": number}}


def chat_call(number: int) -> dict[str, object]:
    return {"id": f"t{number}", "type": "function", "function": {"name": "f", "arguments": f'{{"n":{number}}}'}}


def result(number: int, content: object = "r", **more: object) -> dict[str, object]:
    return {"type": "tool_result", "tool_use_id": f"t{number}", "content": content, **more}


def tool_answer(number: int, content: str = "r") -> dict[str, object]:
    return {"role": "tool", "tool_call_id": f"t{number}", "content": content}


def request(*messages: object, model: Model = GPT, **fields: object) -> bytes:
    body = msgspec.json.encode({"model": "asked", "messages": list(messages or [HI])} | fields)
    return render_request(parse_request(body), model)


def rendered(*messages: object, model: Model = GPT, **fields: object) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(request(*messages, model=model, **fields))
    return found


ASKED = assistant(call(1))
ASKED_1: dict[str, object] = {"role": "assistant", "content": None, "tool_calls": [chat_call(1)]}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([HI], [HI]),
        ([user(text("hi"))], [HI]),
        ([user(text("a"), text("b"))], [user(text("a"), text("b"))]),
        ([user(text("look"), IMAGE)], [user(text("look"), IMAGE_PART)]),
        (
            [user({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}})],
            [user({"type": "image_url", "image_url": {"url": "https://x/y.png"}})],
        ),
        (
            [HI, assistant(text("On it."), call(1)), user(result(1))],
            [HI, {"role": "assistant", "content": "On it.", "tool_calls": [chat_call(1)]}, tool_answer(1)],
        ),
        (
            [assistant(call(1), call(2)), user(result(1), result(2, "s"), text("and?"))],
            [
                {"role": "assistant", "content": None, "tool_calls": [chat_call(1), chat_call(2)]},
                tool_answer(1),
                tool_answer(2, "s"),
                {"role": "user", "content": "and?"},
            ],
        ),
        ([ASKED, user(text("first"), result(1))], [ASKED_1, tool_answer(1), {"role": "user", "content": "first"}]),
        ([ASKED, user(result(1, [text("a"), text("b")]))], [ASKED_1, tool_answer(1, "a\nb")]),
        ([ASKED, user(result(1, "no such file", is_error=True))], [ASKED_1, tool_answer(1, "Error: no such file")]),
        ([ASKED, user(result(1, None))], [ASKED_1, tool_answer(1, "")]),
        ([ASKED, user(result(1, []))], [ASKED_1, tool_answer(1, "")]),
        ([ASKED, user({"type": "tool_result", "tool_use_id": "t1"})], [ASKED_1, tool_answer(1, "")]),
        (
            [assistant(call(1), call(2)), user(result(1, [text("a"), IMAGE]), result(2), text("well?"))],
            [
                ASKED_1 | {"tool_calls": [chat_call(1), chat_call(2)]},
                tool_answer(1, "a\n(an image, in the user message below)"),
                tool_answer(2),
                user(text("The image of tool result t1:"), IMAGE_PART, text("well?")),
            ],
        ),
        (
            [ASKED, user(result(1, [IMAGE, IMAGE]))],
            [
                ASKED_1,
                tool_answer(1, "(an image, in the user message below)\n(an image, in the user message below)"),
                user(text("The images of tool result t1:"), IMAGE_PART, IMAGE_PART),
            ],
        ),
        (
            [assistant({"type": "thinking", "thinking": "h", "signature": "s"}, text("a"))],
            [{"role": "assistant", "content": "a", "reasoning_text": "h", "reasoning_opaque": "s"}],
        ),
        (
            [assistant({"type": "thinking", "thinking": "", "signature": "s"}, call(1)), user(result(1))],
            [ASKED_1 | {"reasoning_opaque": "s"}, tool_answer(1)],
        ),
        (
            [assistant({"type": "redacted_thinking", "data": "d"}, text("a"))],
            [{"role": "assistant", "content": "a"}],
        ),
        ([assistant()], [{"role": "assistant", "content": ""}]),
        ([{"role": "assistant", "content": "a"}], [{"role": "assistant", "content": "a"}]),
        ([ASKED, HI], [ASKED_1, tool_answer(1, "(no result)"), HI]),
        ([HI, user(result(1))], [HI, user(text("The result of tool call t1:"), text("r"))]),
        ([HI, {"role": "system", "content": "env"}], [HI, {"role": "system", "content": "env"}]),
        (
            [user({"type": "document", "title": "T", "source": {"type": "text", "data": "words"}})],
            [user(text("T\nwords"))],
        ),
        (
            [user({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}})],
            [user(text("(a document that this model's API cannot take: untitled, application/pdf)"))],
        ),
        (
            [user({"type": "document", "title": "T", "source": {"type": "url", "url": "https://x/y.pdf"}})],
            [user(text("(a document that this model's API cannot open: T https://x/y.pdf)"))],
        ),
        (
            [user({"type": "never_heard_of", "a": 1})],
            [{"role": "user", "content": '{"type":"never_heard_of","a":1}'}],
        ),
    ],
    ids=["string", "one text", "two texts", "image", "image url", "call and result", "parallel calls",
         "text before a result", "result of blocks", "failed result", "null result", "result of no blocks",
         "result without content", "image in a result", "images in a result", "thinking", "secret thinking",
         "redacted thinking", "empty answer", "answer string", "lost result", "lost call",
         "system in mid-conversation", "text document", "PDF",
         "document url", "unknown block"],
)  # fmt: skip
def test_messages_are_rendered(sent: list[object], expected: list[object]) -> None:
    assert rendered(*sent)["messages"] == expected


@pytest.mark.parametrize(
    ("system", "content"),
    [
        ("Be brief.", "Be brief."),
        ([text("a"), text("b")], "a\n\nb"),
        ([text("x-anthropic-billing-header: v;"), text("b")], "b"),
    ],
    ids=["string", "blocks", "billing header"],
)
def test_the_system_prompt_is_one_message(system: object, content: str) -> None:
    assert rendered(system=system)["messages"] == [{"role": "system", "content": content}, HI]


def test_thinking_is_never_shown_as_text() -> None:
    message = rendered(assistant({"type": "thinking", "thinking": "secret plan", "signature": "s"}, text("a")))
    assert message["messages"][0]["content"] == "a"


@pytest.mark.parametrize(
    ("model", "marked"),
    [(SONNET, True), (OPUS, True), (GPT, False), (GEMINI, False)],
    ids=lambda value: str(value)[:20],
)
def test_cache_breakpoints_are_for_anthropic_only(model: Model, marked: bool) -> None:
    body = request(user(text("a", cache_control=CACHE)), system=[text("s", cache_control=CACHE)], model=model)
    assert body.count(b'"copilot_cache_control":{"type":"ephemeral"}') == (2 if marked else 0)


def test_a_cache_breakpoint_is_on_the_last_of_what_its_message_became() -> None:
    messages = rendered(assistant(call(1), call(2)), user(result(1), result(2, cache_control=CACHE)), model=SONNET)[
        "messages"
    ]
    assert ["copilot_cache_control" in message for message in messages] == [False, False, True]


# ---- tools


def test_tools_are_functions() -> None:
    assert rendered(tools=[TOOL, {"name": "g", "strict": True}])["tools"] == [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
        {
            "type": "function",
            "function": {
                "name": "g",
                "description": "",
                "parameters": {"type": "object", "properties": {}},
                "strict": True,
            },
        },
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, "auto"),
        ({"type": "any"}, "required"),
        ({"type": "none"}, "none"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
    ],
    ids=["auto", "any", "none", "tool"],
)
def test_a_tool_choice_has_its_counterpart(choice: object, expected: object) -> None:
    assert rendered(tools=[TOOL], tool_choice=choice)["tool_choice"] == expected


def test_a_tool_choice_without_tools_is_left_out() -> None:
    assert "tool_choice" not in rendered(tool_choice={"type": "auto"})


def test_parallel_calls_can_be_disabled() -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert rendered(tools=[TOOL], tool_choice=choice)["parallel_tool_calls"] is False


def test_nothing_is_said_of_parallel_calls_otherwise() -> None:
    assert "parallel_tool_calls" not in rendered(tools=[TOOL], tool_choice={"type": "auto"})


# ---- settings


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        (GPT, 100, {"max_tokens": 100}),
        (GPT, 64000, {"max_tokens": 16384}),
        (GPT5, 100, {"max_completion_tokens": 100}),
        (GPT5, 128000, {"max_completion_tokens": 64000}),
        (Model(id="o3-mini"), 128000, {"max_completion_tokens": 128000}),
        (Model(id="unknown"), 128000, {"max_tokens": 128000}),
        (GPT, None, {}),
    ],
    ids=["as asked", "clamped", "newer name", "newer name clamped", "o-series", "no limit listed", "silent"],
)
def test_max_tokens_has_the_models_name_and_limit(model: Model, asked: int | None, expected: dict[str, int]) -> None:
    body = rendered(max_tokens=asked, model=model)
    assert {name: value for name, value in body.items() if name.startswith("max_")} == expected


@pytest.mark.parametrize(("model", "sent"), [(GPT, True), (GEMINI, True), (SONNET, True), (GPT5, False)])
def test_sampling_goes_to_models_that_take_it(model: Model, sent: bool) -> None:
    body = rendered(temperature=0.5, top_p=0.9, model=model)
    assert ("temperature" in body, "top_p" in body) == (sent, sent)


def test_stop_sequences_are_stop() -> None:
    assert rendered(stop_sequences=["a", "b"])["stop"] == ["a", "b"]


def test_a_stream_asks_for_its_usage() -> None:
    body = rendered(stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_a_whole_answer_is_asked_for_by_silence() -> None:
    assert set(rendered()) == {"model", "messages"}


def test_the_model_has_upstreams_name() -> None:
    assert rendered()["model"] == "gpt-4.1"


def test_an_output_schema_is_a_response_format() -> None:
    config = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert rendered(output_config=config)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "output", "schema": {"type": "object"}},
    }


@pytest.mark.parametrize("field", ["metadata", "top_k", "service_tier", "context_management", "safeguards"])
def test_what_has_no_counterpart_is_left_out(field: str) -> None:
    fields: dict[str, Any] = {field: {"user_id": "u"}}
    assert field.encode() not in request(**fields)


TALK = Conversation((Message("user", (Text("hi"),)),))


def sent(model: Model = GPT, **fields: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(render_request(msgspec.structs.replace(TALK, **fields), model))
    return found


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"output_schema": msgspec.Raw(b"{}"), "output_name": "n", "output_strict": True},
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
        ),
        (
            {"output_schema": msgspec.Raw(b"{}"), "output_strict": False},
            {"type": "json_schema", "json_schema": {"name": "output", "schema": {}, "strict": False}},
        ),
        ({"output_json": True}, {"type": "json_object"}),
    ],
    ids=["named and strict", "not strict", "any JSON"],
)
def test_the_form_of_an_answer_has_its_counterpart(fields: dict[str, Any], expected: object) -> None:
    assert sent(**fields)["response_format"] == expected


@pytest.mark.parametrize(("model", "known"), [(GPT5, True), (GPT, False), (SONNET, False), (GEMINI, False)])
def test_verbosity_is_for_models_that_know_it(model: Model, known: bool) -> None:
    assert sent(model, verbosity="low").get("verbosity") == ("low" if known else None)


def test_a_search_beside_tools_is_left_out_and_forced_it_is_not() -> None:
    tool = Tool("f", "", msgspec.Raw(b"{}"))
    body = sent(tools=(tool,), search=SearchTool(), tool_choice=ToolChoice("tool", "web_search"))
    assert len(body["tools"]) == 1
    assert "tool_choice" not in body


def test_a_request_for_nothing_but_a_search_is_refused() -> None:
    with pytest.raises(BadRequest, match="web search"):
        sent(search=SearchTool())


def test_an_images_detail_goes_on() -> None:
    image = Image(url="https://x/y.png", detail="low")
    conversation = Conversation((Message("user", (image,)),))
    (part,) = msgspec.json.decode(render_request(conversation, GPT))["messages"][0]["content"]
    assert part["image_url"] == {"url": "https://x/y.png", "detail": "low"}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((Refusal("No."),), {"content": "No."}),
        ((Text("Well. "), Refusal("No.")), {"content": "Well. No."}),
        ((Thinking("h", "enc@rs_1"), Text("a")), {"content": "a", "reasoning_text": "h"}),
        ((Thinking("", "redacted:UkVE"), Text("a")), {"content": "a"}),
        ((Thinking("h", "s"), Thinking("", "e@i")), {"content": "", "reasoning_text": "h", "reasoning_opaque": "s"}),
        (
            (WebSearch("s", "q", (SearchHit("https://x", "X"),)), Text("a")),
            {"content": "\n(searched the web: q)\n- X https://x\na"},
        ),
        ((WebSearch("s", "q", error="e"),), {"content": "\n(searched the web: q; it failed: e)\n"}),
    ],
    ids=["refusal", "text and refusal", "a Responses model's proof", "redacted", "the chat proof of two", "search",
         "failed search"],
)  # fmt: skip
def test_what_other_dialects_answered_is_rendered(parts: tuple[Part, ...], expected: dict[str, object]) -> None:
    conversation = Conversation((Message("assistant", parts),))
    assert msgspec.json.decode(render_request(conversation, GPT))["messages"] == [{"role": "assistant", **expected}]


# ---- reasoning

ENABLED = {"type": "enabled", "budget_tokens": 10000}


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (GPT, {"thinking": ENABLED}, {}),
        (GPT5, {}, {}),
        (GPT5, {"thinking": {"type": "disabled"}}, {}),
        (GPT5, {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, {}),
        (GPT5, {"output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
        (GEMINI, {"output_config": {"effort": "low"}}, {}),
        (GPT5, {"thinking": {"type": "adaptive"}}, {"reasoning_effort": "medium"}),
        (GPT5, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, {"reasoning_effort": "low"}),
        (GPT5, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, {"reasoning_effort": "high"}),
        (GPT5, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
        (GPT5, {"thinking": ENABLED}, {"reasoning_effort": "medium"}),
        (GPT5, {"thinking": {"type": "enabled", "budget_tokens": 31999}}, {"reasoning_effort": "high"}),
        (GEMINI, {"thinking": {"type": "disabled"}}, {}),
        (GEMINI, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, {"thinking_budget": 4096}),
        (GEMINI, {"thinking": ENABLED}, {"thinking_budget": 10000}),
        (GEMINI, {"thinking": {"type": "adaptive"}}, {"thinking_budget": 32768}),
        (GEMINI, {"thinking": {"type": "enabled", "budget_tokens": 99999}}, {"thinking_budget": 32768}),
        (GEMINI, {"thinking": {"type": "enabled", "budget_tokens": 1}}, {"thinking_budget": 128}),
        (GEMINI, {"thinking": ENABLED, "max_tokens": 5000}, {"thinking_budget": 4999}),
        (GEMINI, {"thinking": ENABLED, "max_tokens": 100}, {}),
        (SONNET, {"thinking": ENABLED, "max_tokens": 99999}, {"thinking_budget": 10000}),
    ],
)
def test_reasoning_is_what_the_model_lists(
    model: Model, fields: dict[str, object], expected: dict[str, object]
) -> None:
    body = rendered(model=model, **fields)
    assert {name: body[name] for name in ("reasoning_effort", "thinking_budget") if name in body} == expected


def test_a_budget_stays_below_the_max_tokens_that_are_sent() -> None:
    limits = msgspec.structs.replace(GEMINI.limits, max_output_tokens=8000)
    small = msgspec.structs.replace(GEMINI, capabilities=msgspec.structs.replace(GEMINI.capabilities, limits=limits))
    body = rendered(model=small, max_tokens=64000, thinking={"type": "enabled", "budget_tokens": 31999})
    assert (body["max_tokens"], body["thinking_budget"]) == (8000, 7999)


def test_a_budget_of_nothing_is_not_sent() -> None:
    conversation = Conversation((Message("user", (Text("hi"),)),), reasoning=Reasoning(True, 0))
    supports = msgspec.structs.replace(GEMINI.supports, min_thinking_budget=0)
    model = msgspec.structs.replace(
        GEMINI, capabilities=msgspec.structs.replace(GEMINI.capabilities, supports=supports)
    )
    assert b"thinking_budget" not in render_request(conversation, model)


@pytest.mark.parametrize(
    ("wanted", "listed", "effort"),
    [
        ("high", ["low", "medium", "high"], "high"),
        ("max", ["low", "medium", "high"], "high"),
        ("xhigh", ["low", "max"], "low"),
        ("low", ["medium", "high"], "medium"),
        ("medium", ["high", "low"], "low"),
        ("unheard-of", ["low", "medium", "high"], "medium"),
        ("high", ["unheard-of"], "high"),
        ("high", [], "high"),
    ],
)
def test_an_effort_is_clamped_to_the_list(wanted: str, listed: list[str], effort: str) -> None:
    assert clamp_effort(wanted, listed) == effort


# ---- bytes that caches depend on


def test_the_same_request_gives_the_same_bytes() -> None:
    sent = [user(text("a"), IMAGE), assistant(text("b"), call(1)), user(result(1))]
    assert request(*sent, tools=[TOOL]) == request(*sent, tools=[TOOL])


def test_a_longer_conversation_keeps_the_bytes_of_the_shorter() -> None:
    shorter = [user(text("a"), IMAGE), assistant(text("b"), call(1)), user(result(1))]
    longer = [*shorter, assistant(text("c")), user(text("d"))]
    system = [text("s", cache_control=CACHE)]
    prefix = request(*shorter, system=system, model=SONNET).removesuffix(b"]}")
    assert request(*longer, system=system, model=SONNET).startswith(prefix + b",")


def test_a_schema_goes_on_byte_for_byte() -> None:
    schema = msgspec.Raw(b'{ "type" : "object", "x":1.0 }')
    conversation = Conversation((Message("user", (Text("hi"),)),), tools=(Tool("f", "", schema),))
    assert bytes(schema) in render_request(conversation, GPT)


def test_a_calls_arguments_go_on_as_the_client_wrote_them() -> None:
    body = (
        b'{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f",'
        b'"input":{ "b" : 1.50 }}]}]}'
    )
    sent = msgspec.json.decode(render_request(parse_request(body), GPT))
    assert sent["messages"][0]["tool_calls"][0]["function"]["arguments"] == '{ "b" : 1.50 }'
