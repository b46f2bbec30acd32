"""Every byte the fixed upstream sends: the framed pieces of its streams, its whole answers, its account and models.

Both upstreams (the compiled one and the Python one) only play these byte strings, so they cannot differ in shape.
"""

from __future__ import annotations

import time
from typing import Any

from .answers import ANSWERS, MARK, NO_STAMP, TEXTS, Answer, compact

EXPIRES_MARK = b'"expires_at":'
TOKEN_LIFE = 1800


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
        _model("claude-opus-4.6", "Anthropic", ["/v1/messages"]),
    ]
    return compact({"data": models, "object": "list"})


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
    return compact(envelope)


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
    return compact(account)


def _answer_sections(name: str, answer: Answer) -> dict[str, bytes]:
    sections = {
        f"{name}.open": _stream_head() + b"".join(map(_chunk, answer.opening)),
        f"{name}.close": b"".join(map(_chunk, answer.closing)) + b"0\r\n\r\n",
        f"{name}.json": _respond(answer.whole),
    }
    for number, text in enumerate(TEXTS):
        sections[f"{name}.event.{number}"] = _chunk(answer.event(number, MARK + text))
        sections[f"{name}.stamped.{number}"] = _chunk(answer.event(number, MARK + NO_STAMP + text))
    return sections


def build_sections(base_url: str) -> dict[str, bytes]:
    """The upstream's whole vocabulary: complete responses, and the framed pieces of the three streams."""
    sections = {
        "token": _respond(_token(base_url)),
        "account": _respond(_account(base_url)),
        "login": _respond(b'{"login":"bench","id":1}'),
        "models": _respond(_models()),
        "missing": _respond(b'{"message":"Not Found","status":"404"}', "404 Not Found"),
    }
    for name, answer in ANSWERS.items():
        sections |= _answer_sections(name, answer)
    return sections


def pack_sections(sections: dict[str, bytes]) -> bytes:
    """What the compiled upstream reads from its standard input: ``name size``, newline, the bytes."""
    return b"".join(b"%b %d\n%b" % (name.encode(), len(data), data) for name, data in sections.items())
