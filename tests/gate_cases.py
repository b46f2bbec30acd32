"""What the gate's rules do and what they leave alone: at least one case of each for every rule."""

from __future__ import annotations

from typing import Any

import msgspec
from recordings import CODEX, GEMINI, GPT, GPT5, OPUS, SONNET

from copilot_trio.models.model import Model

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/chat/completions", "/responses"


def supporting(model: Model, **changes: Any) -> Model:
    supports = msgspec.structs.replace(model.supports, **changes)
    return msgspec.structs.replace(model, capabilities=msgspec.structs.replace(model.capabilities, supports=supports))


def limited(model: Model, **changes: Any) -> Model:
    limits = msgspec.structs.replace(model.limits, **changes)
    return msgspec.structs.replace(model, capabilities=msgspec.structs.replace(model.capabilities, limits=limits))


MODERN = supporting(OPUS, context_editing=True, tool_search=True)
PLAIN = supporting(SONNET, max_thinking_budget=0, min_thinking_budget=0)
NEWEST = msgspec.structs.replace(MODERN, id="claude-opus-4.7")
QUIET = limited(SONNET, max_non_streaming_output_tokens=16000)
REASONS = supporting(CODEX, reasoning_effort=("low", "medium", "high"))
REASONS = limited(
    msgspec.structs.replace(
        REASONS, capabilities=msgspec.structs.replace(REASONS.capabilities, family="gpt-5.3-codex")
    ),
    max_output_tokens=128_000,
)


class Case(msgspec.Struct, frozen=True):
    """``field`` of the rule; ``left`` is what goes upstream, None where that is the very same object."""

    field: str
    endpoint: str
    body: bytes
    model: Model
    left: bytes | None = None


def chats(message: bytes, rest: bytes = b"") -> bytes:
    return b'{"messages":[%b,{"role":"user","content":"go on"}]%b}' % (message, rest)


def asks(item: bytes, rest: bytes = b"") -> bytes:
    return b'{"input":[%b]%b}' % (item, rest)


USER = b'{"role":"user","content":"hi"}'
THOUGHT = b'{"type":"thinking","thinking":"t","signature":"s"}'
CALL = b'{"type":"tool_use","id":"t","name":"n","input":{}}'
RESULT = b'{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"r"}]}'
MARK = b'"cache_control":{"type":"ephemeral"}'
COPILOT_MARK = b'"copilot_cache_control":{"type":"ephemeral"}'
FOREIGN = b'{"type":"thinking","thinking":"t","signature":"gAAA@rs_1"}'
UNSIGNED = b'{"type":"thinking","thinking":"t"}'
LEFT_OUT = b'[{"type":"text","text":"(left out)"}]'
ENABLED = b'"thinking":{"type":"enabled","budget_tokens":8000}'
REAL = b"RE/AL=" * 12  # as long as upstream's ids are at least
PATCH = b'{"type":"custom","name":"ApplyPatch","format":{"type":"text"}}'


def said(*blocks: bytes) -> bytes:
    return b'{"role":"assistant","content":[%b]}' % b",".join(blocks)


def told(*blocks: bytes) -> bytes:
    return b'{"role":"user","content":[%b]}' % b",".join(blocks)


def text(words: bytes, rest: bytes = b"") -> bytes:
    return b'{"type":"text","text":"%b"%b}' % (words, rest)


def talk(*messages: bytes, rest: bytes = b"") -> bytes:
    return b'{"messages":[%b]%b}' % (b",".join(messages), rest)


