from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples_of import load, names

from copilot_trio.dialects import DialectName
from copilot_trio.dialects.conversation import BEGINNING, HASHED, SESSION_HEADERS, conversation_key
from copilot_trio.dialects.envelope import Envelope, peek
from copilot_trio.errors import BadRequest

Message = dict[str, Any]


def key(body: Message, dialect: DialectName = "chat", headers: dict[str, str] | None = None, scope: str = "") -> str:
    return conversation_key(headers or {}, peek(msgspec.json.encode({"model": "m", **body}), dialect), scope)


def user(text: str, *, marked: bool = False) -> Message:
    mark = {"cache_control": {"type": "ephemeral"}} if marked else {}
    return {"role": "user", "content": [{"type": "text", "text": text, **mark}]}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


# ---- what clients say of their session


def dialect_of(path: str) -> DialectName:
    if "/messages" in path:
        return "messages"
    return "responses" if "/responses" in path else "chat"


def of_sample(name: str, session: str | None = None) -> str:
    """Its key; ``session``: as if its client had another session, which its samples never have."""
    sample = load(name)
    ids = (b"00000000-0000-4000-8000-000000000000", b"ses_000")
    body = sample.body
    headers = {header.lower(): value for header, value in sample.headers.items()}
    for old in ids if session else ():
        body = body.replace(old, (session or "").encode())
        headers = {header: value.replace(old.decode(), session or "") for header, value in headers.items()}
    return conversation_key(headers, peek(body, dialect_of(sample.path)))


ASKING = [name for name in names("POST") if not name.endswith("embeddings") and "count_tokens" not in name]
WITH_SESSION = [name for name in ASKING if name.startswith(("claude_", "codex_", "opencode_"))]
WITHOUT_SESSION = [name for name in ASKING if name not in WITH_SESSION]
FRAMES = ["codex_ws_frame1_prewarm", "codex_ws_frame2", "codex_ws_frame3_tool_output"]


def test_there_are_samples_of_both_kinds() -> None:
    assert (len(WITH_SESSION), len(WITHOUT_SESSION)) >= (30, 7)


@pytest.mark.parametrize("client", ["claude_", "codex_", "opencode_"])
def test_all_turns_of_a_session_are_one_conversation(client: str) -> None:
    turns = [name for name in WITH_SESSION if name.startswith(client)]
    assert len({of_sample(name) for name in turns}) == 1


@pytest.mark.parametrize("name", WITH_SESSION)
def test_another_session_is_another_conversation(name: str) -> None:
    other = of_sample(name, "11111111-1111-4111-8111-111111111111")
    assert other not in {"", of_sample(name)}
    assert other != of_sample(name, "22222222-2222-4222-8222-222222222222")


def test_frames_of_a_websocket_belong_to_their_session() -> None:
    keys = {conversation_key({}, peek(load(name).body, "responses")) for name in FRAMES}
    assert len(keys) == 1
    handshake = load("codex_ws_handshake")
    headers = {name.lower(): value for name, value in handshake.headers.items()}
    assert len({conversation_key(headers, peek(load(name).body, "responses")) for name in FRAMES}) == 1


@pytest.mark.parametrize("header", SESSION_HEADERS)
def test_a_session_header_says_it_all(header: str) -> None:
    first = key({"messages": [user("one")]}, headers={header: "s1"})
    assert first == key({"messages": [user("two")]}, "messages", headers={header: "s1", "user-agent": "x"})
    assert first != key({"messages": [user("one")]}, headers={header: "s2"})


@pytest.mark.parametrize(
    "field",
    [
        {"metadata": {"user_id": '{"device_id":"0","account_uuid":"","session_id":"%s"}'}},
        {"metadata": {"user_id": "user_0_account__session_%s"}},
        {"prompt_cache_key": "%s"},
    ],
    ids=["JSON", "the older form", "a cache key"],
)
def test_a_session_may_be_in_the_body(field: Message) -> None:
    def of(session: str, text: str) -> str:
        filled = msgspec.json.decode(msgspec.json.encode(field).replace(b"%s", session.encode()))
        return key({"messages": [user(text)], **filled}, "messages")

    assert of("s1", "one") == of("s1", "two")
    assert of("s1", "one") != of("s2", "one")


