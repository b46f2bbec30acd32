"""What was walked: one row for each promise, with how it was asked and what came."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pexpect
from processes import PATIENCE, call, environment, run

SECRET = re.compile(r"gh[a-z]_SYNTHETIC\w{6}|tid=[0-9a-f]{8}")
SHOWN = 46
ESCAPE = "\x1b"


class Missing(Exception):
    """What was asked for is not there at all."""


class Row(NamedTuple):
    section: str
    what: str
    how: str
    verdict: str
    result: str


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def at(self, path: str) -> Any:
        """``accounts.0.label`` of a JSON body. Raises ``LookupError``."""
        return found(json.loads(self.body), path)


def found(value: Any, path: str) -> Any:
    for name in path.split("."):
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value


def short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    text = " ".join(text.split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


class Table:
    """Rows print themselves as they are done."""

    def __init__(self, *, markdown: bool) -> None:
        self.rows: list[Row] = []
        self.names: dict[str, str] = {}  # what differs from run to run, and what is shown in its place
        self.asked: set[tuple[str, str]] = set()  # methods and paths
        self._markdown = markdown
        if markdown:
            print("| § | what | command or curl | result |\n|---|---|---|---|")

    @contextmanager
    def row(self, section: str, what: str, how: str) -> Iterator[list[str]]:
        """What is put into the list is shown as the result. Nothing gets out of it: one failure is one row."""
        said: list[str] = []
        verdict = "PASS"
        try:
            yield said
        except Missing as error:
            verdict, said = "MISSING", [str(error)]
        except Exception as error:
            verdict, said = "FAIL", [*said, f"{type(error).__name__}: {error}"[:600]]
        self._add(Row(section, what, self.plain(how), verdict, self.plain("; ".join(said))))

    def part(self, walk: Callable[..., None], *arguments: object) -> None:
        """What rests on an answer that did not come is not walked: that is a failure, and the next part's turn."""
        with self._unless_it_ends(walk.__name__):
            walk(*arguments)

    @contextmanager
    def _unless_it_ends(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._add(Row("", f"the rest of {name}", "", "FAIL", f"{type(error).__name__}: {error}"[:600]))

    def plain(self, text: str) -> str:
        for name in sorted(self.names, key=len, reverse=True):
            text = text.replace(name, self.names[name])
        return " ".join(text.split())

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        if self._markdown:
            how = row.how.replace("|", "\\|").replace("`", "'")
            result = row.result.replace("|", "\\|")
            print(f"| {row.section} | {row.what} | `{how}` | {row.verdict} {result} |", flush=True)
        else:
            print(f"{row.section} | {row.what} | {row.how} | {row.verdict} {row.result}", flush=True)

    def close(self) -> int:
        bad = [row for row in self.rows if row.verdict != "PASS"]
        counts = {verdict: sum(row.verdict == verdict for row in self.rows) for verdict in ("PASS", "FAIL", "MISSING")}
        print(f"\n{len(self.rows)} rows: {', '.join(f'{number} {verdict}' for verdict, number in counts.items())}")
        for row in bad:
            print(f"{row.verdict}: {row.section} {row.what}: {row.result}")
        return any(row.verdict == "FAIL" for row in bad)


class Caller:
    """Requests to one server, each a row. ``shown`` stands for its address, ``B`` as docs/api.md has it."""

    def __init__(self, table: Table, address: str, shown: str = "B") -> None:
        self.table = table
        self.address = address
        self._shown = shown

    def get(self, section: str, what: str, path: str, *fields: str, **more: Any) -> Answer | None:
        return self.ask(section, what, "GET", path, None, *fields, **more)

    def post(self, section: str, what: str, path: str, body: object, *fields: str, **more: Any) -> Answer | None:
        return self.ask(section, what, "POST", path, body, *fields, **more)

    def ask(
        self,
        section: str,
        what: str,
        method: str,
        path: str,
        body: object = None,
        *fields: str,
        status: int | Sequence[int] = 200,
        words: Sequence[str] = (),
        headers: Mapping[str, str] = {},
        check: Callable[[Answer], object] | None = None,
        secret: bool = False,
    ) -> Answer | None:
        """``fields`` of the JSON that came must be there, ``name=value`` also with this value; ``words`` in the text.

        ``check`` may say more, which is shown; it raises if something is wrong. ``secret``: a token is what is wanted.
        """
        answer = None
        with self.table.row(section, what, self._how(method, path, body, headers)) as said:
            answer = self.call(method, path, body, headers)
            said.append(str(answer.status))
            wanted = (status,) if isinstance(status, int) else status
            text = answer.body.decode(errors="replace")
            assert answer.status in wanted, f"{wanted} was wanted: {text[:200]}"
            assert secret or not SECRET.search(text), "a secret is in the reply"
            for field in fields:
                name, equals, value = field.partition("=")
                came = answer.at(name)
                assert not equals or short(came) == value, f"{name} is {short(came)}, not {value}"
                said.append(f"{name}={short(came)}")
            for word in words:
                assert word in text, f"{word!r} is not in {text[:300]!r}"
                said.append(short(word))
            if check is not None and (more := check(answer)):
                said.append(short(str(more)))
        return answer

    def call(self, method: str, path: str, body: object = None, headers: Mapping[str, str] = {}) -> Answer:
        """Without a row."""
        self.table.asked.add((method, path.partition("?")[0]))
        return Answer(*call(f"{self.address}{path}", method, body, headers))

    def _how(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> str:
        words = ["curl", *(["-I"] if method == "HEAD" else ["-X", method] if method != "GET" else [])]
        words.append(f"{self._shown}{path}" if "?" not in path else f"'{self._shown}{path}'")
        words += [f"-H '{name}: {value}'" for name, value in headers.items()]
        if body is not None:
            words.append(f"-d '{'@file' if isinstance(body, bytes) else shortened(body)}'")
        return " ".join(words)


def shortened(body: object) -> str:
    text = json.dumps(body, separators=(",", ":"))
    return text if len(text) <= 90 else f"{text[:90]}…"


class Shell:
    """Commands with one home directory, each a row."""

    def __init__(self, table: Table, home: Path, **variables: str) -> None:
        self.table = table
        self.home = home
        self.variables = variables
        home.mkdir(parents=True, exist_ok=True)
        table.names[str(home)] = "~"

    def run(
        self,
        section: str,
        what: str,
        *arguments: str,
        code: int = 0,
        words: Sequence[str] = (),
        stdin: str = "",
        check: Callable[[str], object] | None = None,
        **more: str,
    ) -> str:
        """``words`` are in what it prints, errors too. ``check`` is given that text. Returns it."""
        printed = ""
        how = " ".join([*(f"{name}={value}" for name, value in more.items()), "copilot-trio", *map(quoted, arguments)])
        with self.table.row(section, what, how) as said:
            done = run(*arguments, home=self.home, stdin=stdin, **{**self.variables, **more})
            printed = done.stdout + done.stderr
            said.append(f"exit {done.returncode}")
            assert done.returncode == code, f"{code} was wanted: {printed[-300:]}"
            assert "Traceback" not in printed
            assert ESCAPE not in printed, "colour, and no terminal"
            assert not SECRET.search(printed), "a secret was printed"
            lines = done.stderr.strip().splitlines()
            clear = code in {0, 69} or lines[:1] == [] or len(lines) == 1 or lines[0].startswith("usage:")
            assert clear, f"an error of {len(lines)} lines: {done.stderr!r}"
            for word in words:
                match = re.search(word, printed)
                assert match, f"{word!r} is not in {printed[-500:]!r}"
                said.append(short(match[0]))
            if check is not None and (extra := check(printed)):
                said.append(short(str(extra)))
        return printed

    def environment(self, **more: str) -> dict[str, str]:
        return environment(self.home, **{**self.variables, **more})

    @contextmanager
    def on_terminal(self, *arguments: str, **more: str) -> Iterator[pexpect.spawn[str]]:
        known = {"TERM": "dumb", "SHELL": "/bin/bash", **self.environment(**more)}
        child = pexpect.spawn(
            sys.executable,
            ["-m", "copilot_trio", *arguments],
            env=known,
            timeout=PATIENCE,
            encoding="utf-8",
            dimensions=(40, 400),
        )
        try:
            yield child
        finally:
            child.close(force=True)

    def dialogue(
        self, section: str, what: str, *arguments: str, talk: Sequence[tuple[str, str]], code: int = 0, last: str = ""
    ) -> None:
        """On a terminal: wait for a question (a regular expression), type the answer; ``last`` is in what it says."""
        with self.table.row(section, what, f"copilot-trio {' '.join(map(quoted, arguments))} (terminal)") as said:
            with self.on_terminal(*arguments) as child:
                for question, answer in talk:
                    child.expect(question)
                    said.append(f"{short(matched(child, 0))} <- {answer or 'Enter'}")
                    child.sendline(answer)
                if last:
                    child.expect(last)
                    said.append(short(matched(child, 0)))
                child.expect(pexpect.EOF)
                child.wait()
                assert child.exitstatus == code, f"exit {child.exitstatus}"
                said.append(f"exit {code}")


def quoted(argument: str) -> str:
    return f"'{argument}'" if " " in argument or not argument else argument


def matched(child: pexpect.spawn[str], group: int = 1) -> str:
    assert isinstance(child.match, re.Match)
    return str(child.match[group])


def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """Its first true value. What is stored in batches, or followed in a file, takes a while."""
    pause = threading.Event()
    for _ in range(int(seconds * 10)):
        if value := condition():
            return value
        pause.wait(0.1)
    raise AssertionError(f"not within {seconds} s")
