"""Whole conversations as coding agents hold them, and their true length by a real tokenizer.

Nothing here reads a body as ``copilot_trio.tokens`` does: the truth is added up while the conversation is made, text by
text, with the framing that OpenAI publishes (3 tokens a message) and with the pixels an image was made with.

``cd tests && PYTHONPATH=.. python token_corpus.py`` prints how far off the counts are.
"""

from __future__ import annotations

import base64
import math
import random
import statistics
import struct
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from token_texts import ENGLISH_ASKS, SAYINGS, Writer, prose

from copilot_trio.tokens.exact import exact_counter
from copilot_trio.tokens.ledger import TokenLedger
from copilot_trio.tokens.read import read_prompt
from copilot_trio.turn import Usage

Block = dict[str, Any]

MODEL = "gpt-5-mini"
FRAME = 3  # tokens a message, and as many for the answer that is to come


@cache
def real_tokens(text: str, model: str = MODEL) -> int:
    """By the real tokenizer."""
    count = exact_counter(model)
    assert count is not None, "the tests need bpe-openai: pip install -e .[test]"
    return int(count(text))


def make_picture(rng: random.Random) -> tuple[Block, int]:
    """A block, and what OpenAI takes for its pixels: 85, and 170 for each square of 512 once it is scaled."""
    width, height = rng.choice([(640, 480), (1280, 720), (1920, 1080), (2560, 1440), (800, 2400), (300, 200)])
    filler = rng.randbytes(rng.randint(3000, 60000))
    if rng.random() < 0.5:
        kind, data = "image/png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + filler
    else:
        exif = b"\xff\xe1" + struct.pack(">H", 2002) + bytes(2000)
        frame = b"\xff\xc0\0\x11\x08" + struct.pack(">HH", height, width) + b"\x03"
        kind, data = "image/jpeg", b"\xff\xd8" + exif + frame + filler
    scale = min(1, 2048 / max(width, height))
    scale *= min(1, 768 / (min(width, height) * scale))
    tiles = math.ceil(round(width * scale) / 512) * math.ceil(round(height * scale) / 512)
    source = {"type": "base64", "media_type": kind, "data": base64.b64encode(data).decode()}
    return {"type": "image", "source": source}, 85 + 170 * tiles


class Talk:
    """A conversation in the Messages dialect. ``lengths``: the true tokens of each message."""

    def __init__(self, kind: str, seed: int, tokenizer: str = MODEL) -> None:
        self.kind = kind
        self.writer = Writer(seed)
        self._tokenizer = tokenizer
        self.messages: list[dict[str, Any]] = []
        self.lengths: list[int] = []
        self.system: list[Block] = []
        self.tools: list[Block] = []
        self.head = FRAME

    def tokens(self, text: str) -> int:
        return real_tokens(text, self._tokenizer)

    def instruct(self, text: str) -> None:
        self.system.append({"type": "text", "text": text})
        self.head += self.tokens(text)

    def equip(self, name: str, description: str, schema: Block) -> None:
        self.tools.append({"name": name, "description": description, "input_schema": schema})
        self.head += (
            FRAME + self.tokens(name) + self.tokens(description) + self.tokens(msgspec.json.encode(schema).decode())
        )

    def say(self, role: str, *blocks: tuple[Block, int]) -> None:
        self.messages.append({"role": role, "content": [block for block, _ in blocks]})
        self.lengths.append(FRAME + sum(tokens for _, tokens in blocks))

    def text(self, text: str) -> tuple[Block, int]:
        return {"type": "text", "text": text}, self.tokens(text)

    def thinking(self, text: str) -> tuple[Block, int]:
        return {"type": "thinking", "thinking": text, "signature": ""}, self.tokens(text)

    def use(self, name: str, given: Block) -> tuple[Block, int]:
        block = {
            "type": "tool_use",
            "id": f"toolu_{self.writer.random.randbytes(9).hex()}",
            "name": name,
            "input": given,
        }
        return block, FRAME + self.tokens(name) + self.tokens(msgspec.json.encode(given).decode())

    def give(self, use: tuple[Block, int], *content: tuple[Block, int]) -> tuple[Block, int]:
        inner = [block for block, _ in content]
        shown = inner[0]["text"] if len(inner) == 1 and "text" in inner[0] else inner
        block = {"type": "tool_result", "tool_use_id": use[0]["id"], "content": shown}
        return block, FRAME + sum(tokens for _, tokens in content)

    def truth(self, upto: int | None = None) -> int:
        return self.head + sum(self.lengths[:upto])

    def replies(self) -> Iterator[int]:
        """The numbers of the assistant's messages: as many messages were in the prompts before them."""
        return (number for number, message in enumerate(self.messages) if message["role"] == "assistant")

    def usage(self, reply: int) -> Usage:
        total = self.truth(reply)
        cached = total // 2
        return Usage(total - cached, self.lengths[reply] - FRAME, cached)

    def body(self, upto: int | None = None, model: str = MODEL) -> bytes:
        """As Claude Code sends it: the last block carries the cache mark, a lone text before it is a plain string."""
        messages = [dict(message) for message in self.messages[:upto]]
        for message in messages[:-1]:
            content = message["content"]
            if len(content) == 1 and content[0]["type"] == "text":
                message["content"] = content[0]["text"]
        *others, last = messages[-1]["content"]
        messages[-1]["content"] = [*others, {**last, "cache_control": {"type": "ephemeral"}}]
        request = {
            "model": model,
            "max_tokens": 32000,
            "system": self.system,
            "tools": self.tools,
            "messages": messages,
        }
        return msgspec.json.encode(request)