HITS_MESSAGES = [
    ("safeguards", b'{"model":"m","safeguards":[{"home":"/home/x"}],"a":1}', b'{"model":"m","a":1}', MODERN),
    ("inference_geo", b'{"inference_geo":"eu","a":1}', b'{"a":1}', MODERN),
    ("effort", b'{"effort":"high","a":1}', b'{"a":1}', MODERN),
    ("speed", b'{"a":1,"speed":"fast"}', b'{"a":1}', MODERN),
    ("cache_control", b'{"a":1,"cache_control":{"type":"ephemeral"}}', b'{"a":1}', MODERN),
    ("context_management", b'{"a":1, "context_management" : {"edits":[]}}', b'{"a":1}', SONNET),
    ("max_tokens", b'{"max_tokens": 64000 ,"stream":true}', b'{"max_tokens": 32000 ,"stream":true}', SONNET),
    ("max_tokens", b'{"stream":false,"max_tokens":32000}', b'{"stream":false,"max_tokens":16000}', QUIET),
    ("max_tokens", b'{"max_tokens":32000}', b'{"max_tokens":16000}', QUIET),
    (
        "thinking.display",
        b'{"thinking":{"type":"adaptive","display":"omitted"}}',
        b'{"thinking":{"type":"adaptive"}}',
        OPUS,
    ),
    (
        "thinking",
        b'{"max_tokens":64000,"stream":true,"thinking":{"type":"adaptive"}}',
        b'{"max_tokens":32000,"stream":true,"thinking":{"type":"enabled","budget_tokens":31999}}',
        SONNET,
    ),
    (
        "thinking",
        b'{"max_tokens":5000,"thinking":{"display":"omitted","type":"adaptive"}}',
        b'{"max_tokens":5000,"thinking":{"type":"enabled","budget_tokens":4999}}',
        SONNET,
    ),
    (
        "thinking",
        b'{"max_tokens":32000,"thinking":{"type":"enabled","budget_tokens":31999}}',
        b'{"max_tokens":16000,"thinking":{"type":"enabled","budget_tokens":15999}}',
        QUIET,
    ),
    ("thinking", b'{"max_tokens":1000,"thinking":{"type":"adaptive"}}', b'{"max_tokens":1000}', SONNET),
    ("thinking", b'{"thinking":{"type":"adaptive"},"a":1}', b'{"a":1}', PLAIN),
    ("thinking", b'{"a":1,%b}' % ENABLED, b'{"a":1}', PLAIN),
    ("thinking", b"{%b}" % ENABLED, b'{"thinking":{"type":"adaptive"}}', NEWEST),
    (
        "thinking",
        b'{"thinking":{"type":"adaptive","budget_tokens":5,"budget_tokens_max":9}}',
        b'{"thinking":{"type":"adaptive"}}',
        OPUS,
    ),
    (
        "thinking",
        b'{"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens": 31999 }}',
        b'{"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens": 3999 }}',
        SONNET,
    ),
    (
        "thinking",
        b'{"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":1}}',
        b'{"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":1024}}',
        SONNET,
    ),
    (
        "thinking",
        b'{"max_tokens":1024,"thinking":{"type":"enabled","budget_tokens":1024}}',
        b'{"max_tokens":1024}',
        SONNET,
    ),
    ("thinking", b'{"tool_choice":{"type":"any"},%b}' % ENABLED, b'{"tool_choice":{"type":"any"}}', SONNET),
    (
        "thinking",
        b'{"thinking":{"type":"adaptive"},"tool_choice":{"type":"tool","name":"n"}}',
        b'{"tool_choice":{"type":"tool","name":"n"}}',
        OPUS,
    ),
    ("thinking", b'{"thinking":{"type":"disabled","display":"summarized"}}', b'{"thinking":{"type":"disabled"}}', OPUS),
    ("thinking.display", b'{"thinking":{"display":null,"type":"adaptive"}}', b'{"thinking":{"type":"adaptive"}}', OPUS),
    (
        "tools[] without input_schema",
        b'{"tools":[{"name":"a"},{"type":"bash_1","name":"b"},{}]}',
        b'{"tools":[{"name":"a","input_schema":{"type":"object","properties":{}}},{"type":"bash_1","name":"b"},{}]}',
        OPUS,
    ),
    (
        "messages[].output_config",
        talk(b'{"role":"user","output_config":{},"content":"a"}'),
        talk(b'{"role":"user","content":"a"}'),
        MODERN,
    ),
    ("thinking blocks", talk(said(FOREIGN, CALL), RESULT), talk(said(CALL), RESULT), OPUS),
    ("thinking blocks", talk(said(text(b"a"), UNSIGNED), USER), talk(said(text(b"a")), USER), SONNET),
    (
        "thinking blocks",
        talk(said(b'{"type":"thinking","thinking":"t","signature":""}'), USER),
        talk(b'{"role":"assistant","content":%b}' % LEFT_OUT, USER),
        SONNET,
    ),
    (
        "thinking blocks",
        talk(said(b'{ "signature":"a@b", "thinking":"\\"", "type" : "thinking"}', THOUGHT, CALL), RESULT),
        talk(said(THOUGHT, CALL), RESULT),
        SONNET,
    ),
    (
        "thinking blocks",
        talk(said(FOREIGN, text(b"  ")), USER),
        talk(b'{"role":"assistant","content":%b}' % LEFT_OUT, USER),
        SONNET,
    ),
    (  # a turn under way may not lose its thinking alone
        "thinking blocks",
        talk(said(FOREIGN, CALL), RESULT, rest=b",%b" % ENABLED),
        talk(said(CALL), RESULT),
        SONNET,
    ),
    (
        "thinking blocks",
        talk(said(FOREIGN, text(b"a")), USER, rest=b",%b" % ENABLED),
        talk(said(text(b"a")), USER, rest=b",%b" % ENABLED),
        SONNET,
    ),
    (
        "temperature, top_p, top_k",
        b'{"temperature":0.2,"top_k":5,"top_p":0.9,"thinking":{"type":"adaptive"}}',
        b'{"thinking":{"type":"adaptive"}}',
        OPUS,
    ),
    ("temperature, top_p, top_k", b'{"temperature":1,"a":1,"top_p":1}', b'{"a":1}', NEWEST),
    ("output_config", b'{"output_config":{"effort":"high"},"a":1}', b'{"a":1}', SONNET),
    (
        "output_config",
        b'{"output_config":{"format":{"type":"json_schema"}, "effort":"high"}}',
        b'{"output_config":{"format":{"type":"json_schema"}}}',
        SONNET,
    ),
    ("output_config", b'{"output_config":{ "effort" : "max" }}', b'{"output_config":{ "effort" : "high" }}', OPUS),
    ("output_config", b'{"output_config":{"effort":"low","x":1}}', b'{"output_config":{"effort":"low"}}', OPUS),
    ("output_config", b'{"output_config":{"effort":null}}', b"{}", OPUS),
    (
        "output_config.format",
        b'{"output_config":{"format":{"type":"json_schema","json_schema":{"name":"n","schema":{"a": 1}}}}}',
        b'{"output_config":{"format":{"type":"json_schema","schema":{"a": 1}}}}',
        OPUS,
    ),
    (
        "output_config.format",
        b'{"output_config":{"format":{"name":"n","type":"json_schema","schema":{}, "strict":true}}}',
        b'{"output_config":{"format":{"type":"json_schema","schema":{}}}}',
        OPUS,
    ),
    (
        "tools: tool search",
        b'{"tools":[{"type":"x","name":"a","defer_loading":true},{"defer_loading":false,"name":"b","type":"x"}]}',
        b'{"tools":[{"type":"x","name":"a"},{"name":"b","type":"x"}]}',
        SONNET,
    ),
    (
        "tools: tool search",
        (
            b'{"tools":[{"type":"x","name":"a"},{"type":"x","name":"DeferredToolPlaceholder","defer_loading":true},'
            b'{"type":"tool_search_tool_regex_20251119","name":"tool_search_tool_regex"},{"type":"x","name":"b"}]}'
        ),
        b'{"tools":[{"type":"x","name":"a"},{"type":"x","name":"b"}]}',
        SONNET,
    ),
    (
        "tool_reference",
        b'{"messages":[{"content":[{"type":"tool_result","content":[{"type":"tool_reference","tool_name":"Bash"}]}]}]}',
        (
            b'{"messages":[{"content":[{"type":"tool_result","content":'
            b'[{"type":"text","text":"Tool Bash is now available."}]}]}]}'
        ),
        SONNET,
    ),
    (
        "tools: web_search, web_fetch",
        b'{"tools":[{"type":"x","name":"a"},{"type":"web_search_20250305","name":"web_search"},{"type":"web_fetch_1","name":"w"}]}',
        b'{"tools":[{"type":"x","name":"a"}]}',
        MODERN,
    ),
    (
        "tools[].eager_input_streaming",
        b'{"tools":[{"type":"x","name":"a","eager_input_streaming":true,"input_schema":{}}]}',
        b'{"tools":[{"type":"x","name":"a","input_schema":{}}]}',
        MODERN,
    ),
    (
        "tools[].input_schema",
        b'{"tools":[{"input_schema":{ "type":"object", "properties":{"a":{}}, "oneOf":[{"required":["a"]}]}}]}',
        b'{"tools":[{"input_schema":{"type":"object","properties":{"a":{}}}}]}',
        MODERN,
    ),
    (
        "tools[].input_schema",
        b'{"tools":[{"input_schema":{"anyOf":[{"properties":{"a":{"type":"string"},"b":{}}},{"properties":{"a":{},"c":{}}}]}}]}',
        b'{"tools":[{"input_schema":{"properties":{"a":{"type":"string"},"b":{},"c":{}},"type":"object"}}]}',
        MODERN,
    ),
    (
        'messages[].role "system"',
        b'{"messages":[{"role":"system","content":"env \\u00e9"},{"role":"user","content":"hi"}]}',
        (
            b'{"messages":[{"role":"user","content":"<system-reminder>\\nenv \\u00e9\\n</system-reminder>"},'
            b'{"role":"user","content":"hi"}]}'
        ),
        MODERN,
    ),
    (
        'messages[].role "system"',
        (
            b'{"messages":[{"role":"system","output_config":{"effort":"low"},"content":'
            b'[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}'
        ),
        (
            b'{"messages":[{"role":"user","content":'
            b'[{"type":"text","text":"<system-reminder>\\na"},{"type":"text","text":"b\\n</system-reminder>"}]}]}'
        ),
        MODERN,
    ),
    (
        'messages[].role "system"',
        b'{"messages":[{"role":"system","content":""}]}',
        b'{"messages":[{"role":"user","content":"<system-reminder>\\n\\n</system-reminder>"}]}',
        MODERN,
    ),
    (
        'messages[].role "system"',
        b'{"messages":[{"role":"system","content":[%b,%b,%b]}]}' % (text(b""), text(b"a"), text(b" ")),
        b'{"messages":[{"role":"user","content":[%b]}]}' % text(b"<system-reminder>\\na\\n</system-reminder>"),
        MODERN,
    ),
    (
        'messages[].role "system"',
        b'{"messages":[{"role":"system","content":[]}]}',
        b'{"messages":[{"role":"user","content":%b}]}' % LEFT_OUT,
        MODERN,
    ),
    (
        "system: x-anthropic-billing-header",
        b'{"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"},{"type":"text","text":"You"}]}',
        b'{"system":[{"type":"text","text":"You"}]}',
        MODERN,
    ),
    (
        "system: x-anthropic-billing-header",
        b'{"a":1,"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"}]}',
        b'{"a":1}',
        MODERN,
    ),
    ("blank text", talk(told(text(b"a"), text(b""))), talk(told(text(b"a"))), MODERN),
    ("blank text", talk(said(text(b"\\n\\n "), CALL), RESULT), talk(said(CALL), RESULT), MODERN),
    ("blank text", talk(told(text(b" "))), b'{"messages":[{"role":"user","content":%b}]}' % LEFT_OUT, MODERN),
    (
        "blank text",
        talk(told(b'{"type":"tool_result","content":[%b,%b]}' % (text(b""), text(b"r")))),
        talk(told(b'{"type":"tool_result","content":[%b]}' % text(b"r"))),
        MODERN,
    ),
    ("blank text", b'{"system":[%b,%b]}' % (text(b"a"), text(b"")), b'{"system":[%b]}' % text(b"a"), MODERN),
    ("empty content", talk(b'{"role":"user","content":""}'), talk(b'{"role":"user","content":%b}' % LEFT_OUT), MODERN),
    ("empty content", talk(b'{"role":"user","content":[ ]}'), talk(b'{"role":"user","content":%b}' % LEFT_OUT), MODERN),
    (
        "assistant message last",
        b'{"messages":[%b, {"role":"assistant","content":"{"} ],"a":1}' % USER,
        b'{"messages":[%b, {"role":"assistant","content":"{"} ,{"role":"user","content":"Continue."}],"a":1}' % USER,
        MODERN,
    ),
    (  # a role in the last call's input is no message's
        "assistant message last",
        talk(USER, said(b'{"type":"tool_use","id":"t","name":"n","input":{"role":"admin"}}')),
        talk(
            USER,
            said(b'{"type":"tool_use","id":"t","name":"n","input":{"role":"admin"}}'),
            b'{"role":"user","content":"Continue."}',
        ),
        MODERN,
    ),
    (
        "cache_control.scope",
        (
            b'{"system":[{"text":"a","cache_control":{"type":"ephemeral","scope":"global"}}],'
            b'"tools":[{"type":"x","name":"t","cache_control":{"scope":"global","type":"ephemeral"}}],'
            b'"messages":[{"content":[{"type":"text","cache_control":{"type":"ephemeral","scope":"x","ttl":"1h"}}]}]}'
        ),
        (
            b'{"system":[{"text":"a","cache_control":{"type":"ephemeral"}}],'
            b'"tools":[{"type":"x","name":"t","cache_control":{"type":"ephemeral"}}],'
            b'"messages":[{"content":[{"type":"text","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}'
        ),
        MODERN,
    ),
    (
        "cache_control on thinking",
        talk(
            said(
                b'{"type":"thinking","thinking":"t","signature":"s",%b}' % MARK,
                b'{%b,"type":"redacted_thinking","data":"d"}' % MARK,
                text(b"x", b"," + MARK),
            ),
            USER,
        ),
        talk(said(THOUGHT, b'{"type":"redacted_thinking","data":"d"}', text(b"x", b"," + MARK)), USER),
        MODERN,
    ),
    (
        "cache_control, more than 4",
        b'{"messages":[%b,%b],"system":[%b],"tools":[{"type":"x","name":"a",%b},{%b,"type":"x","name":"b"}]}'
        % (
            told(text(b"1", b"," + MARK)),
            told(b'{"type":"tool_result",%b,"content":[%b]}' % (MARK, text(b"2", b"," + MARK))),
            text(b"s", b"," + MARK),
            MARK,
            MARK,
        ),
        b'{"messages":[%b,%b],"system":[%b],"tools":[{"type":"x","name":"a"},{"type":"x","name":"b"}]}'
        % (
            told(text(b"1", b"," + MARK)),
            told(b'{"type":"tool_result",%b,"content":[%b]}' % (MARK, text(b"2", b"," + MARK))),
            text(b"s", b"," + MARK),
        ),
        MODERN,
    ),
]

