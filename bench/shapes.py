"""Every byte the fixed upstream sends, and every request the generator sends.

Both upstreams (the compiled one and the Python one) only play these byte strings, so they cannot differ in shape.
Each content event carries ``MARK`` in its text, whatever protocol it is later translated to: that is what is counted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

MARK = "@@"
STAMP_DIGITS = 19  # monotonic nanoseconds, zero-padded, so that a frame's length never changes
NO_STAMP = "0" * STAMP_DIGITS
EXPIRES_MARK = b'"expires_at":'
TOKEN_LIFE = 1800

# With the mark, 20 to 30 characters each: escapes and non-ASCII text are part of any real stream.
_TEXTS = (
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


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _respond(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _stream_head() -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
        b"x-request-id: 00000000-0000-4000-8000-000000000000\r\ntransfer-encoding: chunked\r\n\r\n"
    )


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
    return b"data: " + _compact(chunk) + b"\n\n"


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


def _chat_event(text: str) -> bytes:
    return _chat_chunk([_chat_choice({"content": text}, None, filtered=True)])


def _chat_opening() -> list[bytes]:
    prompt_filter = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
    results = [{"prompt_index": 0, "content_filter_results": _SAFE}]
    return [
        b"data: " + _compact(prompt_filter | {"prompt_filter_results": results}) + b"\n\n",
        _chat_chunk([_chat_choice({"content": "", "refusal": None, "role": "assistant"}, None)]),
    ]


def _chat_closing() -> list[bytes]:
    return [_chat_chunk([_chat_choice({}, "stop")]), _chat_chunk([], _CHAT_USAGE), b"data: [DONE]\n\n"]


def _chat_answer() -> bytes:
    message = {"content": MARK + "".join(_TEXTS) * 2, "padding": "abcdefghij", "role": "assistant"}
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
    return _compact(answer)


_MESSAGES_USAGE = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "input_tokens": 9}


def _messages_frame(event: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), _compact(event))


def _messages_event(text: str) -> bytes:
    delta = {"text": text, "type": "text_delta"}
    return _messages_frame({"delta": delta, "index": 0, "type": "content_block_delta"})


def _message(content: list[dict[str, Any]], stop_reason: str | None, output_tokens: int) -> dict[str, Any]:
    return {
        "content": content,
        "id": "msg_vrtx_SYNTHBENCH",
        "model": "claude-sonnet-4-5",
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
    text = {"text": MARK + "".join(_TEXTS) * 2, "type": "text"}
    return _compact(_message([text], "end_turn", 20))


def _model(name: str, vendor: str, endpoints: list[str] | None) -> dict[str, Any]:
    limits = {"max_context_window_tokens": 200000, "max_output_tokens": 32000, "max_prompt_tokens": 168000}
    supports = {"parallel_tool_calls": True, "streaming": True, "tool_calls": True, "vision": True}
    model: dict[str, Any] = {
        "billing": {"is_premium": False, "multiplier": 0},
        "capabilities": {
            "family": name,
            "limits": limits,
            "object": "model_capabilities",
            "supports": supports,
            "tokenizer": "o200k_base",
            "type": "chat",
        },
        "id": name,
        "model_picker_enabled": True,
        "name": name,
        "object": "model",
        "policy": {"state": "enabled", "terms": "Synthetic."},
        "preview": False,
        "vendor": vendor,
        "version": name,
    }
    return model if endpoints is None else model | {"supported_endpoints": endpoints}


def _models() -> bytes:
    models = [
        _model("gpt-4.1", "Azure OpenAI", None),
        _model("gpt-5-mini", "Azure OpenAI", ["/chat/completions", "/responses"]),
        _model("gpt-5.3-codex", "OpenAI", ["/responses"]),
        _model("claude-sonnet-4.5", "Anthropic", ["/chat/completions", "/v1/messages"]),
    ]
    return _compact({"data": models, "object": "list"})


def _token(base_url: str) -> bytes:
    """Both upstreams write a fresh ``expires_at`` over the ten digits, request by request."""
    expires = int(time.time()) + TOKEN_LIFE
    envelope = {
        "endpoints": {"api": base_url, "proxy": base_url, "telemetry": base_url},
        "expires_at": expires,
        "individual": True,
        "refresh_in": 1500,
        "sku": "plus_monthly_subscriber_quota",
        "token": "tid=00000000000000000000000000000000;sku=plus_monthly_subscriber_quota;st=dotcom;chat=1:" + "0" * 64,
    }
    return _compact(envelope)


def _quota(name: str, entitlement: int) -> dict[str, Any]:
    return {
        "entitlement": entitlement,
        "overage_count": 0,
        "overage_permitted": False,
        "percent_remaining": 100.0,
        "quota_id": name,
        "quota_remaining": float(entitlement),
        "remaining": entitlement,
        "timestamp_utc": "2026-06-20T01:54:36.097Z",
        "unlimited": entitlement == 0,
    }


def _account(base_url: str) -> bytes:
    account = {
        "login": "bench",
        "access_type_sku": "plus_monthly_subscriber_quota",
        "chat_enabled": True,
        "copilot_plan": "individual_pro",
        "endpoints": {"api": base_url, "proxy": base_url, "telemetry": base_url},
        "quota_reset_date": "2099-01-01",
        "quota_reset_date_utc": "2099-01-01T00:00:00.000Z",
        "quota_snapshots": {
            name: _quota(name, entitlement)
            for name, entitlement in (("chat", 0), ("completions", 0), ("premium_interactions", 1500))
        },
    }
    return _compact(account)


def _stream_sections(name: str, opening: Iterable[bytes], events: Any, closing: Iterable[bytes]) -> dict[str, bytes]:
    sections = {
        f"{name}.open": _stream_head() + b"".join(map(_chunk, opening)),
        f"{name}.close": b"".join(map(_chunk, closing)) + b"0\r\n\r\n",
    }
    for number, text in enumerate(_TEXTS):
        sections[f"{name}.event.{number}"] = _chunk(events(MARK + text))
        sections[f"{name}.stamped.{number}"] = _chunk(events(MARK + NO_STAMP + text))
    return sections


def build_sections(base_url: str) -> dict[str, bytes]:
    """The upstream's whole vocabulary: complete responses, and the framed pieces of the two streams."""
    return {
        **_stream_sections("chat", _chat_opening(), _chat_event, _chat_closing()),
        **_stream_sections("messages", _messages_opening(), _messages_event, _messages_closing()),
        "chat.json": _respond(_chat_answer()),
        "messages.json": _respond(_messages_answer()),
        "token": _respond(_token(base_url)),
        "account": _respond(_account(base_url)),
        "login": _respond(b'{"login":"bench","id":1}'),
        "models": _respond(_models()),
        "missing": _respond(b'{"message":"Not Found","status":"404"}', "404 Not Found"),
    }


def pack_sections(sections: dict[str, bytes]) -> bytes:
    """What the compiled upstream reads from its standard input: ``name size``, newline, the bytes."""
    return b"".join(b"%b %d\n%b" % (name.encode(), len(data), data) for name, data in sections.items())
