"""What the ledger makes of replies: prefixes, answers, factors, and its bounds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from token_corpus import MODEL, make_talk, real_tokens

from copilot_trio.tokens import exact
from copilot_trio.tokens.exact import exact_counter
from copilot_trio.tokens.ledger import FACTORS, MAX_MODELS, TokenLedger
from copilot_trio.tokens.prompt import Prompt
from copilot_trio.tokens.read import read_prompt
from copilot_trio.turn import Usage

ESSAY = "The scheduler wakes up, looks at the queue and decides which of the waiting tasks may run next. " * 60
TOOLS = [{"name": "Read", "description": ESSAY, "input_schema": {"type": "object"}}]


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def assistant(*blocks: dict[str, Any] | str) -> dict[str, Any]:
    return {"role": "assistant", "content": [{"type": "text", "text": b} if isinstance(b, str) else b for b in blocks]}


def ask(*messages: dict[str, Any], **more: Any) -> Prompt:
    return read_prompt(msgspec.json.encode({"messages": messages, **more}))


def test_a_known_prompt_is_as_long_as_upstream_said() -> None:
    ledger = TokenLedger()
    ledger.learn(ask(user("hello")), MODEL, Usage(100, 5, cache_read_tokens=20, cache_write_tokens=3))
    assert ledger.count(ask(user("hello")), MODEL) == 123


def test_the_answer_is_as_long_as_upstream_said() -> None:
    """The estimate of this answer is some 20 tokens."""
    ledger = TokenLedger()
    ledger.learn(ask(user("hello")), MODEL, Usage(100, 30))
    said = assistant("I am well, thank you very much, and I hope that you are well too. What can I do?")
    assert ledger.count(ask(user("hello"), said), MODEL) == 134


def test_only_the_tail_is_estimated() -> None:
    ledger = TokenLedger()
    ledger.learn(ask(user(ESSAY)), MODEL, Usage(90_000, 30))
    counted = ledger.count(ask(user(ESSAY), assistant("Good. " * 12), user("And then?")), MODEL)
    assert 90_030 < counted < 90_080


def test_the_longest_known_beginning_counts() -> None:
    ledger = TokenLedger()
    first, second = [user("a")], [user("a"), assistant("b"), user("c")]
    ledger.learn(ask(*second), MODEL, Usage(2000, 1))
    ledger.learn(ask(*first), MODEL, Usage(1000, 1))
    assert ledger.count(ask(*second), MODEL) == 2000
    assert ledger.count(ask(*second, assistant("d"), user("e")), MODEL) > 2000
    branch = ledger.count(ask(user("a"), assistant("something else"), user("c")), MODEL)
    assert 1000 < branch < 1050


def test_a_moving_cache_mark_does_not_hide_the_prefix() -> None:
    ledger = TokenLedger()
    marked = {"role": "user", "content": [{"type": "text", "text": "hello", "cache_control": {"type": "ephemeral"}}]}
    ledger.learn(ask(marked), MODEL, Usage(5000, 10))
    assert 5000 < ledger.count(ask(user("hello"), assistant("hi"), marked), MODEL) < 5050


def test_reasoning_counts_only_if_it_is_sent_back() -> None:
    ledger = TokenLedger()
    ledger.learn(ask(user("hello")), MODEL, Usage(1000, 4010, reasoning_tokens=4000))
    assert ledger.count(ask(user("hello"), assistant("hi")), MODEL) == 1014
    thinking = {"type": "thinking", "thinking": "", "signature": "c2VhbA=="}
    assert ledger.count(ask(user("hello"), assistant(thinking, "hi")), MODEL) == 5014


def test_thinking_that_upstream_does_not_report_apart_is_noticed() -> None:
    ledger = TokenLedger()
    ledger.learn(ask(user("hello")), "claude-opus-4.6", Usage(1000, 4010))
    assert ledger.count(ask(user("hello"), assistant("hi")), "claude-opus-4.6") < 1020


def test_parallel_answers_of_the_responses_api_are_one_answer() -> None:
    ledger = TokenLedger()
    start = {"input": [{"role": "user", "content": "hello"}]}
    ledger.learn(read_prompt(msgspec.json.encode(start)), MODEL, Usage(1000, 70))
    calls = [{"type": "function_call", "name": f"tool_{n}", "arguments": '{"path":"/src/main.py"}'} for n in range(3)]
    output = {"type": "function_call_output", "output": "x"}
    longer = {"input": [*start["input"], *calls, output]}
    assert 1074 < ledger.count(read_prompt(msgspec.json.encode(longer)), MODEL) < 1100


@pytest.mark.parametrize("usage", [Usage(), Usage(0, 50), Usage(-5, 1)])
def test_a_usage_that_says_nothing_teaches_nothing(usage: Usage) -> None:
    ledger = TokenLedger()
    ledger.learn(ask(user(ESSAY)), MODEL, usage)
    assert ledger.count(ask(user(ESSAY)), MODEL) == TokenLedger().count(ask(user(ESSAY)), MODEL)


def test_new_tools_are_added_to_what_is_known() -> None:
    """Tools that a search finds are listed from then on, and the rest of the conversation stays what it was."""
    ledger = TokenLedger()
    ledger.learn(ask(user(ESSAY)), MODEL, Usage(50_000, 1))
    tool = TokenLedger().count(ask(user("x"), tools=TOOLS), MODEL) - TokenLedger().count(ask(user("x")), MODEL)
    assert ledger.count(ask(user(ESSAY), tools=TOOLS), MODEL) == pytest.approx(50_000 + tool, rel=0.05)
    ledger.learn(ask(user(ESSAY), tools=TOOLS), MODEL, Usage(51_000, 1))
    assert ledger.count(ask(user(ESSAY)), MODEL) < 51_000


def test_a_short_question_is_not_taken_for_a_conversation_with_a_long_header() -> None:
    """Claude Code's /context counts pieces by themselves, beside a message ``foo`` (clients.md §2)."""
    ledger = TokenLedger()
    ledger.learn(ask(user("foo"), tools=TOOLS * 10), MODEL, Usage(12_345, 1))
    assert ledger.count(ask(user("foo")), MODEL) < 20


