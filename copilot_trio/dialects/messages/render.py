"""An Anthropic Messages request, rendered from a conversation.

Upstream is strict about a prompt's form: each repair here is of something that it refuses (upstream.md §10.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from copilot_trio.dialects import limits
from copilot_trio.dialects.chat.render import budget_wanted, clamp_effort, effort_wanted
from copilot_trio.dialects.pairing import paired
from copilot_trio.models.model import Model
from copilot_trio.turn import Conversation, Message, Reasoning, SearchTool, Tool, ToolChoice

from .blocks import Blocks, Fields, blocks_of, inner_blocks, text_block
from .wire import WEB_SEARCH, valid_id

EPHEMERAL: Fields = {"type": "ephemeral"}
MAX_BREAKPOINTS = 4
SILENT_MAX_TOKENS = 16000  # where neither client nor model says
COMBINATORS = ("oneOf", "anyOf", "allOf")
THOUGHTS = {"thinking", "redacted_thinking"}


class _Branch(msgspec.Struct, frozen=True):
    properties: dict[str, msgspec.Raw] = {}


_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_branches = msgspec.json.Decoder(list[_Branch]).decode


def render_request(conversation: Conversation, model: Model) -> bytes:
    """The body for ``POST /v1/messages``.

    Left out for want of a counterpart: ``verbosity``, a key for the prompt's cache, a schema's name and strictness,
    JSON without a schema (OpenAI wants the prompt to ask for it anyway), stop sequences of blanks alone, and a web
    search beside other tools: it is not sure that upstream has it, and the model can do without.
    """
    system, messages = _messages(conversation.messages)
    max_tokens = _max_tokens(conversation, model)
    fields: Fields = {"model": model.id, "max_tokens": max_tokens}
    if system:
        fields["system"] = system
    fields["messages"] = messages
    tools = _tools(conversation)
    if tools:
        fields["tools"] = tools
        choice = _tool_choice(conversation, {str(tool["name"]) for tool in tools})
        if choice:
            fields["tool_choice"] = choice
    else:
        choice = {}
    thinking = {} if choice.get("type") in {"any", "tool"} else _thinking(conversation.reasoning, max_tokens, model)
    if thinking and not (thinking["type"] == "enabled" and _acted_without_thinking(messages)):
        fields["thinking"] = thinking
    else:
        fields |= _sampling(conversation, model)
    stop = [text for text in conversation.stop if text.strip()]
    if stop:
        fields["stop_sequences"] = stop
    output = _output_config(conversation, model)
    if output:
        fields["output_config"] = output
    if conversation.stream:
        fields["stream"] = True
    return _encode(fields)


def _max_tokens(conversation: Conversation, model: Model) -> int:
    """Upstream demands it: the client's, or all that the model has."""
    most = limits.most_output(model, streams=conversation.stream)
    if conversation.max_tokens is None:
        return most or SILENT_MAX_TOKENS
    return min(conversation.max_tokens, most or conversation.max_tokens)


def _sampling(conversation: Conversation, model: Model) -> Fields:
    """One of the two at most: newer models refuse both together. OpenAI's temperatures go up to 2."""
    if limits.refuses_sampling(model):
        return {}
    if conversation.temperature is not None:
        return {"temperature": min(conversation.temperature, 1.0)}
    return {} if conversation.top_p is None else {"top_p": conversation.top_p}


# ---- reasoning


def _thinking(reasoning: Reasoning, max_tokens: int, model: Model) -> Fields:
    if reasoning.wanted is not True:
        return {}
    if model.supports.adaptive_thinking:
        return {"type": "adaptive"}
    if not limits.knows_budgets(model):
        return {}
    budget = limits.thinking_budget(model, budget_wanted(reasoning, model.supports.max_thinking_budget), max_tokens)
    return {} if budget is None else {"type": "enabled", "budget_tokens": budget}


def _output_config(conversation: Conversation, model: Model) -> Fields:
    config: Fields = {}
    reasoning, listed = conversation.reasoning, model.supports.reasoning_effort
    if listed and reasoning.wanted is not False and (reasoning.effort is not None or reasoning.budget is not None):
        config["effort"] = clamp_effort(effort_wanted(reasoning), listed)
    if conversation.output_schema is not None:
        config["format"] = {"type": "json_schema", "schema": conversation.output_schema}
    return config


def _acted_without_thinking(messages: Sequence[Fields]) -> bool:
    """Did the turn under way begin with a call and no thought? A model with a budget then goes on without thinking.

    So it is with every client that does not send thoughts back with their proof. Only the turn's first message counts:
    later ones may call without a thought of their own, and thinking that comes and goes spoils the cache.
    """
    first: set[object] = set()
    for message in reversed(messages):
        kinds = [block["type"] for block in inner_blocks(message)]
        if message["role"] == "assistant":
            first = set(kinds) if kinds[0] not in THOUGHTS else set()
        elif "tool_result" not in kinds:
            break
    return "tool_use" in first


