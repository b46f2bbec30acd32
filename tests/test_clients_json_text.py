from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.clients.document import Refused
from copilot_trio.clients.json_text import JsonDocument

COMMENTED = """{
  // first
  "a": 1, // of a
  /* of b */ "b": {
    "c": "x", // of c
  },
}
"""


def strict(text: str) -> JsonDocument:
    return JsonDocument(text)


def lenient(text: str) -> JsonDocument:
    return JsonDocument(text, lenient=True)


def test_a_value_is_replaced_and_nothing_else() -> None:
    text = '{ "a":1,\n\t"env" : {"X":  "old", "Y":[1, 2]}  }'
    assert strict(text).put(("env", "X"), '"new"').text == text.replace('"old"', '"new"')


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("{}", '{\n  "a": {\n    "b": 1\n  }\n}'),
        ('{\n    "x": 0\n}\n', '{\n    "x": 0,\n    "a": {\n        "b": 1\n    }\n}\n'),
        ('{\n\t"x": 0\n}', '{\n\t"x": 0,\n\t"a": {\n\t\t"b": 1\n\t}\n}'),
        ('{"x":0}', '{"x":0, "a": {\n    "b": 1\n  }}'),
        ('{\r\n  "x": 0\r\n}', '{\r\n  "x": 0,\r\n  "a": {\r\n    "b": 1\r\n  }\r\n}'),
        ('{\n  "a": {}\n}', '{\n  "a": {\n    "b": 1\n  }\n}'),
        ('{\n  "a": {\n    "z": 2\n  }\n}', '{\n  "a": {\n    "z": 2,\n    "b": 1\n  }\n}'),
        ('\ufeff{"a":{"z":2}}', '\ufeff{"a":{"z":2, "b": 1}}'),
    ],
)
def test_a_new_member_fits_its_surroundings(text: str, after: str) -> None:
    assert strict(text).put(("a", "b"), "1").text == after


def test_comments_stay_where_they_are() -> None:
    new = lenient(COMMENTED).put(("b", "d"), "2").put(("e",), "3").put(("a",), "9")
    assert new.text == COMMENTED.replace('"a": 1', '"a": 9').replace("// of c\n", '// of c\n    "d": 2,\n').replace(
        "  },\n}", '  },\n  "e": 3,\n}'
    )
    assert new.content() == {"a": 9, "b": {"c": "x", "d": 2}, "e": 3}


def test_a_comment_behind_the_last_member_stays_behind_it() -> None:
    new = lenient('{\n  "a": 1 // of a\n}').put(("b",), "2")
    assert new.text == '{\n  "a": 1, // of a\n  "b": 2\n}'


def test_a_comment_alone_in_an_object_stays() -> None:
    new = lenient("{\n  // nothing yet\n}").put(("b",), "2")
    assert new.text == '{\n  // nothing yet\n  "b": 2\n}'
    assert new.drop(("b",)).text == "{\n  // nothing yet\n}"


@pytest.mark.parametrize(
    ("text", "path", "after"),
    [
        ('{\n  "a": 1,\n  "b": 2\n}', "a", '{\n  "b": 2\n}'),
        ('{\n  "a": 1,\n  "b": 2\n}', "b", '{\n  "a": 1\n}'),
        ('{"a": 1, "b": 2, "c": 3}', "b", '{"a": 1, "c": 3}'),
        ('{"a": 1, "b": 2}', "a", '{"b": 2}'),
        ('{"a": 1, "b": 2}', "b", '{"a": 1}'),
        ('{\n  "a": 1\n}', "a", "{}"),
        ('{\n  "a": 1,\n}', "a", "{}"),
        ('{\n  "a": 1, // of a\n  "b": 2, // of b\n}', "b", '{\n  "a": 1, // of a\n   // of b\n}'),
        ('{\n  "a": 1 // of a\n  , "b": 2\n}', "a", '{\n   // of a\n   "b": 2\n}'),
        ('{\n  "a": 1, // of a\n  "b": 2 // of b\n}', "b", '{\n  "a": 1 // of a\n   // of b\n}'),
        ('{"a": 1}', "z", '{"a": 1}'),
    ],
)
def test_a_member_goes_with_one_comma_and_without_a_comment(text: str, path: str, after: str) -> None:
    new = lenient(text).drop((path,))
    assert new.text == after
    assert path not in new.content()