def test_claude_codes_session_counts_and_not_its_device() -> None:
    told = '{"device_id":"%s","session_id":"s"}'
    keys = {key({"messages": [user("x")], "metadata": {"user_id": told.replace("%s", device)}}) for device in "ab"}
    assert len(keys) == 1


# ---- how it begins, where nothing is said of a session


def turns_of(body: Message, field: str) -> list[Message]:
    """The body as it was at each earlier turn: cut before every item of the model's."""
    items: list[Any] = body[field]
    models = [number for number, item in enumerate(items) if is_models(item)]
    return [{**body, field: items[:number]} for number in models if number > 0] + [body]


def is_models(item: Message) -> bool:
    kind = str(item.get("type", ""))
    return item.get("role") == "assistant" or kind == "reasoning" or kind.endswith("_call")


@pytest.mark.parametrize("name", WITHOUT_SESSION)
def test_a_sample_without_a_session_keeps_its_key_over_its_turns(name: str) -> None:
    sample = load(name)
    body = msgspec.json.decode(sample.body)
    field = "input" if isinstance(body.get("input"), list) else "messages"
    keys = {key(turn, dialect_of(sample.path)) for turn in turns_of(body, field)}
    assert len(keys) == 1
    assert keys != {""}


def test_samples_without_a_session_are_different_conversations() -> None:
    one_twice = {"cursor_agent_custom_tool", "cursor_agent_responses_shape"}
    assert len({of_sample(name) for name in one_twice}) == 1
    assert len({of_sample(name) for name in WITHOUT_SESSION}) == len(WITHOUT_SESSION) - 1


@pytest.mark.parametrize("dialect", ["chat", "messages"])
@pytest.mark.parametrize("system", [True, False])
def test_a_conversation_keeps_its_key_while_it_grows(dialect: DialectName, *, system: bool) -> None:
    head: list[Message] = [{"role": "system", "content": "Be brief."}] if system else []
    history: list[Message] = [*head, user("hello"), assistant("hi"), user("more"), assistant("yes"), user("again")]
    lengths = [len(head) + 1, len(head) + 3, len(head) + 5]
    assert len({key({"messages": history[:length]}, dialect) for length in lengths}) == 1


def test_another_beginning_is_another_conversation() -> None:
    bodies: list[Message] = [
        {"messages": [user("hello")]},
        {"messages": [user("hello!")]},
        {"messages": [user("hello"), user("there")]},
        {"messages": [user("hello")], "system": "Be brief."},
        {"messages": [{"role": "system", "content": "Be brief."}, user("hello")]},
        {"messages": [{"role": "developer", "content": "hello"}]},
    ]
    assert len({key(body) for body in bodies}) == len(bodies)


def test_cache_marks_move_and_the_key_does_not() -> None:
    marked = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    turns: list[Message] = [
        {"system": marked, "messages": [user("hello", marked=True)]},
        {"system": marked, "messages": [user("hello"), assistant("hi"), user("more", marked=True)]},
        {"system": [{"type": "text", "text": "Be brief."}], "messages": [user("hello"), assistant("hi"), user("more")]},
        {"system": "Be brief.", "messages": [{"role": "user", "content": "hello"}, assistant("hi"), user("more")]},
    ]
    assert len({key(turn, "messages") for turn in turns}) == 1


def test_a_long_beginning_with_a_moving_mark_keeps_its_key() -> None:
    long = "x" * HASHED
    assert key({"messages": [user(long, marked=True)]}) == key({"messages": [user(long), assistant("hi"), user("m")]})


