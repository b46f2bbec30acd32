"""Chat chunks as the GPT models stream them, with Azure's filters (upstream.md §7.4, §7.5, §7.9, §7.10)."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .catalogue import cost
from .rendering import Answer, pieces_of, words_of
from .reply import JSON

SAFE = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
CITATION = {
    "IPCodeCitations": [
        {
            "id": 0,
            "start_offset": 0,
            "end_offset": 40,
            "details": {"type": "general"},
            "citations": {
                "snippet": "def f(): …",
                "url": "https://github.com/octo/repo/tree/0000000/src/f.py",
                "ip_type": "LICENSE",
                "license": "MIT",
            },
        }
    ]
}
VULNERABILITY = {
    "CodeVulnerability": [
        {"id": 0, "start_offset": 0, "end_offset": 40, "details": {"type": "general"}, "citations": {}}
    ]
}
COPYRIGHT = {"TextCopyright": [{"id": 0, "start_offset": 0, "end_offset": 40}]}


def filtered(answer: Answer) -> Answer:
    """An answer that the public-code filter stopped."""
    return msgspec.structs.replace(answer, plan=msgspec.structs.replace(answer.plan, stop="refusal"))


def chunks(answer: Answer, finish: str) -> Iterator[JSON]:
    base = _base(answer)
    yield {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}],
    }
    yield from _reasoning(answer, base)
    yield from _content(answer, base)
    yield from _annotations(answer, base)
    yield from _calls(answer, base)
    final: JSON = {"content": None, "copilot_annotations": COPYRIGHT} if answer.plan.special == "content_filter" else {}
    yield _chunk(base, final, finish=finish)
    if answer.plan.special == "cot":  # after the finish reason: so do not stop reading there
        late = {"content_filter_results": {}, "delta": {"cot_id": f"cot_{answer.identifiers.uuid()}"}, "index": 0}
        yield {"choices": [late], **base}
    yield _usage_chunk(answer, base)


def _base(answer: Answer) -> JSON:
    return {
        "created": answer.created,
        "id": f"chatcmpl-Synth{answer.identifiers.word(23)}",
        "model": answer.model.echo,
        "object": "chat.completion.chunk",
        "system_fingerprint": "fp_0000000000",
    }


def _chunk(base: JSON, delta: JSON, *, finish: str | None = None, filters: JSON | None = None) -> JSON:
    choice = {
        "content_filter_results": filters or {},
        "delta": delta,
        "finish_reason": finish,
        "index": 0,
        "logprobs": None,
    }
    return {"choices": [choice], **base, "usage": None}


def _reasoning(answer: Answer, base: JSON) -> Iterator[JSON]:
    if answer.plan.special == "cot":
        for word in words_of("Analysing the question."):
            yield _chunk(base, {"cot_summary": word})


def _content(answer: Answer, base: JSON) -> Iterator[JSON]:
    text = answer.plan.text
    if text or not answer.plan.calls:
        yield _chunk(base, {"content": "", "refusal": None, "role": "assistant"})
    for word in words_of(text):
        yield _chunk(base, {"content": word}, filters=SAFE)


def _annotations(answer: Answer, base: JSON) -> Iterator[JSON]:
    match answer.plan.special:
        case "annotations":
            yield _chunk(base, {"content": " def f():", "copilot_annotations": CITATION})
        case "vulnerability":
            yield _chunk(base, {"content": None, "copilot_annotations": VULNERABILITY})


def _calls(answer: Answer, base: JSON) -> Iterator[JSON]:
    for index, call in enumerate(answer.plan.calls):
        opening = {
            "function": {"arguments": "", "name": call.name},
            "id": f"call_SYNTH{answer.identifiers.word(17)}",
            "index": index,
            "type": "function",
        }
        first = index == 0 and not answer.plan.text
        start: JSON = {"content": None, "refusal": None, "role": "assistant"} if first else {}
        yield _chunk(base, start | {"tool_calls": [opening]})
        for piece in pieces_of(call.wire_arguments):
            yield _chunk(base, {"tool_calls": [{"function": {"arguments": piece}, "index": index}]})


def _usage_chunk(answer: Answer, base: JSON) -> JSON:
    counts = answer.usage
    usage: JSON = {
        "completion_tokens": counts.output,
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": 0,
            "reasoning_tokens": counts.reasoning,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens": counts.prompt,
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": counts.cache_read},
        "total_tokens": counts.prompt + counts.output,
    }
    billed = cost(answer.model, counts)
    if answer.has("usageinside"):  # both places have been read by clients (upstream.md §5.3)
        return {"choices": [], **base, "usage": usage | {"copilot_usage": billed}}
    return {"choices": [], **base, "usage": usage, "copilot_usage": billed}
