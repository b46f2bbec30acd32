# ruff: noqa: RUF001  (Chinese has its own commas)
"""The estimate of a text against its definition and against a real tokenizer."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_corpus import real_tokens
from token_texts import Writer

from copilot_trio.tokens.estimate import (
    ASCII_COSTS,
    ASCII_KINDS,
    ASCII_OTHER,
    BLOCK,
    WIDE_COSTS,
    WIDE_KINDS,
    WIDE_OTHER,
    estimate,
)

WRITER = Writer(99)


def by_definition(text: str) -> float:
    """A sum over neighbours, in a loop."""
    kinds, other, costs = (
        (ASCII_KINDS, ASCII_OTHER, ASCII_COSTS) if text.isascii() else (WIDE_KINDS, WIDE_OTHER, WIDE_COSTS)
    )
    kind_of = {byte: kind for kind, group in kinds for byte in group}
    table = [int(cost) for cost in costs.split()]
    total, before = 0, kind_of[ord(" ")]
    for character in text:
        first = character.encode("utf-8", "replace")[0]
        if "\u3000" <= character < "\u3040":
            first = 0xEF
        kind = kind_of.get(first, other)
        total += table[before * 16 + kind]
        before = kind
    return max(total / 100, len(text) / 16)


@given(st.text(max_size=300))
def test_it_is_the_sum_over_neighbours(text: str) -> None:
    assert estimate(text) == pytest.approx(by_definition(text))


@pytest.mark.parametrize("length", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 5 * BLOCK + 7])
@pytest.mark.parametrize("alphabet", ["abcdeXYZ 019_\n\t(){};:\"'jq", "abc 中文，。字é—🙂\n"])
def test_it_does_not_matter_how_long_the_text_is(length: int, alphabet: str) -> None:
    text = "".join(random.Random(length).choices(alphabet, k=length))
    assert estimate(text) == pytest.approx(by_definition(text))


def test_the_tables_are_whole() -> None:
    for costs in (ASCII_COSTS, WIDE_COSTS):
        table = [int(cost) for cost in costs.split()]
        assert len(table) == 256
        assert all(0 <= cost <= 255 for cost in table)
        assert BLOCK * max(table) < 2**24
    assert BLOCK % 3 == 0


def test_nothing_is_no_tokens() -> None:
    assert estimate("") == 0


@pytest.mark.parametrize(
    ("name", "text", "tolerance"),
    [
        ("python", WRITER.python(900), 0.12),
        ("other languages", WRITER.foreign(900), 0.12),
        ("english", WRITER.english(60), 0.12),
        ("chinese", WRITER.chinese(400), 0.15),
        ("listing", WRITER.listing(200), 0.15),
        ("log", WRITER.log(200), 0.12),
        ("records", WRITER.records(60), 0.12),
        ("diff", WRITER.diff(WRITER.python(500)), 0.12),
        ("base64", base64.b64encode(random.Random(1).randbytes(20_000)).decode(), 0.12),
        ("hexadecimal", random.Random(1).randbytes(20_000).hex(), 0.12),
        # One sentence of a language is not the language.
        ("russian", "Мы проверили сервер, но ошибка осталась; попробуйте ещё раз завтра утром. " * 40, 0.3),
        ("german", "Der Rechner antwortet nicht mehr, obwohl die Verbindung noch geöffnet ist. " * 40, 0.3),
        ("japanese", "このファイルを開くことができませんでした。設定を確認してください。" * 40, 0.3),
    ],
)
def test_kinds_of_text(name: str, text: str, tolerance: float) -> None:
    assert estimate(text) == pytest.approx(real_tokens(text), rel=tolerance), name


@pytest.mark.parametrize("text", ["a", "t", "x", " ", "\n", "-", "0", "{", "\x00", "中", "é", "🙂", "ab", "\ud800"])
def test_monotony_stays_within_bounds(text: str) -> None:
    """Far off, but never nothing and never more than two tokens a character."""
    assert 100_000 / 16 <= estimate(text * 100_000) <= 200_000 * len(text)
