"""``POST /chat/completions``: what all vendors share, and the reply without a stream (upstream.md §7)."""

from __future__ import annotations

from . import chat_claude, chat_gemini, chat_gpt
from .catalogue import cost
from .plan import Call, Stop
from .rendering import Answer
from .reply import DONE, JSON, Frame, Reply, encode

FINISH: dict[Stop, str] = {"end": "stop", "tool": "tool_calls", "length": "length", "refusal": "content_filter"}
ERROR = {"code": 500, "message": "upstream failure", "metadata": {}}
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
VENDORS = {"claude": chat_claude, "gemini": chat_gemini, "gpt": chat_gpt}


def render(answer: Answer) -> Reply:
    if answer.plan.special == "content_filter":
        answer = chat_gpt.filtered(answer)
    if answer.prompt.stream and not answer.has("jsonreply"):
        return Reply(frames=tuple(stream(answer)))
    if answer.plan.broken:
        return Reply(status=500, body=encode({"error": ERROR}), content_type="text/plain; charset=utf-8")
    return Reply(body=encode(whole(answer)))


def stream(answer: Answer) -> list[Frame]:
    vendor = VENDORS[answer.model.family if answer.model.family in VENDORS else "gpt"]
    frames = [Frame(encode(chunk)) for chunk in _extras(answer)]
    body = vendor.chunks(answer, FINISH[answer.plan.stop])
    frames += [Frame(encode(chunk), ending=_is_ending(chunk)) for chunk in body if not _left_out(answer, chunk)]
    if answer.plan.broken:
        half = max(2, len(frames) // 2)
        return [*frames[:half], Frame(encode({"error": ERROR, "model": answer.model.id}), ending=True)]
    return frames if answer.has("nodone") else [*frames, DONE]


def _is_ending(chunk: JSON) -> bool:
    choices = chunk.get("choices")
    if not choices:
        return bool(chunk.get("usage"))
    return bool(choices[0].get("finish_reason"))


def _left_out(answer: Answer, chunk: JSON) -> bool:
    if answer.has("nofinish") and chunk.get("choices") and _is_ending(chunk):
        return True
    return answer.has("nousage") and not chunk.get("choices") and bool(chunk.get("usage"))


def _extras(answer: Answer) -> list[JSON]:
    """Frames that carry no choice (upstream.md §7.10)."""
    match answer.plan.special:
        case "references":
            result = {"title": "T", "excerpt": "E", "url": "https://example.com"}
            reference = {
                "type": "github.web-search",
                "id": "q",
                "data": {"query": "q", "results": [result], "type": "github.web-search"},
                "metadata": {"display_name": "", "display_icon": ""},
            }
            return [{"choices": None, "copilot_references": [reference], "id": "x"}]
        case "agent_errors":
            problem = {
                "type": "agent", "code": "agent_failed", "message": "agent failed", "agent": "octo", "identifier": "1",
            }  # fmt: skip
            return [{"choices": None, "copilot_errors": [problem], "copilot_references": []}]
        case "confirmation":
            confirmation = {"title": "Run?", "message": "Run the action?", "confirmation": {"id": "c1"}}
            return [{"choices": [], "copilot_confirmation": confirmation}]
    return []


def whole(answer: Answer) -> JSON:
    """The JSON reply: no ``object``, a ``padding``, and the cost beside the usage (upstream.md §7.2)."""
    body: JSON = {
        "choices": _choices(answer),
        "created": answer.created,
        "id": _id(answer),
        "usage": _usage(answer),
        "model": answer.model.echo,
    }
    if answer.has("nousage"):
        del body["usage"]
    if answer.model.family == "gpt":
        body |= {"service_tier": "default", "system_fingerprint": "fp_0000000000"}
    return body | {"copilot_usage": cost(answer.model, answer.usage)}


def _id(answer: Answer) -> str:
    match answer.model.family:
        case "claude":
            return answer.identifiers.uuid()
        case "gemini":
            return f"SynthGem_{answer.identifiers.word(8)}"
    return f"chatcmpl-Synth{answer.identifiers.word(23)}"


def _usage(answer: Answer) -> JSON:
    usage = answer.usage
    total = usage.prompt + usage.output
    output = usage.output
    if answer.model.family == "gemini":
        output -= usage.reasoning
    return {
        "completion_tokens": output,
        "completion_tokens_details": {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
        "prompt_tokens": usage.prompt,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read},
        "total_tokens": total,
        "reasoning_tokens": usage.reasoning,
    }


def _choices(answer: Answer) -> list[JSON]:
    plan = answer.plan
    message: JSON = {
        "content": plan.text or None,
        "padding": answer.identifiers.word(14, ALPHABET),
        "role": "assistant",
    }
    if plan.thoughts and answer.model.family != "gpt":
        message["reasoning_text"] = plan.thoughts
        message["reasoning_opaque"] = answer.seal.sign(plan.thoughts, answer.binding)
    calls = [_call(answer, call) for call in plan.calls]
    finish = FINISH[plan.stop]
    choice: JSON = {"finish_reason": finish, "index": 0, "content_filter_results": {}, "message": message}
    if plan.special == "content_filter":
        message["copilot_annotations"] = chat_gpt.COPYRIGHT
    if calls and plan.text and answer.has("splitchoices"):
        second = {"content": None, "role": "assistant", "tool_calls": calls}
        return [choice, {"finish_reason": finish, "index": 0, "message": second}]
    if calls:
        message["tool_calls"] = calls
    return [choice]


def _call(answer: Answer, call: Call) -> JSON:
    function = {"arguments": call.wire_arguments, "name": call.name}
    return {"function": function, "id": call_id(answer), "type": "function"}


def call_id(answer: Answer) -> str:
    prefix = "toolu_vrtx_" if answer.model.family == "claude" else "call_"
    return f"{prefix}SYNTH{answer.identifiers.word(17)}"
