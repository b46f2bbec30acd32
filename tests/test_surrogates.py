from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.dialects.surrogates import without_half_pairs


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (rb"cut \ud83d", rb"cut \ufffd"),
        (rb"\uDE00 cut", rb"\ufffd cut"),
        (rb"\ud83d\ud83d\ude00", rb"\ufffd\ud83d\ude00"),
        (rb"\ud83d \ude00", rb"\ufffd \ufffd"),
        (rb"\ud83d\n\ude00", rb"\ufffd\n\ufffd"),
    ],
)
def test_a_half_becomes_a_replacement_character(text: bytes, mended: bytes) -> None:
    assert without_half_pairs(b'["%b"]' % text) == b'["%b"]' % mended


@pytest.mark.parametrize("text", [rb"\ud83d\ude00", rb"\\ud83d", rb"\\\\ud83d\\", rb"plain \u00e9", rb"\ud7ff \ue000"])
def test_what_is_whole_stays_the_same_object(text: bytes) -> None:
    body = b'["%b"]' % text
    assert without_half_pairs(body) is body


@given(st.lists(st.text(st.characters(categories=["Cs", "L", "So"]) | st.sampled_from('\\"u'))))
def test_the_result_can_be_encoded_and_only_halves_have_changed(texts: list[str]) -> None:
    body = json.dumps(texts).encode()
    mended: list[str] = json.loads(without_half_pairs(body))
    for before, after in zip(texts, mended, strict=True):
        # What Python's own decoder joins into a pair is no half.
        assert after == before.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
