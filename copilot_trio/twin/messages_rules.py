"""What the Copilot API refuses of a ``/v1/messages`` request (upstream.md §10.1, §12 rows 10 to 14; peers.md §6.1).

The checks come in the order in which a schema would be read: header, top level, messages, then what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import errors
from .messages_history import EXTRA, Context, history_problems
from .prompt import Prompt
from .rendering import marks
from .reply import JSON, Reply, entries, members

__all__ = ["Context", "betas_of", "check_messages"]

FIELDS = frozenset(
    {
        "model", "messages", "max_tokens", "system", "stream", "tools", "tool_choice", "temperature", "top_p", "top_k",
        "stop_sequences", "metadata", "thinking", "output_config", "context_management", "service_tier",
    }
)  # fmt: skip
BETAS = ("interleaved-thinking-", "context-management-", "advanced-tool-use-", "extended-cache-ttl-")
CONTEXT_MANAGEMENT, TOOL_SEARCH = "context-management-", "advanced-tool-use-"
THINKING_FIELDS = {
    "enabled": {"type", "budget_tokens", "display"},
    "adaptive": {"type", "display"},
    "disabled": {"type"},
}
# Tools that the vendor would run; the gateway has none of them (peers.md §6.5).
WEB_TOOLS = {"web_search_": "web search", "web_fetch_": "web fetch"}
MAX_MARKS = 4
MIN_BUDGET = 1024
MIN_TOP_P = 0.95
COMBINATORS = ("oneOf", "allOf", "anyOf")


def betas_of(header: str) -> tuple[str, ...]:
    return tuple(filter(None, (beta.strip() for beta in header.split(","))))


def check_messages(prompt: Prompt, context: Context) -> Reply | None:
    body = prompt.body
    problem = next(_problems(body, context), None)
    if problem is not None:
        return errors.rejected(problem)
    if prompt.tokens > context.model.max_prompt:
        return errors.too_many_tokens(prompt.tokens, context.model.max_prompt, vendor=True)
    return None


def _problems(body: JSON, context: Context) -> Iterator[str]:
    yield from _betas(context)
    yield from _top_level(body, context)
    yield from _tools(body, context)
    yield from _cache_control(body)
    yield from _thinking(body, context)
    yield from _output_config(body, context)
    yield from _system(body)
    yield from history_problems(entries(body["messages"]), context, tool_search=context.allows(TOOL_SEARCH))


def _betas(context: Context) -> Iterator[str]:
    unknown = [beta for beta in context.betas if not beta.startswith(BETAS)]
    if unknown:
        values = ", ".join(f"`{beta}`" for beta in unknown)
        yield (
            f"Unexpected value(s) {values} for the `anthropic-beta` header. Please consult our documentation at "
            "docs.anthropic.com or try again without the header."
        )


def _top_level(body: JSON, context: Context) -> Iterator[str]:
    for name in ("max_tokens", "messages"):
        if name not in body:
            yield f"{name}: Field required"
    for name in body:
        if name not in FIELDS or (name == "context_management" and not context.allows(CONTEXT_MANAGEMENT)):
            yield f"{name}: {EXTRA}"
    limit = body.get("max_tokens")
    if not isinstance(limit, int) or isinstance(limit, bool):
        yield "max_tokens: Input should be a valid integer"
    elif limit < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    if not isinstance(body.get("messages"), list):
        yield "messages: Input should be a valid list"
    elif not body["messages"]:
        yield "messages: at least one message is required"


def _tools(body: JSON, context: Context) -> Iterator[str]:
    for index, tool in enumerate(map(members, entries(body.get("tools")))):
        kind = str(tool.get("type", "custom"))
        for prefix, name in WEB_TOOLS.items():
            if kind.startswith(prefix):
                yield f"tools.{index}.{kind}: use of the {name} tool is not supported"
        if kind.startswith("tool_search_tool_") and not context.allows(TOOL_SEARCH):
            yield f"tools.{index}: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        if "defer_loading" in tool and not context.allows(TOOL_SEARCH):
            yield f"tools.{index}.custom.defer_loading: {EXTRA}"
        if kind == "custom" and "input_schema" not in tool:
            yield f"tools.{index}.custom.input_schema: Field required"
        if any(word in members(tool.get("input_schema")) for word in COMBINATORS):
            yield (
                f"tools.{index}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf "
                "at the top level"
            )


def _cache_control(body: JSON) -> Iterator[str]:
    for place, block in _blocks(body):
        control = members(block.get("cache_control"))
        for name in control:
            if name not in {"type", "ttl"}:
                yield f"{place}.cache_control.ephemeral.{name}: {EXTRA}"
        if control and block.get("type") in {"thinking", "redacted_thinking"}:
            yield f"{place}.{block['type']}.cache_control: {EXTRA}"
    found = marks(body)
    if found > MAX_MARKS:
        yield f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {found}."


def _blocks(body: JSON) -> Iterator[tuple[str, JSON]]:
    for name in ("system", "tools"):
        for index, block in enumerate(map(members, entries(body.get(name)))):
            yield f"{name}.{index}", block
    for number, message in enumerate(map(members, entries(body.get("messages")))):
        for index, block in enumerate(map(members, entries(message.get("content")))):
            place = f"messages.{number}.content.{index}"
            yield place, block
            for inner, part in enumerate(map(members, entries(block.get("content")))):
                yield f"{place}.{block.get('type')}.content.{inner}", part


def _thinking(body: JSON, context: Context) -> Iterator[str]:
    thinking = members(body.get("thinking"))
    if not thinking:
        return
    kind = str(thinking.get("type"))
    known = ("adaptive", "disabled", "enabled") if context.model.adaptive else ("disabled", "enabled")
    if kind not in known:
        yield (
            f"thinking: Input tag '{kind}' found using 'type' does not match any of the expected tags: "
            f"{', '.join(repr(tag) for tag in known)}"
        )
        return
    if kind == "enabled" and not context.model.thinking:
        yield (
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
    for name in thinking:
        if name not in THINKING_FIELDS[kind]:
            yield f"thinking.{kind}.{name}: {EXTRA}"
    if thinking.get("display", "summarized") != "summarized":
        yield f"thinking.{kind}.display: Input should be 'summarized'"
    if kind == "enabled":
        yield from _budget(thinking.get("budget_tokens"), body["max_tokens"])
    if kind != "disabled":
        yield from _beside_thinking(body)


def _budget(budget: object, max_tokens: int) -> Iterator[str]:
    if not isinstance(budget, int):
        yield "thinking.enabled.budget_tokens: Field required"
    elif budget < MIN_BUDGET:
        yield f"thinking.enabled.budget_tokens: Input should be greater than or equal to {MIN_BUDGET}"
    elif budget >= max_tokens:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."


def _beside_thinking(body: JSON) -> Iterator[str]:
    """What a request may not ask for together with thinking."""
    if body.get("temperature", 1) != 1:
        yield "`temperature` may only be set to 1 when thinking is enabled."
    if body.get("top_k") is not None:
        yield "`top_k` must be unset when thinking is enabled."
    top_p = body.get("top_p")
    if isinstance(top_p, int | float) and top_p < MIN_TOP_P:
        yield f"`top_p` must be greater than or equal to {MIN_TOP_P} or unset when thinking is enabled."
    if members(body.get("tool_choice")).get("type") in {"any", "tool"}:
        yield "Thinking may not be enabled when tool_choice forces tool use."


def _output_config(body: JSON, context: Context) -> Iterator[str]:
    config = members(body.get("output_config"))
    for name in config:
        if name not in {"effort", "format"}:
            yield f"output_config.{name}: {EXTRA}"
    for name in members(config.get("format")):
        if name not in {"type", "schema"}:
            yield f"output_config.format.{name}: {EXTRA}"
    efforts = context.model.efforts
    if "effort" in config and not efforts:
        yield "This model does not support the effort parameter."
    elif "effort" in config and config["effort"] not in efforts:
        yield f"output_config.effort: Input should be {', '.join(repr(effort) for effort in efforts)}"


def _system(body: JSON) -> Iterator[str]:
    for index, block in enumerate(map(members, entries(body.get("system")))):
        if block.get("type") != "text":
            yield f"system.{index}.type: Input should be 'text'"
        elif not block.get("text"):
            yield "system: text content blocks must be non-empty"