MISSES_MESSAGES = [
    ("safeguards", b'{"messages":[{"role":"user","content":"\\"safeguards\\""}],"metadata":{"safeguards":1}}', SONNET),
    ("inference_geo", b'{"metadata":{"inference_geo":"eu"}}', SONNET),
    ("effort", b'{"output_config":{"effort":"low"}}', OPUS),
    ("speed", b'{"metadata":{"speed":"fast"}}', SONNET),
    ("cache_control", b'{"system":[{"type":"text","text":"a",%b}]}' % MARK, SONNET),
    ("context_management", b'{"context_management":{"edits":[]}}', MODERN),
    ("max_tokens", b'{"max_tokens":32000}', SONNET),
    ("max_tokens", b'{"max_tokens":32000,"stream":true}', QUIET),
    ("max_tokens", b'{"max_tokens":99000}', CODEX),
    ("max_tokens", b'{"metadata":{"max_tokens":99000},"max_tokens":"many"}', SONNET),
    ("thinking.display", b'{"thinking":{"type":"adaptive","display":"summarized"}}', OPUS),
    ("tools[] without input_schema", b'{"tools":[{"type":"bash_1","name":"b"},{"name":"a","input_schema":{}}]}', OPUS),
    ("messages[].output_config", b'{"output_config":{"effort":"low"},"messages":[%b]}' % USER, OPUS),
    ("thinking", b'{"thinking":{"type":"adaptive"}}', OPUS),
    ("thinking", b'{"thinking":{"type":"enabled"}}', SONNET),
    ("thinking", b'{"thinking":{"type":"future"}}', SONNET),
    ("thinking", b"{%b}" % ENABLED, OPUS),
    ("thinking", b'{"max_tokens":9000,%b}' % ENABLED, SONNET),
    ("thinking", b'{"max_tokens":9000,"thinking":{"type":"disabled"}}', SONNET),
    ("thinking", b'{%b,"tool_choice":{"type":"auto"}}' % ENABLED, SONNET),
    ("thinking blocks", talk(said(THOUGHT, CALL), RESULT), SONNET),
    ("thinking blocks", talk(said(b'{"signature":"s","thinking":"a@b","type":"thinking"}', CALL), RESULT), SONNET),
    (
        "thinking blocks",
        talk(said(b'{"type":"tool_use","input":{"type":"thinking","signature":"a@b"}}'), RESULT),
        SONNET,
    ),
    ("temperature, top_p, top_k", b'{"temperature":0,"top_k":5,"thinking":{"type":"disabled"}}', OPUS),
    ("temperature, top_p, top_k", b'{"temperature":1.0,"top_p":0.95,"thinking":{"type":"adaptive"}}', OPUS),
    ("output_config", b'{"output_config":{"effort":"high"}}', OPUS),
    ("output_config.format", b'{"output_config":{"format":{"type":"json_schema","schema":{"name":1}}}}', SONNET),
    ("tools: tool search", b'{"tools":[{"type":"x","name":"DeferredToolPlaceholder","defer_loading":true}]}', MODERN),
    ("tools: tool search", b'{"tools":[{"type":"x","name":"a","input_schema":{"defer_loading":true}}]}', SONNET),
    ("tool_reference", b'{"messages":[{"content":[{"type":"tool_reference","tool_name":"Bash"}]}]}', MODERN),
    ("tool_reference", b'{"messages":[{"content":[{"type":"text","text":"\\"tool_reference\\""}]}]}', SONNET),
    ("tools: web_search, web_fetch", b'{"tools":[{"name":"web_search_now","input_schema":{}}]}', SONNET),
    (
        "tools: web_search, web_fetch",
        b'{"tools":[{"type":"web_search_1","name":"s"}],"tool_choice":{"type":"tool","name":"s"}}',
        SONNET,
    ),
    ("tools[].eager_input_streaming", b'{"tools":[{"input_schema":{"eager_input_streaming":1}}]}', SONNET),
    ("tools[].input_schema", b'{"tools":[{"input_schema":{"properties":{"a":{"anyOf":[]}}}}]}', SONNET),
    ('messages[].role "system"', b'{"system":"x","messages":[{"role":"user","content":"system"}]}', SONNET),
    (
        "system: x-anthropic-billing-header",
        b'{"system":[{"type":"text","text":"see x-anthropic-billing-header: y"}]}',
        SONNET,
    ),
    ("system: x-anthropic-billing-header", b'{"messages":[{"content":"x-anthropic-billing-header: y"}]}', SONNET),
    ("blank text", talk(said(b'{"type":"tool_use","input":{"text":""}}'), RESULT), SONNET),
    ("blank text", talk(told(text(b"\\n.\\t"))), SONNET),
    ("empty content", talk(told(b'{"type":"tool_result","tool_use_id":"t","content":""}')), SONNET),
    ("assistant message last", talk(said(text(b"a")), USER), SONNET),
    ("assistant message last", talk(USER, told(b'{"type":"x","input":{"role":"assistant"}}')), SONNET),
    ("assistant message last", b'{"messages":[%b],"metadata":{"role":"assistant"}}' % USER, SONNET),
    ("cache_control.scope", b'{"tools":[{"type":"x","scope":1,"cache_control":{"type":"ephemeral"}}]}', SONNET),
    ("cache_control on thinking", talk(said(THOUGHT, b'{"type":"tool_use",%b}' % MARK), RESULT), SONNET),
    ("cache_control on thinking", talk(said(THOUGHT), told(text(b"x", b"," + MARK))), SONNET),
    (
        "cache_control on thinking",
        talk(said(b'{"type":"tool_use","input":{"type":"thinking","cache_control":{}},%b}' % MARK), RESULT),
        SONNET,
    ),
    (
        "cache_control, more than 4",
        b'{"system":[%b],"messages":[%b]}' % (b",".join([text(b"s", b"," + MARK)] * 4), USER),
        SONNET,
    ),
    (
        "cache_control, more than 4",
        b'{"system":[%b],"tools":[{"type":"x","name":"a","cache_control":null,"input_schema":{"cache_control":{"a":1}}}]}'
        % b",".join([text(b"s", b"," + MARK)] * 4),
        SONNET,
    ),
]

