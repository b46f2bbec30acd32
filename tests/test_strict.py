from __future__ import annotations

import msgspec
import pytest

from copilot_trio.dialects.chat.strict import StrictChunks, mend_reply


def call(index: int, *, name: str | None = None, arguments: str = "") -> dict[str, object]:
    function = {"name": "f", "arguments": arguments} if name else {"arguments": arguments}
    return {"function": function, "index": index, **({"id": name} if name else {})}


def chunk(*calls: dict[str, object], **fields: object) -> bytes:
    value = {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": list(calls)}}], **fields}
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def indices(mended: bytes) -> list[int]:
    return [
        found["index"]
        for line in mended.splitlines()
        if line.startswith(b"data: {")
        for found in msgspec.json.decode(line[6:])["choices"][0]["delta"]["tool_calls"]
    ]


def test_a_whole_chunk_is_the_same_object() -> None:
    block = b'data: {"choices":[{"delta":{"content":"x"}}],"object":"chat.completion.chunk"}\n\n'
    assert StrictChunks().mend(block) is block


def test_a_missing_object_is_put_in_front_and_nothing_else_changes() -> None:
    block = b'data: {"choices" : [],  "id":"1"}\n\ndata: [DONE]\n\n'
    assert StrictChunks().mend(block) == (
        b'data: {"object":"chat.completion.chunk","choices" : [],  "id":"1"}\n\ndata: [DONE]\n\n'
    )


def test_parallel_calls_that_share_index_0_get_indices_of_their_own() -> None:
    strict = StrictChunks()
    mended = strict.mend(chunk(call(0, name="a")) + chunk(call(0, arguments="{}")))
    mended += strict.mend(chunk(call(0, name="b")) + chunk(call(0, arguments="{}")) + chunk(call(0, name="c")))
    assert indices(mended) == [0, 0, 1, 1, 2]


def test_calls_with_indices_of_their_own_keep_them() -> None:
    strict = StrictChunks()
    block = chunk(call(0, name="a"), object="chat.completion.chunk") + chunk(
        call(1, name="b"), object="chat.completion.chunk"
    )
    assert strict.mend(block) == block
    assert indices(strict.mend(chunk(call(0, arguments="x")) + chunk(call(1, arguments="y")))) == [0, 1]


def test_the_role_is_said_once() -> None:
    strict = StrictChunks()
    block = b'data: {"choices":[{"delta":{"content":"a","role":"assistant"}}],"object":"chat.completion.chunk"}\n\n'
    assert strict.mend(block) == block
    assert strict.mend(block) == block.replace(b',"role":"assistant"', b"")


def test_several_calls_in_one_chunk() -> None:
    assert indices(StrictChunks().mend(chunk(call(0, name="a"), call(0, name="b"), call(0, name="c")))) == [0, 1, 2]


@pytest.mark.parametrize(
    "block",
    [
        b'data: {"error":{"message":"x","code":500}}\n\n',
        b"data: [DONE]\n\n",
        b": comment\n\n",
        b'data: {"tool_calls": nonsense, "object":""}\n\n',
        b'data: {"choices":[{"delta":{"tool_calls":"odd"}}],"object":"chat.completion.chunk"}\n\n',
        b'data: {"choices":null, nonsense, "object":""}\n\n',
        b'data: {"x":{"choices":null},"choices":[],"object":"chat.completion.chunk"}\n\n',
    ],
)
def test_what_is_no_ordinary_chunk_stays_as_it_is(block: bytes) -> None:
    assert StrictChunks().mend(block) == block


def test_the_mended_text_is_the_same_however_the_events_are_grouped() -> None:
    chunks = [chunk(call(0, name="a")), chunk(call(0, arguments="{")), chunk(call(0, name="b")), b"data: [DONE]\n\n"]
    one_by_one = StrictChunks()
    assert b"".join(one_by_one.mend(block) for block in chunks) == StrictChunks().mend(b"".join(chunks))


@pytest.mark.parametrize("null", [b"null", b" null"])
def test_no_choices_are_an_empty_list(null: bytes) -> None:
    block = b'data: {"copilot_references":[{"choices":null}],"choices":%b,"object":"chat.completion.chunk"}\n\n'
    assert StrictChunks().mend(block % null) == block % (null.replace(b"null", b"[]"))


MORE = (
    b'{"function":{"arguments":"{\\"a\\": [1"},"index":0,"type":"function"}',
    b'{"function":{"arguments":""},"index":0}',
    b'{"index":0,"function":{"arguments":"x\\\\"}}',
    b'{"index":0,"type":"function","function":{"arguments":"x"}}',
    b'{"function":{"arguments":"cut \\ud83d"},"index":0,"type":"function"}',
    b'{"index":7,"function":{"arguments":"x"},"index":0}',
)


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("content", [b"", b'"content":null,', b'"content":"x",'])
def test_more_arguments_belong_to_the_latest_call_of_their_index(more: bytes, content: bytes) -> None:
    line = b'data: {"object":"chat.completion.chunk","choices":[{"delta":{%b"tool_calls":[%b]}}],"id":"x"}\n\n'
    strict = StrictChunks()
    strict.mend(chunk(call(0, name="a")))
    assert strict.mend(line % (content, more)) == line % (content, more)
    strict.mend(chunk(call(0, name="b")))
    assert strict.mend(line % (content, more)) == line % (content, more.replace(b'"index":0', b'"index":1'))


def test_a_call_whose_arguments_were_cut_inside_an_emoji_has_its_own_index() -> None:
    strict = StrictChunks()
    strict.mend(chunk(call(0, name="a")))
    block = chunk(call(0, name="b", arguments="CUT"), object="chat.completion.chunk").replace(b"CUT", rb"\ud83d")
    assert strict.mend(block) == block.replace(b'"index":0,"id"', b'"index":1,"id"')


# ---- whole replies


def reply(*choices: dict[str, object]) -> bytes:
    return b'{"object" : "o", "choices":%b,  "odd":1.50}' % msgspec.json.encode(list(choices))


def tool(call_id: str) -> dict[str, object]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_an_answer_split_over_choices_is_one_choice() -> None:
    split = reply(
        {"finish_reason": "stop", "index": 0, "message": {"role": "assistant", "content": "I "}},
        {"finish_reason": "tool_calls", "message": {"role": "assistant", "content": None, "tool_calls": [tool("a")]}},
        {
            "finish_reason": "tool_calls",
            "index": 0,
            "logprobs": {"content": []},
            "message": {"content": "will.", "reasoning_opaque": "o", "tool_calls": [tool("b")]},
        },
    )
    assert mend_reply(split) == reply(
        {
            "finish_reason": "tool_calls",
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "I will.",
                "tool_calls": [tool("a"), tool("b")],
                "reasoning_opaque": "o",
            },
            "logprobs": {"content": []},
        }
    )


def test_a_split_answer_gets_an_object_too_and_what_was_cut_inside_an_emoji_stays() -> None:
    split = b'{"choices":[{"message":{"content":"a\\ud83d"}},{"message":{"content":"b"}}],"x":"\\udc00"}'
    assert mend_reply(split) == (
        b'{"object":"chat.completion","choices":[{"message":{"content":"a\xef\xbf\xbdb"}}],"x":"\\udc00"}'
    )


@pytest.mark.parametrize(
    "body",
    [
        reply({"index": 0, "message": {"content": "a"}}),
        reply({"index": 0, "message": {"content": "a"}}, {"index": 1, "message": {"content": "b"}}),
        reply({"index": 0, "message": {"content": "a"}}, {"index": 0, "message": None}),
        reply({"index": 0, "message": {"message": "a"}}),
        b'{"object":"","choices":{"message":1,"x":{"message":2}}}',
        b'{"object":"","message":1,"error":{"message":2}}',
        b'{"object":"","message":1,"message" nonsense',
        b"",
    ],
    ids=["one", "several asked for", "odd", "a message in it", "no list", "no choices", "no JSON", "nothing"],
)
def test_another_reply_keeps_its_choices(body: bytes) -> None:
    assert mend_reply(body) == body
