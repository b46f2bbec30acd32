"""``POST /v1/messages`` answers: sorted keys, and a ``[DONE]`` after ``message_stop`` (upstream.md §10)."""

from __future__ import annotations

from collections.abc import Iterator

from .catalogue import cost
from .errors import of_status
from .plan import Block, Call, Compaction, Search, Stop, Text, Thinking
from .rendering import Answer, pieces_of, words_of
from .reply import DONE, JSON, Frame, Reply, encode_sorted

REASONS: dict[Stop, str] = {"end": "end_turn", "tool": "tool_use", "length": "max_tokens", "refusal": "refusal"}
REFUSED = {"category": "cyber", "explanation": "The twin was asked to refuse.", "type": "refusal"}
CITATIONS = {
    "IPCodeCitations": [
        {"citations": {"license": "MIT", "snippet": "def f(): …", "url": "https://github.com/octo/repo/tree/0/f.py"}}
    ]
}
OVERLOADED = {
    "error": {"message": "Overloaded", "type": "overloaded_error"},
    "request_id": "req_vrtx_SYNTHETIC",
    "type": "error",
}
ENDINGS = {"message_delta", "message_stop"}


def render(answer: Answer) -> Reply:
    if answer.prompt.stream and not answer.has("jsonreply"):
        return Reply(frames=tuple(stream(answer)))
    if answer.plan.broken:
        return of_status(529, vendor=True, message="Overloaded")
    return Reply(body=encode_sorted(whole(answer)))


def stream(answer: Answer) -> list[Frame]:
    frames = [Frame(encode_sorted(event), event["type"], ending=event["type"] in ENDINGS) for event in events(answer)]
    if answer.plan.broken:
        half = max(2, len(frames) // 2)
        return [*frames[:half], Frame(encode_sorted(OVERLOADED), "error", ending=True)]
    return frames if answer.has("nodone") else [*frames, DONE]


def events(answer: Answer) -> Iterator[JSON]:
    yield {"type": "message_start", "message": _message_start(answer)}
    for index, block in enumerate(answer.plan.blocks):
        content = _content(answer, block)
        yield {"type": "content_block_start", "index": index, "content_block": _opened(content)}
        for position, delta in enumerate(_deltas(answer, content)):
            event = {"type": "content_block_delta", "index": index, "delta": delta}
            if position == 0 and isinstance(block, Text) and answer.plan.special == "citations":
                event["copilot_annotations"] = CITATIONS
            yield event
        yield {"type": "content_block_stop", "index": index}
    if not answer.has("nofinish"):
        yield _message_delta(answer)
    yield {"type": "message_stop"}


def _message_start(answer: Answer) -> JSON:
    usage = answer.usage
    counts = _input_counts(answer) | {
        "cache_creation": {"ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": usage.cache_write},
        "output_tokens": min(7, usage.output),
    }
    started: JSON = {
        "content": [],
        "id": f"msg_vrtx_SYNTH{answer.identifiers.word(19)}",
        "model": answer.model.echo,
        "role": "assistant",
        "stop_details": None,
        "stop_reason": None,
        "stop_sequence": None,
        "type": "message",
    }
    return started if answer.has("nousage") else started | {"usage": counts}


def _input_counts(answer: Answer) -> JSON:
    return {
        "cache_creation_input_tokens": answer.usage.cache_write,
        "cache_read_input_tokens": answer.usage.cache_read,
        "input_tokens": answer.usage.fresh,
    }


def _content(answer: Answer, block: Block) -> JSON:
    assert not isinstance(block, Search | Compaction)  # only the Responses API has them
    match block:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Thinking(text=text, redacted=True):
            return {"type": "redacted_thinking", "data": answer.seal.close("redacted thinking", answer.binding)}
        case Thinking(text=text):
            return {"type": "thinking", "thinking": text, "signature": answer.seal.sign(text, answer.binding)}
        case Call():
            call_id = f"toolu_vrtx_SYNTH{answer.identifiers.word(17)}"
            return {"type": "tool_use", "id": call_id, "name": block.name, "input": block.arguments}


def _opened(content: JSON) -> JSON:
    """How a block looks before its deltas: empty, but for one that has none."""
    match content["type"]:
        case "text":
            return {"type": "text", "text": ""}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "tool_use":
            return content | {"input": {}}
    return content


def _deltas(answer: Answer, content: JSON) -> Iterator[JSON]:
    match content["type"]:
        case "text":
            for word in words_of(content["text"]):
                yield {"type": "text_delta", "text": word}
        case "thinking":
            # An empty delta comes before the one signature: recorded so.
            for word in [*words_of(content["thinking"]), ""]:
                yield {"type": "thinking_delta", "thinking": word}
            if not answer.has("nosignature"):
                yield {"type": "signature_delta", "signature": content["signature"]}
        case "tool_use":
            for piece in ["", *pieces_of(encode_sorted(content["input"]).decode())]:
                yield {"type": "input_json_delta", "partial_json": piece}


def _stopped(answer: Answer) -> JSON:
    return {
        "stop_details": REFUSED if answer.plan.stop == "refusal" else None,
        "stop_reason": REASONS[answer.plan.stop],
        "stop_sequence": None,
    }


def _usage(answer: Answer) -> JSON:
    details = {"thinking_tokens": answer.usage.reasoning}
    return _input_counts(answer) | {"output_tokens": answer.usage.output, "output_tokens_details": details}


def _message_delta(answer: Answer) -> JSON:
    event: JSON = {"type": "message_delta", "delta": _stopped(answer)}
    if "context_management" in answer.prompt.body:
        event["context_management"] = {"applied_edits": []}
    if answer.has("nousage"):
        return event
    return event | {"copilot_usage": cost(answer.model, answer.usage), "usage": _usage(answer)}


def whole(answer: Answer) -> JSON:
    """Without a stream: the message, and the cost at its top level."""
    message = _message_start(answer) | _stopped(answer)
    message["content"] = [_content(answer, block) for block in answer.plan.blocks]
    if answer.has("nousage"):
        return message
    message["usage"] = message["usage"] | _usage(answer)
    return message | {"copilot_usage": cost(answer.model, answer.usage)}