def test_the_factor_of_a_model_is_learned() -> None:
    ledger = TokenLedger()
    plain = ledger.count(ask(user(ESSAY)), "claude-opus-4.6")
    for number in range(12):
        text = f"{number} {ESSAY}"
        ledger.learn(ask(user(text)), "claude-opus-4.6", Usage(round(plain * 1.3), 1))
    other = ask(user(f"Something new. {ESSAY}"))
    assert ledger.count(other, "claude-opus-4.6") == pytest.approx(plain * 1.3, rel=0.08)
    assert ledger.count(other, MODEL) == pytest.approx(plain, rel=0.02), "another model's factor is its own"


def test_nonsense_moves_a_factor_only_so_far() -> None:
    ledger = TokenLedger()
    plain = ledger.count(ask(user(ESSAY)), MODEL)
    for number in range(50):
        ledger.learn(ask(user(f"{number} {ESSAY}")), MODEL, Usage(10**9, 1))
    assert ledger.count(ask(user(f"new {ESSAY}")), MODEL) <= plain * FACTORS[1] * 1.01


def test_another_model_counts_the_same_conversation_by_its_own_factor() -> None:
    ledger = TokenLedger()
    plain = ledger.count(ask(user(ESSAY)), "gpt-4.1")
    ledger.learn(ask(user(ESSAY)), "gpt-4.1", Usage(round(plain * 1.25), 10))
    assert ledger.count(ask(user(ESSAY)), "gpt-4.1") == round(plain * 1.25)
    assert ledger.count(ask(user(ESSAY)), "gemini-2.5-pro") == pytest.approx(plain, rel=0.1)


