from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from copilot_trio.accounts.overlay import overlay


def changed(text: str, before: Any, after: Any) -> Any:
    return json.loads(msgspec.json.encode(overlay(msgspec.Raw(text.encode()), before, after)))


@pytest.mark.parametrize(
    ("text", "before", "after", "expected"),
    [
        ('{"a":1,"new":[{"b":2}]}', {"a": 1}, {"a": 3}, {"a": 3, "new": [{"b": 2}]}),
        ('{"a":{"b":1,"new":2}}', {"a": {"b": 1}}, {"a": {"b": 3}}, {"a": {"b": 3, "new": 2}}),
        ('{"a":1,"b":2,"new":3}', {"a": 1, "b": 2}, {"a": 1}, {"a": 1, "new": 3}),
        ('{"new":3}', {"a": None}, {"a": None}, {"new": 3}),
        ('{"new":3}', {"a": None, "b": 0}, {"a": None, "b": 1}, {"new": 3, "b": 1}),
        ('{"a":{"b":1,"new":2}}', {"a": {"b": 1}}, {"a": None}, {"a": None}),
        ('{"a":null}', {"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ('{"a":"kept","b":1}', {"b": 1}, {"b": 1, "a": "ours"}, {"a": "ours", "b": 1}),
        ('[{"id":"1","new":1},{"id":"2","new":2}]', [{"id": "1"}, {"id": "2"}], [{"id": "2"}], [{"id": "2", "new": 2}]),
        (
            '[{"id":"1","n":1,"new":1}]',
            [{"id": "1", "n": 1}],
            [{"id": "0"}, {"id": "1", "n": 2}],
            [{"id": "0"}, {"id": "1", "n": 2, "new": 1}],
        ),
        (
            '[{"name":"x","n":1,"new":1}]',
            [{"name": "x", "n": 1}],
            [{"name": "x", "n": 2}],
            [{"name": "x", "n": 2, "new": 1}],
        ),
        ('[{"n":1,"new":1}]', [{"n": 1}], [{"n": 2}], [{"n": 2}]),
        ('["a","b"]', ["a", "b"], ["b", "c"], ["b", "c"]),
    ],
)
def test_what_changed_changes_and_what_is_unknown_stays(text: str, before: Any, after: Any, expected: Any) -> None:
    assert changed(text, before, after) == expected


def test_the_text_of_what_did_not_change_is_kept_to_the_letter() -> None:
    text = b'{"big": 123456789012345678901234567890, "huge": 1e999, "a": 1}'
    found = msgspec.json.encode(overlay(msgspec.Raw(text), {"a": 1}, {"a": 2}))
    assert found == b'{"big":123456789012345678901234567890,"huge":1e999,"a":2}'