HITS_CHAT = [
    (
        "cache_control",
        chats(b'{"role":"user","content":"a",%b}' % MARK),
        chats(b'{"role":"user","content":"a",%b}' % COPILOT_MARK),
        SONNET,
    ),
    ("cache_control", chats(b'{"role":"user","content":"a",%b}' % MARK), chats(b'{"role":"user","content":"a"}'), GPT),
    (
        "cache_control",
        chats(b'{"role":"user","content":[{"type":"text",%b,"text":"a"}]}' % MARK),
        chats(b'{"role":"user","content":[{"type":"text","text":"a"}],%b}' % COPILOT_MARK),
        OPUS,
    ),
    (
        "cache_control",
        chats(b'{"role":"assistant","tool_calls":[{"id":"c",%b,"function":{"name":"f",%b}}]}' % (MARK, MARK)),
        chats(b'{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f"}}],%b}' % COPILOT_MARK),
        OPUS,
    ),
    (
        "cache_control",
        b'{"tools":[{"type":"function",%b,"function":{%b,"name":"f"}}],%b,"a":1}' % (MARK, MARK, MARK),
        b'{"tools":[{"type":"function","function":{"name":"f"}}],"a":1}',
        OPUS,
    ),
    (
        "cache_control",
        b'{"messages":[%b]}' % b",".join([b'{"role":"user","content":"a",%b}' % MARK] * 5 + [b"{%b}" % COPILOT_MARK]),
        b'{"messages":[%b]}'
        % b",".join(
            [b'{"role":"user","content":"a"}'] * 2
            + [b'{"role":"user","content":"a",%b}' % COPILOT_MARK] * 3
            + [b"{%b}" % COPILOT_MARK]
        ),
        OPUS,
    ),
    (
        "cache_control",
        chats(b'{"role":"user","content":"a","cache_control":null}'),
        chats(b'{"role":"user","content":"a"}'),
        OPUS,
    ),
    (
        "reasoning_content",
        chats(b'{"role":"assistant", "reasoning_content" : "t","reasoning_opaque":"o"}'),
        chats(b'{"role":"assistant", "reasoning_text" : "t","reasoning_opaque":"o"}'),
        SONNET,
    ),
    (
        "reasoning_content",
        chats(b'{"role":"assistant","content":"a","reasoning_content":"t"}'),
        chats(b'{"role":"assistant","content":"a"}'),
        SONNET,
    ),
    (
        "reasoning_content",
        chats(
            b'{"role":"assistant","reasoning":"t","reasoning_details":[],"reasoning_content":"x","reasoning_text":"t","reasoning_opaque":"o"}'
        ),
        chats(b'{"role":"assistant","reasoning_text":"t","reasoning_opaque":"o"}'),
        SONNET,
    ),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"reasoning_effort": "max","a":1}',
        b'{"reasoning_effort": "high","a":1}',
        GPT5,
    ),
    ("reasoning_effort, thinking_budget, thinking, reasoning", b'{"reasoning_effort":"high","a":1}', b'{"a":1}', GPT),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"reasoning_effort":"none","a":1}',
        b'{"a":1}',
        SONNET,
    ),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"reasoning_effort":"low","a":1}',
        b'{"thinking_budget":4096,"a":1}',
        SONNET,
    ),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"max_tokens":9000,"reasoning_effort":"high"}',
        b'{"max_tokens":9000,"thinking_budget":8999}',
        SONNET,
    ),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"thinking_budget":99999}',
        b'{"thinking_budget":32768}',
        GEMINI,
    ),
    ("reasoning_effort, thinking_budget, thinking, reasoning", b'{"thinking_budget":9,"a":1}', b'{"a":1}', GPT),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"thinking_budget":9000}',
        b'{"reasoning_effort":"medium"}',
        GPT5,
    ),
    ("reasoning_effort, thinking_budget, thinking, reasoning", b"{%b}" % ENABLED, b'{"thinking_budget":8000}', SONNET),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"thinking":{"type":"adaptive"}}',
        b'{"reasoning_effort":"medium"}',
        OPUS,
    ),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"a":1,"thinking":{"type":"disabled"}}',
        b'{"a":1}',
        OPUS,
    ),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"a":1,%b,"thinking_budget":2000}' % ENABLED,
        b'{"a":1,"thinking_budget":2000}',
        SONNET,
    ),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"tool_choice":"required","thinking_budget":2000}',
        b'{"tool_choice":"required"}',
        SONNET,
    ),
    ("max_tokens, max_completion_tokens", b'{"max_tokens":64000}', b'{"max_tokens":16384}', GPT),
    (
        "max_tokens, max_completion_tokens",
        b'{"max_completion_tokens":99999}',
        b'{"max_completion_tokens":64000}',
        GPT5,
    ),
    ("max_tokens", b'{"max_tokens" :500}', b'{"max_completion_tokens" :500}', GPT5),
    ("max_tokens", b'{"max_tokens":99999}', b'{"max_completion_tokens":64000}', GPT5),
    ("max_tokens", b'{"max_completion_tokens":5,"max_tokens":500}', b'{"max_completion_tokens":5}', GPT5),
    ("temperature, top_p", b'{"temperature":0.1,"top_p":0.5,"a":1}', b'{"a":1}', GPT5),
    (
        'messages[].role "developer"',
        chats(b'{"role":"developer","content":"be brief"}'),
        chats(b'{"role":"system","content":"be brief"}'),
        SONNET,
    ),
]

