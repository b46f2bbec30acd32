from __future__ import annotations

import msgspec
import pytest

from copilot_trio.dialects.newest import newest_text


def text_of(body: object, length: int = 200) -> str:
    return newest_text(msgspec.json.encode(body), length)


def user(content: object) -> dict[str, object]:
    return {"role": "user", "content": content}


TOOL_RESULT = user([{"type": "tool_result", "tool_use_id": "x", "content": "no words of a person"}])
REMINDER = {"type": "text", "text": "<system-reminder>not theirs</system-reminder>"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"messages": [user("first"), {"role": "assistant", "content": "no"}, user("second")]}, "second"),
        ({"messages": [user("hello"), TOOL_RESULT]}, "hello"),
        ({"messages": [user([{"type": "text", "text": "hello"}, REMINDER])]}, "hello"),
        ({"messages": [user([{"type": "image", "source": {}}, {"type": "text", "text": "what's it?"}])]}, "what's it?"),
        ({"input": "just this"}, "just this"),
        ({"input": [user([{"type": "input_text", "text": "do it"}]), {"type": "function_call_output", "output": "x"}]},
         "do it"),
        ({"input": [user("Cursor's")], "messages": None}, "Cursor's"),
        ({"messages": [{"role": "system", "content": "rules"}]}, ""),
        ({"messages": [user("  ")]}, ""),
        ({"messages": [7, user("hello"), {"role": 3}]}, "hello"),
        ({"messages": 5}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_newest_words_of_a_person_are_found(body: object, expected: str) -> None:
    assert text_of(body) == expected


def test_what_is_no_json_says_nothing() -> None:
    assert newest_text(b"{", 200) == ""


def test_it_fits_on_a_line_and_does_not_speak_to_the_terminal() -> None:
    odd = "one\n\ttwo \x1b[2Jthree\x07 \u202efour\r\nfive" + "x" * 500
    shown = text_of({"messages": [user(odd)]}, 30)
    assert shown == "one two [2Jthree four fivexxxx"
    assert shown.isprintable()
