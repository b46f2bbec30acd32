"""Chat chunks as the Gemini models stream them (upstream.md §7.8).

A zeroed usage and the role in each chunk, whole arguments, and ``reasoning_opaque`` in one of four places: on the
last text chunk with the finish reason, on a middle text chunk, on the text chunk before tool calls, on the first
call. ``VARIANT:opaque_finish``, ``opaque_middle``, ``opaque_text`` choose; otherwise it rides on the first call, or
on the finish chunk if there is none.
"""

from __future__ import annotations

from collections.abc import Iterator

from .catalogue import cost
from .rendering import Answer, words_of
from .reply import JSON

NOTHING = {
    "completion_tokens": 0,
    "prompt_tokens": 0,
    "prompt_tokens_details": {"cached_tokens": 0},
    "total_tokens": 0,
    "reasoning_tokens": 0,
}


def chunks(answer: Answer, finish: str) -> Iterator[JSON]:
    base = {"created": answer.created, "id": f"SynthGem_{answer.identifiers.word(8)}"}
    deltas = _deltas(answer)
    if answer.plan.thoughts:
        deltas[_opaque_place(answer, deltas)]["reasoning_opaque"] = answer.seal.sign(
            answer.plan.thoughts, answer.binding
        )
    for delta in deltas[:-1]:
        yield _chunk(answer, base, {"index": 0, "delta": delta}, NOTHING)
    last = _chunk(answer, base, {"finish_reason": finish, "index": 0, "delta": deltas[-1]}, _usage(answer))
    yield last | {"copilot_usage": cost(answer.model, answer.usage)}


def _deltas(answer: Answer) -> list[JSON]:
    start: JSON = {"content": None, "role": "assistant"}
    deltas: list[JSON] = []
    if answer.plan.thoughts:
        deltas.append(start | {"reasoning_text": answer.plan.thoughts})
    deltas += [{"content": word, "role": "assistant"} for word in words_of(answer.plan.text)]
    for index, call in enumerate(answer.plan.calls):
        opening = {
            "function": {"arguments": call.wire_arguments, "name": call.name},
            "id": f"call_SYNTHGEM{answer.identifiers.word(10)}",
            "index": index,
            "type": "function",
        }
        deltas.append(start | {"tool_calls": [opening]})
    return deltas or [{"content": "", "role": "assistant"}]


def _opaque_place(answer: Answer, deltas: list[JSON]) -> int:
    texts = [index for index, delta in enumerate(deltas) if delta["content"]]
    calls = [index for index, delta in enumerate(deltas) if "tool_calls" in delta]
    if answer.has("opaque_middle") and texts:
        return texts[len(texts) // 2]
    if answer.has("opaque_text") and texts:
        return texts[-1]
    if calls and not answer.has("opaque_finish"):
        return calls[0]
    return len(deltas) - 1


def _chunk(answer: Answer, base: JSON, choice: JSON, usage: JSON) -> JSON:
    chunk = {"choices": [choice], **base, "usage": usage, "model": answer.model.echo}
    if answer.has("nousage"):
        del chunk["usage"]
    return chunk


def _usage(answer: Answer) -> JSON:
    """Reasoning is outside ``completion_tokens`` and inside ``total_tokens``."""
    counts = answer.usage
    return {
        "completion_tokens": counts.output - counts.reasoning,
        "prompt_tokens": counts.prompt,
        "prompt_tokens_details": {"cached_tokens": counts.cache_read},
        "total_tokens": counts.prompt + counts.output,
        "reasoning_tokens": counts.reasoning,
    }
