"""The words in a prompt that make the twin behave in a certain way.

====================== =====================================================================================
``SCENARIO:<name>``
``text``               say ``REPLY``
``stream``             twelve words, a quarter of a second apart
``long``               four thousand words
``thinking``           think, then say ``REPLY``
``redacted_thinking``  the same with thoughts that may not be read
``tool``               write ``CONTENT`` into ``FILE`` with the tools offered, read it back, report
``thinktool bigtool``  the same with thoughts before each call; with a large last argument
``parallel``           two calls in one turn
``search``             search the web with the tool of ``/responses``, say ``REPLY`` and cite
``script``             the calls of ``SCRIPT=<base64 of a JSON list of {"name", "args" | "input"}>``, one a turn
``empty maxtok refusal`` nothing; cut off by the output limit; declined
``err<status>``        that status, always
``flaky<status>x<n>``  that status ``n`` times for each ``RUN``, then ``text``
``ra<status>x<n>s<s>`` the same with ``Retry-After: s``
``errmid``             an error event in mid-stream
``cut cutx<n>``        the connection reset in mid-stream; the first ``n`` times of a ``RUN`` only
``truncate``           a clean end without the terminal event
``close<code>``        over a WebSocket, closed with that code after the first events
``connection_reset``   reset before the status line
``slow<s> stall<s> pings<s>`` silence before the status line; after the first event; with signs of life
``row<n>``, ``<name>`` an error of the catalogue (:mod:`.errors`)
``content_filter annotations vulnerability references agent_errors confirmation cot citations``
                       the rarer shapes of upstream.md §7.9, §7.10 and §10.2
====================== =====================================================================================

``RUN:<key>`` names a counter, ``FILE= CONTENT= REPLY=`` fill in, ``VARIANT:<a,b>`` bends the shape: ``html emptybody
ctxlen nofinish nousage nodone crlf comment retryafter retrydate retrynegative retryhuge noretry doretry jsonreply
failed doubleerror nosignature splitchoices usageinside opaque_middle opaque_text opaque_finish``.
"""

from __future__ import annotations

import base64
import re

import msgspec

from . import answers, errors, search, tooling
from .compaction import compactions, compacts
from .delivery import PLAIN, Delivery
from .plan import Block, Call, Plan, Stop, Text, Thinking
from .prompt import Prompt
from .reply import Frame, Reply, entries, members

REPLY, CONTENT, FILE = "RIG-TEXT-OK", "rig-content", "out.txt"
MAX_COUNTERS = 10_000
STREAM_WORDS, STREAM_PACE = 12, 0.25
LONG_WORDS = 4000
CUT_WORDS = 20
SPECIALS = frozenset(
    {
        "content_filter", "annotations", "vulnerability", "references", "agent_errors", "confirmation", "cot",
        "citations",
    }
)  # fmt: skip


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What the prompt says to us. ``step`` counts the tool results since."""

    prompt: str
    name: str
    run: str
    file: str
    content: str
    reply: str
    variants: frozenset[str]
    step: int


def read_words(prompt: Prompt) -> Words:
    marked = [index for index, event in enumerate(prompt.events) if event.kind == "user" and "SCENARIO:" in event.text]
    said = prompt.events[marked[-1]].text if marked else newest_question(prompt)
    after = prompt.events[marked[-1] + 1 :] if marked else ()
    return Words(
        prompt=said,
        name=_last(r"SCENARIO:(\w+)", said, ""),
        run=_last(r"RUN:(\S+)", said, "-"),
        file=_last(r"FILE=(\S+)", said, FILE),
        content=_last(r"CONTENT=(\S+)", said, CONTENT),
        reply=_last(r"REPLY=([\w.-]+)", said, REPLY),
        variants=frozenset(filter(None, _last(r"VARIANT:([\w,.-]+)", said, "").split(","))),
        step=sum(event.kind == "result" for event in after),
    )


def newest_question(prompt: Prompt) -> str:
    return next((event.text for event in reversed(prompt.events) if event.kind == "user"), "")


def _last(pattern: str, text: str, default: str) -> str:
    found = re.findall(pattern, text)
    return str(found[-1]) if found else default


class Counters:
    """How often each flaky run has failed so far; the oldest runs are forgotten first."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def next(self, key: str) -> int:
        self._counts[key] = self._counts.pop(key, 0) + 1
        while len(self._counts) > MAX_COUNTERS:
            del self._counts[next(iter(self._counts))]
        return self._counts[key]