MISSES_CHAT = [
    ("cache_control", chats(b'{"role":"user","content":"\\"cache_control\\""}'), SONNET),
    ("cache_control", chats(b'{"role":"user","content":"a",%b}' % COPILOT_MARK), SONNET),
    ("reasoning_content", chats(b'{"role":"assistant","reasoning_text":"t","reasoning_opaque":"o"}'), SONNET),
    ("reasoning_content", chats(b'{"role":"user","content":"\\"reasoning_content\\""}'), GPT),
    ("input", b'{"metadata":{"input":1}}', GPT),
    ("messages[].padding, annotations", chats(b'{"role":"assistant","tool_calls":[{"padding":1}]}'), GPT),
    ("reasoning_effort, thinking_budget, thinking, reasoning", b'{"reasoning_effort":"low"}', GPT5),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"reasoning_effort":"low","tool_choice":"required"}',
        GPT5,
    ),
    ("reasoning_effort, thinking_budget, thinking, reasoning", b'{"max_tokens":9000,"thinking_budget":8000}', SONNET),
    ("reasoning_effort, thinking_budget, thinking, reasoning", b'{"metadata":{"reasoning_effort":"max"}}', GPT),
    ("max_tokens, max_completion_tokens", b'{"max_tokens":16384}', GPT),
    ("max_tokens", b'{"max_tokens":16384}', GPT),
    ("max_tokens", b'{"metadata":{"max_tokens":1}}', GPT5),
    ("temperature, top_p", b'{"temperature":0.1,"top_p":0.5}', GPT),
    ("temperature, top_p", b'{"temperature":0.1}', SONNET),
    ("temperature, top_p", b'{"temperature":1,"top_p":1.0}', GPT5),
    ('messages[].role "developer"', chats(b'{"role":"developer","content":"x"}'), GPT),
]

