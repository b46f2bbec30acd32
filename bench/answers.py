"""The three dialects as upstream speaks them: the events of a stream, and the answer that is not streamed.

Shapes are those of upstream.md §7.4, §8.2 and §10.2. Each content event carries ``MARK`` in its text, whatever dialect
it is later translated to: that is what is counted. What repeats the text of a Responses stream has no mark.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MARK = "@@"
STAMP_DIGITS = 19  # monotonic nanoseconds, zero-padded, so that a frame's length never changes
NO_STAMP = "0" * STAMP_DIGITS

# With the mark, 20 to 30 characters each: escapes and non-ASCII text are part of any real stream.
TEXTS = (
    "the quick brown fox jumps",
    " over one lazy dog, and",
    ' says "good morning" to',
    " everyone.\nThen it reads",
    " def main() -> None:\n    ",
    "naïve café, größer als 1",
    " return values[index + 1]",
    " and so on, word by word.",
)
_SAFE = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(frozen=True)
class Answer:
    """``event(number, text)`` is one content event; ``whole`` the body of an answer that is not streamed."""

    opening: list[bytes]
    event: Callable[[int, str], bytes]
    closing: list[bytes]
    whole: bytes


def _chat_chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
    chunk = {
        "choices": choices,
        "created": 1790000000,
        "id": "chatcmpl-SynthBench",
        "model": "gpt-4.1-2025-04-14",
        "object": "chat.completion.chunk",
        "system_fingerprint": "fp_0000000000",
        "usage": usage,
    }
    return b"data: " + compact(chunk) + b"\n\n"


def _chat_choice(delta: dict[str, Any], finish_reason: str | None, *, filtered: bool = False) -> dict[str, Any]:
    return {
        "content_filter_results": _SAFE if filtered else {},
        "delta": delta,
        "finish_reason": finish_reason,
        "index": 0,
        "logprobs": None,
    }


_CHAT_USAGE = {
    "completion_tokens": 20,
    "completion_tokens_details": {"accepted_prediction_tokens": 0, "reasoning_tokens": 0},
    "prompt_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 0},
    "total_tokens": 29,
}


def _chat_event(_number: int, text: str) -> bytes:
    return _chat_chunk([_chat_choice({"content": text}, None, filtered=True)])


def _chat_opening() -> list[bytes]:
    prompt_filter = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    results = [{"prompt_index": 0, "content_filter_results": _SAFE}]
    return [
        b"data: " + compact(prompt_filter | {"prompt_filter_results": results}) + b"\n\n",
        _chat_chunk([_chat_choice({"content": "", "refusal": None, "role": "assistant"}, None)]),
    ]


def _chat_closing() -> list[bytes]:
    return [_chat_chunk([_chat_choice({}, "stop")]), _chat_chunk([], _CHAT_USAGE), b"data: [DONE]\n\n"]


def _chat_answer() -> bytes:
    message = {"content": MARK + "".join(TEXTS) * 2, "padding": "abcdefghij", "role": "assistant"}
    choice = {"finish_reason": "stop", "index": 0, "content_filter_results": {}, "message": message}
    answer = {
        "choices": [choice],
        "created": 1790000000,
        "id": "chatcmpl-SynthBench",
        "model": "gpt-4.1-2025-04-14",
        "object": "chat.completion",
        "system_fingerprint": "fp_0000000000",
        "usage": _CHAT_USAGE,
    }
    return compact(answer)


_MESSAGES_USAGE = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "input_tokens": 9}


def _messages_frame(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), compact(event))


def _messages_event(_number: int, text: str) -> bytes:
    delta = {"text": text, "type": "text_delta"}
    return _messages_frame({"delta": delta, "index": 0, "type": "content_block_delta"})


def _message(content: list[dict[str, Any]], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
    return {
        "content": content,
        "id": "msg_vrtx_SYNTHBENCH",
        "model": "claude-opus-4-6",
        "role": "assistant",
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "type": "message",
        "usage": _MESSAGES_USAGE | {"output_tokens": output_tokens},
    }


def _messages_opening() -> list[bytes]:
    block = {"text": "", "type": "text"}
    return [
        _messages_frame({"message": _message([], None, 1), "type": "message_start"}),
        _messages_frame({"content_block": block, "index": 0, "type": "content_block_start"}),
    ]


def _messages_closing() -> list[bytes]:
    return [
        _messages_frame({"index": 0, "type": "content_block_stop"}),
        _messages_frame(
            {
                "copilot_usage": {"token_details": [], "total_nano_aiu": 0},
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "type": "message_delta",
                "usage": _MESSAGES_USAGE | {"output_tokens": 20},
            }
        ),
        _messages_frame({"type": "message_stop"}),
        b"data: [DONE]\n\n",
    ]


def _messages_answer() -> bytes:
    text = {"text": MARK + "".join(TEXTS) * 2, "type": "text"}
    return compact(_message([text], "end_turn", 20))


def _opaque_id(number: int) -> str:
    """400 characters of base64. Upstream gives one thing another id in each event, so every use has its own number."""
    return base64.b64encode(random.Random(number).randbytes(298)).decode()


def _responses_frame(name: str, sequence: int, **fields: Any) -> bytes:
    kind = f"response.{name}"
    event = dict(sorted((fields | {"sequence_number": sequence, "type": kind}).items()))
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact(event))


def _response(number: int, status: str, output: list[dict[str, Any]], usage: dict[str, Any] | None) -> dict[str, Any]:
    tokens = {"image_tokens": 0, "text_tokens": 0}
    images = {"input_tokens": 0, "input_tokens_details": tokens, "output_tokens": 0, "output_tokens_details": tokens}
    return {
        "background": False,
        "completed_at": None if usage is None else 1790000002,
        "created_at": 1790000000,
        "error": None,
        "frequency_penalty": 0,
        "id": _opaque_id(number),
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": "gpt-5.3-codex",
        "moderation": None,
        "object": "response",
        "output": output,
        "parallel_tool_calls": True,
        "presence_penalty": 0,
        "previous_response_id": None,
        "prompt_cache_retention": "24h",
        "reasoning": {"context": "current_turn", "effort": "low", "mode": "standard", "summary": "detailed"},
        "safety_identifier": "synthetic",
        "service_tier": "default",
        "status": status,
        "store": False,
        "temperature": 1,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tool_usage": {"image_gen": images | {"total_tokens": 0}, "web_search": {"num_requests": 0}},
        "tools": [],
        "top_logprobs": 0,
        "top_p": 0.98,
        "truncation": "disabled",
        "usage": usage,
        "user": None,
    }


_RESPONSES_USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 29,
}
_COPILOT_USAGE = {
    "token_details": [
        {"batch_size": 1000000, "cost_per_batch": 0, "token_count": count, "token_type": kind}
        for kind, count in (("input", 9), ("cache_read", 0), ("cache_write", 0), ("output", 20))
    ],
    "total_nano_aiu": 0,
}


def _output_text(text: str) -> dict[str, Any]:
    return {"annotations": [], "logprobs": [], "text": text, "type": "output_text"}


def _output_message(number: int, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "content": content,
        "id": _opaque_id(number),
        "phase": "final_answer",
        "role": "assistant",
        "status": status,
        "type": "message",
    }


def _place(number: int) -> dict[str, Any]:
    return {"content_index": 0, "item_id": _opaque_id(number), "output_index": 0}


def _responses_event(number: int, text: str) -> bytes:
    return _responses_frame("output_text.delta", 4 + number, **_place(100 + number), delta=text, logprobs=[])


def _responses_opening() -> list[bytes]:
    return [
        _responses_frame("created", 0, response=_response(1, "in_progress", [], None)),
        _responses_frame("in_progress", 1, response=_response(2, "in_progress", [], None)),
        _responses_frame("output_item.added", 2, item=_output_message(3, "in_progress", []), output_index=0),
        _responses_frame("content_part.added", 3, **_place(4), part=_output_text("")),
    ]


def _responses_closing() -> list[bytes]:
    text = "".join(TEXTS)
    part = _output_text(text)
    output = [_output_message(8, "completed", [part])]
    response = _response(9, "completed", output, _RESPONSES_USAGE)
    return [
        _responses_frame("output_text.done", 12, **_place(5), logprobs=[], text=text),
        _responses_frame("content_part.done", 13, **_place(6), part=part),
        _responses_frame("output_item.done", 14, item=_output_message(7, "completed", [part]), output_index=0),
        _responses_frame("completed", 15, copilot_usage=_COPILOT_USAGE, response=response),
    ]


def _responses_answer() -> bytes:
    output = [_output_message(11, "completed", [_output_text(MARK + "".join(TEXTS) * 2)])]
    return compact(_response(10, "completed", output, _RESPONSES_USAGE) | {"copilot_usage": _COPILOT_USAGE})


ANSWERS = {
    "chat": Answer(_chat_opening(), _chat_event, _chat_closing(), _chat_answer()),
    "messages": Answer(_messages_opening(), _messages_event, _messages_closing(), _messages_answer()),
    "responses": Answer(_responses_opening(), _responses_event, _responses_closing(), _responses_answer()),
}