TOOL_NAMES = ("Read", "Edit", "Write", "Bash", "Grep", "Glob", "Task", "TodoWrite", "WebFetch", "NotebookEdit")
SMALL, LARGE = 10_000, 150_000  # tokens
KINDS = ("python", "polyglot", "chinese talk", "chinese work", "english talk", "pictures", "data", "mixed")


def make_talk(kind: str, seed: int, tokenizer: str = MODEL) -> Talk:
    talk = Talk(kind, seed, tokenizer)
    writer, rng = talk.writer, talk.writer.random
    goal = math.exp(rng.uniform(math.log(SMALL), math.log(LARGE)))
    chinese = kind.startswith("chinese") or (kind == "mixed" and rng.random() < 0.5)
    with_tools = not kind.endswith("talk")
    if with_tools:
        talk.instruct(
            "You are an agent that works in the user's repository.\n\n# Rules\n" + writer.english(rng.randint(6, 30))
        )
        for name in TOOL_NAMES[: rng.randint(4, 10)]:
            talk.equip(name, writer.english(rng.randint(1, 8)), _schema(writer))
    else:
        talk.instruct(writer.chinese(12) if chinese else writer.english(3))
    while talk.truth() < goal:
        ask = writer.chinese(rng.randint(1, 6)) if chinese else writer.filled(ENGLISH_ASKS)
        if not with_tools and rng.random() < 0.5:
            ask += "\n\n" + (writer.chinese(rng.randint(5, 60)) if chinese else writer.english(rng.randint(2, 12)))
        pictures = [make_picture(rng) for _ in range(rng.randint(1, 3))] if kind in {"pictures", "mixed"} else []
        talk.say("user", *pictures[: rng.randint(0, 3)], talk.text(ask))
        for _ in range(rng.randint(2, 9) if with_tools else 0):
            _work(talk, chinese)
        answer = (
            writer.chinese(rng.randint(5, 40))
            if chinese
            else writer.filled(SAYINGS) + writer.english(rng.randint(1, 6))
        )
        if rng.random() < 0.5:
            answer += f"\n\n```\n{writer.python(20) if rng.random() < 0.5 else writer.foreign(20)}\n```\n"
        talk.say("assistant", talk.text(answer))
    talk.say("user", talk.text(writer.chinese(2) if chinese else writer.filled(ENGLISH_ASKS)))
    return talk


