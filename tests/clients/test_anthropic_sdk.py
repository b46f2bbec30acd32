from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

import anthropic
import pytest

TOOLS: list[Any] = [
    {
        "name": name,
        "description": name,
        "input_schema": {
            "type": "object",
            "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
            "required": ["path"],
        },
    }
    for name in ("write_file", "read_file")
]
EVENT_ORDER = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
]


@pytest.fixture
def client(base_url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=base_url, api_key="any", max_retries=0, timeout=60)


def ask(client: anthropic.Anthropic, model: str, prompt: Any, **fields: Any) -> Any:
    messages: Any = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    return client.messages.create(**{"model": model, "max_tokens": 2000, "messages": messages, **fields})


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_models_are_listed(client: anthropic.Anthropic) -> None:
    assert "claude-sonnet-4.5" in [model.id for model in client.models.list()]
    assert client.models.retrieve("claude-sonnet-4.5").display_name == "Claude Sonnet 4.5"


def test_text(client: anthropic.Anthropic, model: str) -> None:
    message = ask(client, model, "SCENARIO:text REPLY=yes", system="be brief")
    assert (text_of(message), message.stop_reason) == ("yes", "end_turn")
    assert message.model.replace("-4-5", "-4.5") == model  # where we did not rename it, it is upstream's own spelling
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 0


def test_stream(client: anthropic.Anthropic, model: str) -> None:
    arrived: list[float] = []
    text = ""
    prompt: Any = [{"role": "user", "content": "SCENARIO:stream REPLY=s"}]
    with client.messages.stream(model=model, max_tokens=2000, messages=prompt) as stream:
        for piece in stream.text_stream:
            text += piece
            arrived.append(time.monotonic())
        message = stream.get_final_message()
    assert text.endswith("s-11")
    assert arrived[-1] > arrived[0]
    assert (message.stop_reason, message.usage.output_tokens > 0) == ("end_turn", True)


def test_the_order_of_events(client: anthropic.Anthropic, model: str) -> None:
    found = [event.type for event in ask(client, model, "SCENARIO:text REPLY=ev", stream=True)]
    short = [name for number, name in enumerate(found) if number == 0 or name != found[number - 1]]
    assert [name for name in short if name != "ping"] == EVENT_ORDER


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("scenario", ["tool", "parallel", "thinktool"])
def test_a_tool_loop_ends(client: anthropic.Anthropic, model: str, scenario: str, *, streamed: bool) -> None:
    prompt = f"SCENARIO:{scenario} FILE=/tmp/x CONTENT=cw2 RUN:{uuid.uuid4().hex}"
    messages: list[Any] = [{"role": "user", "content": prompt}]
    fields: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if scenario == "thinktool" else {}
    written: dict[str, str] = {}
    for _ in range(6):
        if streamed:
            with client.messages.stream(
                model=model, max_tokens=4000, messages=messages, tools=TOOLS, **fields
            ) as stream:
                message: Any = stream.get_final_message()
        else:
            message = ask(client, model, messages, tools=TOOLS, max_tokens=4000, **fields)
        content = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content]
        messages.append({"role": "assistant", "content": content})
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            assert "RIG-DONE" in text_of(message)
            assert set(written.values()) == {"cw2"}
            assert len(written) == (2 if scenario == "parallel" else 1)
            return
        assert message.stop_reason == "tool_use"
        results = []
        for call in calls:
            if call.name == "write_file":
                written[call.input["path"]] = call.input["content"]
            found = {"type": "text", "text": written.get(call.input["path"], "")}
            results.append({"type": "tool_result", "tool_use_id": call.id, "content": [found]})
        messages.append({"role": "user", "content": results})
    pytest.fail("no end after six turns")


def test_thinking_comes_back_signed(client: anthropic.Anthropic) -> None:
    fields: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
    for model in ("claude-sonnet-4.5", "gemini-2.5-pro"):
        message = ask(client, model, "SCENARIO:thinking REPLY=t", **fields)
        assert [block.type for block in message.content] == ["thinking", "text"]
        assert message.content[0].signature


def test_an_image(client: anthropic.Anthropic, model: str, picture: str) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture}}
    content = [{"type": "text", "text": "SCENARIO:text REPLY=seen"}, image]
    assert text_of(ask(client, model, [{"role": "user", "content": content}])) == "seen"


def test_an_image_in_a_tool_result(client: anthropic.Anthropic, model: str, picture: str) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture}}
    call = {"type": "tool_use", "id": "toolu_1", "name": "read_file", "input": {"path": "a"}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [image]}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result, {"type": "text", "text": "SCENARIO:text REPLY=it"}]},
    ]
    assert text_of(ask(client, model, messages, tools=TOOLS)) == "it"


def test_a_system_message_in_the_middle(client: anthropic.Anthropic, model: str) -> None:
    messages = [{"role": "user", "content": "SCENARIO:text REPLY=sr"}, {"role": "system", "content": "environment"}]
    assert text_of(ask(client, model, messages)) == "sr"


def test_max_tokens_is_a_stop_reason(client: anthropic.Anthropic, model: str) -> None:
    assert ask(client, model, "SCENARIO:maxtok REPLY=x").stop_reason == "max_tokens"