def make_plan(prompt: Prompt, counters: Counters, now: float, pace: float, *, forced: str = "") -> Plan:
    """``pace``: seconds between the words of an answer that no scenario asked for.

    ``forced``: the scenario that a fault has chosen, whatever the prompt says.
    """
    if compacts(prompt):
        return Plan(scenario="compaction", blocks=compactions(prompt))
    words = read_words(prompt)
    if forced:
        words = msgspec.structs.replace(words, name=forced)
    if not words.name and search.unavoidable(prompt):
        return search.make_plan(newest_question(prompt), words.reply, Delivery(pace=pace))
    if not words.name:
        return answers.make_plan(prompt, newest_question(prompt), Delivery(pace=pace))
    planned = _interpret(prompt, words, counters, now)
    shape = Delivery(crlf="crlf" in words.variants, comments="comment" in words.variants)
    return msgspec.structs.replace(
        planned, scenario=words.name, variants=words.variants, delivery=shape.over(planned.delivery)
    )


def _interpret(prompt: Prompt, words: Words, counters: Counters, now: float) -> Plan:
    return (
        _failing(prompt, words, counters, now)
        or _interrupted(prompt, words, counters)
        or _searching(prompt, words)
        or _speaking(words)
        or _calling(prompt, words)
        or _saying(words.reply)
    )


def _saying(text: str, *, stop: Stop = "end", delivery: Delivery = PLAIN) -> Plan:
    return Plan(blocks=(Text(text),), stop=stop, delivery=delivery)


def _failing(prompt: Prompt, words: Words, counters: Counters, now: float) -> Plan | None:
    retry = errors.retry_headers(words.variants, now)
    if found := re.fullmatch(r"err(\d{3})", words.name):
        return Plan(failure=_error(prompt, words, int(found[1]), retry))
    if found := re.fullmatch(r"(?:flaky|ra)(\d{3})x(\d+)(?:s(\d+))?", words.name):
        if counters.next(_counter(prompt, words)) > int(found[2]):
            return _saying(words.reply)
        wait = (("retry-after", found[3]),) if found[3] else ()
        return Plan(failure=_error(prompt, words, int(found[1]), (*wait, *retry)))
    if row := errors.named(words.name):
        return Plan(failure=row.reply((*errors.window_headers(row, now), *retry)))
    return None


def _counter(prompt: Prompt, words: Words) -> str:
    # Side requests of an agent have no tools; they must not use up the failures of the main ones.
    return f"{words.name}|{words.run}|{'tools' if prompt.tools else 'plain'}"


def _error(prompt: Prompt, words: Words, status: int, headers: tuple[tuple[str, str], ...]) -> Reply:
    if "html" in words.variants:
        return Reply(
            status=status, headers=headers, body=errors.UNICORN.encode(), content_type="text/html; charset=utf-8"
        )
    if "emptybody" in words.variants:
        return Reply(status=status, headers=headers, content_type="text/plain; charset=utf-8")
    vendor = prompt.surface == "messages"
    if "ctxlen" in words.variants:
        too_long = errors.too_many_tokens(250_000, 200_000 if vendor else 128_000, vendor=vendor)
        return msgspec.structs.replace(too_long, status=status, headers=(*too_long.headers, *headers))
    return errors.of_status(status, headers, vendor=vendor)


