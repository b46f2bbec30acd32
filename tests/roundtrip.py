"""What becomes of every field of a request that is translated: ``cd tests && PYTHONPATH=.. python roundtrip.py``.

The table is computed. Each row is a minimal request with one field of interest; it goes through ``make_plan`` to a
model that is offered in the other dialect alone. A cell says where the field's value is in what would be sent; where
it is nowhere, the reason out of ``LOST``. ``test_roundtrip.py`` fails for a field that is lost without a reason, and
for a reason without a loss.

Fields are those of the official SDKs and of the clients in ``tests/samples``. The same names are in all rows:
``content[text]`` is a content part (block) of type text, ``tools[custom]`` such a tool, ``messages[user]`` a user's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from gate_cases import supporting
from recordings import CODEX, GPT, GPT5, OPUS, SONNET

from copilot_trio.dialects.dialect import CHAT, DIALECTS, MESSAGES, RESPONSES, Dialect
from copilot_trio.dialects.gate import GateSettings
from copilot_trio.dialects.plan import Asked, make_plan
from copilot_trio.errors import BadRequest
from copilot_trio.models.model import Model

Name = Literal["messages", "chat", "responses"]
Json = dict[str, Any]

WORD = "Sentinel"  # base64, an id and a name all the same
SETTINGS = GateSettings(auto_thinking=False, web_search=True)
BY_NAME: dict[str, Dialect] = {dialect.name: dialect for dialect in DIALECTS}


def only(model: Model, dialect: Dialect) -> Model:
    return msgspec.structs.replace(model, supported_endpoints=(dialect.endpoint,))


THINKING: dict[str, Model] = {
    "chat": only(GPT5, CHAT),
    "responses": only(GPT5, RESPONSES),
    "messages": only(OPUS, MESSAGES),
}
PLAIN: dict[str, Model] = {"chat": GPT, "responses": CODEX, "messages": only(SONNET, MESSAGES)}
CLAUDE = {"chat": only(OPUS, CHAT), "messages": only(OPUS, MESSAGES)}
BUDGETED = {"chat": only(supporting(SONNET, min_thinking_budget=128), CHAT), "messages": PLAIN["messages"]}


class _Hole:
    """Stands in a request where the field under test has its value."""


HERE = _Hole()
ABSENT: Any = _Hole()


class Row(msgspec.Struct, frozen=True):
    """``field`` is given ``value`` where ``request`` has ``HERE``.

    A value that can be recognised arrives where it is found: ``shown``, for it may be decoded on the way. Any other is
    known by what it changes: the request is translated once more, with ``instead`` in its place.
    """

    field: str
    request: Json
    value: Any = WORD
    shown: str | int | float | None = WORD
    instead: Any = ABSENT
    models: dict[str, Model] = THINKING

    def body(self, value: Any) -> bytes:
        return msgspec.json.encode(_filled(self.request, value))


class Arrived(msgspec.Struct, frozen=True):
    places: tuple[str, ...]


class Refused(msgspec.Struct, frozen=True):
    message: str


def rows_of(source: str) -> tuple[Row, ...]:
    return ROWS[source]


def targets_of(source: str) -> list[str]:
    return [name for name in ("chat", "responses", "messages") if name != source]


def translated(body: bytes, source: str, model: Model) -> Any:
    """What goes upstream. Raises ``BadRequest``."""
    dialect = BY_NAME[source]
    plan = make_plan(Asked(body, model.id, dialect, dialect), model, SETTINGS)
    assert plan.upstream is not dialect
    return msgspec.json.decode(plan.body)


def trace(row: Row, source: str, target: str) -> Arrived | Refused:
    """No places: the field is lost."""
    model = row.models.get(target) or THINKING[target]
    try:
        found = dict(leaves(translated(row.body(row.value), source, model)))
    except BadRequest as error:
        return Refused(str(error))
    if row.shown is not None:
        return Arrived(tuple(path for path, leaf in found.items() if _shows(leaf, row.shown)))
    before = dict(leaves(translated(row.body(row.instead), source, model)))
    paths = [path for path in {**found, **before} if found.get(path, ABSENT) != before.get(path, ABSENT)]
    return Arrived(tuple(f"{path}={_short(found[path])}" if path in found else f"no {path}" for path in paths))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All that has no members, by path; ``a[]`` and ``a{}`` where there are none."""
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from leaves(member, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value:
        for number, element in enumerate(value):
            yield from leaves(element, f"{path}[{number}]")
    else:
        yield path, value


def _shows(leaf: Any, shown: str | float) -> bool:
    return shown in leaf if isinstance(shown, str) and isinstance(leaf, str) else leaf == shown


def _filled(value: Any, hole: Any) -> Any:
    if value is HERE:
        return hole
    if isinstance(value, dict):
        pairs = ((key, _filled(member, hole)) for key, member in value.items())
        return {key: member for key, member in pairs if member is not ABSENT}
    if isinstance(value, list):
        return [element for element in (_filled(element, hole) for element in value) if element is not ABSENT]
    return value


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 30 else f"{text[:27]}…"


def changed(field: str, request: Json, value: Any, instead: Any = ABSENT, models: dict[str, Model] = THINKING) -> Row:
    """A field whose value could stand anywhere: a flag, a mode, a type."""
    return Row(field, request, value, None, instead, models)


# ---- Anthropic's Messages API

USER = {"role": "user", "content": "Hi"}
FUNCTION = {"name": "look", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "call_1", "name": "look", "input": {}}


def ask(*blocks: Any, **top: Any) -> Json:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, *blocks]}], "max_tokens": 9000} | top


