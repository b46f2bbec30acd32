from __future__ import annotations

import struct
from base64 import b64decode

import msgspec
import pytest
from recordings import GPT

from copilot_trio.dialects.embeddings import make_plan, read_request, tokens_in
from copilot_trio.errors import BadRequest, UpstreamError
from copilot_trio.models.model import Capabilities, Model

SMALL = Model(id="text-embedding-3-small", capabilities=Capabilities(type="embeddings"))
REPLY = (
    b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1.25]}],'
    b'"model":"text-embedding-3-small","usage":{"prompt_tokens":2,"total_tokens":2}}'
)


def sent(body: bytes) -> bytes:
    return make_plan(body, read_request(body), SMALL).body


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"input":"hi","model":"text-embedding-3-small"}', b'{"input":["hi"],"model":"text-embedding-3-small"}'),
        (b'{"input":["a", "b"] ,"model":"text-embedding-3-small"}', None),
        (b'{"model":"ada","input":["a"]}', b'{"model":"text-embedding-3-small","input":["a"]}'),
        (b'{"model":"text-embedding-3-small","input":["a"],"encoding_format":"base64","dimensions":5}',
         b'{"model":"text-embedding-3-small","input":["a"],"dimensions":5}'),
    ],
)  # fmt: skip
def test_only_what_upstream_refuses_is_changed(body: bytes, expected: bytes | None) -> None:
    assert sent(body) == (body if expected is None else expected)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "does not follow"),
        (b'{"input":["a"]}', "no model"),
        (b'{"model":"m"}', "no input"),
        (b'{"model":"m","input":""}', "no input"),
        (b'{"model":"m","input":[]}', "no input"),
        (b'{"model":"m","input":[1,2]}', "token ids"),
        (b'{"model":"m","input":[["a"]]}', "token ids"),
        (b'{"model":"m","input":7}', "does not follow"),
        (b'{"model":"m","input":"a","encoding_format":"int8"}', "int8"),
    ],
)
def test_what_cannot_be_embedded_is_said(body: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_request(body)


def test_a_chat_model_embeds_nothing() -> None:
    body = b'{"model":"gpt-4.1","input":"a"}'
    with pytest.raises(BadRequest, match="is no embeddings model"):
        make_plan(body, read_request(body), GPT)


def test_vectors_are_packed_only_where_the_client_asked() -> None:
    plain = b'{"model":"text-embedding-3-small","input":["a"]}'
    assert make_plan(plain, read_request(plain), SMALL).whole_answer(REPLY) is REPLY
    wanted = plain[:-1] + b',"encoding_format":"base64"}'
    reply = msgspec.json.decode(make_plan(wanted, read_request(wanted), SMALL).whole_answer(REPLY))
    assert struct.unpack("<2f", b64decode(reply["data"][0]["embedding"])) == (0.5, -1.25)
    assert reply["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert (reply["object"], reply["data"][0]["index"]) == ("list", 0)


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"data":7}', b'{"data":[{"embedding":["x"]}]}'])
def test_an_answer_that_is_none(answer: bytes) -> None:
    body = b'{"model":"text-embedding-3-small","input":"a","encoding_format":"base64"}'
    with pytest.raises(UpstreamError):
        make_plan(body, read_request(body), SMALL).whole_answer(answer)


def test_what_it_cost() -> None:
    assert tokens_in(REPLY) == 2
    assert tokens_in(b'{"data":[]}') == 0
    assert tokens_in(b"junk") == 0
