from __future__ import annotations

import json
import time
import uuid
from typing import Any

import openai
import pytest

from tests.clients.sdk_openai import replayed

TOOLS: list[Any] = [
    {
        "type": "function",
        "name": name,
        "description": name,
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
            "required": ["path"],
        },
    }
    for name in ("write_file", "read_file")
]
PROGRAM = 'print("hi")\n'
REASONING: dict[str, Any] = {
    "include": ["reasoning.encrypted_content"],
    "reasoning": {"effort": "low", "summary": "auto"},
}


@pytest.fixture
def client(base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=0, timeout=60)


def create(client: openai.OpenAI, model: str, prompt: Any, **fields: Any) -> Any:
    return client.responses.create(**{"model": model, "input": prompt, "store": False, **fields})


def test_text(client: openai.OpenAI, model: str) -> None:
    answer = create(client, model, "SCENARIO:text REPLY=yes", instructions="be brief")
    assert (answer.output_text, answer.status) == ("yes", "completed")
    assert answer.usage.output_tokens > 0


def test_stream(client: openai.OpenAI, model: str) -> None:
    arrived: list[float] = []
    text = ""
    last: Any = None
    for event in create(client, model, "SCENARIO:stream REPLY=s", stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
            arrived.append(time.monotonic())
        last = event
    assert text.endswith("s-11")
    assert arrived[-1] > arrived[0]
    assert last.type == "response.completed"
    assert last.response.output_text == text
    assert last.response.usage.input_tokens > 0


def test_events_keep_their_order_and_their_ids(client: openai.OpenAI, model: str) -> None:
    events = list(create(client, model, "SCENARIO:thinking REPLY=x", stream=True, **REASONING))
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))
    assert [events[0].type, events[-1].type] == ["response.created", "response.completed"]
    assert events[0].response.id == events[-1].response.id
    added = {event.output_index: event.item.id for event in events if event.type == "response.output_item.added"}
    done = {event.output_index: event.item.id for event in events if event.type == "response.output_item.done"}
    assert added == done
    assert [item.id for item in events[-1].response.output] == [done[index] for index in sorted(done)]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("scenario", ["tool", "parallel", "thinktool"])
def test_a_tool_loop_ends(client: openai.OpenAI, model: str, scenario: str, *, streamed: bool) -> None:
    """Everything that came is sent back as it came, reasoning and its proof included."""
    items: list[Any] = [
        {"role": "user", "content": f"SCENARIO:{scenario} FILE=/tmp/x CONTENT=cw3 RUN:{uuid.uuid4().hex}"}
    ]
    fields: dict[str, Any] = {"model": model, "tools": TOOLS, "store": False, **REASONING}
    written: dict[str, str] = {}
    for _ in range(6):
        if streamed:
            with client.responses.stream(input=items, **fields) as stream:
                for _event in stream:
                    pass
                answer: Any = stream.get_final_response()
        else:
            answer = client.responses.create(input=items, **fields)
        items += [replayed(item) for item in answer.output]
        calls = [item for item in answer.output if item.type == "function_call"]
        if not calls:
            assert "RIG-DONE" in answer.output_text
            assert set(written.values()) == {"cw3"}
            assert len(written) == (2 if scenario == "parallel" else 1)
            return
        for call in calls:
            arguments = json.loads(call.arguments)
            if call.name == "write_file":
                written[arguments["path"]] = arguments["content"]
            result = written.get(arguments["path"], "")
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    pytest.fail("no end after six turns")


def test_a_custom_tool_gets_its_text_raw(client: openai.OpenAI, model: str) -> None:
    script = (
        "W3sibmFtZSI6ICJydW4iLCAiaW5wdXQiOiAicHJpbnQoXCJoaVwiKVxuIn1d"  # [{"name": "run", "input": 'print("hi")\n'}]
    )
    tool: Any = {"type": "custom", "name": "run", "description": "Runs a program", "format": {"type": "text"}}
    items: list[Any] = [{"role": "user", "content": f"SCENARIO:script SCRIPT={script} REPLY=ran"}]
    answer = create(client, model, items, tools=[tool])
    (call,) = [item for item in answer.output if item.type == "custom_tool_call"]
    assert (call.name, call.input) == ("run", PROGRAM)
    items += [replayed(item) for item in answer.output]
    items.append({"type": "custom_tool_call_output", "call_id": call.call_id, "output": "hi"})
    assert create(client, model, items, tools=[tool]).output_text == "RIG-DONE ran"


def test_an_image(client: openai.OpenAI, model: str, picture: str) -> None:
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{picture}", "detail": "auto"}
    content = [{"type": "input_text", "text": "SCENARIO:text REPLY=seen"}, image]
    assert create(client, model, [{"role": "user", "content": content}]).output_text == "seen"


def test_a_wanted_format_is_no_matter(client: openai.OpenAI, model: str) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    wanted = {"format": {"type": "json_schema", "name": "a", "schema": schema, "strict": True}}
    assert create(client, model, "SCENARIO:text REPLY=js", text=wanted).output_text == "js"


def test_the_output_limit_makes_it_incomplete(client: openai.OpenAI, model: str) -> None:
    answer = create(client, model, "SCENARIO:maxtok REPLY=x")
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_errors_have_their_class(
    client: openai.OpenAI, model: str, status: int, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as caught:
        create(client, model, f"SCENARIO:err{status} RUN:{uuid.uuid4().hex}")
    assert caught.value.status_code == status
    assert "charged" in caught.value.message


@pytest.mark.parametrize("scenario", ["errmid", "cut"])
def test_a_stream_that_fails_says_so(client: openai.OpenAI, model: str, scenario: str) -> None:
    last: Any = list(create(client, model, f"SCENARIO:{scenario} RUN:{uuid.uuid4().hex}", stream=True))[-1]
    assert last.type == "response.failed"
    assert last.response.error.message


def test_zz_a_rate_limit_is_waited_for(base_url: str) -> None:
    """Last of this file: the account cools down for as long as upstream says."""
    patient = openai.OpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=2, timeout=60)
    began = time.monotonic()
    answer = create(patient, "gpt-5.3-codex", f"SCENARIO:ra429x1s2 REPLY=after RUN:{uuid.uuid4().hex}")
    assert answer.output_text == "after"
    assert time.monotonic() - began >= 1.9