def test_it_forgets_the_oldest() -> None:
    ledger = TokenLedger(max_replies=3)
    for name in "abcd":
        ledger.learn(ask(user(name)), MODEL, Usage(1000, 1))
        ledger.count(ask(user("a")), MODEL)  # which keeps it
    known = [name for name in "abcd" if ledger.count(ask(user(name)), MODEL) == 1000]
    assert known == ["a", "c", "d"]


def test_it_stays_small() -> None:
    ledger = TokenLedger(max_replies=10)
    for number in range(MAX_MODELS + 50):
        ledger.learn(ask(user(f"{number} {ESSAY}"), system=f"{number}"), f"model-{number}", Usage(1000, 1))
    assert len(ledger._replies) == 10
    assert len(ledger._factors) == MAX_MODELS
    assert len(ledger._headers) == MAX_MODELS


def test_an_unknown_model_is_estimated() -> None:
    """Never 1: the client would never compact (peers.md §14)."""
    assert TokenLedger().count(ask(user(ESSAY)), "llama-99") == pytest.approx(real_tokens(ESSAY), rel=0.15)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"messages":[]}', b"nonsense"])
def test_an_empty_prompt_is_one_token_or_a_few(body: bytes) -> None:
    ledger = TokenLedger()
    ledger.learn(read_prompt(body), MODEL, Usage(10, 1))
    assert 1 <= ledger.count(read_prompt(body), MODEL) <= 10


def test_a_long_prompt_is_estimated_once() -> None:
    """After that, learning looks at what is new only: the estimate must come out the same."""
    talk = make_talk("python", 3)
    ledger, fresh = TokenLedger(), TokenLedger()
    *_, before, last = talk.replies()
    for reply in (before, last):
        ledger.learn(read_prompt(talk.body(reply)), MODEL, talk.usage(reply))
    fresh.learn(read_prompt(talk.body(last)), MODEL, talk.usage(last))
    (*_, grown), (*_, whole) = ledger._replies.values(), fresh._replies.values()
    assert grown.guessed == pytest.approx(whole.guessed)


def test_a_huge_prompt_teaches_its_length_but_no_factor() -> None:
    ledger = TokenLedger()
    huge = ask(user("word " * 300_000))
    ledger.learn(huge, MODEL, Usage(900_000, 1))
    assert ledger.count(huge, MODEL) == 900_000
    assert not ledger._factors


def test_exact_counts_where_a_tokenizer_is_known() -> None:
    ledger = TokenLedger(exact_counter)
    text = "Ein paar Wörter, 日本語, and a/path_with.dots"
    assert ledger.count(ask(user(text)), MODEL) == real_tokens(text) + 4
    ledger.learn(ask(user(ESSAY)), MODEL, Usage(9000, 1))
    assert ledger.count(ask(user(text)), MODEL) == real_tokens(text) + 4, "nothing to calibrate"
    assert ledger.count(ask(user(ESSAY), assistant("x"), user(text)), MODEL) == 9000 + 5 + real_tokens(text) + 4


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-4.1", "GPT-4o", "o4-mini", "gpt-4", "gpt-3.5-turbo"])
def test_models_whose_tokenizer_is_public(model: str) -> None:
    assert exact_counter(model) is not None


@pytest.mark.parametrize("model", ["claude-opus-4.6", "gemini-2.5-pro", "grok-code-fast-1", "", "my-gpt-5"])
def test_models_whose_tokenizer_is_not(model: str) -> None:
    assert exact_counter(model) is None


def test_tokenizers_differ() -> None:
    new, old = exact_counter("gpt-4o"), exact_counter("gpt-4-0613")
    assert new is not None
    assert old is not None
    assert new("你好，世界。今天天气很好。" * 9) < old("你好，世界。今天天气很好。" * 9)  # noqa: RUF001
    assert new("half \ud800 a pair") > 3


def test_without_the_package_there_is_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        return None

    exact._load.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", nothing)
    assert exact_counter(MODEL) is None
    assert TokenLedger(exact_counter).count(ask(user(ESSAY)), MODEL) == TokenLedger().count(ask(user(ESSAY)), MODEL)
    exact._load.cache_clear()
