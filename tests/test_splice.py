from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_trio.dialects import splice
from copilot_trio.dialects.splice import Splice, Value

SPACE = st.text(" \t\r\n", max_size=2)
PLAIN = st.characters(codec="utf-8", exclude_categories=["Cs"])
STRING = st.builds(
    lambda text, ascii_only: json.dumps(text, ensure_ascii=ascii_only), st.text(PLAIN, max_size=6), st.booleans()
) | st.sampled_from([r'"\u0061\/"', r'"\ud83d\ude00"', r'"}],{[\""', r'"\\"', '"model"', '"a"', r'"\u0061"'])
NUMBER = st.sampled_from(["0", "-1", "1", "12", "123", "1.50", "1e5", "1E+2", "123456789012345678901234567890"])
SCALAR = NUMBER | STRING | st.sampled_from(["true", "false", "null"])


@st.composite
def spaced(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    return draw(SPACE) + draw(inner) + draw(SPACE)


def objects(inner: st.SearchStrategy[str], least: int = 0) -> st.SearchStrategy[str]:
    key = STRING | st.sampled_from(['"a"', '"b"', r'"\u0062"', '"model"'])
    member = st.builds(lambda k, v: f"{k}:{v}", spaced(key), spaced(inner))
    return st.lists(member, min_size=least, max_size=4).map(lambda found: "{" + (",".join(found) or " ") + "}")


def arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(spaced(inner), max_size=4).map(lambda found: "[" + (",".join(found) or " ") + "]")


JSON = st.recursive(SCALAR, lambda inner: objects(inner) | arrays(inner), max_leaves=12)
OBJECT = spaced(objects(JSON)).map(str.encode)
ARRAY = spaced(arrays(JSON)).map(str.encode)


def pairs(text: bytes) -> Any:
    """Decoded by another parser, duplicates kept."""
    return json.loads(text, object_pairs_hook=lambda found: ("object", found), parse_float=str, parse_int=str)


@settings(max_examples=300, deadline=None)
@given(OBJECT)
def test_members_are_exact(body: bytes) -> None:
    found = splice.members(body, splice.whole(body))
    got = [(value.key, pairs(splice.text_of(body, value))) for value in found]
    assert got == pairs(body)[1]
    for value in found:
        assert splice.text_of(body, value) == splice.text_of(body, value).strip()
        assert json.loads(body[value.start : value.value].decode().strip().removesuffix(":")) == value.key


@settings(max_examples=200, deadline=None)
@given(ARRAY)
def test_elements_are_exact(body: bytes) -> None:
    found = splice.elements(body, splice.whole(body))
    assert [pairs(splice.text_of(body, value)) for value in found] == pairs(body)
    assert all(splice.text_of(body, value) == splice.text_of(body, value).strip() for value in found)


@settings(max_examples=200, deadline=None)
@given(OBJECT)
def test_values_within_values_are_exact(body: bytes) -> None:
    def walk(at: Value, expected: Any) -> None:
        assert pairs(splice.text_of(body, at)) == expected
        if isinstance(expected, tuple):
            for value, (key, inner) in zip(splice.members(body, at), expected[1], strict=True):
                assert value.key == key
                walk(value, inner)
        if isinstance(expected, list):
            for value, inner in zip(splice.elements(body, at), expected, strict=True):
                walk(value, inner)

    walk(splice.whole(body), pairs(body))


@settings(max_examples=300, deadline=None)
@given(OBJECT, st.data())
def test_cutting_members_leaves_the_others_and_nothing_else_changes(body: bytes, data: st.DataObject) -> None:
    found = splice.members(body, splice.whole(body))
    unwanted = data.draw(st.sets(st.sampled_from(range(len(found)))) if found else st.just(set()))
    edit = Splice(body)
    for number in unwanted:
        edit.cut(found, found[number])
    left = edit.apply()
    assert pairs(left)[1] == [pair for number, pair in enumerate(pairs(body)[1]) if number not in unwanted]
    assert is_subsequence(left, body)


@settings(max_examples=200, deadline=None)
@given(ARRAY, st.data())
def test_cutting_elements_leaves_the_others_and_nothing_else_changes(body: bytes, data: st.DataObject) -> None:
    found = splice.elements(body, splice.whole(body))
    unwanted = data.draw(st.sets(st.sampled_from(range(len(found)))) if found else st.just(set()))
    edit = Splice(body)
    for number in unwanted:
        edit.cut(found, found[number])
    left = edit.apply()
    assert pairs(left) == [value for number, value in enumerate(pairs(body)) if number not in unwanted]
    assert is_subsequence(left, body)


@settings(max_examples=200, deadline=None)
@given(OBJECT, st.data())
def test_renaming_members_changes_their_keys_only(body: bytes, data: st.DataObject) -> None:
    found = splice.members(body, splice.whole(body))
    chosen = data.draw(st.sets(st.sampled_from(range(len(found)))) if found else st.just(set()))
    edit = Splice(body)
    for number in chosen:
        edit.rename(found[number], 'n"')
    expected = [('n"' if number in chosen else key, value) for number, (key, value) in enumerate(pairs(body)[1])]
    assert pairs(edit.apply())[1] == expected


@settings(max_examples=200, deadline=None)
@given(OBJECT | ARRAY, st.booleans())
def test_what_is_appended_comes_last(body: bytes, twice: bool) -> None:
    top = splice.whole(body)
    is_object = body.lstrip().startswith(b"{")
    had = pairs(body)[1] if is_object else pairs(body)
    if not had:
        return
    edit = Splice(body)
    for _ in range(1 + twice):
        edit.append(top, b'"z":[9]' if is_object else b"[9]")
    made = pairs(edit.apply())
    assert (made[1] if is_object else made) == had + [("z", ["9"]) if is_object else ["9"]] * (1 + twice)


def test_a_member_is_appended_behind_those_that_stay() -> None:
    body = b'{"a":1,"b":2 }'
    found = splice.members(body, splice.whole(body))
    edit = Splice(body)
    edit.cut(found, found[1])
    edit.append(splice.whole(body), b'"c":3')
    assert edit.apply() == b'{"a":1 ,"c":3}'


def test_an_element_has_no_key_to_change() -> None:
    edit = Splice(b'["a"]')
    edit.rename(splice.elements(b'["a"]', splice.whole(b'["a"]'))[0], "b")
    assert not edit


@settings(max_examples=200, deadline=None)
@given(OBJECT, st.data())
def test_replacing_values_changes_these_values_only(body: bytes, data: st.DataObject) -> None:
    found = splice.members(body, splice.whole(body))
    chosen = data.draw(st.sets(st.sampled_from(range(len(found)))) if found else st.just(set()))
    edit = Splice(body)
    for number in chosen:
        edit.replace(found[number], b"[9]")
    expected, position = b"", 0
    for number in sorted(chosen):
        expected += body[position : found[number].value] + b"[9]"
        position = found[number].end
    assert edit.apply() == expected + body[position:]


def is_subsequence(short: bytes, long: bytes) -> bool:
    rest = iter(long)
    return all(byte in rest for byte in short)


@pytest.mark.parametrize(
    ("body", "unwanted", "left"),
    [
        (b'{"a":1,"b":2,"c":3}', "a", b'{"b":2,"c":3}'),
        (b'{"a":1,"b":2,"c":3}', "b", b'{"a":1,"c":3}'),
        (b'{"a":1,"b":2,"c":3}', "c", b'{"a":1,"b":2}'),
        (b'{"a":1,"b":2,"c":3}', "ab", b'{"c":3}'),
        (b'{"a":1,"b":2,"c":3}', "ac", b'{"b":2}'),
        (b'{"a":1,"b":2,"c":3}', "bc", b'{"a":1}'),
        (b'{"a":1,"b":2,"c":3}', "abc", b"{}"),
        (b'{ "a" : 1 , "b" : 2 }', "b", b'{ "a" : 1 }'),
        (b'{ "a" : 1 , "b" : 2 }', "a", b'{ "b" : 2 }'),
    ],
)
def test_a_cut_takes_one_comma_with_it(body: bytes, unwanted: str, left: bytes) -> None:
    edit = Splice(body)
    found = splice.members(body, splice.whole(body))
    for value in found:
        if value.key in unwanted:
            edit.cut(found, value)
    assert edit.apply() == left


def test_an_edit_inside_a_cut_is_dropped_with_it() -> None:
    body = b'{"a":{"x":1},"b":2}'
    outer = splice.members(body, splice.whole(body))
    inner = splice.members(body, outer[0])
    edit = Splice(body)
    edit.replace(inner[0], b"9")
    edit.cut(inner, inner[0])
    edit.cut(outer, outer[0])
    assert edit.apply() == b'{"b":2}'


def test_an_edit_inside_a_replaced_value_is_dropped_with_it() -> None:
    body = b'{"a":{"x":1},"b":2}'
    outer = splice.members(body, splice.whole(body))
    edit = Splice(body)
    edit.replace(outer[0], b"0")
    edit.replace(splice.members(body, outer[0])[0], b"9")
    assert edit.apply() == b'{"a":0,"b":2}'


def test_insertions_at_one_place_keep_their_order() -> None:
    edit = Splice(b'""')
    edit.insert(1, b"a")
    edit.insert(1, b"b")
    assert edit.apply() == b'"ab"'


def test_of_duplicate_members_the_last_is_meant() -> None:
    body = b'{"a":1,"a":12,"\\u0061":123}'
    found = splice.member(body, splice.whole(body), "a")
    assert found is not None
    assert splice.text_of(body, found) == b"123"


@pytest.mark.parametrize("body", [b"1", b'"x"', b"null", b"[]", b"true"])
def test_only_objects_have_members(body: bytes) -> None:
    assert splice.members(body, splice.whole(body)) == []


@pytest.mark.parametrize("body", [b"1", b'"[]"', b"null", b"{}", b"true"])
def test_only_arrays_have_elements(body: bytes) -> None:
    assert splice.elements(body, splice.whole(body)) == []


@pytest.mark.parametrize(
    ("body", "text"), [(b'"a\\n\\u00e9"', "a\né"), (b"1", None), (b"{}", None), (b'""', "")], ids=str
)
def test_a_string_is_read_where_there_is_one(body: bytes, text: str | None) -> None:
    assert splice.string_at(body, splice.whole(body)) == text


def test_nothing_to_edit_is_false() -> None:
    assert not Splice(b"{}")


@pytest.mark.parametrize("body", [b'{"a":', b'{"a" 1}', b"{"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        splice.members(body, splice.whole(body))