def test_adaptive_thinking_and_effort(client: anthropic.Anthropic, model: str) -> None:
    fields = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    assert text_of(ask(client, model, "SCENARIO:text REPLY=ad", extra_body=fields)) == "ad"


def test_cache_control_is_no_matter(client: anthropic.Anthropic, model: str) -> None:
    block = {"type": "text", "text": "SCENARIO:text REPLY=cc", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    system = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}]
    assert text_of(ask(client, model, [{"role": "user", "content": [block]}], system=system)) == "cc"


def test_a_tool_may_be_asked_for(client: anthropic.Anthropic, model: str) -> None:
    choice = {"type": "any", "disable_parallel_tool_use": True}
    message = ask(client, model, "SCENARIO:tool FILE=/tmp/x CONTENT=x", tools=TOOLS, tool_choice=choice)
    assert message.stop_reason == "tool_use"


def test_a_long_answer_is_whole(client: anthropic.Anthropic, model: str) -> None:
    prompt: Any = [{"role": "user", "content": "SCENARIO:long REPLY=w"}]
    with client.messages.stream(model=model, max_tokens=16_000, messages=prompt) as stream:
        assert stream.get_final_text().split() == [f"w-{number}" for number in range(4000)]


def test_sixteen_at_once_get_each_their_own(base_url: str, model: str) -> None:
    async def ask_one(client: anthropic.AsyncAnthropic, reply: str) -> str:
        prompt: Any = [{"role": "user", "content": f"SCENARIO:text REPLY={reply}"}]
        async with client.messages.stream(model=model, max_tokens=100, messages=prompt) as stream:
            return await stream.get_final_text()

    async def ask_all() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=base_url, api_key="any", max_retries=0, timeout=60) as client:
            return await asyncio.gather(*[ask_one(client, reply) for reply in replies])

    replies = [f"r{number}" for number in range(16)]
    assert asyncio.run(ask_all()) == replies


def test_tokens_are_counted(client: anthropic.Anthropic, model: str) -> None:
    def count(text: str, **fields: Any) -> int:
        messages: Any = [{"role": "user", "content": text}]
        return client.messages.count_tokens(model=model, messages=messages, **fields).input_tokens

    short, long = count("hello"), count("hello " * 2000)
    assert 0 < short < 50
    assert 500 < long < 4000  # learned from the demo's own way of counting
    assert count("hello", system="x " * 500) > short
    assert count("hello", tools=TOOLS) > short


def test_the_key_may_come_as_x_api_key(base_url: str) -> None:
    headers: Any = {"x-api-key": "any", "Authorization": anthropic.Omit()}
    client = anthropic.Anthropic(base_url=base_url, api_key="any", max_retries=0, default_headers=headers)
    assert text_of(ask(client, "claude-sonnet-4.5", "SCENARIO:text REPLY=xk")) == "xk"


def test_unknown_betas_do_no_harm(client: anthropic.Anthropic) -> None:
    message = client.beta.messages.create(
        model="claude-sonnet-4.5",
        max_tokens=100,
        betas=["interleaved-thinking-2025-05-14", "no-such-beta-2099-01-01"],
        messages=[{"role": "user", "content": "SCENARIO:text REPLY=bt"}],
    )
    assert text_of(message) == "bt"


@pytest.mark.parametrize(
    ("prompt", "error", "status"),
    [
        ("SCENARIO:err400", anthropic.BadRequestError, 400),
        ("SCENARIO:err403", anthropic.PermissionDeniedError, 403),
        ("SCENARIO:err404", anthropic.NotFoundError, 404),
        ("SCENARIO:err500", anthropic.InternalServerError, 500),
        ("SCENARIO:err502 VARIANT:html", anthropic.InternalServerError, 502),
        ("SCENARIO:err529", anthropic.APIStatusError, 529),
    ],
)
def test_errors_have_their_class(
    client: anthropic.Anthropic, model: str, prompt: str, error: type[anthropic.APIStatusError], status: int
) -> None:
    with pytest.raises(error) as caught:
        ask(client, model, f"{prompt} RUN:{uuid.uuid4().hex}")
    assert caught.value.status_code == status
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert "charged" in body["error"]["message"]


@pytest.mark.parametrize("scenario", ["errmid", "cut"])
def test_a_stream_that_fails_raises(client: anthropic.Anthropic, model: str, scenario: str) -> None:
    prompt: Any = [{"role": "user", "content": f"SCENARIO:{scenario} RUN:{uuid.uuid4().hex}"}]
    with pytest.raises(anthropic.APIError):
        with client.messages.stream(model=model, max_tokens=100, messages=prompt) as stream:
            stream.get_final_message()


def test_zz_a_rate_limit_is_waited_for(base_url: str) -> None:
    """Last of this file: the account cools down for as long as upstream says."""
    patient = anthropic.Anthropic(base_url=base_url, api_key="any", max_retries=2, timeout=60)
    began = time.monotonic()
    message = ask(patient, "claude-sonnet-4.5", f"SCENARIO:ra429x1s2 REPLY=after RUN:{uuid.uuid4().hex}")
    assert text_of(message) == "after"
    assert time.monotonic() - began >= 1.9