HITS_CHAT += [
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"a":1,"reasoning":{"effort":"xhigh"}}',
        b'{"a":1,"reasoning_effort":"high"}',
        GPT5,
    ),
    (
        "reasoning_effort, thinking_budget, thinking, reasoning",
        b'{"reasoning":{"exclude":true},"a":1}',
        b'{"a":1}',
        GPT5,
    ),
    ("input", chats(USER, b',"input":"hi"'), chats(USER), GPT),
    (
        "messages[].padding, annotations",
        chats(b'{"role":"assistant","annotations":[],"content":"a","padding":"abc"}'),
        chats(b'{"role":"assistant","content":"a"}'),
        GPT,
    ),
]

HITS_RESPONSES = [
    ("stream_options", b'{"stream_options":{"include_usage":true},"a":1}', b'{"a":1}', REASONS),
    ("service_tier", b'{"a":1,"service_tier":"priority"}', b'{"a":1}', REASONS),
    (
        "reasoning",
        b'{"reasoning":{"effort" : "xhigh","summary":"auto"}}',
        b'{"reasoning":{"effort" : "high","summary":"auto"}}',
        REASONS,
    ),
    ("reasoning", b'{"reasoning":{"effort":"none"}}', b'{"reasoning":{"effort":"low"}}', REASONS),
    ("reasoning", b'{"reasoning":{"exclude":true,"effort":"low"}}', b'{"reasoning":{"effort":"low"}}', REASONS),
    ("reasoning", b'{"reasoning":{"summary":"auto"},"a":1}', b'{"a":1}', CODEX),
    ("max_output_tokens", b'{"max_output_tokens":5}', b'{"max_output_tokens":16}', REASONS),
    ("max_output_tokens", b'{"max_output_tokens":0,"a":1}', b'{"a":1}', REASONS),
    ("max_output_tokens", b'{"a":1,"max_output_tokens":-1}', b'{"a":1}', REASONS),
    ("max_output_tokens", b'{"max_output_tokens":500000}', b'{"max_output_tokens":128000}', REASONS),
    ("temperature, top_p", b'{"temperature":0.5,"top_p":0.9,"a":1}', b'{"a":1}', REASONS),
    (
        "input[]: ids and proofs of encrypted items",
        asks(b'{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"e"}'),
        asks(b'{"type":"reasoning","summary":[],"encrypted_content":"e"}'),
        REASONS,
    ),
    (
        "input[]: ids and proofs of encrypted items",
        asks(
            b'{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"t"}],'
            b'"encrypted_content":"gA=@%b"},{"encrypted_content": "gB@%b", "type" : "compaction"},'
            b'{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"foreign:S=="},{"role":"user"}'
            % (REAL, REAL)
        ),
        asks(
            b'{"type":"reasoning","id":"%b","summary":[{"type":"summary_text","text":"t"}],'
            b'"encrypted_content":"gA="},{"id":"%b","encrypted_content": "gB", "type" : "compaction"},'
            b'{"role":"user"}' % (REAL, REAL)
        ),
        REASONS,
    ),
    (
        "input[]: ids and proofs of encrypted items",
        asks(b'{"type":"reasoning","encrypted_content":"e@%b","id":"rs_1","content":[{"id":"x"}]}' % REAL),
        asks(b'{"type":"reasoning","encrypted_content":"e","id":"%b","content":[{"id":"x"}]}' % REAL),
        REASONS,
    ),
    (
        "input[]: ids and proofs of encrypted items",
        asks(b'{"type":"reasoning","encrypted_content":"e@%b","id": null,"summary":[]}' % REAL),
        asks(b'{"type":"reasoning","encrypted_content":"e","id": "%b","summary":[]}' % REAL),
        REASONS,
    ),
    (
        "input[]: ids and proofs of encrypted items",
        asks(b'{"type":"reasoning","encrypted_content":"e@%b","id":7,"summary":[]}' % REAL),
        asks(b'{"type":"reasoning","encrypted_content":"e","id":"%b","summary":[]}' % REAL),
        REASONS,
    ),
    (
        "input[]: calls of custom tools",
        asks(
            b'{"type":"function_call","id":"fc_1","call_id":"c","name":"ApplyPatch","arguments":"*** Begin\\n"},'
            b'{"type":"function_call_output","call_id":"c","id":"fco","output":"ok"},'
            b'{"type":"function_call","call_id":"d","name":"Read","arguments":"{}"},'
            b'{"type":"function_call_output","call_id":"d","output":"\\"ApplyPatch\\""}',
            b',"tools":[{"type":"function","name":"Read"},%b]' % PATCH,
        ),
        asks(
            b'{"type":"custom_tool_call","call_id":"c","name":"ApplyPatch","input":"*** Begin\\n"},'
            b'{"type":"custom_tool_call_output","call_id":"c","output":"ok"},'
            b'{"type":"function_call","call_id":"d","name":"Read","arguments":"{}"},'
            b'{"type":"function_call_output","call_id":"d","output":"\\"ApplyPatch\\""}',
            b',"tools":[{"type":"function","name":"Read"},%b]' % PATCH,
        ),
        REASONS,
    ),
    (
        "input[]: images' detail",
        asks(
            b'{"role":"user","content":[{"type":"input_image","detail":"best"},{"type":"input_image","detail":"low"}]},'
            b'{"type":"function_call_output","output":[{"type":"input_image","detail": null }]}'
        ),
        asks(
            b'{"role":"user","content":[{"type":"input_image","detail":"auto"},{"type":"input_image","detail":"low"}]},'
            b'{"type":"function_call_output","output":[{"type":"input_image","detail": "auto" }]}'
        ),
        REASONS,
    ),
    (
        "input[].internal_chat_message_metadata_passthrough",
        asks(b'{"role":"user","internal_chat_message_metadata_passthrough":{},"content":"a"}'),
        asks(b'{"role":"user","content":"a"}'),
        REASONS,
    ),
    (
        "cache_control",
        asks(
            b'{"role":"user","content":[{"type":"input_text",%b,"text":"a"}],%b}' % (MARK, MARK),
            b',"tools":[{"name":"a",%b}],%b' % (MARK, MARK),
        ),
        asks(b'{"role":"user","content":[{"type":"input_text","text":"a"}]}', b',"tools":[{"name":"a"}]'),
        REASONS,
    ),
    (
        "tools: web_search",
        (
            b'{"tools":[{"type":"web_search"},{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools",'
            b'"mode":"auto","tools":[{"type":"web_search"},{"type":"function","name":"f"}]}}'
        ),
        (
            b'{"tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools",'
            b'"mode":"auto","tools":[{"type":"function","name":"f"}]}}'
        ),
        REASONS,
    ),
    (
        "tools: web_search",
        (
            b'{"tools":[{"type":"web_search"},{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools",'
            b'"mode":"auto","tools":[{"type":"web_search"}]}}'
        ),
        b'{"tools":[{"type":"function","name":"f"}]}',
        REASONS,
    ),
    (
        "tools: web_search",
        b'{"tools":[{"type":"web_search","external_web_access":true},{"type":"function","name":"web_search"}],"tool_choice":{"type":"web_search_preview"}}',
        b'{"tools":[{"type":"function","name":"web_search"}]}',
        REASONS,
    ),
]

