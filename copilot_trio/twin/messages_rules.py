"""What the Copilot API refuses of a ``/v1/messages`` request (upstream.md §10.1, §12 rows 10 to 14).

The checks come in the order in which a schema would be read: header, top level, messages, then what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from . import errors
from .catalogue import Model
from .identifiers import Seal
from .prompt import Prompt
from .rendering import marks
from .reply import JSON, Reply, entries, members

EXTRA = "Extra inputs are not permitted"
FIELDS = frozenset(
    {
        "model", "messages", "max_tokens", "system", "stream", "tools", "tool_choice", "temperature", "top_p", "top_k",
        "stop_sequences", "metadata", "thinking", "output_config", "context_management", "service_tier",
    }
)  # fmt: skip
BETAS = (
    "interleaved-thinking-", "context-management-", "advanced-tool-use-", "extended-cache-ttl-", "claude-code-",
    "fine-grained-tool-streaming-", "prompt-caching-", "token-efficient-tools-", "output-128k-",
)  # fmt: skip
CONTEXT_MANAGEMENT, TOOL_SEARCH = "context-management-", "advanced-tool-use-"
MAX_MARKS = 4
MIN_BUDGET = 1024
COMBINATORS = ("oneOf", "allOf", "anyOf")


class Context(msgspec.Struct, frozen=True, kw_only=True):
    model: Model
    login: str
    seal: Seal
    betas: tuple[str, ...]

    def allows(self, prefix: str) -> bool:
        return any(beta.startswith(prefix) for beta in self.betas)


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
    yield from _messages(body, context)


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
        if "defer_loading" in tool and not context.allows(TOOL_SEARCH):
            yield f"tools.{index}.custom.defer_loading: {EXTRA}"
        if any(word in members(tool.get("input_schema")) for word in COMBINATORS):
            yield (
                f"tools.{index}.custom.input_schema: input_schema does not support oneOf, allOf, or anyOf "
                "at the top level"
            )


def _cache_control(body: JSON) -> Iterator[str]:
    for place, block in _blocks(body):
        control = members(block.get("cache_control"))
        if "scope" in control:
            yield f"{place}.cache_control.ephemeral.scope: {EXTRA}"
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
    kind = thinking.get("type")
    if kind == "adaptive" and not context.model.adaptive:
        yield (
            "thinking: Input tag 'adaptive' found using 'type' does not match any of the expected tags: "
            "'disabled', 'enabled'"
        )
    if kind != "enabled":
        return
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int):
        yield "thinking.enabled.budget_tokens: Field required"
    elif budget < MIN_BUDGET:
        yield f"thinking.enabled.budget_tokens: Input should be greater than or equal to {MIN_BUDGET}"
    elif budget >= body["max_tokens"]:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`."
    if members(body.get("tool_choice")).get("type") in {"any", "tool"}:
        yield "Thinking may not be enabled when tool_choice forces tool use."


def _messages(body: JSON, context: Context) -> Iterator[str]:
    messages = [members(message) for message in entries(body["messages"])]
    for number, message in enumerate(messages):
        if message.get("role") not in {"user", "assistant"}:
            yield f"messages.{number}.role: Input should be 'user' or 'assistant'"
        yield from _content(number, message, context)
    yield from _pairing(messages)
    if messages[-1].get("role") == "assistant":
        yield "This model does not support assistant message prefill. The conversation must end with a user message."


def _content(number: int, message: JSON, context: Context) -> Iterator[str]:
    content = message.get("content")
    if not isinstance(content, str | list):
        yield f"messages.{number}.content: Field required"
    for index, block in enumerate(map(members, entries(content))):
        place = f"messages.{number}.content.{index}"
        match block.get("type"):
            case "thinking":
                text, signature = str(block.get("thinking", "")), str(block.get("signature", ""))
                binding = f"{context.login}/{context.model.id}"
                if not context.seal.signed(signature, text, binding):
                    yield f"{place}: {errors.FOREIGN_SIGNATURE}"
            case "redacted_thinking":
                known = context.seal.open(str(block.get("data", "")))
                if known is None or known[0] != f"{context.login}/{context.model.id}":
                    yield f"{place}: Invalid `data` in `redacted_thinking` block"
            case "text" if not block.get("text"):
                yield f"messages.{number}: text content blocks must be non-empty"


def _pairing(messages: list[JSON]) -> Iterator[str]:
    """Every ``tool_use`` is answered in the very next message, and nothing else is (upstream.md §12 row 13)."""
    for number, message in enumerate(messages):
        used = _ids(message, "tool_use", "id")
        following = messages[number + 1] if number + 1 < len(messages) else {}
        missing = [each for each in used if each not in _ids(following, "tool_result", "tool_use_id")]
        if missing:
            yield f"messages.{number}: {errors.UNPAIRED}{', '.join(missing)}"
        before = _ids(messages[number - 1], "tool_use", "id") if number else []
        stray = [each for each in _ids(message, "tool_result", "tool_use_id") if each not in before]
        if stray:
            yield (
                f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(stray)}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )


def _ids(message: JSON, kind: str, key: str) -> list[str]:
    blocks = map(members, entries(message.get("content")))
    return [str(block.get(key)) for block in blocks if block.get("type") == kind]
