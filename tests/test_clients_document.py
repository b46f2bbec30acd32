from __future__ import annotations

import pytest

from copilot_trio.clients.document import Change, Memory, Refused, change, undo
from copilot_trio.clients.json_text import JsonDocument
from copilot_trio.clients.toml_text import TomlDocument

A, B = ("env", "A"), ("env", "B")


def test_members_are_set_and_removed_and_all_of_it_is_told() -> None:
    changed = change(JsonDocument('{"env": {"A": "1", "C": "3"}, "x": 0}'), {A: "2", B: "5", ("env", "C"): None})
    assert JsonDocument(changed.text).content() == {"env": {"A": "2", "B": "5"}, "x": 0}
    assert changed.done == (Change(A, '"1"', '"2"'), Change(B, None, '"5"'), Change(("env", "C"), '"3"', None))
    assert changed.memory == Memory(changed.done)


def test_what_is_so_already_is_not_ours() -> None:
    text = '{"env":{"A":"2"}}'
    changed = change(JsonDocument(text), {A: "2", B: None})
    assert (changed.text, changed.done, changed.memory) == (text, (), Memory())


def test_an_undo_restores_the_former_values_and_leaves_what_others_did() -> None:
    first = change(JsonDocument('{"env": {"A": "1"}, "x": 0}'), {A: "2", B: "5"})
    edited = first.text.replace('"x": 0', '"x": 1, "y": {"z": 2}')
    undone, touched = undo(JsonDocument(edited), first.memory)
    assert JsonDocument(undone.text).content() == {"env": {"A": "1"}, "x": 1, "y": {"z": 2}}
    assert touched == ()


def test_an_undo_says_which_of_ours_others_had_changed() -> None:
    first = change(JsonDocument('{"env": {"A": "1"}}'), {A: "2"})
    undone, touched = undo(JsonDocument(first.text.replace('"2"', '"theirs"')), first.memory)
    assert JsonDocument(undone.text).content() == {"env": {"A": "1"}}
    assert touched == (A,)


def test_objects_that_we_made_go_again_unless_somebody_uses_them() -> None:
    first = change(JsonDocument("{}"), {A: "2", ("p", "q", "r"): "1"})
    assert first.memory.made == (("env",), ("p",), ("p", "q"))
    assert JsonDocument(undo(JsonDocument(first.text), first.memory)[0].text).content() == {}
    used = JsonDocument(first.text).put(("env", "MINE"), '"1"')
    assert JsonDocument(undo(used, first.memory)[0].text).content() == {"env": {"MINE": "1"}}


def test_a_second_change_remembers_what_was_before_the_first() -> None:
    first = change(JsonDocument('{"env": {"A": "1"}}'), {A: "2", B: "5"})
    second = change(JsonDocument(first.text), {A: "3", B: "5"}, first.memory)
    assert second.done == (Change(A, '"2"', '"3"'),)
    assert second.memory.changes == (Change(A, '"1"', '"3"'), Change(B, None, '"5"'))
    assert JsonDocument(undo(JsonDocument(second.text), second.memory)[0].text).content() == {"env": {"A": "1"}}


def test_what_a_second_change_does_not_want_any_more_becomes_what_it_was() -> None:
    first = change(JsonDocument('{"env": {"A": "1"}}'), {A: "2", B: "5", ("m", "old"): "x"})
    second = change(JsonDocument(first.text), {B: "5"}, first.memory)
    assert JsonDocument(second.text).content() == {"env": {"A": "1", "B": "5"}}
    assert second.memory == Memory((Change(B, None, '"5"'),), (("m",),))


def test_a_member_that_others_changed_meanwhile_is_theirs_from_then_on() -> None:
    first = change(JsonDocument('{"env": {"A": "1"}}'), {A: "2", B: "5"})
    edited = JsonDocument(first.text.replace('"2"', '"theirs"').replace('"5"', '"6"'))
    second = change(edited, {A: "3"}, first.memory)
    assert JsonDocument(second.text).content() == {"env": {"A": "3", "B": "6"}}
    assert second.memory.changes == (Change(A, '"theirs"', '"3"'),)


def test_what_cannot_be_done_safely_changes_nothing() -> None:
    with pytest.raises(Refused, match="env is no object"):
        change(JsonDocument('{"env": 1}'), {A: "2"})


def test_the_same_with_tables() -> None:
    text = 'model = "o3"\n\n[a]\nb = 1\n'
    paths = {
        ("model",): "gpt",
        ("model_provider",): "us",
        ("p", "us", "url"): "u",
        ("p", "us", "n"): 3,
        ("a", "b"): None,
    }
    first = change(TomlDocument(text), paths)
    assert TomlDocument(first.text).content() == {
        "model": "gpt", "model_provider": "us", "a": {}, "p": {"us": {"url": "u", "n": 3}},
    }  # fmt: skip
    assert undo(TomlDocument(first.text), first.memory)[0].text == text
    again = change(TomlDocument(first.text), {**paths, ("model",): "gpt-6"}, first.memory)
    assert undo(TomlDocument(f"{again.text}[mine]\n"), again.memory)[0].text == f"{text}[mine]\n"
