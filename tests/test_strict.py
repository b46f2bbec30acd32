from __future__ import annotations

import msgspec
import pytest

from copilot_trio.dialects.chat.strict import StrictChunks


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
        b'data: {"choices":null,"tool_calls":[],"object":"chat.completion.chunk"}\n\n',
    ],
)
def test_what_is_no_ordinary_chunk_stays_as_it_is(block: bytes) -> None:
    assert StrictChunks().mend(block) == block


def test_the_mended_text_is_the_same_however_the_events_are_grouped() -> None:
    chunks = [chunk(call(0, name="a")), chunk(call(0, arguments="{")), chunk(call(0, name="b")), b"data: [DONE]\n\n"]
    one_by_one = StrictChunks()
    assert b"".join(one_by_one.mend(block) for block in chunks) == StrictChunks().mend(b"".join(chunks))