def _interrupted(prompt: Prompt, words: Words, counters: Counters) -> Plan | None:
    if found := re.fullmatch(r"cut(?:x(\d+))?", words.name):
        cut = not found[1] or counters.next(_counter(prompt, words)) <= int(found[1])
        text = f"{words.reply} {'word ' * CUT_WORDS}"
        return _saying(text, delivery=Delivery(cut="reset") if cut else PLAIN)
    if found := re.fullmatch(r"(slow|stall|pings)(\d+)", words.name):
        seconds = float(found[2])
        delivery = {
            "slow": Delivery(delay=seconds),
            "stall": Delivery(at="first", stall=seconds),
            "pings": Delivery(at="first", pings=seconds),
        }[found[1]]
        return _saying(words.reply, delivery=delivery)
    if found := re.fullmatch(r"close([1-4]\d{3})", words.name):
        return _saying(words.reply, delivery=Delivery(at="first", cut="truncate", close=int(found[1])))
    match words.name:
        case "truncate":
            return _saying(words.reply, delivery=Delivery(at="ending", cut="truncate"))
        case "connection_reset":
            return _saying(words.reply, delivery=Delivery(at="start", cut="reset"))
        case "errmid":
            return msgspec.structs.replace(_saying(f"{words.reply} partial"), broken=True)
    return None


def _searching(prompt: Prompt, words: Words) -> Plan | None:
    return (
        search.make_plan(words.prompt, words.reply, PLAIN)
        if words.name == "search" and search.offered(prompt)
        else None
    )


def _speaking(words: Words) -> Plan | None:
    if words.name in SPECIALS:
        return msgspec.structs.replace(_saying(words.reply), special=words.name)
    match words.name:
        case "stream":
            text = " ".join(f"{words.reply}-{index}" for index in range(STREAM_WORDS))
            return _saying(text, delivery=Delivery(pace=STREAM_PACE))
        case "long":
            return _saying(" ".join(f"{words.reply}-{index}" for index in range(LONG_WORDS)))
        case "empty":
            return Plan()
        case "maxtok":
            return _saying(words.reply, stop="length")
        case "refusal":
            return _saying("no", stop="refusal")
        case "thinking" | "redacted_thinking":
            thought = Thinking("RIG-THINKING about it", redacted=words.name != "thinking")
            return Plan(blocks=(thought, Text(words.reply)))
    return None


def _calling(prompt: Prompt, words: Words) -> Plan | None:
    if not prompt.tools:
        return None
    if words.name == "script":
        return _scripted(prompt, words)
    if words.name == "parallel":
        calls = tooling.pair(prompt.tools, words.file, words.content)
        if words.step or not calls:
            return _saying(f"RIG-DONE {words.content}")
        return Plan(blocks=(Text("Running two tools."), *calls), stop="tool")
    if words.name not in {"tool", "thinktool", "bigtool"}:
        return None
    steps = tooling.steps(prompt.tools, words.file, words.content, big=words.name == "bigtool")
    if words.step >= len(steps):
        return _saying(f"RIG-DONE {words.content}")
    thought: tuple[Block, ...] = (Thinking(f"RIG-THINKING step {words.step}"),) if words.name == "thinktool" else ()
    return Plan(blocks=(*thought, Text(f"Step {words.step}."), steps[words.step]), stop="tool")


def _scripted(prompt: Prompt, words: Words) -> Plan:
    encoded = _last(r"SCRIPT=([A-Za-z0-9+/=_-]+)", words.prompt, "")
    try:
        calls = entries(msgspec.json.decode(base64.b64decode(encoded, altchars=b"-_" if "-" in encoded else None)))
    except (ValueError, msgspec.DecodeError):
        calls = []
    if words.step >= len(calls):
        return _saying(f"RIG-DONE {words.reply}")
    wanted = members(calls[words.step])
    name = str(wanted.get("name", ""))
    tool = tooling.find(prompt.tools, [name])
    arguments, text = members(wanted.get("args")), str(wanted["input"]) if "input" in wanted else None
    freeform = prompt.surface == "responses" and tool is not None and tool.kind == "custom"
    if text is not None and tool is not None and not freeform:  # a freeform tool that was made a function
        arguments, text = {next(iter(members(tool.schema.get("properties"))), "input"): text}, None
    call = Call(
        name=name,
        arguments=arguments,
        text=text,
        namespace=str(wanted.get("ns", "")) or (tool.namespace if tool else ""),
    )
    return Plan(blocks=(call,), stop="tool")


PING = Frame(b'{"type":"ping"}', "ping")
