"""The fields of requests, each in a minimal request of its own: the rows of ``roundtrip.py``.

Fields are those of the official SDKs and of the clients in ``tests/samples``. In names ``content[text]`` is a content
part (block) of type text, ``tools[custom]`` such a tool, ``messages[user]`` a user's message.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from recordings import CODEX, GPT, GPT5, OPUS, SONNET

from copilot_trio.models.model import Model

Json = dict[str, Any]

WORD = "Sentinel"  # base64, an id and a name all the same


def only(model: Model, endpoint: str) -> Model:
    return msgspec.structs.replace(model, supported_endpoints=(endpoint,))


class Models(msgspec.Struct, frozen=True):
    """For each dialect one that is offered in no other."""

    chat: Model
    responses: Model
    messages: Model


MINI = only(GPT5, "/responses")
THINKING = Models(only(GPT5, "/chat/completions"), MINI, only(OPUS, "/v1/messages"))
PLAIN = Models(GPT, CODEX, only(SONNET, "/v1/messages"))
CLAUDE = Models(only(OPUS, "/chat/completions"), MINI, THINKING.messages)
BUDGETED = Models(only(SONNET, "/chat/completions"), MINI, PLAIN.messages)


class Hole:
    """Stands in a request where the field under test has its value."""


HERE = Hole()
ABSENT: Any = Hole()


class Row(msgspec.Struct, frozen=True):
    """``field`` is given ``value`` where ``request`` has ``HERE``.

    A value that can be recognised arrives where ``shown`` is found, for it may be decoded on the way. Any other is
    known by what it changes: the request is translated once more, with ``instead`` in its place.
    """

    field: str
    request: Json
    value: Any = WORD
    shown: str | float | None = WORD
    instead: Any = ABSENT
    models: Models = THINKING

    def body(self, value: Any) -> bytes:
        return msgspec.json.encode(_filled(self.request, value))


def changed(field: str, request: Json, value: Any, instead: Any = ABSENT, models: Models = THINKING) -> Row:
    """A field whose value could stand anywhere: a flag, a mode, a type."""
    return Row(field, request, value, None, instead, models)


def _filled(value: Any, hole: Any) -> Any:
    if value is HERE:
        return hole
    if isinstance(value, dict):
        pairs = ((key, _filled(member, hole)) for key, member in value.items())
        return {key: member for key, member in pairs if member is not ABSENT}
    if isinstance(value, list):
        return [element for element in (_filled(element, hole) for element in value) if element is not ABSENT]
    return value


# ---- Anthropic's Messages API

USER = {"role": "user", "content": "Hi"}
FUNCTION = {"name": "look", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "call_1", "name": "look", "input": {}}


def ask(*blocks: Any, **top: Any) -> Json:
    return {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, *blocks]}],
        "max_tokens": 9000,
    } | top


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


NEXT = {"role": "user", "content": "And now?"}


def later(request: Json) -> Json:
    """The same with an answer and another question: the newest message is marked whether a client asks or not."""
    return request | {"messages": [*request["messages"], {"role": "assistant", "content": "Yes."}, NEXT]}


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
    changed("content[text].cache_control", later(ask(text(cache_control=HERE))), MARK, models=CLAUDE),
    Row("content[text].citations", say(text(citations=[{"type": "char_location", "cited_text": HERE}]))),
    Row("content[image].source.data", ask(image(**PNG | {"data": HERE}))),
    Row("content[image].source.media_type", ask(image(**PNG | {"media_type": HERE})), f"image/{WORD}"),
    Row("content[image].source.url", ask(image(type="url", url=HERE)), URL),
    Row("content[image].source.file_id", ask(image(type="file", file_id=HERE))),
    changed("content[image].cache_control", later(ask({**image(**PNG), "cache_control": HERE})), MARK, models=CLAUDE),
    changed("content[].cache_control.ttl", ask(text(cache_control=MARK | {"ttl": HERE})), "1h", models=CLAUDE),
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
    changed("content[document].cache_control", later(ask(document(PLAIN_TEXT, cache_control=HERE))), MARK,
            models=CLAUDE),
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
    changed("content[tool_result].cache_control", later(tell({"content": "words", "cache_control": HERE})), MARK,
            models=CLAUDE),
    Row("content[tool_result].toolset_name", tell({"content": "words", "toolset_name": HERE})),
    Row("content[server_tool_use].input, of web_search",
        say({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": HERE}}, text())),
    Row("content[server_tool_use].input, of others",
        say({"type": "server_tool_use", "id": "s", "name": "code_execution", "input": {"code": HERE}}, text())),
    *(Row(f"content[web_search_tool_result].content[].{name}", say({
        "type": "web_search_tool_result", "tool_use_id": "s",
        "content": [{"type": "web_search_result", "url": "https://example.com/", "title": "pages", name: HERE}],
    }, text()))
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
            BUDGETED),
    changed("thinking.display", ask(thinking={"type": "adaptive", "display": HERE}), "omitted"),
    changed("thinking.display, of a budget",
            ask(thinking={"type": "enabled", "budget_tokens": 2000, "display": HERE}), "omitted"),
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

# ---- OpenAI's chat completions

SAYS = {"role": "user", "content": "Hi"}
ON = {"role": "user", "content": "Go on"}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CUSTOM_CALL = {"id": "call_1", "type": "custom", "custom": {"name": "patch", "input": "words"}}
CUSTOM = {"type": "custom", "custom": {"name": "patch", "description": "d"}}


def chat(*messages: Any, **top: Any) -> Json:
    return {"messages": [*messages]} | top


def part(content: Json, **top: Any) -> Json:
    return chat({"role": "user", "content": [{"type": "text", "text": "Hi"}, content]}, **top)


def answer(**fields: Any) -> Json:
    return chat(SAYS, {"role": "assistant", "content": "words"} | fields, ON)


def call(fields: Json) -> Json:
    result = {"role": "tool", "tool_call_id": fields["id"], "content": "words"}
    return chat(SAYS, {"role": "assistant", "content": None, "tool_calls": [fields]}, result)


def result(**fields: Any) -> Json:
    made = {"role": "assistant", "content": None, "tool_calls": [CALLED]}
    return chat(SAYS, made, {"role": "tool", "tool_call_id": "call_1", "content": "words"} | fields)


def function(**fields: Any) -> Json:
    return chat(SAYS, tools=[{"type": "function", "function": {"name": "look"} | fields}])


def custom(**fields: Any) -> Json:
    return chat(SAYS, tools=[{"type": "custom", "custom": {"name": "patch"} | fields}])


def chosen(choice: Any, **names: Any) -> Json:
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in names.values()
    ]
    return chat(SAYS, tools=tools or [LOOK], tool_choice=choice)


DATA = "data:image/png;base64,"
FILE = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0x"}
IN_BASE64 = base64.b64encode(WORD.encode()).decode()

OF_CHAT: tuple[Row, ...] = (
    *(Row(f"messages[{role}].content", chat({"role": role, "content": HERE}, SAYS))
      for role in ("system", "developer", "user", "assistant")),
    Row("messages[assistant].content, last", chat(SAYS, {"role": "assistant", "content": HERE})),
    Row("messages[system].content, later", chat(SAYS, {"role": "system", "content": HERE})),
    *(Row(f"messages[{role}].content[text].text", chat({"role": role, "content": [text(text=HERE)]}, SAYS))
      for role in ("system", "user", "assistant")),
    *(Row(f"messages[{role}].name", chat({"role": role, "content": "words", "name": HERE}, SAYS))
      for role in ("system", "user", "assistant")),
    changed("messages[].copilot_cache_control",
            chat({"role": "system", "content": "words", "copilot_cache_control": HERE}, SAYS), MARK, models=CLAUDE),
    changed("messages[].cache_control",
            chat({"role": "system", "content": "words", "cache_control": HERE}, SAYS), MARK, models=CLAUDE),
    changed("messages[user].cache_control", later(chat(SAYS | {"cache_control": HERE})), MARK, models=CLAUDE),
    changed("content[].cache_control", later(part(text(cache_control=HERE))), MARK, models=CLAUDE),
    changed("content[].prompt_cache_breakpoint", part(text(prompt_cache_breakpoint=HERE)), {"mode": "implicit"}),
    Row("content[image_url].image_url.url", part({"type": "image_url", "image_url": {"url": HERE}}), URL),
    Row("content[image_url].image_url.url, data", part({"type": "image_url", "image_url": {"url": HERE}}), DATA + WORD),
    Row("content[image_url].image_url as a string", part({"type": "image_url", "image_url": HERE}), URL),
    changed("content[image_url].image_url.detail",
            part({"type": "image_url", "image_url": {"url": URL, "detail": HERE}}), "high"),
    Row("content[input_audio].input_audio.data",
        part({"type": "input_audio", "input_audio": {"data": HERE, "format": "wav"}})),
    Row("content[input_audio].input_audio.format",
        part({"type": "input_audio", "input_audio": {"data": "UklG", "format": HERE}})),
    Row("content[file].file.file_data", part({"type": "file", "file": {**FILE, "file_data": HERE}}),
        f"data:application/pdf;base64,{WORD}"),
    Row("content[file].file.file_data, of text", part({"type": "file", "file": {**FILE, "file_data": HERE}}),
        f"data:text/plain;base64,{IN_BASE64}"),
    Row("content[file].file.filename", part({"type": "file", "file": {**FILE, "filename": HERE}})),
    Row("content[file].file.file_id", part({"type": "file", "file": {"file_id": HERE}})),
    Row("content[refusal].refusal", answer(content=[{"type": "refusal", "refusal": HERE}])),
    Row("content[of a kind to come]", part({"type": "hologram", "text": {"of": HERE}})),
    Row("messages[assistant].refusal", answer(content=None, refusal=HERE)),
    Row("messages[assistant].reasoning_text", answer(reasoning_text=HERE, reasoning_opaque="c2ln")),
    Row("messages[assistant].reasoning_opaque", answer(reasoning_text="Hm", reasoning_opaque=HERE)),
    Row("messages[assistant].reasoning_opaque, a Responses model's",
        answer(reasoning_text="Hm", reasoning_opaque=HERE), f"{WORD}@rs_1"),
    Row("messages[assistant].reasoning_text, a Responses model's",
        answer(reasoning_text=HERE, reasoning_opaque="c2ln@rs_1")),
    Row("messages[assistant].reasoning_content", answer(reasoning_content=HERE)),
    *(Row(f"messages[assistant].{name}", answer(**{name: HERE}))
      for name in ("reasoning", "cot_summary", "cot_id", "padding")),
    Row("messages[assistant].reasoning_details", answer(reasoning_details=[{"text": HERE}])),
    Row("messages[assistant].annotations", answer(annotations=[{"url": HERE}])),
    Row("messages[assistant].audio.id", answer(audio={"id": HERE})),
    *(Row(f"messages[].{name}", chat({"role": "user", "content": "Hi", name: [{"id": HERE}]}))
      for name in ("copilot_references", "copilot_confirmations")),
    Row("tool_calls[].id", call({**CALLED, "id": HERE})),
    changed("tool_calls[].index", call({**CALLED, "index": HERE}), 1, 0),
    Row("tool_calls[].function.name", call({**CALLED, "function": {"name": HERE, "arguments": "{}"}})),
    Row("tool_calls[].function.arguments", call({**CALLED, "function": {"name": "look", "arguments": HERE}}),
        f'{{"path":"{WORD}"}}'),
    Row("tool_calls[].function.arguments, no JSON",
        call({**CALLED, "function": {"name": "look", "arguments": HERE}}), f'{{"path":"{WORD}'),
    Row("tool_calls[].function.thought_signature",
        call({**CALLED, "function": {"name": "look", "arguments": "{}", "thought_signature": HERE}})),
    changed("tool_calls[].cache_control", call({**CALLED, "cache_control": HERE}), MARK, models=CLAUDE),
    Row("tool_calls[].custom.name", call({**CUSTOM_CALL, "custom": {"name": HERE, "input": "words"}})),
    Row("tool_calls[].custom.input", call({**CUSTOM_CALL, "custom": {"name": "patch", "input": HERE}})),
    Row("function_call.name", chat(SAYS, {"role": "assistant", "function_call": {"name": HERE, "arguments": "{}"}},
                                   {"role": "function", "name": HERE, "content": "words"})),
    Row("function_call.arguments",
        chat(SAYS, {"role": "assistant", "function_call": {"name": "look", "arguments": HERE}},
             {"role": "function", "name": "look", "content": "words"}), f'{{"path":"{WORD}"}}'),
    Row("messages[function].content", chat(
        SAYS, {"role": "assistant", "function_call": {"name": "look", "arguments": "{}"}},
        {"role": "function", "name": "look", "content": HERE})),
    Row("messages[tool].tool_call_id", call({**CALLED, "id": HERE})),
    Row("messages[tool].content", result(content=HERE)),
    Row("messages[tool].content, of a lost call",
        chat(SAYS, {"role": "tool", "tool_call_id": "call_9", "content": HERE})),
    Row("tool_calls[].id, not answered", chat(SAYS, {"role": "assistant", "tool_calls": [{**CALLED, "id": HERE}]}, ON)),
    Row("messages[tool].content[text].text", result(content=[text(text=HERE)])),
    Row("messages[tool].content[image_url].image_url.url",
        result(content=[{"type": "image_url", "image_url": {"url": HERE}}]), DATA + WORD),
    Row("messages[tool].content[file].file.file_data",
        result(content=[{"type": "file", "file": {**FILE, "file_data": HERE}}]), f"data:application/pdf;base64,{WORD}"),
    Row("messages[tool].name", result(name=HERE)),
    changed("messages[tool].cache_control", later(result(cache_control=HERE)), MARK, models=CLAUDE),
    Row("tools[function].function.name", function(name=HERE)),
    Row("tools[function].function.description", function(description=HERE)),
    Row("tools[function].function.parameters", function(parameters=SCHEMA)),
    changed("tools[function].function.strict", function(strict=HERE), True),
    Row("tools[custom].custom.name", custom(name=HERE)),
    Row("tools[custom].custom.description", custom(description=HERE)),
    Row("tools[custom].custom.format.grammar.definition",
        custom(format={"type": "grammar", "grammar": {"syntax": "lark", "definition": HERE}})),
    Row("tools[custom].custom.format.grammar.syntax",
        custom(format={"type": "grammar", "grammar": {"syntax": HERE, "definition": "start: /a/"}})),
    Row("tools[custom].format.definition, flat", chat(SAYS, tools=[{
        "type": "custom", "name": "ApplyPatch",
        "format": {"type": "grammar", "syntax": "lark", "definition": HERE}}])),
    Row("functions", chat(SAYS, functions=[{"name": HERE}])),
    *(changed(f"tool_choice {mode}", chosen(HERE), mode) for mode in ("auto", "required", "none")),
    Row("tool_choice.function.name", chosen({"type": "function", "function": {"name": HERE}}, name=HERE)),
    Row("tool_choice.custom.name", chat(SAYS, tools=[{"type": "custom", "custom": {"name": HERE}}],
                                        tool_choice={"type": "custom", "custom": {"name": HERE}})),
    Row("tool_choice.allowed_tools.tools", chosen({"type": "allowed_tools", "allowed_tools": {
        "mode": "auto", "tools": [{"type": "function", "function": {"name": HERE}}]}}, name=HERE, other="other")),
    changed("tool_choice.allowed_tools.mode", chosen(
        {"type": "allowed_tools", "allowed_tools": {"mode": HERE, "tools": [LOOK]}}), "required", "auto"),
    changed("parallel_tool_calls", chat(SAYS, tools=[LOOK], parallel_tool_calls=HERE), False),
    changed("reasoning_effort", chat(SAYS, reasoning_effort=HERE), "low"),
    changed("thinking_budget", chat(SAYS, thinking_budget=HERE), 2000, 20000,
            BUDGETED),
    Row("response_format.json_schema.schema",
        chat(SAYS, response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}})),
    Row("response_format.json_schema.name", chat(
        SAYS, response_format={"type": "json_schema", "json_schema": {"name": HERE, "schema": {"type": "object"}}})),
    Row("response_format.json_schema.description", chat(SAYS, response_format={
        "type": "json_schema", "json_schema": {"name": "n", "description": HERE, "schema": {"type": "object"}}})),
    changed("response_format.json_schema.strict", chat(SAYS, response_format={
        "type": "json_schema", "json_schema": {"name": "n", "strict": HERE, "schema": {"type": "object"}}}), True),
    changed("response_format json_object", chat(SAYS, response_format=HERE), {"type": "json_object"}),
    changed("verbosity", chat(SAYS, verbosity=HERE), "low"),
    Row("max_tokens", chat(SAYS, max_tokens=HERE), 4321, 4321),
    Row("max_completion_tokens", chat(SAYS, max_completion_tokens=HERE), 4321, 4321),
    Row("temperature", chat(SAYS, temperature=HERE), 0.625, 0.625, models=PLAIN),
    changed("temperature over 1", chat(SAYS, temperature=HERE), 1.5, models=PLAIN),
    Row("top_p", chat(SAYS, top_p=HERE), 0.625, 0.625, models=PLAIN),
    Row("stop", chat(SAYS, stop=HERE)),
    Row("stop[]", chat(SAYS, stop=[HERE])),
    changed("stream", chat(SAYS, stream=HERE), True),
    Row("prompt_cache_key", chat(SAYS, prompt_cache_key=HERE)),
    *(Row(name, chat(SAYS, **{name: value})) for name, value in (
        ("prediction", {"type": "content", "content": HERE}), ("user", HERE), ("safety_identifier", HERE),
        ("metadata", {"a": HERE}), ("service_tier", HERE), ("audio", {"voice": HERE}), ("modalities", [HERE]),
        ("web_search_options", {"user_location": {"approximate": {"city": HERE}}}), ("logit_bias", {"1": HERE}),
        ("moderation", {"model": HERE}), ("prompt_cache_retention", HERE), ("prompt_cache_options", {"ttl": HERE}),
        ("intent", HERE), ("state", {"a": HERE}), ("function_call", {"name": HERE}))),
    *(changed(name, chat(SAYS, **{name: HERE}), value) for name, value in (
        ("n", 2), ("seed", 7), ("frequency_penalty", 0.5), ("presence_penalty", 0.5), ("logprobs", True),
        ("top_logprobs", 3), ("store", True), ("stream_options", {"include_usage": True}),
        ("snippy", {"enabled": True}), ("intent_threshold", 0.5))),
)  # fmt: skip

# ---- OpenAI's Responses API

FORCED = {"type": "function", "name": "look", "parameters": {"type": "object"}}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "words"}
CALL_ITEM = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"}
CUSTOM_ITEM = {"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": "words"}
CUSTOM_OUTPUT = OUTPUT | {"type": "custom_tool_call_output"}
SEARCHED = {"type": "web_search_call", "id": "ws_1", "status": "completed"}


def items(*found: Any, **top: Any) -> Json:
    return {"input": [{"role": "user", "content": "Hi"}, *found]} | top


def content(piece: Json, role: str = "user") -> Json:
    return items({"type": "message", "role": role, "content": [{"type": "input_text", "text": "words"}, piece]}, ON)


def answered(piece: Json, **more: Any) -> Json:
    return items({"type": "message", "role": "assistant", "content": [piece]} | more, ON)


def reasoned(**fields: Any) -> Json:
    return items(
        {"type": "reasoning", "id": "rs_1", "summary": []} | fields, {"role": "assistant", "content": "words"}, ON
    )


def gave(output: Any, **fields: Any) -> Json:
    return items(CALL_ITEM, OUTPUT | {"output": output} | fields)


def own(tool: Json, **top: Any) -> Json:
    return items(tools=[tool], **top)


def forced(choice: Any, **names: Any) -> Json:
    return items(tools=[{**FORCED, "name": name} for name in names.values()] or [FORCED], tool_choice=choice)


def output_text(**fields: Any) -> Json:
    return {"type": "output_text", "text": "words"} | fields


OF_RESPONSES: tuple[Row, ...] = (
    Row("instructions", items(instructions=HERE)),
    Row("input", {"input": HERE}),
    *(Row(f"input[message].content, {role}", items({"type": "message", "role": role, "content": HERE}, ON))
      for role in ("system", "developer", "user", "assistant")),
    *(Row(f"input[].content, {role}, no type", items({"role": role, "content": HERE}, ON))
      for role in ("system", "developer")),
    Row("input[message].content, last an assistant's", items({"role": "assistant", "content": HERE})),
    *(Row(f"content[{kind}].text", content({"type": kind, "text": HERE})) for kind in ("input_text", "text")),
    Row("content[output_text].text", answered(output_text(text=HERE))),
    Row("content[output_text].annotations", answered(output_text(annotations=[{"type": "url_citation", "url": HERE}]))),
    Row("content[output_text].logprobs", answered(output_text(logprobs=[{"token": HERE}]))),
    Row("content[refusal].refusal", answered({"type": "refusal", "refusal": HERE})),
    Row("content[input_image].image_url", content({"type": "input_image", "image_url": HERE}), URL),
    Row("content[input_image].image_url, data", content({"type": "input_image", "image_url": HERE}), DATA + WORD),
    changed("content[input_image].detail", content({"type": "input_image", "image_url": URL, "detail": HERE}), "high"),
    Row("content[input_image].file_id", content({"type": "input_image", "file_id": HERE})),
    Row("content[input_file].file_data", content({"type": "input_file", "file_data": HERE}),
        f"data:application/pdf;base64,{WORD}"),
    Row("content[input_file].file_data, of text", content({"type": "input_file", "file_data": HERE}),
        f"data:text/plain;base64,{IN_BASE64}"),
    Row("content[input_file].file_url", content({"type": "input_file", "file_url": HERE}), URL),
    Row("content[input_file].filename", content({"type": "input_file", "file_data": "JVBERi0x", "filename": HERE})),
    Row("content[input_file].file_id", content({"type": "input_file", "file_id": HERE})),
    changed("content[input_file].detail",
            content({"type": "input_file", "file_data": "JVBERi0x", "detail": HERE}), "low"),
    Row("content[input_audio].input_audio.data", content({"type": "input_audio", "input_audio": {"data": HERE}})),
    changed("content[].prompt_cache_breakpoint",
            content({"type": "input_text", "text": "t", "prompt_cache_breakpoint": HERE}), {"mode": "implicit"}),
    changed("content[].cache_control", content({"type": "input_text", "text": "t", "cache_control": HERE}), MARK),
    Row("content[of a kind to come]", content({"type": "hologram", "text": {"of": HERE}})),
    Row("input[message].id", answered(output_text(), id=HERE)),
    changed("input[message].status", answered(output_text(), status=HERE), "incomplete", "completed"),
    Row("input[message].internal_chat_message_metadata_passthrough", items(
        {"type": "message", "role": "user", "content": "words",
         "internal_chat_message_metadata_passthrough": {"turn_id": HERE, "create_time": 1, "content_item_kinds": []}})),
    Row("input[message].phase", answered(output_text(), phase=HERE)),
    Row("input[reasoning].summary", reasoned(
        summary=[{"type": "summary_text", "text": HERE}], encrypted_content="c2ln")),
    Row("input[reasoning].content", reasoned(content=[{"type": "reasoning_text", "text": HERE}])),
    Row("input[reasoning].content, beside a summary", reasoned(
        content=[{"type": "reasoning_text", "text": HERE}], summary=[{"type": "summary_text", "text": "Hm"}])),
    Row("input[reasoning].encrypted_content", reasoned(encrypted_content=HERE)),
    Row("input[reasoning].encrypted_content, another provider's", reasoned(encrypted_content=HERE), f"foreign:{WORD}"),
    Row("input[reasoning].summary, of another provider's", reasoned(
        summary=[{"type": "summary_text", "text": HERE}], encrypted_content="foreign:c2ln")),
    Row("input[reasoning].id", reasoned(id=HERE, encrypted_content="c2ln")),
    Row("input[function_call].call_id",
        items({**CALL_ITEM, "call_id": HERE}, {**OUTPUT, "call_id": HERE})),
    Row("input[function_call].name", items({**CALL_ITEM, "name": HERE}, OUTPUT)),
    Row("input[function_call].namespace", items({**CALL_ITEM, "namespace": HERE}, OUTPUT)),
    Row("input[function_call].arguments", items({**CALL_ITEM, "arguments": HERE}, OUTPUT), f'{{"path":"{WORD}"}}'),
    Row("input[function_call].id", items({**CALL_ITEM, "id": HERE}, OUTPUT)),
    Row("input[function_call_output].id", items(CALL_ITEM, OUTPUT | {"id": HERE})),
    Row("input[custom_tool_call].id", items({**CUSTOM_ITEM, "id": HERE}, CUSTOM_OUTPUT)),
    Row("input[custom_tool_call_output].id", items(CUSTOM_ITEM, CUSTOM_OUTPUT | {"id": HERE})),
    changed("input[function_call].status", items({**CALL_ITEM, "status": HERE}, OUTPUT), "incomplete", "completed"),
    changed("input[custom_tool_call].status", items({**CUSTOM_ITEM, "status": HERE}, CUSTOM_OUTPUT), "incomplete",
            "completed"),
    Row("input[function_call].caller", items({**CALL_ITEM, "caller": {"caller_id": HERE}}, OUTPUT)),
    Row("input[function_call_output].output", gave(HERE)),
    Row("input[function_call_output].output[input_text].text", gave([{"type": "input_text", "text": HERE}])),
    Row("input[function_call_output].output[input_image].image_url",
        gave([{"type": "input_image", "image_url": HERE, "detail": "high"}]), DATA + WORD),
    Row("input[function_call_output].output[input_file].file_data",
        gave([{"type": "input_file", "filename": "a.pdf", "file_data": HERE}]), f"data:application/pdf;base64,{WORD}"),
    Row("input[function_call_output].output, of a lost call", items({**OUTPUT, "output": HERE, "call_id": "call_9"})),
    Row("input[function_call_output].name", gave("words", name=HERE)),
    Row("input[custom_tool_call].name", items({**CUSTOM_ITEM, "name": HERE}, CUSTOM_OUTPUT)),
    Row("input[custom_tool_call].namespace",
        items({**CUSTOM_ITEM, "namespace": HERE}, CUSTOM_OUTPUT)),
    Row("input[custom_tool_call].input", items({**CUSTOM_ITEM, "input": HERE}, CUSTOM_OUTPUT)),
    Row("input[custom_tool_call_output].output",
        items(CUSTOM_ITEM, CUSTOM_OUTPUT | {"output": HERE})),
    Row("input[web_search_call].action.query", items({**SEARCHED, "action": {"type": "search", "query": HERE}}, ON)),
    Row("input[web_search_call].action.queries",
        items({**SEARCHED, "action": {"type": "search", "queries": [HERE]}}, ON)),
    Row("input[web_search_call].action.queries, beside a query", items(
        {**SEARCHED, "action": {"type": "search", "query": "before", "queries": ["before", HERE]}}, ON)),
    Row("input[web_search_call].action.sources", items(
        {**SEARCHED, "action": {"type": "search", "query": "before", "sources": [{"type": "url", "url": HERE}]}}, ON),
        URL),
    Row("input[web_search_call].action.url, open_page",
        items({**SEARCHED, "action": {"type": "open_page", "url": HERE}}, ON)),
    Row("input[web_search_call].action.pattern, find_in_page",
        items({**SEARCHED, "action": {"type": "find_in_page", "url": "u", "pattern": HERE}}, ON)),
    *(Row(f"input[{kind}]", items({"type": kind, "id": "i", "call_id": "c", name: {"any": HERE}}, ON))
      for kind, name in (
        ("file_search_call", "results"), ("computer_call", "action"), ("computer_call_output", "output"),
        ("code_interpreter_call", "outputs"), ("image_generation_call", "result"), ("local_shell_call", "action"),
        ("local_shell_call_output", "output"), ("shell_call", "action"), ("shell_call_output", "output"),
        ("apply_patch_call", "operation"), ("apply_patch_call_output", "output"), ("mcp_list_tools", "tools"),
        ("mcp_approval_request", "arguments"), ("mcp_approval_response", "reason"), ("mcp_call", "output"),
        ("tool_search_call", "arguments"), ("program", "code"), ("program_output", "result"), ("kind_to_come", "a"))),
    Row("input[tool_search_output].tools", items(
        {"type": "tool_search_output", "call_id": "c", "tools": [{**FORCED, "name": HERE}]}, ON)),
    Row("input[additional_tools].tools", items(
        {"type": "additional_tools", "role": "developer", "tools": [{**FORCED, "description": HERE}]}, ON)),
    Row("input[additional_tools].id", items(
        {"type": "additional_tools", "id": HERE, "role": "developer", "tools": [FORCED]}, ON)),
    Row("input[compaction].encrypted_content", items({"type": "compaction", "encrypted_content": HERE}, ON)),
    changed("input[compaction_trigger]", items(HERE), {"type": "compaction_trigger"}),
    Row("input[item_reference].id", items({"type": "item_reference", "id": HERE}, ON)),
    Row("tools[function].name", own({**FORCED, "name": HERE})),
    Row("tools[function].description", own({**FORCED, "description": HERE})),
    Row("tools[function].parameters", own({**FORCED, "parameters": SCHEMA})),
    changed("tools[function].strict", own({**FORCED, "strict": HERE}), True),
    changed("tools[function].defer_loading", own({**FORCED, "defer_loading": HERE}), True),
    changed("tools[function].allowed_callers", own({**FORCED, "allowed_callers": HERE}), ["direct"]),
    Row("tools[function].output_schema", own({**FORCED, "output_schema": SCHEMA})),
    Row("tools[function].function.description, nested",
        own({"type": "function", "function": {"name": "look", "description": HERE}})),
    Row("tools[custom].name", own({"type": "custom", "name": HERE})),
    Row("tools[custom].description", own({"type": "custom", "name": "patch", "description": HERE})),
    Row("tools[custom].format.definition", own({"type": "custom", "name": "patch", "format": {
        "type": "grammar", "syntax": "lark", "definition": HERE}})),
    Row("tools[custom].format.syntax", own({"type": "custom", "name": "patch", "format": {
        "type": "grammar", "syntax": HERE, "definition": "start: /a/"}})),
    Row("tools[namespace].name", own({"type": "namespace", "name": HERE, "tools": [FORCED]})),
    Row("tools[namespace].description",
        own({"type": "namespace", "name": "space", "description": HERE, "tools": [FORCED]})),
    Row("tools[namespace].tools[].description",
        own({"type": "namespace", "name": "space", "tools": [{**FORCED, "description": HERE}]})),
    Row("tools[web_search].filters.allowed_domains",
        own({"type": "web_search", "filters": {"allowed_domains": [HERE]}})),
    Row("tools[web_search].user_location", own({"type": "web_search", "user_location": {"city": HERE}})),
    Row("tools[web_search].search_context_size", own({"type": "web_search", "search_context_size": HERE})),
    changed("tools[web_search].external_web_access", own({"type": "web_search", "external_web_access": HERE}), True),
    changed("tools[web_search].search_content_types",
            own({"type": "web_search", "search_content_types": HERE}), ["text"]),
    *(Row(f"tools[tool_search].{name}", items(tools=[FORCED, {"type": "tool_search", name: HERE}]))
      for name in ("description", "execution", "parameters")),
    *(Row(f"tools[{kind}]", items(tools=[FORCED, {"type": kind, "any": HERE}])) for kind in (
        "file_search", "computer_use_preview", "code_interpreter", "image_generation", "local_shell",
        "shell", "apply_patch", "mcp", "programmatic_tool_calling")),
    *(changed(f"tool_choice {mode}", forced(HERE), mode) for mode in ("auto", "required", "none")),
    Row("tool_choice.name", forced({"type": "function", "name": HERE}, name=HERE)),
    Row("tool_choice.name, custom",
        own({"type": "custom", "name": HERE}, tool_choice={"type": "custom", "name": HERE})),
    Row("tool_choice.tools, allowed_tools", forced(
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": HERE}]},
        name=HERE, other="other")),
    changed("tool_choice.mode, allowed_tools", forced({"type": "allowed_tools", "mode": HERE, "tools": [FORCED]}),
            "required", "auto"),
    changed("parallel_tool_calls", own(FORCED, parallel_tool_calls=HERE), False),
    changed("reasoning.effort", items(reasoning={"effort": HERE}), "low"),
    changed("reasoning.summary", items(reasoning={"effort": "low", "summary": HERE}), "detailed"),
    *(changed(f"reasoning.{name}", items(reasoning={"effort": "low", name: HERE}), value) for name, value in (
        ("context", "all_turns"), ("generate_summary", "auto"), ("mode", "fast"))),
    Row("text.format.schema", items(text={"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}})),
    Row("text.format.name",
        items(text={"format": {"type": "json_schema", "name": HERE, "schema": {"type": "object"}}})),
    Row("text.format.description", items(text={"format": {
        "type": "json_schema", "name": "n", "description": HERE, "schema": {"type": "object"}}})),
    changed("text.format.strict", items(text={"format": {
        "type": "json_schema", "name": "n", "strict": HERE, "schema": {"type": "object"}}}), True),
    changed("text.format json_object", items(text={"format": HERE}), {"type": "json_object"}),
    changed("text.verbosity", items(text={"verbosity": HERE}), "low"),
    Row("max_output_tokens", items(max_output_tokens=HERE), 4321, 4321),
    Row("temperature", items(temperature=HERE), 0.625, 0.625, models=PLAIN),
    Row("top_p", items(top_p=HERE), 0.625, 0.625, models=PLAIN),
    changed("stream", items(stream=HERE), True),
    Row("prompt_cache_key", items(prompt_cache_key=HERE)),
    *(Row(name, items(**{name: value})) for name, value in (
        ("previous_response_id", HERE), ("conversation", HERE), ("prompt", {"id": HERE}), ("user", HERE),
        ("safety_identifier", HERE), ("metadata", {"a": HERE}), ("client_metadata", {"a": HERE}),
        ("service_tier", HERE), ("include", [HERE]), ("context_management", [{"type": HERE}]),
        ("truncation", HERE), ("moderation", {"model": HERE}), ("prompt_cache_retention", HERE),
        ("prompt_cache_options", {"ttl": HERE}), ("image", {"context_compression": HERE}),
        ("access_programs", {"cyber": HERE}))),
    *(changed(name, items(**{name: HERE}), value) for name, value in (
        ("background", True), ("store", True), ("max_tool_calls", 3), ("top_logprobs", 3),
        ("stream_options", {"include_usage": True, "include_obfuscation": False}))),
)  # fmt: skip

ROWS: dict[str, tuple[Row, ...]] = {"messages": OF_MESSAGES, "chat": OF_CHAT, "responses": OF_RESPONSES}