MISSES_RESPONSES = [
    ("stream_options", b'{"metadata":{"stream_options":1}}', REASONS),
    ("service_tier", b'{"metadata":{"service_tier":1}}', REASONS),
    ("reasoning", b'{"reasoning":{"effort":"low","summary":"auto","context":"all_turns"}}', REASONS),
    ("reasoning", b'{"reasoning":{"effort":null}}', REASONS),
    ("max_output_tokens", b'{"max_output_tokens":16}', REASONS),
    ("max_output_tokens", b'{"max_output_tokens":900000}', CODEX),
    ("max_output_tokens", b'{"max_output_tokens":null}', REASONS),
    ("temperature, top_p", b'{"temperature":1,"top_p":1}', REASONS),
    ("temperature, top_p", b'{"temperature":0.5}', GPT),
    (
        "input[]: ids and proofs of encrypted items",
        asks(b'{"type":"reasoning","id":"%b","summary":[]}' % (b"A" * 65)),
        REASONS,
    ),
    (
        "input[]: ids and proofs of encrypted items",
        asks(b'{"type":"message","id":"msg_1","role":"assistant","content":"reasoning"}'),
        REASONS,
    ),
    (
        "input[]: calls of custom tools",
        asks(
            b'{"type":"function_call","name":"ApplyPatch","arguments":"{}"}',
            b',"tools":[%b,{"type":"function","name":"ApplyPatch"}]' % PATCH,
        ),
        REASONS,
    ),
    (
        "input[]: calls of custom tools",
        asks(
            b'{"type":"custom_tool_call","name":"ApplyPatch","input":"\\"function_call\\""}', b',"tools":[%b]' % PATCH
        ),
        REASONS,
    ),
    (
        "input[]: images' detail",
        asks(
            b'{"role":"user","content":[{"type":"input_image","detail":"original"},{"type":"input_text","detail":1}]}'
        ),
        REASONS,
    ),
    (
        "input[].internal_chat_message_metadata_passthrough",
        b'{"metadata":{"internal_chat_message_metadata_passthrough":1}}',
        REASONS,
    ),
    ("cache_control", b'{"prompt_cache_key":"k","metadata":{"cache_control":1}}', REASONS),
    ("tools: web_search", b'{"tools":[{"type":"function","name":"web_search"}]}', REASONS),
]

HITS = [
    *(Case(field, MESSAGES, body, model, left) for field, body, left, model in HITS_MESSAGES),
    *(Case(field, CHAT, body, model, left) for field, body, left, model in HITS_CHAT),
    *(Case(field, RESPONSES, body, model, left) for field, body, left, model in HITS_RESPONSES),
]
MISSES = [
    *(Case(field, MESSAGES, body, model) for field, body, model in MISSES_MESSAGES),
    *(Case(field, CHAT, body, model) for field, body, model in MISSES_CHAT),
    *(Case(field, RESPONSES, body, model) for field, body, model in MISSES_RESPONSES),
]
