"""How far off counts are, on whole conversations, by a real tokenizer."""

from __future__ import annotations

import statistics

import pytest
from token_corpus import KINDS, LARGE, SMALL, Errors, judge, make_talk, talks

from copilot_trio.tokens.ledger import TokenLedger
from copilot_trio.tokens.read import read_prompt


@pytest.fixture(scope="module")
def judged() -> list[Errors]:
    return [judge(talk) for talk in talks(40)]


def worst(errors: list[float]) -> float:
    return max(abs(error) for error in errors)


def median(errors: list[float]) -> float:
    return statistics.median(abs(error) for error in errors)


def test_the_conversations_are_long_and_of_every_kind() -> None:
    made = [make_talk(kind, seed) for seed, kind in enumerate(KINDS)]
    assert all(SMALL <= talk.truth() < 1.2 * LARGE for talk in made)
    bodies = {talk.kind: talk.body() for talk in made}
    assert b'"image"' in bodies["pictures"]
    assert b'"thinking"' in bodies["python"]
    assert bodies["chinese talk"].decode().count("的") > 1000


def test_cold(judged: list[Errors]) -> None:
    assert worst([errors.cold for errors in judged]) <= 0.20


def test_after_one_reply_the_whole_conversation(judged: list[Errors]) -> None:
    """The hardest reading: nothing but the first reply is known, and all that came later is estimated."""
    errors = [errors.first for errors in judged]
    assert median(errors) <= 0.05
    assert worst(errors) <= 0.15


def test_after_every_reply_the_next_prompt(judged: list[Errors]) -> None:
    errors = [error for errors in judged for error in errors.next]
    assert median(errors) <= 0.01
    assert worst(errors) <= 0.15


def test_a_model_with_another_vocabulary() -> None:
    """Claude's real counts are not o200k's. cl100k stands in for them: it needs up to 60 % more for Chinese."""
    found = [
        judge(make_talk(kind, seed, tokenizer="gpt-4"), model="claude-opus-4.6")
        for seed, kind in enumerate(kind for kind in KINDS if kind not in {"pictures", "mixed"})
    ]
    errors = [error for errors in found for error in errors.next]
    assert worst([errors.cold for errors in found]) > 0.2, "or else this would show nothing"
    assert median(errors) <= 0.05
    assert worst(errors) <= 0.15


def test_pieces_of_a_conversation_profit_too() -> None:
    """/context counts the messages without the tools and the other way round (clients.md §3.2)."""
    talk = make_talk("python", 8)
    ledger = TokenLedger()
    *_, reply = talk.replies()
    ledger.learn(read_prompt(talk.body(reply)), "gpt-5-mini", talk.usage(reply))
    header = talk.head
    talk.system, talk.tools, talk.head = [], [], 3
    assert ledger.count(read_prompt(talk.body()), "gpt-5-mini") == pytest.approx(talk.truth(), rel=0.1)
    assert header > 3000
