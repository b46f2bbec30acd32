"""What replies have said of prompts' lengths, and how long the next prompt is therefore.

A conversation grows at its end, so the real count of the last reply covers all of a new prompt but its tail, and of
the tail the reply's own length covers the assistant's message. Only what the user or a tool has added since is
estimated, with a factor learned from all replies: what this conversation's estimate was off by, or else this model's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile
from typing import TypeVar

import msgspec

from copilot_trio.turn import Usage

from .estimate import estimate
from .exact import Counter, counts_exactly
from .media import Vendor, vendor_of
from .prompt import MESSAGE, Piece, Prompt

MAX_REPLIES = 2000
MAX_MODELS = 200
MAX_HEADERS = 200
MAX_LEARNED = 256 * 1024  # characters that learning may estimate at once: 3 ms
MIN_LEARNED = 300  # tokens: the structure around a shorter prompt says nothing about texts
TRUSTED = 500  # tokens after which a prompt's own factor weighs as much as what was known before
RATE = 0.2  # how far one long reply moves a model's factor
FACTORS = 0.5, 3.0  # beyond these something else is wrong
HEADER_SHARE = 0.5  # of a prompt, by which its header may have changed for the old count still to be of use
SLACK = 64  # tokens by which an answer and its estimate may differ besides a factor of 2

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Reply(msgspec.Struct, frozen=True, gc=False):
    """``prompt``, ``answer``, ``reasoning``: real tokens; reasoning that is reported apart is no part of the answer.

    ``guessed``: our estimate of the prompt without any factor, 0 where none was made. ``header``, ``header_guessed``:
    the key and the estimate of what stands before the messages.
    """

    model: str
    prompt: int
    answer: int
    reasoning: int
    guessed: float
    header: int
    header_guessed: float


class TokenLedger:
    """What was learned is bounded: ``max_replies`` replies, and a factor each for ``MAX_MODELS`` models.

    ``exact`` may know a tokenizer for a model; then no text is estimated for that model.
    """

    def __init__(self, exact: Callable[[str], Counter | None] | None = None, max_replies: int = MAX_REPLIES) -> None:
        self._exact = exact
        self._max_replies = max_replies
        self._replies: OrderedDict[int, Reply] = OrderedDict()
        self._factors: OrderedDict[str, float] = OrderedDict()
        self._headers: OrderedDict[tuple[int, Vendor], float] = OrderedDict()

    def count(self, prompt: Prompt, model: str) -> int:
        """Input tokens of ``prompt``; at least 1. Estimating takes some 10 µs per KB that no reply has covered."""
        count, vendor, factor = self._counter(model), vendor_of(model), self._factor(model)
        covered, reply = self._recall(prompt)
        if reply is not None:
            base = reply.prompt * factor / self._factor(reply.model)
            base += (self._header(prompt, vendor, reply) - reply.header_guessed) * factor
            if abs(base - reply.prompt) <= HEADER_SHARE * reply.prompt:
                return max(1, round(base + self._tail(prompt.pieces[covered:], reply, model, count)))
        cost = prompt.header.cost(count, vendor) + sum(piece.cost(count, vendor) for piece in prompt.pieces)
        return max(1, round(cost * factor))

    def learn(self, prompt: Prompt, model: str, usage: Usage) -> None:
        """Take note of what upstream counted. Does nothing with a usage that says nothing."""
        total = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        if total <= 0 or not prompt.pieces:
            return
        vendor = vendor_of(model)
        covered, known = self._recall(prompt)
        if known is not None and (known.model != model or known.header != prompt.header.key or not known.guessed):
            covered, known = 0, None
        header = self._header(prompt, vendor, known)
        guessed = 0.0
        new = prompt.pieces[covered:]
        if not self._counts_exactly(model) and sum(piece.length for piece in new) <= MAX_LEARNED:
            guessed = known.guessed if known is not None else header
            guessed += sum(piece.cost(estimate, vendor) for piece in new)
        reasoning = min(usage.reasoning_tokens, usage.output_tokens)
        reply = Reply(model, total, usage.output_tokens - reasoning, reasoning, guessed, prompt.header.key, header)
        _put(self._replies, _chain(prompt.pieces)[-1], reply, self._max_replies)
        if guessed >= MIN_LEARNED:
            self._calibrate(model, total / guessed, guessed / (guessed + TRUSTED))

    def _tail(self, pieces: Sequence[Piece], reply: Reply, model: str, count: Counter) -> float:
        """Tokens of what follows the prompt that ``reply`` answered: mostly the answer, and what was said to it."""
        vendor, factor = vendor_of(model), self._factor(model)
        answer = list(takewhile(lambda piece: piece.assistant, pieces))
        guessed = sum(piece.cost(count, vendor) for piece in answer)
        real = _answered(answer, reply, guessed * factor)
        if reply.model == model and reply.guessed:
            seen, expected = reply.prompt + (real or 0), reply.guessed + (guessed if real else 0)
            if expected >= MIN_LEARNED:
                factor = _within((seen + TRUSTED * factor) / (expected + TRUSTED))
        rest = sum(piece.cost(count, vendor) for piece in pieces[len(answer) :])
        return (guessed * factor if real is None else real) + rest * factor

    def _counts_exactly(self, model: str) -> bool:
        return self._exact is not None and counts_exactly(model)

    def _counter(self, model: str) -> Counter:
        return (self._exact and self._exact(model)) or estimate

    def _factor(self, model: str) -> float:
        """Real tokens per estimated one. At first 1: upstream names o200k_base for all models (upstream.md §6.1)."""
        return self._factors.get(model, 1.0)

    def _calibrate(self, model: str, seen: float, weight: float) -> None:
        factor = self._factor(model)
        rate = RATE if model in self._factors else 1.0
        _put(self._factors, model, factor + rate * weight * (_within(seen) - factor), MAX_MODELS)

    def _recall(self, prompt: Prompt) -> tuple[int, Reply | None]:
        """The reply to the longest known beginning of the messages, and how many messages that is."""
        keys = _chain(prompt.pieces)
        for covered in range(len(keys), 0, -1):
            reply = self._replies.get(keys[covered - 1])
            if reply is not None:
                self._replies.move_to_end(keys[covered - 1])
                return covered, reply
        return 0, None

    def _header(self, prompt: Prompt, vendor: Vendor, known: Reply | None) -> float:
        """The estimate of the header: tools and system texts are long, and the same in many requests."""
        if known is not None and known.header == prompt.header.key:
            return known.header_guessed
        key = prompt.header.key, vendor
        cost = self._headers.get(key)
        if cost is None:
            cost = prompt.header.cost(estimate, vendor)
        _put(self._headers, key, cost, MAX_HEADERS)
        return cost


def _answered(answer: Sequence[Piece], reply: Reply, expected: float) -> int | None:
    """The real tokens of ``answer``, if what upstream counted can have been that.

    Thinking that is not sent back may have been counted, and an answer may come back cut.
    """
    if not answer:
        return None
    thinks = any(piece.thoughts for piece in answer)
    real = MESSAGE + reply.answer + (reply.reasoning if thinks else 0)
    return real if thinks or expected / 2 - SLACK <= real <= expected * 2 + SLACK else None


def _chain(pieces: Sequence[Piece]) -> list[int]:
    """A key for every beginning of the conversation."""
    return list(accumulate((piece.key for piece in pieces), lambda before, key: hash((before, key))))


def _within(factor: float) -> float:
    return min(max(factor, FACTORS[0]), FACTORS[1])


def _put(memory: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > most:
        memory.popitem(last=False)
