"""Chat chunks as the Claude models stream them: every parallel call has ``index: 0`` (upstream.md §7.6, §7.7)."""

from __future__ import annotations

from collections.abc import Iterator

from .catalogue import cost
from .rendering import Answer, pieces_of, words_of
from .reply import JSON


def chunks(answer: Answer, finish: str) -> Iterator[JSON]:
    base = {"created": answer.created, "id": answer.identifiers.uuid(), "model": answer.model.echo}
    deltas = [*_thoughts(answer), *({"content": word} for word in words_of(answer.plan.text)), *_calls(answer)]
    for position, delta in enumerate(deltas or [{"content": ""}]):
        named = delta if position else delta | {"role": "assistant"}
        yield {"choices": [{"index": 0, "delta": named}], **base}
    yield _finish(answer, base, finish)


def _thoughts(answer: Answer) -> Iterator[JSON]:
    thoughts = answer.plan.thoughts
    if not thoughts:
        return
    for word in words_of(thoughts):
        yield {"content": None, "reasoning_text": word}
    yield {"content": None, "reasoning_opaque": answer.seal.sign(thoughts, answer.binding)}


def _calls(answer: Answer) -> Iterator[JSON]:
    for call in answer.plan.calls:
        call_id = f"toolu_vrtx_SYNTH{answer.identifiers.word(17)}"
        opening = {"function": {"name": call.name}, "id": call_id, "index": 0, "type": "function"}
        yield {"content": None, "tool_calls": [opening]}
        for piece in pieces_of(call.wire_arguments):
            part = {"function": {"arguments": piece}, "index": 0, "type": "function"}
            yield {"content": None, "tool_calls": [part]}


def _finish(answer: Answer, base: JSON, finish: str) -> JSON:
    counts = answer.usage
    chunk: JSON = {
        "choices": [{"finish_reason": finish, "index": 0, "delta": {"content": None}}],
        "created": base["created"],
        "id": base["id"],
    }
    if not answer.has("nousage"):
        chunk["usage"] = {
            "completion_tokens": counts.output,
            "prompt_tokens": counts.prompt,
            "prompt_tokens_details": {"cached_tokens": counts.cache_read},
            "total_tokens": counts.prompt + counts.output,
            "reasoning_tokens": 0,
        }
    return chunk | {"model": base["model"], "copilot_usage": cost(answer.model, counts)}
