"""``POST /responses`` answers: sorted keys, no ``[DONE]``, and another id on every event (upstream.md §8).

Each id and each encrypted content is sealed anew every time it is written, so that only ``output_index`` and
``call_id`` hold still. What they stand for can be read back when a client replays them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .catalogue import cost
from .plan import Block, Call, Citation, Compaction, Search, Text, Thinking
from .rendering import Answer, pieces_of, words_of
from .reply import JSON, Frame, Reply, encode_sorted, entries, members

ENDINGS = {"response.completed", "response.incomplete", "response.failed", "error"}
FAILURE = {"code": "server_error", "message": "The server had an error processing your request."}
ERROR: JSON = {"type": "error", "param": None, **FAILURE}
NO_IMAGES = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "total_tokens": 0,
}
# What a response object says in every event (upstream.md §8.2).
UNCHANGING: JSON = {
    "background": False,
    "completed_at": None,
    "error": None,
    "frequency_penalty": 0,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "moderation": None,
    "object": "response",
    "output": [],
    "parallel_tool_calls": True,
    "presence_penalty": 0,
    "previous_response_id": None,
    "prompt_cache_retention": "24h",
    "safety_identifier": "synthetic",
    "service_tier": "default",
    "store": False,
    "temperature": 1,
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "tool_choice": "auto",
    "tool_usage": {"image_gen": NO_IMAGES, "web_search": {"num_requests": 0}},
    "tools": [],
    "top_logprobs": 0,
    "top_p": 0.98,
    "truncation": "disabled",
    "usage": None,
    "user": None,
}
Event = dict[str, Any]


def render(answer: Answer) -> Reply:
    if answer.prompt.stream and not answer.has("jsonreply"):
        return Reply(frames=tuple(stream(answer)))
    if answer.plan.broken:
        return Reply(status=500, body=encode_sorted({"error": FAILURE}), content_type="text/plain; charset=utf-8")
    return Reply(body=encode_sorted(_billed(answer, _ended(answer))))


def stream(answer: Answer) -> list[Frame]:
    numbered = [event | {"sequence_number": number} for number, event in enumerate(events(answer))]
    if answer.plan.broken:
        half = max(2, len(numbered) // 2)
        broken = [_broken(answer)]
        if answer.has("doubleerror"):
            broken.append(ERROR)
        numbered = [
            *numbered[:half],
            *(event | {"sequence_number": half + number} for number, event in enumerate(broken)),
        ]
    return [Frame(encode_sorted(event), event["type"], ending=event["type"] in ENDINGS) for event in numbered]


def _broken(answer: Answer) -> Event:
    if answer.has("failed") or answer.has("doubleerror"):
        return {"type": "response.failed", "response": _response(answer, "failed") | {"error": FAILURE}}
    return ERROR


def events(answer: Answer) -> Iterator[Event]:
    for name in ("response.created", "response.in_progress"):
        yield {"type": name, "response": _response(answer, "in_progress")}
    for index, block in enumerate(answer.plan.blocks):
        for event in _block(answer, block, index):
            yield event | {"output_index": index}
    if not answer.has("nofinish"):
        ended = _ended(answer)
        yield _billed(answer, {"type": f"response.{ended['status']}", "response": ended})


def _billed(answer: Answer, body: JSON) -> JSON:
    return body if answer.has("nousage") else body | {"copilot_usage": cost(answer.model, answer.usage)}


def _ended(answer: Answer) -> JSON:
    cut_off = answer.plan.stop == "length" or answer.plan.special == "content_filter"
    response = _response(answer, "incomplete" if cut_off else "completed")
    response["output"] = [_done(answer, block, index) for index, block in enumerate(answer.plan.blocks)]
    response["completed_at"] = None if cut_off else answer.created
    if cut_off:
        reason = "max_output_tokens" if answer.plan.stop == "length" else "content_filter"
        response["incomplete_details"] = {"reason": reason}
    searches = sum(isinstance(block, Search) for block in answer.plan.blocks)
    response["tool_usage"] = {"image_gen": NO_IMAGES, "web_search": {"num_requests": searches}}
    if not answer.has("nousage"):
        response["usage"] = _usage(answer)
    return response


def _usage(answer: Answer) -> JSON:
    counts = answer.usage
    return {
        "input_tokens": counts.prompt,
        "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": counts.cache_read},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": counts.prompt + counts.output,
    }


def _response(answer: Answer, status: str) -> JSON:
    asked = members(answer.prompt.body.get("reasoning"))
    reasoning = {
        "context": "current_turn",
        "effort": asked.get("effort", "medium"),
        "mode": "standard",
        "summary": asked.get("summary"),
    }
    return UNCHANGING | {
        "created_at": answer.created,
        "id": _fresh(answer, f"response {answer.key}"),
        "model": answer.model.echo,
        "reasoning": reasoning,
        "status": status,
    }


def _fresh(answer: Answer, meaning: str) -> str:
    return answer.seal.close(meaning, answer.login)


def _item_id(answer: Answer, index: int) -> str:
    return _fresh(answer, f"item {answer.created} {index}")


def _block(answer: Answer, block: Block, index: int) -> Iterator[Event]:
    match block:
        case Text():
            yield from _message(answer, block, index)
        case Thinking():
            yield from _reasoning(answer, block, index)
        case Call():
            yield from _call(answer, block, index)
        case Search():
            yield from _search(answer, block, index)
        case Compaction():
            yield _item_event("added", _done(answer, block, index))
            yield _item_event("done", _done(answer, block, index))


def _delta(answer: Answer, index: int, name: str, **values: Any) -> Event:
    return {"type": name, "item_id": _item_id(answer, index), **values}


def _item_event(name: str, item: JSON) -> Event:
    return {"type": f"response.output_item.{name}", "item": item}


def _message(answer: Answer, block: Text, index: int) -> Iterator[Event]:
    empty = _part(Text(""))
    whole = _part(block)
    opened = _done(answer, block, index) | {"content": [], "status": "in_progress"}
    place: JSON = {"content_index": 0}
    yield _item_event("added", opened)
    yield _delta(answer, index, "response.content_part.added", part=empty, **place)
    for word in words_of(block.text):
        yield _delta(answer, index, "response.output_text.delta", delta=word, logprobs=[], **place)
    for number, annotation in enumerate(whole["annotations"]):
        noted = place | {"annotation": annotation, "annotation_index": number}
        yield _delta(answer, index, "response.output_text.annotation.added", **noted)
    yield _delta(answer, index, "response.output_text.done", text=block.text, logprobs=[], **place)
    yield _delta(answer, index, "response.content_part.done", part=whole, **place)
    yield _item_event("done", _done(answer, block, index))


def _part(block: Text) -> JSON:
    annotations = [_annotation(citation) for citation in block.citations]
    return {"annotations": annotations, "logprobs": [], "text": block.text, "type": "output_text"}


def _annotation(citation: Citation) -> JSON:
    return {
        "end_index": citation.end,
        "start_index": citation.start,
        "title": citation.title,
        "type": "url_citation",
        "url": citation.url,
    }


def _search(answer: Answer, block: Search, index: int) -> Iterator[Event]:
    done = _done(answer, block, index)
    opened = {name: value for name, value in done.items() if name != "action"}
    yield _item_event("added", opened | {"status": "in_progress"})
    for state in ("in_progress", "searching", "completed"):
        yield _delta(answer, index, f"response.web_search_call.{state}")
    yield _item_event("done", done | {"id": _item_id(answer, index)})


def _reasoning(answer: Answer, block: Thinking, index: int) -> Iterator[Event]:
    yield _item_event("added", _done(answer, block, index) | {"summary": []})
    if not block.redacted:
        place: JSON = {"summary_index": 0}
        whole = {"text": block.text, "type": "summary_text"}
        empty = {"text": "", "type": "summary_text"}
        yield _delta(answer, index, "response.reasoning_summary_part.added", part=empty, **place)
        for word in words_of(block.text):
            yield _delta(answer, index, "response.reasoning_summary_text.delta", delta=word, **place)
        yield _delta(answer, index, "response.reasoning_summary_text.done", text=block.text, **place)
        yield _delta(answer, index, "response.reasoning_summary_part.done", part=whole, **place)
    yield _item_event("done", _done(answer, block, index))


def _call(answer: Answer, call: Call, index: int) -> Iterator[Event]:
    done = _done(answer, call, index)
    if call.text is None:
        key, name = "arguments", "response.function_call_arguments"
    else:
        key, name = "input", "response.custom_tool_call_input"
    yield _item_event("added", done | {"id": _item_id(answer, index), key: "", "status": "in_progress"})
    for piece in pieces_of(done[key]):
        # ``obfuscation`` is padding, to be ignored (upstream.md §8.3).
        padding = answer.identifiers.word(8)
        yield _delta(answer, index, f"{name}.delta", delta=piece, obfuscation=padding)
    yield _delta(answer, index, f"{name}.done", **{key: done[key]})
    yield _item_event("done", done | {"id": _item_id(answer, index)})


def _done(answer: Answer, block: Block, index: int) -> JSON:
    """The finished item, with ids of its own as every frame has."""
    item: JSON = {"id": _item_id(answer, index)}
    match block:
        case Text():
            phase = "commentary" if answer.plan.calls else "final_answer"
            return item | {
                "content": [_part(block)],
                "phase": phase,
                "role": "assistant",
                "status": "completed",
                "type": "message",
            }
        case Thinking(text=text, redacted=redacted):
            summary = [] if redacted else [{"text": text, "type": "summary_text"}]
            wanted = "reasoning.encrypted_content" in entries(answer.prompt.body.get("include"))
            secret = _fresh(answer, f"content {answer.created} {index}") if wanted else None
            return item | {"content": [], "encrypted_content": secret, "summary": summary, "type": "reasoning"}
        case Compaction():
            secret = _fresh(answer, f"content {answer.created} {index}")
            return item | {"encrypted_content": secret, "type": "compaction"}
        case Search(query=query, urls=urls):
            action: JSON = {"query": query, "type": "search"}
            if "web_search_call.action.sources" in entries(answer.prompt.body.get("include")):
                action["sources"] = [{"type": "url", "url": url} for url in urls]
            return item | {"action": action, "status": "completed", "type": "web_search_call"}
        case Call():
            kind = "function_call" if block.text is None else "custom_tool_call"
            key = "arguments" if block.text is None else "input"
            # The call's id must not move between the frames and the final list: it is what results refer to.
            call_id = f"call_SYNTH{answer.created:x}{index}{_call_hash(answer, block):x}"
            named = item | {"call_id": call_id, "name": block.name, "status": "completed", "type": kind}
            if block.namespace:
                named["namespace"] = block.namespace
            return named | {key: block.wire_arguments}


def _call_hash(answer: Answer, call: Call) -> int:
    signature = answer.seal.sign(call.wire_arguments, f"{answer.prompt.tokens}")
    return int.from_bytes(signature.encode()[:8], "big")
