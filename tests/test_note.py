from __future__ import annotations

import pytest

from copilot_trio.turn import Usage
from copilot_trio.usage.note import RequestNote, duration


def note(**fields: object) -> RequestNote:
    made = RequestNote()
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("fields", "prefix"),
    [
        ({}, ""),
        ({"thinking": True}, ""),
        ({"model": "gpt-4.1"}, "[gpt-4.1] "),
        ({"model": "claude-opus-4-6", "thinking": True}, "[claude-opus-4-6 thinking] "),
    ],
    ids=["nothing", "no model", "model", "thinking"],
)
def test_the_prefix_names_the_model(fields: dict[str, object], prefix: str) -> None:
    assert note(**fields).prefix() == prefix


@pytest.mark.parametrize(
    ("fields", "suffix"),
    [
        ({}, ""),
        ({"account": "work"}, " acct:work"),
        ({"usage": Usage(input_tokens=9, output_tokens=2)}, " in:9 out:2"),
        (
            {
                "usage": Usage(300, 340, 900, 0, nano_aiu=800_000_000),
                "account": "work",
            },
            " in:1200 out:340 cached:900 acct:work cost:0.8cr",
        ),
        ({"usage": Usage(1, 1, 0, 10)}, " in:11 out:1"),
        ({"usage": Usage(1, 1, nano_aiu=0)}, " in:1 out:1 cost:0cr"),
        ({"usage": Usage(1, 1, nano_aiu=8_262_952_500)}, " in:1 out:1 cost:8.26cr"),
        ({"usage": Usage(1, 1, nano_aiu=1_234_567_000_000)}, " in:1 out:1 cost:1235cr"),
        ({"account": "work", "error": "rate_limit_exceeded"}, " acct:work rate_limit_exceeded"),
    ],
    ids=["nothing", "account", "usage", "all", "cache writes count", "free", "cost", "dear", "error"],
)
def test_the_suffix_says_what_is_known(fields: dict[str, object], suffix: str) -> None:
    assert note(**fields).suffix() == suffix


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.34, "340ms"), (0.9994, "999ms"), (0.9999, "1.0s"), (1, "1.0s"), (20.1, "20.1s"), (300, "300.0s")],
)
def test_a_duration_is_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text
