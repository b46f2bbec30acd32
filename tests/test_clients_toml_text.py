from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.clients.document import Refused
from copilot_trio.clients.toml_text import TomlDocument

OWN = '''# mine
model = "o3"  # the old one
notes = """
[model_providers.fake]
model = "no"
"""
list = [ # more
  "]", '#', { x = "}" },
]

[model_providers.other]
name = "Other" # his
'quoted key'.sub = 1

[[hooks]]
command = "x"

[model_providers.other.http_headers]
X = "1"
'''


def test_a_value_is_replaced_and_nothing_else() -> None:
    new = TomlDocument(OWN).put(("model",), '"gpt"').put(("model_providers", "other", "name"), '"N"')
    assert new.text == OWN.replace('"o3"', '"gpt"').replace('"Other"', '"N"')


def test_values_are_found_as_they_are_written() -> None:
    document = TomlDocument(OWN)
    assert document.find(("model",)) == '"o3"'
    assert document.find(("list",)) == '[ # more\n  "]", \'#\', { x = "}" },\n]'
    assert document.find(("notes",)) == '"""\n[model_providers.fake]\nmodel = "no"\n"""'
    assert document.find(("model_providers", "other", "quoted key", "sub")) == "1"
    assert document.find(("model_providers", "fake", "model")) is None
    assert document.find(("absent",)) is None


def test_a_new_key_at_the_top_is_marked_and_comes_before_the_first_table() -> None:
    new = TomlDocument(OWN).put(("model_provider",), '"ours"')
    assert new.text == OWN.replace("},\n]\n", '},\n]\nmodel_provider = "ours"  # copilot-trio setup\n')
    only_table = TomlDocument("# about a\n[a]\nb = 1\n").put(("model",), '"m"')
    assert only_table.text == 'model = "m"  # copilot-trio setup\n\n# about a\n[a]\nb = 1\n'
    assert TomlDocument("").put(("m",), "1").text == "m = 1  # copilot-trio setup\n"


def test_a_new_table_comes_last_and_a_new_key_into_its_table() -> None:
    new = TomlDocument(OWN).put(("model_providers", "ours", "a"), "1").put(("model_providers", "ours", "b"), "true")
    assert new.text == f"{OWN}\n[model_providers.ours]  # copilot-trio setup\na = 1\nb = true\n"
    inside = TomlDocument(OWN).put(("model_providers", "other", "z"), "1")
    assert inside.text == OWN.replace("sub = 1\n", "sub = 1\nz = 1\n")


def test_a_last_line_without_an_end_gets_one() -> None:
    assert TomlDocument("a = 1").put(("b",), "2").text == "a = 1\nb = 2  # copilot-trio setup\n"
    assert TomlDocument("[t]").put(("t", "b"), "2").text == "[t]\nb = 2\n"
    assert TomlDocument("[t]\r\na = 1\r\n").put(("t", "b"), "2").text == "[t]\r\na = 1\r\nb = 2\r\n"


def test_what_was_put_in_goes_again() -> None:
    paths = [("model_provider",), ("model_providers", "ours", "a"), ("model_providers", "ours", "b")]
    new = TomlDocument(OWN)
    for path in paths:
        new = new.put(path, "1")
    for path in paths:
        new = new.drop(path)
    assert new.drop_empty(("model_providers", "other")).text == new.text
    assert new.drop_empty(("model_providers", "ours")).drop_empty(("model_providers",)).text == OWN
    assert TomlDocument(OWN).drop(("absent",)).text == OWN


@pytest.mark.parametrize(
    "text",
    [
        "model_providers = { ours = { a = 1 } }",
        "model_providers.ours = { a = 1 }",
        "[model_providers]\nours = { b = 2 }",
        "[[model_providers]]\nours = 1",
        "[[model_providers.ours]]\na = 1",
        "[model_providers.ours.a]\nx = 1",
        "[model_providers.ours]\na.x = 1",
    ],
)
def test_forms_that_cannot_be_changed_safely_are_refused_with_the_line(text: str) -> None:
    with pytest.raises(Refused, match=r"line [12]: model_providers"):
        TomlDocument(f"{text}\n").put(("model_providers", "ours", "a"), "1")


def test_a_dotted_table_is_refused_rather_than_defined_twice() -> None:
    with pytest.raises(Refused, match="line"):
        TomlDocument("model_providers.ours.b = 1\n").put(("model_providers", "ours", "a"), "1")


def test_what_is_no_toml_is_refused_with_the_place() -> None:
    with pytest.raises(Refused, match="line 2"):
        TomlDocument("a = 1\nb = = 2\n")
    with pytest.raises(Refused, match=r"overwrite|line"):
        TomlDocument("a = 1\na = 2\n")


def test_values_are_compared_by_what_they_mean() -> None:
    document = TomlDocument("")
    assert document.same("'x'", '"x"')
    assert not document.same("1", "1.0")
    assert not document.same("1", "true")


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_is_written_as_toml_reads_it(text: str) -> None:
    document = TomlDocument("").put(("k",), TomlDocument("").render(("k",), text))
    assert document.content() == {"k": text}


BARE = st.sampled_from(["a", "b", "c-d", '"x y"', "'q.r'"])
VALUES = st.sampled_from(
    ["1", "true", '"#"', "'\"'", '"""a"b"""', "'''x\n[t]\ny'''", '""""quoted""""', "[1, 2]", "[ # c ]\n 1,\n]",
     "{ a = 1, b = ']' }", "2020-01-01", '"\\""', "''", '""']
)  # fmt: skip
LINES = st.builds(lambda key, value, gap: f"{key} = {value}{gap}", BARE, VALUES, st.sampled_from(["", "  # c", " "]))
TABLES = st.builds(lambda key, lines: "\n".join([f"[{key}]", *lines]), BARE, st.lists(LINES, max_size=3))


@given(st.lists(LINES, max_size=3), st.lists(TABLES, max_size=3), st.sampled_from(["m", "a"]))
def test_however_it_is_written_one_key_changes(lines: list[str], tables: list[str], name: str) -> None:
    text = "\n".join([*lines, *tables, ""])
    try:
        before = tomllib.loads(text)
        document = TomlDocument(text)
    except (tomllib.TOMLDecodeError, Refused):
        return
    for path in ((name,), ("new", "k")):
        try:
            new = document.put(path, "'v'")
        except Refused:
            continue
        expected = {**before, name: "v"} if len(path) == 1 else {**before, "new": {"k": "v"}}
        assert new.content() == expected
        if document.find(path) is None:
            again = new.drop(path).drop_empty(path[:-1])
            assert again.content() == before
            assert again.text.strip() == text.strip()