def test_what_a_client_adds_behind_a_persons_words_is_not_the_beginning() -> None:
    reminder = {"role": "system", "content": "<system-reminder>Today is Friday.</system-reminder>"}
    first: list[Message] = [user("hello"), reminder]
    then: list[Message] = [user("hello"), assistant("hi"), user("more"), reminder]
    assert key({"messages": first}, "messages") == key({"messages": then}, "messages")


@pytest.mark.parametrize("models", ["reasoning", "function_call", "custom_tool_call", "item_reference_call"])
def test_a_conversation_of_the_responses_api_begins_before_the_models_first_item(models: str) -> None:
    begin: Sequence[Message] = [
        {"type": "additional_tools", "tools": []},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "<environment_context>"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
    ]
    later = [*begin, {"type": models, "id": "1"}, {"type": "function_call_output", "output": "x"}, user("more")]
    assert key({"input": begin}, "responses") == key({"input": later}, "responses")
    assert key({"input": begin}, "responses") != key({"input": begin[:3]}, "responses")
    assert key({"input": begin}, "responses") != key({"input": begin, "instructions": "Else."}, "responses")


def test_a_history_that_begins_with_the_models_words_has_a_key_of_its_own() -> None:
    one, two = ({"messages": [assistant(text), user("go on")]} for text in ("one", "two"))
    assert key(one) != key(two)
    assert key(one) == key({"messages": [assistant("one"), user("go on"), assistant("more"), user("x")]})


def test_a_prompt_without_a_history_stands_alone() -> None:
    assert key({"input": "hello"}, "responses") == ""
    assert key({"input": "hello", "instructions": "Be brief."}, "responses") == ""
    assert key({"input": "hello", "prompt_cache_key": "k"}, "responses") != ""


@pytest.mark.parametrize("body", [{"messages": [user("x")]}, {"messages": [user("x")], "prompt_cache_key": "k"}])
def test_scopes_are_apart(body: Message) -> None:
    assert len({key(body, scope=scope) for scope in ("", "work:None", "None:work")}) == 3


def test_only_the_beginning_is_looked_at() -> None:
    many = [user(str(number)) for number in range(BEGINNING)]
    assert key({"messages": many}) == key({"messages": [*many, user("more")]})
    assert key({"messages": [user("x" * HASHED + "a")]}) != key({"messages": [user("y" * HASHED)]})


def test_a_key_is_short_and_names_nothing() -> None:
    found = key({"messages": [user("a secret")], "prompt_cache_key": "k" * 100_000})
    assert len(found) == 24
    assert set(found) <= set("0123456789abcdef")  # the store and the affinity put a model behind a colon


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "type", "text", "user_id", "session_id"]), inner)
    ),
    max_leaves=10,
)


@given(
    st.fixed_dictionaries(
        {"messages": st.lists(JSON, min_size=1, max_size=4)},
        optional={"system": JSON, "metadata": JSON, "prompt_cache_key": JSON, "instructions": JSON, "input": JSON},
    ),
    st.dictionaries(st.sampled_from(SESSION_HEADERS), st.text(max_size=9)),
    st.text(max_size=9),
)
def test_junk_never_raises(body: Message, headers: dict[str, str], scope: str) -> None:
    for dialect in ("chat", "messages", "responses"):
        try:
            envelope = peek(msgspec.json.encode({"model": "m", **body}), dialect)
        except BadRequest:
            continue
        found = conversation_key(headers, envelope, scope)
        assert found == conversation_key(headers, envelope, scope)
        assert len(found) in {0, 24}


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_junk_that_is_no_json_never_raises(one: bytes, two: bytes, three: bytes) -> None:
    envelope = Envelope(
        messages=[msgspec.Raw(one), msgspec.Raw(b"[" * 5000)],
        system=msgspec.Raw(two),
        metadata=msgspec.Raw(three),
        prompt_cache_key=msgspec.Raw(one),
    )
    assert len(conversation_key({}, envelope)) == 24
