"""What becomes of every field of a request that is translated: ``cd tests && PYTHONPATH=.. python roundtrip.py``.

The table is computed. Each row (``roundtrip_rows.py``) is a minimal request with one field of interest; it goes through
``make_plan`` to a model that is offered in the other dialect alone. A cell says where the field's value is in what
would be sent: a path, and after ``=`` what stands there where it was said in other words. Where it is nowhere, the cell
has the reason out of ``LOST``. ``test_roundtrip.py`` fails for a loss without a reason, and a reason without a loss.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from roundtrip_rows import ABSENT, ROWS, Models, Row

from copilot_trio.dialects.dialect import DIALECTS, Dialect
from copilot_trio.dialects.gate import GateSettings
from copilot_trio.dialects.plan import Asked, make_plan
from copilot_trio.errors import BadRequest
from copilot_trio.models.model import Model

SETTINGS = GateSettings(auto_thinking=False, web_search=True)
NAMES = ("messages", "chat", "responses")
BY_NAME: dict[str, Dialect] = {dialect.name: dialect for dialect in DIALECTS}


class Lost(msgspec.Struct, frozen=True):
    """Why fields of ``source`` have no place in ``target``."""

    reason: str
    source: str
    target: str  # names of dialects, with blanks between them
    fields: tuple[str, ...]


IDENTITY = "an identity that is not Copilot's to know"
TIERS = "Copilot has one tier, in one place"
UNPROVEN = "a thought is taken with that model's own proof alone"
SECRET = "proof that only the provider that gave it can read"
SAMPLING = "that API does not sample with it"
CITED = "a mark in an answer, beside its words"
ANSWERED = "of an answer, and no part of a prompt"
MARKS = "no such marks there: those models cache by themselves"
CACHES = "Copilot is not known to take wishes for its caches"
NAMED = "the id ties the parts together, and ids are kept"
LOADED = "all tools are shown at once, and called in one way"
RUN_THERE = "runs at the provider; the model can do without"
MANAGED = "nothing is kept between requests, so nothing to manage"
NO_FILE = "that API takes no files; the model is told of it by name and type"
NO_SOUND = "no model of Copilot's hears; the model is told that it was there"

LOST: tuple[Lost, ...] = (
    # -- of Anthropic's Messages API
    Lost("changes with every prompt, and spoils the cache", "messages", "chat responses",
         ("system[text]: x-anthropic-billing-header",)),
    Lost(CITED, "messages", "chat responses",
         ("system[text].citations", "content[text].citations")),
    Lost("no other API cites from documents", "messages", "chat responses", ("content[document].citations",)),
    Lost(MARKS, "messages", "responses",
         ("system[text].cache_control", "content[text].cache_control", "content[image].cache_control",
          "content[document].cache_control", "content[tool_use].cache_control", "content[tool_result].cache_control")),
    Lost(MARKS, "messages", "chat responses", ("tools[].cache_control", "cache_control")),
    Lost(CACHES, "messages", "chat responses", ("content[].cache_control.ttl",)),
    Lost("the effort at the top is for the whole request", "messages", "chat responses",
         ("messages[system].output_config",)),
    Lost("no other API changes images", "messages", "chat responses", ("content[image].transformations",)),
    Lost(NO_FILE, "messages", "chat",
         ("content[document].source.data, base64", "content[tool_result].content[document].source.data, base64")),
    Lost(UNPROVEN, "messages", "responses", ("content[thinking].thinking",)),
    Lost(SECRET, "messages", "responses", ("content[thinking].signature",)),
    Lost(SECRET, "messages", "chat", ("content[thinking].signature, a Responses model's",)),
    Lost(SECRET, "messages", "chat responses",
         ("content[redacted_thinking].data", "content[web_search_tool_result].content[].encrypted_content")),
    Lost("which of Anthropic's own tools made the call", "messages", "chat responses",
         ("content[tool_use].caller", "content[tool_use].toolset_name", "content[tool_result].toolset_name")),
    Lost(LOADED, "messages", "chat responses",
         ("tools[].defer_loading", "tools[].eager_input_streaming", "tools[].allowed_callers")),
    Lost("only Anthropic runs it, and the model can do without", "messages", "chat responses",
         ("tools[web_fetch_20250910]", "tools[tool_search_tool_regex_20251119]", "tools[DeferredToolPlaceholder]")),
    Lost("no other API has examples beside a schema", "messages", "chat responses", ("tools[].input_examples",)),
    Lost(RUN_THERE, "messages", "chat",
         ("tools[web_search].allowed_domains", "tools[web_search].user_location", "tools[web_search], beside others")),
    Lost("a search there can be limited to sites, but not kept from them", "messages", "chat responses",
         ("tools[web_search].blocked_domains",)),
    Lost("searches are not counted there", "messages", "chat responses", ("tools[web_search].max_uses",)),
    Lost("silence says it: thinking is not asked for", "messages", "chat",
         ("thinking.type disabled",)),
    Lost("how thoughts are shown: what there is, is handed on", "messages", "chat responses",
         ("thinking.display", "thinking.display, of a budget")),
    Lost("no other API has a budget for a whole task", "messages", "chat responses", ("output_config.task_budget",)),
    Lost("that API stops at no sequences", "messages", "responses", ("stop_sequences",)),
    Lost(IDENTITY, "messages", "chat responses", ("metadata", "user_profile_id", "workspace_id", "safeguards")),
    Lost(TIERS, "messages", "chat responses",
         ("service_tier", "speed", "billing_policy", "inference_geo", "fallbacks", "fallback_credit_token")),
    Lost(MANAGED, "messages", "chat responses",
         ("container", "context_management", "compaction", "thread", "diagnostics")),
    Lost(RUN_THERE, "messages", "chat responses", ("mcp_servers",)),
    Lost(SAMPLING, "messages", "chat responses", ("top_k",)),
    # -- of chat completions
    Lost(IDENTITY, "chat", "responses messages",
         ("messages[system].name", "messages[user].name", "messages[assistant].name", "user", "safety_identifier",
          "metadata")),
    Lost(NAMED, "chat", "responses messages", ("messages[tool].name",)),
    Lost("calls are in order", "chat", "responses messages", ("tool_calls[].index",)),
    Lost(MARKS, "chat", "responses",
         ("messages[].copilot_cache_control", "messages[].cache_control", "messages[user].cache_control",
          "content[].cache_control", "tool_calls[].cache_control", "messages[tool].cache_control")),
    Lost(CACHES, "chat", "responses messages",
         ("content[].prompt_cache_breakpoint", "prompt_cache_retention", "prompt_cache_options")),
    Lost(CACHES, "chat", "messages", ("prompt_cache_key",)),
    Lost("that API looks at all images alike", "chat", "messages", ("content[image_url].image_url.detail",)),
    Lost(NO_SOUND, "chat", "responses messages", ("content[input_audio].input_audio.data",)),
    Lost(UNPROVEN, "chat", "responses", ("messages[assistant].reasoning_text",)),
    Lost(SECRET, "chat", "responses", ("messages[assistant].reasoning_opaque",)),
    Lost(UNPROVEN, "chat", "messages", ("messages[assistant].reasoning_text, a Responses model's",)),
    Lost(SECRET, "chat", "messages", ("messages[assistant].reasoning_opaque, a Responses model's",)),
    Lost(UNPROVEN, "chat", "responses messages",
         ("messages[assistant].reasoning_content", "messages[assistant].reasoning",
          "messages[assistant].reasoning_details", "messages[assistant].cot_summary", "messages[assistant].cot_id",
          "tool_calls[].function.thought_signature")),
    Lost(ANSWERED, "chat", "responses messages",
         ("messages[assistant].padding", "messages[assistant].annotations", "n", "logprobs", "top_logprobs",
          "stream_options")),
    Lost("nothing is stored here that an id could name", "chat", "responses messages",
         ("messages[assistant].audio.id", "store", "state")),
    Lost("of GitHub's own agents and chat route", "chat", "responses messages",
         ("messages[].copilot_references", "messages[].copilot_confirmations", "intent", "intent_threshold", "snippy")),
    Lost("Copilot is not known to take it", "chat", "messages", ("tools[function].function.strict",)),
    Lost("that API's schema of an answer has none", "chat", "messages",
         ("response_format.json_schema.name", "response_format.json_schema.strict")),
    Lost("that API's schema of an answer has none", "chat", "messages",
         ("response_format.json_schema.description",)),
    Lost("that API wants a schema, and OpenAI wants the prompt to ask for JSON anyway", "chat", "messages",
         ("response_format json_object",)),
    Lost("that API has no word for it", "chat", "messages", ("verbosity",)),
    Lost("that API stops at no sequences", "chat", "responses", ("stop", "stop[]")),
    Lost("of OpenAI's own models", "chat", "responses messages",
         ("prediction", "audio", "modalities", "web_search_options", "moderation")),
    Lost(SAMPLING, "chat", "responses messages", ("logit_bias", "seed", "frequency_penalty", "presence_penalty")),
    Lost(TIERS, "chat", "responses messages", ("service_tier",)),
    Lost("says nothing without functions, which are refused", "chat", "responses messages", ("function_call",)),
    # -- of the Responses API
    Lost(CITED, "responses", "chat messages", ("content[output_text].annotations",)),
    Lost(ANSWERED, "responses", "chat messages",
         ("content[output_text].logprobs", "input[message].status", "input[function_call].status",
          "input[custom_tool_call].status", "input[message].phase", "include", "top_logprobs", "stream_options")),
    Lost("that API looks at all images alike", "responses", "messages", ("content[input_image].detail",)),
    Lost("no other API has it of files", "responses", "chat messages", ("content[input_file].detail",)),
    Lost(NO_FILE, "responses", "chat",
         ("content[input_file].file_data", "input[function_call_output].output[input_file].file_data")),
    Lost(CACHES, "responses", "chat messages",
         ("content[].prompt_cache_breakpoint", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options")),
    Lost("no word of that API's own, and its parser knows no marks", "responses", "chat messages",
         ("content[].cache_control",)),
    Lost("the id of an item, which only a server that stores it needs", "responses", "chat messages",
         ("input[message].id", "input[reasoning].id", "input[function_call].id", "input[function_call_output].id",
          "input[custom_tool_call].id", "input[custom_tool_call_output].id", "input[additional_tools].id")),
    Lost(UNPROVEN, "responses", "messages", ("input[reasoning].summary", "input[reasoning].content")),
    Lost("a summary says the same", "responses", "chat messages", ("input[reasoning].content, beside a summary",)),
    Lost(SECRET, "responses", "chat messages", ("input[reasoning].encrypted_content",)),
    Lost(LOADED, "responses", "chat messages",
         ("input[function_call].caller", "tools[function].defer_loading", "tools[function].allowed_callers",
          "tools[tool_search].description", "tools[tool_search].execution", "tools[tool_search].parameters",
          "tools[programmatic_tool_calling]")),
    Lost(NAMED, "responses", "chat messages", ("input[function_call_output].name",)),
    Lost("Copilot is not known to take it", "responses", "messages", ("tools[function].strict",)),
    Lost("no other API has schemas of what tools give back", "responses", "chat messages",
         ("tools[function].output_schema",)),
    Lost(RUN_THERE, "responses", "chat messages",
         ("tools[web_search].filters.allowed_domains", "tools[web_search].user_location",
          "tools[web_search].search_context_size", "tools[web_search].external_web_access",
          "tools[web_search].search_content_types", "tools[file_search]", "tools[code_interpreter]",
          "tools[image_generation]", "tools[mcp]", "max_tool_calls")),
    Lost("OpenAI's models alone are trained on it", "responses", "chat messages",
         ("tools[computer_use_preview]", "tools[local_shell]", "tools[shell]", "tools[apply_patch]")),
    Lost("how thoughts are shown: what there is, is handed on", "responses", "chat messages",
         ("reasoning.summary", "reasoning.generate_summary")),
    Lost("of OpenAI's own models", "responses", "chat messages",
         ("reasoning.context", "reasoning.mode", "moderation", "access_programs", "image")),
    Lost("that API's schema of an answer has none", "responses", "messages",
         ("text.format.name", "text.format.strict")),
    Lost("that API's schema of an answer has none", "responses", "messages", ("text.format.description",)),
    Lost("that API wants a schema, and OpenAI wants the prompt to ask for JSON anyway", "responses", "messages",
         ("text.format json_object",)),
    Lost("that API has no word for it", "responses", "messages", ("text.verbosity",)),
    Lost(IDENTITY, "responses", "chat messages", ("user", "safety_identifier", "metadata", "client_metadata",
          "input[message].internal_chat_message_metadata_passthrough")),
    Lost(TIERS, "responses", "chat messages", ("service_tier",)),
    Lost(MANAGED, "responses", "chat messages", ("context_management", "truncation", "store")),
)  # fmt: skip

# What is answered with an error that names it: to go on without would be to answer another question.
REFUSED: dict[str, frozenset[str]] = {
    "messages": frozenset({
        "content[image].source.file_id", "content[document].source.file_id",
        "tools[code_execution_20250825]", "tools[bash_20250124]", "tools[text_editor_20250728]",
        "tools[computer_20250124]", "tools[memory_20250818]",
        "tools[mcp_toolset]",
    }),
    "chat": frozenset({"functions"}),
    "responses": frozenset({
        "content[input_image].file_id", "content[input_file].file_id", "input[compaction].encrypted_content",
        "input[compaction_trigger]", "input[item_reference].id", "previous_response_id", "conversation", "prompt",
        "background",
    }),
}  # fmt: skip


# ---- the path that a request takes


class Arrived(msgspec.Struct, frozen=True):
    places: tuple[str, ...]  # none where the field is lost


class Refused(msgspec.Struct, frozen=True):
    message: str


def targets_of(source: str) -> tuple[str, ...]:
    return tuple(name for name in ("chat", "responses", "messages") if name != source)


def model_of(models: Models, target: str) -> Model:
    return {"chat": models.chat, "responses": models.responses, "messages": models.messages}[target]


def translated(body: bytes, source: str, model: Model) -> Any:
    """What goes upstream. Raises ``BadRequest``."""
    dialect = BY_NAME[source]
    plan = make_plan(Asked(body, model.id, dialect, dialect), model, SETTINGS)
    assert plan.upstream is not dialect
    return msgspec.json.decode(plan.body)


def trace(row: Row, source: str, target: str) -> Arrived | Refused:
    model = model_of(row.models, target)
    try:
        found = dict(leaves(translated(row.body(row.value), source, model)))
    except BadRequest as error:
        return Refused(str(error).removesuffix(" Nothing was charged."))
    if row.shown is not None:
        return Arrived(tuple(path for path, leaf in found.items() if _shows(leaf, row.shown)))
    before = dict(leaves(translated(row.body(row.instead), source, model)))
    paths = [path for path in found | before if found.get(path, ABSENT) != before.get(path, ABSENT)]
    return Arrived(tuple(f"{path}={_short(found[path])}" if path in found else f"no {path}" for path in paths))


def reasons(source: str, target: str) -> dict[str, str]:
    """By field."""
    lost = [entry for entry in LOST if entry.source == source and target in entry.target.split()]
    return {field: entry.reason for entry in lost for field in entry.fields}


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All that has no members of its own, by its path."""
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from leaves(member, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for number, element in enumerate(value):
            yield from leaves(element, f"{path}[{number}]")
    else:
        yield path, value


def _shows(leaf: Any, shown: str | float) -> bool:
    return shown in leaf if isinstance(shown, str) and isinstance(leaf, str) else bool(leaf == shown)


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 30 else f"{text[:27]}..."


# ---- what is ours

PROTOCOL = {
    "adaptive", "any", "assistant", "auto", "base64", "custom_tool_call", "custom_tool_call_output", "document",
    "document.pdf", "enabled", "ephemeral", "function", "function_call", "function_call_output", "high",
    "image_url", "input",
    "input_file", "input_image", "input_text", "low", "medium", "object", "output_text", "reasoning",
    "reasoning.encrypted_content", "required", "string", "summary_text", "system", "text", "thinking", "tool",
    "tool_result", "tool_use", "user",
}  # fmt: skip
SENTENCES = (
    "<system-reminder>", "</system-reminder>", "Error: ", "(no result)", "Please continue.", "Tool ",
    " is now available.", "Tools now available: ", "The output of tool call ", "The result of tool call ",
    "The image of tool result ", "The images of tool result ", "(an image, in the user message below)",
    "(searched the web: ", "(the search found ", "(the search failed: ",
    "(a document that this model's API cannot take: ", "(a document that this model's API cannot open: ", "untitled",
    "Of all tools of ", "`input` is the tool's whole input as plain text, not JSON.", "It must follow this ",
    "The whole input, as plain text.", "application/pdf", "audio/",
)  # fmt: skip
_OURS = re.compile("|".join([*map(re.escape, sorted(SENTENCES, key=len, reverse=True)), r"call_\d+"]))
LONG = 16
_MARKS = re.compile(r"[\s\d()\[\]{}:;,.\"_-]*")  # counts and what stands between words


def invented(body: bytes, made: Any, *known_too: str) -> list[str]:
    """Strings of ``made`` that are not out of ``body``, nor of the protocol, nor said by us in the words above."""
    said = body.decode()
    texts = {*known_too, *_texts(msgspec.json.decode(body))}
    given = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
    known = {*PROTOCOL, *given}
    return [text for text in _texts(made, keys=False) if text not in known and not _is_given(text, said, given)]


def _is_given(text: str, said: str, given: Iterable[str]) -> bool:
    if text in said:
        return True
    inner = object_in(text)
    rest = text if inner is None else "\0".join(_texts(inner, keys=False))
    rest = _without(rest, (piece for piece in given if len(piece) >= LONG))  # may hold what looks like ours
    rest = _without(_OURS.sub("\0", rest), given)
    return all(_MARKS.fullmatch(piece) or piece in PROTOCOL for piece in rest.split("\0"))


def _without(text: str, pieces: Iterable[str]) -> str:
    for piece in pieces:
        text = text.replace(piece, "\0")
    return text


def object_in(text: str) -> dict[str, Any] | None:
    """Of arguments, which some APIs have as JSON in a string."""
    try:
        return msgspec.json.decode(text, type=dict[str, Any]) if text.startswith("{") else None
    except msgspec.DecodeError:
        return None


def _texts(value: Any, *, keys: bool = True) -> Iterator[str]:
    """With ``keys`` also names, and whole objects: a part that we don't know is handed on as its JSON."""
    if isinstance(value, str):
        yield value
        if keys and (inner := object_in(value)) is not None:
            yield from _texts(inner)
    elif isinstance(value, list):
        for element in value:
            yield from _texts(element, keys=keys)
    elif isinstance(value, dict):
        if keys:
            yield msgspec.json.encode(value).decode()
            yield from value
        for member in value.values():
            yield from _texts(member, keys=keys)


# ---- the table


def cell(row: Row, source: str, target: str) -> str:
    match trace(row, source, target):
        case Refused(message=message):
            return f"400: {message}"
        case Arrived(places=()):
            return f"\N{EN DASH} {reasons(source, target).get(row.field, 'LOST')}"
        case Arrived(places=places):
            return ", ".join(f"`{place}`" for place in places)


def table(source: str) -> Iterator[str]:
    targets = targets_of(source)
    yield f"| {source} | " + " | ".join(f"→ {target}" for target in targets) + " |"
    yield "|---" * (len(targets) + 1) + "|"
    for row in ROWS[source]:
        cells = [cell(row, source, target) for target in targets]
        shown = " | ".join(text.replace("|", "\\|") for text in cells)
        yield f"| `{row.field}` | {shown} |"


def fields(source: str) -> Sequence[str]:
    return [row.field for row in ROWS[source]]


if __name__ == "__main__":
    for name in NAMES:
        print("\n".join(table(name)), end="\n\n")