def say(*blocks: Any, **top: Any) -> Json:
    """What an assistant said, or sends back."""
    said = {"role": "assistant", "content": list(blocks)}
    return {"messages": [USER, said, {"role": "user", "content": "Go on"}], "max_tokens": 9000} | top


def tell(result: Json, **top: Any) -> Json:
    """The result of a call."""
    answer = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1"} | result]}
    return {"messages": [USER, {"role": "assistant", "content": [CALL]}, answer], "max_tokens": 9000} | top


def tooled(tool: Json, **top: Any) -> Json:
    return ask(tools=[{"name": "look", "input_schema": {"type": "object"}} | tool], **top)


def text(**more: Any) -> Json:
    return {"type": "text", "text": "words"} | more


def document(source: Json, **more: Any) -> Json:
    return {"type": "document", "source": source} | more


def image(**source: Any) -> Json:
    return {"type": "image", "source": source}


MARK = {"type": "ephemeral"}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
PLAIN_TEXT = {"type": "text", "media_type": "text/plain", "data": "words"}
PNG = {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}
SCHEMA = {"type": "object", "properties": {"x": {"type": "string", "description": HERE}}}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
URL = f"https://example.com/{WORD}"

OF_MESSAGES: tuple[Row, ...] = (
    Row("system", ask(system=HERE)),
    Row("system[text].text", ask(system=[text(text=HERE)])),
    changed("system[text].cache_control", ask(system=[text(cache_control=HERE)]), MARK, models=CLAUDE),
    Row("system[text].citations", ask(system=[text(citations=[{"type": "char_location", "cited_text": HERE}])])),
    Row("system[text]: x-anthropic-billing-header", ask(system=[text(text=HERE), text()]),
        f"x-anthropic-billing-header: cc_version={WORD}"),
    Row("messages[user].content", {"messages": [{"role": "user", "content": HERE}]}),
    Row("messages[assistant].content", {"messages": [USER, {"role": "assistant", "content": HERE}, USER]}),
    Row("messages[assistant].content, last", {"messages": [USER, {"role": "assistant", "content": HERE}]}),
    Row("messages[system].content", {"messages": [USER, {"role": "system", "content": HERE}]}),
    Row("messages[system].content[text].text", {"messages": [USER, {"role": "system", "content": [text(text=HERE)]}]}),
    changed("messages[system].output_config",
            {"messages": [USER, {"role": "system", "content": "words", "output_config": HERE}]}, {"effort": "low"}),
    Row("content[text].text", ask(text(text=HERE))),
    changed("content[text].cache_control", ask(text(cache_control=HERE)), MARK, models=CLAUDE),
    Row("content[text].citations", say(text(citations=[{"type": "char_location", "cited_text": HERE}]))),
    Row("content[image].source.data", ask(image(**PNG | {"data": HERE}))),
    Row("content[image].source.media_type", ask(image(**PNG | {"media_type": HERE})), f"image/{WORD}"),
    Row("content[image].source.url", ask(image(type="url", url=HERE)), URL),
    Row("content[image].source.file_id", ask(image(type="file", file_id=HERE))),
    changed("content[image].cache_control", ask({**image(**PNG), "cache_control": HERE}), MARK, models=CLAUDE),
    changed("content[image].transformations", ask({**image(**PNG), "transformations": HERE}), {"crop": {"x": 1}}),
    Row("content[document].source.data, base64", ask(document(PDF | {"data": HERE}))),
    Row("content[document].source.media_type", ask(document(PDF | {"media_type": HERE})), f"application/{WORD}"),
    Row("content[document].source.data, text", ask(document(PLAIN_TEXT | {"data": HERE}))),
    Row("content[document].source.url", ask(document({"type": "url", "url": HERE})), URL),
    Row("content[document].source.content", ask(document({"type": "content", "content": HERE}))),
    Row("content[document].source.content[text].text",
        ask(document({"type": "content", "content": [text(text=HERE)]}))),
    Row("content[document].source.content[image].source.data",
        ask(document({"type": "content", "content": [text(), image(**PNG | {"data": HERE})]}))),
    Row("content[document].source.file_id", ask(document({"type": "file", "file_id": HERE}))),
    Row("content[document].title, of text", ask(document(PLAIN_TEXT, title=HERE))),
    Row("content[document].title, of a PDF", ask(document(PDF, title=HERE))),
    Row("content[document].title, of a URL", ask(document({"type": "url", "url": "https://example.com/"}, title=HERE))),
    Row("content[document].context", ask(document(PLAIN_TEXT, context=HERE))),
    Row("content[document].context, of a PDF", ask(document(PDF, context=HERE))),
    changed("content[document].citations", ask(document(PLAIN_TEXT, citations=HERE)), {"enabled": True}),
    changed("content[document].cache_control", ask(document(PLAIN_TEXT, cache_control=HERE)), MARK, models=CLAUDE),
    Row("content[search_result].content", ask({"type": "search_result", "source": "s", "content": [text(text=HERE)]})),
    Row("content[search_result].source", ask({"type": "search_result", "source": HERE, "content": [text()]})),
    Row("content[search_result].title", ask({"type": "search_result", "title": HERE, "content": [text()]})),
    Row("content[container_upload].file_id", ask({"type": "container_upload", "file_id": HERE})),
    Row("content[browser_state].tabs", ask({"type": "browser_state", "tabs": [{"title": HERE}]})),
    Row("content[of a kind to come]", ask({"type": "hologram", "text": {"of": HERE}})),
    Row("content[thinking].thinking", say({"type": "thinking", "thinking": HERE, "signature": "c2ln"}, text())),
    Row("content[thinking].signature", say({"type": "thinking", "thinking": "Hm", "signature": HERE}, text())),
    Row("content[thinking].signature, a Responses model's",
        say({"type": "thinking", "thinking": "Hm", "signature": HERE}, text()), f"{WORD}@rs_1"),
    Row("content[redacted_thinking].data", say({"type": "redacted_thinking", "data": HERE}, text())),
    Row("content[tool_use].id", say({**CALL, "id": HERE})),
    Row("content[tool_use].name", say({**CALL, "name": HERE})),
    Row("content[tool_use].input", say({**CALL, "input": {"path": HERE}})),
    changed("content[tool_use].cache_control", say({**CALL, "cache_control": HERE}), MARK, models=CLAUDE),
    Row("content[tool_use].caller", say({**CALL, "caller": {"type": "code", "tool_id": HERE}})),
    Row("content[tool_use].toolset_name", say({**CALL, "toolset_name": HERE})),
    Row("content[tool_result].tool_use_id", say({**CALL, "id": HERE}) | {"messages": [
        USER, {"role": "assistant", "content": [{**CALL, "id": HERE}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": HERE, "content": "words"}]}]}),
    Row("content[tool_result].content", tell({"content": HERE})),
    Row("content[tool_result].content[text].text", tell({"content": [text(text=HERE)]})),
    Row("content[tool_result].content[image].source.data", tell({"content": [image(**PNG | {"data": HERE})]})),
    Row("content[tool_result].content[image].source.url", tell({"content": [image(type="url", url=HERE)]}), URL),
    Row("content[tool_result].content[document].source.data, text",
        tell({"content": [document(PLAIN_TEXT | {"data": HERE})]})),
    Row("content[tool_result].content[document].source.data, base64",
        tell({"content": [document(PDF | {"data": HERE})]})),
    Row("content[tool_result].content[document].source.content[image].source.data",
        tell({"content": [document({"type": "content", "content": [image(**PNG | {"data": HERE})]})]})),
    Row("content[tool_result].content[document].context", tell({"content": [document(PLAIN_TEXT, context=HERE)]})),
    Row("content[tool_result].content[search_result].content",
        tell({"content": [{"type": "search_result", "source": "s", "content": [text(text=HERE)]}]})),
    Row("content[tool_result].content[tool_reference].tool_name",
        tell({"content": [{"type": "tool_reference", "tool_name": HERE}]})),
    changed("content[tool_result].is_error", tell({"content": "words", "is_error": HERE}), True),
    changed("content[tool_result].cache_control", tell({"content": "words", "cache_control": HERE}), MARK,
            models=CLAUDE),
    Row("content[tool_result].toolset_name", tell({"content": "words", "toolset_name": HERE})),
    Row("content[server_tool_use].input, of web_search",
        say({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": HERE}}, text())),
    Row("content[server_tool_use].input, of others",
        say({"type": "server_tool_use", "id": "s", "name": "code_execution", "input": {"code": HERE}}, text())),
    *(Row(f"content[web_search_tool_result].content[].{name}", say({
        "type": "web_search_tool_result", "tool_use_id": "s",
        "content": [{"type": "web_search_result", "url": "https://example.com/", "title": "t", name: HERE}]}, text()))
      for name in ("title", "url", "page_age", "encrypted_content")),
    Row("content[web_search_tool_result].content.error_code",
        say({"type": "web_search_tool_result", "tool_use_id": "s",
             "content": {"type": "web_search_tool_result_error", "error_code": HERE}}, text())),
    *(Row(f"content[{kind}].content", say({"type": kind, "tool_use_id": "s", "content": {"text": HERE}}, text()))
      for kind in ("web_fetch_tool_result", "code_execution_tool_result", "bash_code_execution_tool_result",
                   "text_editor_code_execution_tool_result", "tool_search_tool_result", "mcp_tool_result")),
    Row("content[mcp_tool_use].input", say({"type": "mcp_tool_use", "id": "s", "name": "n", "input": {"a": HERE}})),
    Row("content[compaction].content", say({"type": "compaction", "content": HERE}, text())),
    Row("tools[].name", tooled({"name": HERE})),
    Row("tools[].description", tooled({"description": HERE})),
    Row("tools[].input_schema", tooled({"input_schema": SCHEMA})),
    changed("tools[].strict", tooled({"strict": HERE}), True),
    changed("tools[].cache_control", tooled({"cache_control": HERE}), MARK, models=CLAUDE),
    changed("tools[].defer_loading", tooled({"defer_loading": HERE}), True),
    changed("tools[].eager_input_streaming", tooled({"eager_input_streaming": HERE}), True),
    changed("tools[].allowed_callers", tooled({"allowed_callers": HERE}), ["direct"]),
    Row("tools[].input_examples", tooled({"input_examples": [{"x": HERE}]})),
    Row("tools[DeferredToolPlaceholder]", ask(tools=[FUNCTION, {**FUNCTION, "name": "DeferredToolPlaceholder",
                                                                "description": HERE, "defer_loading": True}])),
    Row("tools[web_search].allowed_domains", ask(tools=[{**SEARCH, "allowed_domains": [HERE]}])),
    Row("tools[web_search].blocked_domains", ask(tools=[{**SEARCH, "blocked_domains": [HERE]}])),
    Row("tools[web_search].user_location", ask(tools=[{**SEARCH, "user_location": {"type": "approximate",
                                                                                  "city": HERE}}])),
    changed("tools[web_search].max_uses", ask(tools=[{**SEARCH, "max_uses": HERE}]), 3),
    changed("tools[web_search], beside others", ask(tools=[FUNCTION, HERE]), SEARCH),
    *(changed(f"tools[{kind}]", ask(tools=[FUNCTION, HERE]), {"type": kind, "name": kind})
      for kind in ("web_fetch_20250910", "code_execution_20250825", "bash_20250124", "text_editor_20250728",
                   "computer_20250124", "memory_20250818", "tool_search_tool_regex_20251119", "mcp_toolset")),
    *(changed(f"tool_choice.type {mode}", tooled({}, tool_choice=HERE), {"type": mode})
      for mode in ("auto", "any", "none")),
    Row("tool_choice.name", tooled({"name": HERE}, tool_choice={"type": "tool", "name": HERE})),
    changed("tool_choice.disable_parallel_tool_use",
            tooled({}, tool_choice={"type": "auto", "disable_parallel_tool_use": HERE}), True),
    changed("thinking.type enabled", ask(thinking=HERE), {"type": "enabled", "budget_tokens": 5000}),
    changed("thinking.type adaptive", ask(thinking=HERE), {"type": "adaptive"}),
    changed("thinking.type disabled", ask(thinking=HERE, max_tokens=9000), {"type": "disabled"}),
    changed("thinking.budget_tokens", ask(thinking={"type": "enabled", "budget_tokens": HERE}), 2000, 8000,
            {**BUDGETED, "responses": THINKING["responses"]}),
    changed("thinking.display", ask(thinking={"type": "adaptive", "display": HERE}), "omitted"),
    changed("output_config.effort", ask(output_config={"effort": HERE}), "low"),
    changed("output_config.effort, beside thinking", ask(thinking={"type": "adaptive"}, output_config={"effort": HERE}),
            "low"),
    Row("output_config.format.schema", ask(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})),
    changed("output_config.task_budget", ask(output_config={"task_budget": HERE}), {"type": "tokens", "total": 9}),
    Row("output_format.schema", ask(output_format={"type": "json_schema", "schema": SCHEMA})),
    Row("max_tokens", ask() | {"max_tokens": HERE}, 4321, 4321),
    Row("temperature", ask(temperature=HERE), 0.625, 0.625, models=PLAIN),
    Row("top_p", ask(top_p=HERE), 0.625, 0.625, models=PLAIN),
    Row("stop_sequences", ask(stop_sequences=[HERE])),
    changed("stream", ask(stream=HERE), True),
    *(Row(name, ask(**{name: value})) for name, value in (
        ("metadata", {"user_id": HERE}), ("user_profile_id", HERE), ("workspace_id", HERE),
        ("safeguards", [{"type": "dangerous_tool_use", "classifier_context": {"home_dir": HERE}}]),
        ("service_tier", HERE), ("speed", HERE), ("billing_policy", HERE), ("inference_geo", HERE),
        ("container", HERE), ("context_management", {"edits": [{"type": HERE}]}), ("compaction", {"type": HERE}),
        ("mcp_servers", [{"type": "url", "name": HERE}]), ("fallbacks", [{"model": HERE}]),
        ("fallback_credit_token", HERE), ("diagnostics", {"id": HERE}), ("thread", {"id": HERE}))),
    changed("cache_control", ask(cache_control=HERE), MARK, models=CLAUDE),
    changed("top_k", ask(top_k=HERE), 7, models=PLAIN),
)  # fmt: skip
