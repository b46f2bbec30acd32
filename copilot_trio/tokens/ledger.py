"""What replies have said of prompts' lengths, and how long the next prompt is therefore.

A conversation grows at its end, so the real count of the last reply covers all of a new prompt but its tail, and of
the tail the reply's own length covers the assistant's message. Only what the user or a tool has added since is
estimated, with a factor learned from all replies: what this conversation's estimate was off by, or else this model's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import msgspec

from copilot_trio.turn import Usage

from .estimate import estimate
from .exact import Counter
from .media import Vendor, vendor_of
from .prompt import Piece, Prompt

MAX_REPLIES = 2000
MAX_MODELS = 200
MAX_HEADERS = 200
MAX_LEARNED = 1024 * 1024  # bytes of a prompt from which a factor is learned
MIN_LEARNED = 300  # tokens: the structure around a shorter prompt says nothing about texts
TRUSTED = 2000  # tokens of a conversation after which its own factor counts as much as the model's
RATE = 0.2  # how far one reply moves a model's factor
FACTORS = 0.5, 3.0  # beyond these something else is wrong
HEADER_SHARE = 0.5  # of a prompt, by which its header may have changed for the old count still to be of use

_Value = TypeVar("_Value")


class Reply(msgspec.Struct, frozen=True, gc=False):
    """``prompt``, ``answer``: real tokens; of the answer without reasoning that is reported apart. ``reasoning``: that.

    ``guessed``: what we would have said of the prompt, 0 if we were not asked. ``header``, ``header_cost``: key and
    estimate of the system's text and the tools.
    """

    model: str
    prompt: int
    answer: int
    reasoning: int
    guessed: float
    header: int
    header_cost: float


class TokenLedger:
    """Bounded memory of replies. ``exact`` may know a tokenizer for a model: then nothing is estimated for it."""

    def __init__(self, exact: Callable[[str], Counter | None] | None = None, max_replies: int = MAX_REPLIES) -> None:
        self._exact = exact
        self._max_replies = max_replies
        self._replies: OrderedDict[int, Reply] = OrderedDict()
        self._factors: OrderedDict[str, float] = OrderedDict()
        self._headers: OrderedDict[tuple[int, Vendor], float] = OrderedDict()