def test_what_holds_nothing_goes() -> None:
    text = '{\n  "a": {\n    "b": {}\n  },\n  "c": { /* kept */ }\n}'
    assert lenient(text).drop_empty(("c",)).text == text
    assert lenient(text).drop_empty(("a",)).text == text
    assert lenient(text).drop_empty(("a", "b")).drop_empty(("a",)).content() == {"c": {}}
    assert lenient(text).drop_empty(("z", "y")).text == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', r"line 3: .*malformed"),
        ("[1]", "an object should be"),
        ('{"a": 1} x', "line 1"),
        ("", "truncated"),
        ('{\n  "a": 1, // strict\n  "b": 2\n}', "line 2"),
        ("[" * 5000, "recursion"),
    ],
)
def test_what_is_no_json_is_refused_with_the_place(text: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        strict(text)


def test_an_ambiguous_place_is_refused() -> None:
    with pytest.raises(Refused, match="line 2: env is there twice"):
        strict('{"env": {},\n"env": {}}').find(("env", "X"))
    with pytest.raises(Refused, match="line 1: env is no object"):
        strict('{"env": []}').put(("env", "X"), "1")
    with pytest.raises(Refused, match=r"line 1: comments inside a would be lost"):
        lenient('{"a": {/* mine */ "b": 1}}').put(("a",), "{}")


def test_values_are_compared_by_what_they_mean() -> None:
    document = lenient("{}")
    assert document.same('{"a": 1, "b": [2]}', '{\n"b":[2],\n"a":1,}')
    assert not document.same("1", "true")
    assert not document.same("1", "1.0")


def test_a_new_value_is_indented_as_the_file_is() -> None:
    document = strict('{\n    "x": 1\n}')
    assert document.render(("a",), {"b": [1]}) == '{\n        "b": [\n            1\n        ]\n    }'
    assert document.render(("a",), 'two  "words"') == '"two  \\"words\\""'


KEYS = st.sampled_from(["a", "b", "ü", 'q"', "//", "/*", ","])
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([0, 1, True, None, "", "// no comment", "a,}", 'x"y']),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
GAPS = st.sampled_from(["", " ", "\n  ", "// c,}\n", "/* c { */", "\n\t// d\n  "])


@st.composite
def commented(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    content = draw(st.dictionaries(KEYS, PLAIN, max_size=4))

    def written(value: Any) -> str:
        if isinstance(value, dict) and value:
            inner = ",".join(
                f"{gap()}{json.dumps(key)}{gap()}:{gap()}{written(member)}{gap()}" for key, member in value.items()
            )
            return f"{{{inner}{draw(st.sampled_from(['', ',']))}{gap()}}}"
        if isinstance(value, list) and value:
            return "[" + ",".join(f"{gap()}{written(item)}{gap()}" for item in value) + "]"
        return json.dumps(value)

    def gap() -> str:
        return draw(GAPS)

    return gap() + written(content) + gap(), content


def comments(text: str) -> list[str]:
    found = re.findall(r'"(?:[^"\\]|\\.)*"|(//[^\n]*|/\*.*?\*/)', text, re.DOTALL)
    return sorted(comment for comment in found if comment)


@given(commented(), KEYS, KEYS, PLAIN)
def test_however_it_is_written_one_member_changes_and_every_comment_stays(
    written: tuple[str, dict[str, Any]], outer: str, inner: str, value: Any
) -> None:
    text, content = written
    document = lenient(text)
    assert document.content() == content
    try:
        new = document.put((outer, inner), document.render((outer, inner), value))
    except Refused:
        return
    assert new.content() == {**content, outer: {**content.get(outer, {}), inner: value}}
    assert comments(new.text) == comments(text)
    try:
        gone = new.drop((outer, inner))
    except Refused:
        return
    left = {key: member for key, member in new.content()[outer].items() if key != inner}
    assert gone.content() == {**content, outer: left}
    assert comments(gone.text) == comments(text)