# ---- tools


def _tools(conversation: Conversation) -> Blocks:
    if conversation.search is not None and not conversation.tools:
        return [_search(conversation.search)]
    return [_tool(tool) for tool in conversation.tools]


def _tool(tool: Tool) -> Fields:
    fields: Fields = {"name": tool.name}
    schema, rule = _schema(tool.schema)
    description = "\n\n".join(filter(None, [tool.description, rule]))
    if description:
        fields["description"] = description
    return fields | {"input_schema": schema}


def _schema(schema: msgspec.Raw) -> tuple[msgspec.Raw, str]:
    """Upstream wants a type, and no choices of shapes at the top (upstream.md §10.1).

    Such a choice becomes one shape with the properties of them all, and what it says is the second of what is returned.
    """
    members = _decode_object(schema)
    choices = {name: members.pop(name) for name in COMBINATORS if name in members}
    if not choices and bytes(members.get("type", b"")) == b'"object"':
        return schema, ""
    if choices and "properties" not in members:
        branches = [branch for choice in choices.values() for branch in _decode_branches(choice)]
        merged = {name: value for branch in reversed(branches) for name, value in branch.properties.items()}
        members["properties"] = msgspec.Raw(_encode(merged))
    rule = f"The input must satisfy {_encode(choices).decode()}" if choices else ""
    return msgspec.Raw(_encode(members | {"type": "object"})), rule


def _search(search: SearchTool) -> Fields:
    fields: Fields = {"type": "web_search_20250305", "name": WEB_SEARCH}
    if search.allowed_domains:
        fields["allowed_domains"] = search.allowed_domains
    elif search.blocked_domains:  # upstream takes one of the two
        fields["blocked_domains"] = search.blocked_domains
    if bytes(search.location):
        fields["user_location"] = search.location
    return fields


def _tool_choice(conversation: Conversation, names: set[str]) -> Fields:
    """A forced tool that was left out cannot be forced: the model then chooses."""
    choice = conversation.tool_choice or ToolChoice("auto")
    fields: Fields = {"type": choice.mode}
    if choice.mode == "tool":
        fields = {"type": "tool", "name": choice.name} if choice.name in names else {"type": "auto"}
    if conversation.parallel_tools is False and choice.mode != "none":
        return fields | {"disable_parallel_tool_use": True}
    return fields if conversation.tool_choice is not None else {}


# ---- messages


def _messages(messages: Sequence[Message]) -> tuple[Blocks, Blocks]:
    """The system blocks, and the turns: users' and assistants' in alternation, a user's last."""
    marked: Blocks = []
    system: Blocks = []
    turns: list[tuple[str, Blocks]] = []
    for message in paired(messages, valid_id):
        blocks = list(blocks_of(message))
        if message.cache_breakpoint:
            marked += [block for block in blocks if block["type"] not in THOUGHTS][-1:]
        role = "assistant" if message.role == "assistant" else "user"
        if message.role == "system" and not turns:
            system += blocks
        elif blocks and turns and turns[-1][0] == role:
            turns[-1][1].extend(_reminder(blocks) if message.role == "system" else blocks)
        elif blocks:
            turns.append((role, _reminder(blocks) if message.role == "system" else blocks))
    # The first is the system prompt's as a rule, and of the others the latest are those that the next request meets.
    kept = marked if len(marked) <= MAX_BREAKPOINTS else [marked[0], *marked[1 - MAX_BREAKPOINTS :]]
    for block in kept:
        block["cache_control"] = EPHEMERAL
    return system, [{"role": role, "content": blocks} for role, blocks in _answerable(turns)]


def _reminder(blocks: Blocks) -> Blocks:
    """Only user and assistant are accepted: a later system message is a user's, marked as what it is."""
    blocks[0]["text"] = f"<system-reminder>\n{blocks[0]['text']}"
    blocks[-1]["text"] = f"{blocks[-1]['text']}\n</system-reminder>"
    return blocks


def _answerable(turns: Iterable[tuple[str, Blocks]]) -> list[tuple[str, Blocks]]:
    """Without thoughts that nothing follows, and with a user's turn at the end; upstream refuses anything else."""
    out: list[tuple[str, Blocks]] = []
    for role, blocks in turns:
        while role == "assistant" and blocks and blocks[-1]["type"] in THOUGHTS:
            blocks.pop()
        if blocks and out and out[-1][0] == role:
            out[-1][1].extend(blocks)
        elif blocks:
            out.append((role, blocks))
    if not out or out[-1][0] == "assistant":
        # An answer that the client wants continued: VS Code asks for it in these words too.
        out.append(("user", [text_block("Please continue.")]))
    return out
