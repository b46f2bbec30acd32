from __future__ import annotations

import asyncio
import base64
import json
import struct
import time
import uuid
from typing import Any

import openai
import pytest

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": name,
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
                "required": ["path"],
            },
        },
    }
    for name in ("write_file", "read_file")
]


@pytest.fixture
def client(base_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=0, timeout=60)


def user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_models_are_listed(client: openai.OpenAI) -> None:
    ids = [model.id for model in client.models.list()]
    assert {"gpt-4.1", "gpt-5.3-codex", "claude-sonnet-4.5", "gemini-2.5-pro"} <= set(ids)
    assert client.models.retrieve("gpt-4.1").owned_by == "Azure OpenAI"


def test_text(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=user("SCENARIO:text REPLY=yes"))
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("yes", "stop")
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_stream(client: openai.OpenAI, model: str) -> None:
    arrived: list[float] = []
    text, finish, usage = "", None, None
    for chunk in client.chat.completions.create(
        model=model, messages=user("SCENARIO:stream REPLY=s"), stream=True, stream_options={"include_usage": True}
    ):
        if chunk.choices and chunk.choices[0].delta.content:
            text += chunk.choices[0].delta.content
            arrived.append(time.monotonic())
        finish = (chunk.choices[0].finish_reason if chunk.choices else None) or finish
        usage = chunk.usage or usage
    assert text.endswith("s-11")
    assert finish == "stop"
    assert usage is not None
    assert arrived[-1] > arrived[0]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("scenario", ["tool", "parallel"])
def test_a_tool_loop_ends(client: openai.OpenAI, model: str, scenario: str, *, streamed: bool) -> None:
    messages = user(f"SCENARIO:{scenario} FILE=/tmp/x CONTENT=cw1 RUN:{uuid.uuid4().hex}")
    written: dict[str, str] = {}
    for _ in range(6):
        if streamed:
            with client.chat.completions.stream(model=model, messages=messages, tools=TOOLS) as stream:
                for _event in stream:
                    pass
                message: Any = stream.get_final_completion().choices[0].message
        else:
            message = client.chat.completions.create(model=model, messages=messages, tools=TOOLS).choices[0].message
        messages.append(message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}))
        if not message.tool_calls:
            assert "RIG-DONE" in (message.content or "")
            assert set(written.values()) == {"cw1"}
            assert len(written) == (2 if scenario == "parallel" else 1)
            return
        for call in message.tool_calls:
            arguments = json.loads(call.function.arguments)
            if call.function.name == "write_file":
                written[arguments["path"]] = arguments["content"]
            result = written.get(arguments["path"], "")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    pytest.fail("no end after six turns")


def test_an_image(client: openai.OpenAI, model: str, picture: str) -> None:
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}
    content = [{"type": "text", "text": "SCENARIO:text REPLY=seen"}, image]
    messages: Any = [{"role": "user", "content": content}]
    assert client.chat.completions.create(model=model, messages=messages).choices[0].message.content == "seen"


def test_fields_of_today_and_of_yesterday(client: openai.OpenAI, model: str) -> None:
    prompt: list[Any] = [{"role": "developer", "content": "be brief"}, *user("SCENARIO:text REPLY=ok")]
    schema: Any = {"name": "a", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
    for fields in (
        {"max_completion_tokens": 50},
        {"max_tokens": 50, "temperature": 0, "user": "somebody"},
        {"response_format": {"type": "json_schema", "json_schema": schema}},
    ):
        answer = client.chat.completions.create(model=model, messages=prompt, **fields)
        assert answer.choices[0].message.content == "ok"


def test_the_output_limit_is_a_finish_reason(client: openai.OpenAI, model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=user("SCENARIO:maxtok REPLY=x"))
    assert answer.choices[0].finish_reason == "length"


def test_a_long_answer_is_whole(client: openai.OpenAI, model: str) -> None:
    stream = client.chat.completions.create(model=model, messages=user("SCENARIO:long REPLY=w"), stream=True)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    assert text.split() == [f"w-{number}" for number in range(4000)]


def test_sixteen_at_once_get_each_their_own(base_url: str, model: str) -> None:
    async def ask(client: openai.AsyncOpenAI, reply: str) -> str:
        stream = await client.chat.completions.create(
            model=model, messages=user(f"SCENARIO:text REPLY={reply}"), stream=True
        )
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=0, timeout=60) as client:
            return await asyncio.gather(*[ask(client, reply) for reply in replies])

    replies = [f"r{number}" for number in range(16)]
    assert asyncio.run(ask_all()) == replies


@pytest.mark.parametrize("encoding", ["base64", "float"])
def test_embeddings(client: openai.OpenAI, encoding: Any) -> None:
    found = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"], encoding_format=encoding)
    assert [entry.index for entry in found.data] == [0, 1]
    assert found.usage.total_tokens > 0
    alone = client.embeddings.create(model="text-embedding-3-small", input="one")
    first, same = found.data[0].embedding, alone.data[0].embedding
    if encoding == "base64":
        assert isinstance(first, str)
        first = list(struct.unpack(f"<{len(base64.b64decode(first)) // 4}f", base64.b64decode(first)))
    assert first == pytest.approx(same)
    assert first != pytest.approx(found.data[1].embedding if encoding == "float" else [0.0] * len(first))


@pytest.mark.parametrize(
    ("prompt", "error", "status"),
    [
        ("SCENARIO:err400", openai.BadRequestError, 400),
        ("SCENARIO:err403", openai.PermissionDeniedError, 403),
        ("SCENARIO:err404", openai.NotFoundError, 404),
        ("SCENARIO:err500", openai.InternalServerError, 500),
        ("SCENARIO:err502 VARIANT:html", openai.InternalServerError, 502),
        ("SCENARIO:err503", openai.InternalServerError, 503),
    ],
)
def test_errors_have_their_class(
    client: openai.OpenAI, prompt: str, error: type[openai.APIStatusError], status: int
) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(model="gpt-4.1", messages=user(f"{prompt} RUN:{uuid.uuid4().hex}"))
    assert caught.value.status_code == status
    assert caught.value.body is not None
    assert "charged" in caught.value.message


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="This account is offered") as caught:
        client.chat.completions.create(model="nobody", messages=user("hi"))
    assert caught.value.code == "model_not_found"


def test_an_error_in_mid_stream_is_raised(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model=model, messages=user("SCENARIO:errmid"), stream=True):
            pass


def test_a_cut_stream_is_an_error_and_no_answer(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.APIError):
        for _ in client.chat.completions.create(model=model, messages=user("SCENARIO:cut"), stream=True):
            pass


def test_zz_a_rate_limit_is_waited_for(base_url: str) -> None:
    """Last of this file: the account cools down for as long as upstream says."""
    patient = openai.OpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=2, timeout=60)
    prompt = f"SCENARIO:ra429x1s2 REPLY=after RUN:{uuid.uuid4().hex}"
    began = time.monotonic()
    answer = patient.chat.completions.create(model="gpt-4.1", messages=user(prompt))
    assert answer.choices[0].message.content == "after"
    assert time.monotonic() - began >= 1.9
