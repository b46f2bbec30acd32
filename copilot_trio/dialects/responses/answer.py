"""The ``response`` object that our own events and replies carry."""

from __future__ import annotations

from copilot_trio.turn import AnswerContext, Usage

from .wire_out import response_id

Fields = dict[str, object]

TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def response_fields(context: AnswerContext, status: str) -> Fields:
    """A ``response`` with all that OpenAI's SDKs expect in one, before anything was said."""
    asked = context.conversation
    choice = asked.tool_choice
    named: Fields = {"type": "function", "name": choice.name if choice else ""}
    return {
        "id": response_id(context.seed),
        "object": "response",
        "created_at": context.created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": asked.max_tokens,
        "metadata": {},
        "model": context.model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tools is not False,
        "previous_response_id": None,
        "reasoning": {"effort": asked.reasoning.effort, "summary": asked.reasoning.summary},
        "store": False,
        "temperature": asked.temperature,
        "text": {"format": {"type": "text"}},
        "tool_choice": TOOL_CHOICES.get(choice.mode, named) if choice else "auto",
        "tools": [],
        "top_p": asked.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


def usage_fields(usage: Usage) -> Fields:
    """OpenAI counts what the cache gave or took among the input."""
    whole = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "input_tokens": whole,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": whole + usage.output_tokens,
    }