def _work(talk: Talk, chinese: bool) -> None:
    """One step of a tool loop."""
    writer, rng = talk.writer, talk.writer.random
    blocks: list[tuple[Block, int]] = []
    if talk.kind in {"python", "mixed"} and rng.random() < 0.5:
        blocks.append(talk.thinking(writer.filled(SAYINGS) * rng.randint(1, 4)))
    if rng.random() < 0.6:
        blocks.append(talk.text(writer.chinese(1) if chinese else writer.filled(SAYINGS)))
    code = writer.python if talk.kind == "python" or rng.random() < 0.4 else writer.foreign
    given: Block = {"file_path": writer.path()}
    name = rng.choice([tool["name"] for tool in talk.tools])
    if name == "Edit":
        given |= {"old_string": code(rng.randint(3, 25)), "new_string": code(rng.randint(3, 40))}
    elif name == "Write":
        given["content"] = f"# {writer.chinese(1)}\n{code(90)}" if chinese else code(rng.randint(30, 150))
    elif name == "Bash":
        given = {"command": f"cd {writer.path()} && python -m pytest -q -k {writer.identifier()} 2>&1 | tail -40"}
    use = talk.use(name, given)
    talk.say("assistant", *blocks, use)
    shot = [make_picture(rng)] if talk.kind == "pictures" and rng.random() < 0.3 else []
    talk.say("user", talk.give(use, talk.text(writer.result(chinese, talk.kind == "data")), *shot))


def _schema(writer: Writer) -> Block:
    properties = {
        writer.identifier(): {
            "type": writer.pick(["string", "number", "boolean"]),
            "description": writer.pick(prose())[:150],
        }
        for _ in range(writer.random.randint(1, 7))
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": [*properties][:2],
        "additionalProperties": False,
    }


# ---- how far off


class Errors(msgspec.Struct):
    """Relative errors, signed. ``cold``: nothing learned. ``first``: of the whole conversation, with only its first
    reply known. ``next``: of each prompt, with the replies before it known."""

    cold: float
    first: float
    next: list[float]


def judge(talk: Talk, model: str = MODEL) -> Errors:
    whole = read_prompt(talk.body())
    cold = TokenLedger().count(whole, model) / talk.truth() - 1
    ledger = TokenLedger()
    first: float | None = None
    following: list[float] = []
    for reply in talk.replies():
        prompt = read_prompt(talk.body(reply))
        if first is not None:
            following.append(ledger.count(prompt, model) / talk.truth(reply) - 1)
        ledger.learn(prompt, model, talk.usage(reply))
        if first is None:
            first = ledger.count(whole, model) / talk.truth() - 1
    assert first is not None
    following.append(ledger.count(whole, model) / talk.truth() - 1)
    return Errors(cold, first, following)


def talks(number: int = 48, tokenizer: str = MODEL) -> Iterator[Talk]:
    return (make_talk(KINDS[seed % len(KINDS)], seed, tokenizer) for seed in range(number))


def main() -> None:
    print(f"{'conversation':16}{'tokens':>9}{'cold':>9}{'1 reply':>9}{'every reply: median':>21}{'worst':>8}")
    judged: list[Errors] = []
    for talk in talks(int(sys.argv[1]) if len(sys.argv) > 1 else 48):
        errors = judge(talk)
        judged.append(errors)
        sizes = [abs(error) for error in errors.next]
        print(
            f"{talk.kind:16}{talk.truth():9}{errors.cold:9.1%}{errors.first:9.1%}"
            f"{statistics.median(sizes):21.2%}{max(sizes):8.2%}"
        )
    for name, found in (
        ("cold", [abs(errors.cold) for errors in judged]),
        ("one reply, then the whole conversation", [abs(errors.first) for errors in judged]),
        ("every reply known", [abs(error) for errors in judged for error in errors.next]),
    ):
        print(f"{name}: median {statistics.median(found):.2%}, worst {max(found):.2%} of {len(found)}")


if __name__ == "__main__":
    main()
