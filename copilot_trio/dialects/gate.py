"""The field gate: what clients send and Copilot refuses is cut out or mapped, and nothing else is touched.

One table, :data:`RULES`: field, endpoint, reason, source. Each rule looks for its signs first, at memory speed, and
only then walks the text. Edits go by byte offsets (:mod:`.splice`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from copilot_trio.models.model import Model

from . import gate_chat as chat
from . import gate_messages as messages
from . import gate_responses as responses
from . import gate_thinking as thinking
from . import limits
from .draft import Draft, GateSettings, Sign
from .messages.parse import BILLING_HEADER
from .repair import without_thinking

__all__ = ["BETA_PREFIXES", "RULES", "GateSettings", "Rule", "pass_betas", "pass_gate", "without_thinking"]

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/chat/completions", "/responses"

_encode = msgspec.json.Encoder().encode


class Rule(msgspec.Struct, frozen=True):
    """``places`` are members at the top: in one of them all ``signs`` must occur, or there is nothing to do."""

    field: str
    endpoint: str
    reason: str
    source: str
    places: tuple[str, ...]
    signs: tuple[Sign, ...]
    edit: Callable[[Draft], None]

    def may_apply(self, draft: Draft) -> bool:
        return any(
            value.key in self.places and all(draft.shows(value, sign) for sign in self.signs) for value in draft.top
        )


def _cut(name: str) -> Callable[[Draft], None]:
    return lambda draft: draft.cut_field(name)


def _lower(*names: str) -> Callable[[Draft], None]:
    """Numbers of tokens over what the model can write."""

    def edit(draft: Draft) -> None:
        most = limits.most_output(draft.model, streams=draft.streams)
        for name in names:
            at = draft.field(name)
            number = draft.number(at)
            if at is not None and number is not None and most is not None and number > most:
                draft.splice.replace(at, b"%d" % most)

    return edit


RULES: tuple[Rule, ...] = (
    Rule("safeguards", MESSAGES, "unknown upstream; holds local paths and rules", "clients.md §2.2",
         ("safeguards",), (), _cut("safeguards")),
    Rule("inference_geo", MESSAGES, "refused", "upstream.md §10.1", ("inference_geo",), (), _cut("inference_geo")),
    Rule("effort", MESSAGES, "refused outside of output_config", "peers.md §6.1", ("effort",), (), _cut("effort")),
    Rule("speed", MESSAGES, "refused", "peers.md §6.1", ("speed",), (), _cut("speed")),
    Rule("cache_control", MESSAGES, "refused at the top", "peers.md §6.1", ("cache_control",), (),
         _cut("cache_control")),
    Rule("context_management", MESSAGES, "refused unless the model lists context_editing", "upstream.md §10.1",
         ("context_management",), (), messages.context_management),
    Rule("max_tokens", MESSAGES, "over what the model can write", "upstream.md §6.1", ("max_tokens",), (),
         _lower("max_tokens")),
    Rule("thinking.display", MESSAGES, "only `summarized` is known upstream", "upstream.md §10.1", ("thinking",),
         (b'"display"',), thinking.display),
    Rule("thinking", MESSAGES, "not every model has each kind; budgets have bounds; none beside a forced tool",
         "upstream.md §10.1, peers.md §6.1", ("thinking",), (), thinking.wish),
    Rule("thinking blocks", MESSAGES, "refused without a signature of this provider's", "upstream.md §10.1",
         ("messages",), (b'"thinking"',), thinking.foreign_blocks),
    Rule("temperature, top_p, top_k", MESSAGES, "refused beside thinking, and by the newest models", "peers.md §6.1",
         ("temperature", "top_p", "top_k"), (), thinking.sampling),
    Rule("output_config", MESSAGES, "efforts as the model lists them; no other members", "upstream.md §10.1",
         ("output_config",), (), messages.output_config),
    Rule("output_config.format", MESSAGES, "only type and schema", "peers.md §6.1",
         ("output_config",), (b'"format"',), messages.output_format),
    Rule("tools: tool search", MESSAGES, "needs tool_search", "upstream.md §10.1",
         ("tools",), (re.compile(rb'"(?:defer_loading"|tool_search_tool_)'),), messages.tool_search),
    Rule("tool_reference", MESSAGES, "needs tool_search", "clients.md §3.4",
         ("messages",), (messages.RARE, b'"tool_reference"'), messages.tool_reference),
    Rule("tools: web_search, web_fetch", MESSAGES, "not run upstream", "peers.md §6.5",
         ("tools",), (re.compile(rb'"web_(?:search|fetch)_'),), messages.web_tools),
    Rule("tools[].eager_input_streaming", MESSAGES, "refused", "github.com/anomalyco/opencode issue 23193",
         ("tools",), (b'"eager_input_streaming"',), messages.eager_streaming),
    Rule("tools[] without input_schema", MESSAGES, "refused", "peers.md §6.1", ("tools",), (),
         messages.missing_schema),
    Rule("tools[].input_schema", MESSAGES, "no choice of shapes at its top", "upstream.md §10.1",
         ("tools",), (messages.COMBINATOR,), messages.combinators),
    Rule('messages[].role "system"', MESSAGES, "only user and assistant are accepted", "clients.md §2.2",
         ("messages",), (messages.RARE, messages.SYSTEM_ROLE), messages.system_role),
    Rule("messages[].output_config", MESSAGES, "refused", "clients.md §2.2",
         ("messages",), (messages.RARE, b'"output_config"'), messages.per_turn_config),
    Rule("system: x-anthropic-billing-header", MESSAGES, "changes with every prompt, spoils the cache",
         "product.md §5.9", ("system",), (BILLING_HEADER.encode(),), messages.billing_header),
    Rule("blank text", MESSAGES, "refused", "peers.md §6.1",
         ("messages", "system"), (messages.HOLLOW, messages.BLANK_TEXT), messages.blank_text),
    Rule("empty content", MESSAGES, "refused", "peers.md §6.1",
         ("messages",), (messages.HOLLOW, messages.EMPTY_CONTENT), messages.empty_content),
    Rule("assistant message last", MESSAGES, "the last word must be the user's", "upstream.md §10.1",
         ("messages",), (), messages.prefill),
    Rule("cache_control.scope", MESSAGES, "refused", "peers.md §6.1",
         ("messages", "system", "tools"), (messages.MARK, b'"scope"'), messages.cache_scope),
    Rule("cache_control on thinking", MESSAGES, "refused", "upstream.md §10.1",
         ("messages",), (messages.MARK, messages.THINKS), messages.cache_on_thinking),
    Rule("cache_control, more than 4", MESSAGES, "refused", "upstream.md §10.1",
         ("messages", "system", "tools"), (messages.MARK,), messages.too_many_marks),

    Rule("input", CHAT, "of another API; some clients send it beside messages", "clients.md §7", ("input",), (),
         _cut("input")),
    Rule("cache_control", CHAT, "unknown; Copilot's name is copilot_cache_control", "clients.md §5.2, upstream.md §7.1",
         ("messages", "tools", "cache_control"), (), chat.cache_control),
    Rule("reasoning_content", CHAT, "unknown; Copilot's name is reasoning_text", "clients.md §5.2, upstream.md §7.1",
         ("messages",), (chat.RARE, chat.REPLAYED_REASONING), chat.replayed_reasoning),
    Rule("reasoning_effort, thinking_budget, thinking, reasoning", CHAT, "only what the model lists, in its own terms",
         "peers.md §5.2, github.com/charmbracelet/crush issue 2902", chat.WISHES, (), chat.reasoning),
    Rule("max_tokens, max_completion_tokens", CHAT, "over what the model can write", "upstream.md §6.1",
         ("max_tokens", "max_completion_tokens"), (), _lower("max_tokens", "max_completion_tokens")),
    Rule("max_tokens", CHAT, "GPT-5 and the o-series know max_completion_tokens only", "upstream.md §7.1",
         ("max_tokens",), (), chat.tokens_name),
    Rule("temperature, top_p", CHAT, "refused by OpenAI's reasoning models", "peers.md §14 item 9",
         ("temperature", "top_p"), (), chat.sampling),
    Rule('messages[].role "developer"', CHAT, "OpenAI's own", "upstream.md §7.1",
         ("messages",), (chat.RARE, b'"developer"'), chat.developer_role),
    Rule("messages[].padding, annotations", CHAT, "belong to answers", "upstream.md §7.2",
         ("messages",), (chat.RARE, chat.REPLAYED_ANSWER), chat.replayed_answer),

    Rule("stream_options", RESPONSES, "refused", "clients.md §7", ("stream_options",), (), _cut("stream_options")),
    Rule("service_tier", RESPONSES, "rejected or ignored", "upstream.md §8.1", ("service_tier",), (),
         _cut("service_tier")),
    Rule("reasoning", RESPONSES, "only efforts that the model lists", "product.md §7", ("reasoning",), (),
         responses.reasoning),
    Rule("max_output_tokens", RESPONSES, "16 at least, and no more than the model can write", "peers.md §8.1",
         ("max_output_tokens",), (), responses.max_output_tokens),
    Rule("temperature, top_p", RESPONSES, "refused by reasoning models", "peers.md §14 item 9",
         ("temperature", "top_p"), (), responses.sampling),
    Rule("input[]: ids and proofs of encrypted items", RESPONSES, "upstream knows only its own", "upstream.md §8.3",
         ("input",), (b'"encrypted_content"',), responses.our_ids),
    Rule("input[]: calls of custom tools", RESPONSES, "a freeform tool's call is no function_call", "clients.md §7",
         ("tools",), (b'"custom"',), responses.custom_calls),
    Rule("input[]: images' detail", RESPONSES, "unknown values are refused", "peers.md §8.3",
         ("input",), (b'"input_image"', b'"detail"'), responses.image_detail),
    Rule("input[].internal_chat_message_metadata_passthrough", RESPONSES, "refused", "peers.md §8.3",
         ("input",), (b'"internal_chat_message_metadata_passthrough"',), responses.passthrough_metadata),
    Rule("cache_control", RESPONSES, "Anthropic's own", "clients.md §5.2", ("input", "tools", "cache_control"), (),
         responses.cache_control),
    Rule("tools: web_search", RESPONSES, "not every model and plan has it", "upstream.md §8.1",
         ("tools", "tool_choice"), (b'"web_search',), responses.web_search),
)  # fmt: skip

BY_ENDPOINT = {
    endpoint: tuple(rule for rule in RULES if rule.endpoint == endpoint) for endpoint in (MESSAGES, CHAT, RESPONSES)
}

# Which anthropic-beta values upstream knows (upstream.md §4.1), and what of the model each needs.
BETA_PREFIXES: dict[str, Callable[[Model], bool]] = {
    "interleaved-thinking-": lambda model: not model.supports.adaptive_thinking,
    "context-management-": lambda model: model.supports.context_editing,
    "advanced-tool-use-": lambda model: model.supports.tool_search,
    "extended-cache-ttl-": lambda _: True,
}


def pass_gate(body: bytes, endpoint: str, model: Model, settings: GateSettings, rename: bool) -> bytes:
    """The body as upstream takes it; the same object where nothing needs to change. The body must be valid JSON."""
    draft = Draft(body, model, settings)
    if rename:
        for value in draft.top:
            if value.key == "model":
                draft.splice.replace(value, _encode(model.id))
    for rule in BY_ENDPOINT.get(endpoint, ()):
        if rule.may_apply(draft):
            rule.edit(draft)
    return draft.finish()


def pass_betas(header: str | None, model: Model) -> str | None:
    """The ``anthropic-beta`` values that upstream and the model know; None where nothing is left."""
    if not header:
        return None
    values = [value.strip() for value in header.split(",")]
    known = [
        value
        for value in values
        if any(value.startswith(prefix) and wanted(model) for prefix, wanted in BETA_PREFIXES.items())
    ]
    return ",".join(known) or None
