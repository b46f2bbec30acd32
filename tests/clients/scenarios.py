"""What the clients are asked to do, and how one sees that they did: by what they print, what lies on the disk, and what
reached the twin.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from .rig import Client, Outcome, Task, draw

FILE, PICTURE = "f.txt", "red.png"
PATIENCE = 90.0
PICTURE_MARK = "iVBORw0KGgo"  # how a PNG begins in base64
WORK = (
    "Use your tools: with a shell command put the word after CONTENT= into FILE={file} CONTENT={word} , read the file, "
    "put the word into a second file of that name with .2 at its end, and then say RIG-DONE and the word."
)


class Evidence(msgspec.Struct, frozen=True):
    """``calls``: the twin's records of calls to models; None where nobody recorded."""

    client: Client
    task: Task
    word: str
    outcome: Outcome
    calls: list[dict[str, Any]] | None


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """``ask`` makes the prompt, ``judge`` says what is wrong with what came of it: nothing, if all is well.

    ``needs``: what a client must be able to do. ``alone``: wants servers of its own, for it leaves traces in them.
    ``accounts``: that the proxy has.
    """

    name: str
    ask: Callable[[Client, Path, str], str]
    judge: Callable[[Evidence], str]
    needs: Callable[[Client], object] = lambda client: True
    attaches: bool = False
    alone: bool = False
    accounts: int = 1
    patience: float = PATIENCE


def _marked(words: str, word: str) -> str:
    return f"{words} RUN:{word}"


def say(words: str) -> Callable[[Client, Path, str], str]:
    return lambda client, folder, word: _marked(
        f"SCENARIO:{words} Answer with this and nothing else: REPLY={word}", word
    )


def _work(name: str) -> Callable[[Client, Path, str], str]:
    return lambda client, folder, word: _marked(f"SCENARIO:{name} {WORK.format(file=folder / FILE, word=word)}", word)


def _look(client: Client, folder: Path, word: str) -> str:
    draw(folder / PICTURE)
    tool, argument = client.looks or ("", "")
    script = json.dumps([{"name": tool, "args": {argument: str(folder / PICTURE)}}])
    return _marked(f"SCENARIO:script SCRIPT={base64.b64encode(script.encode()).decode()} REPLY={word}", word)


def answered(evidence: Evidence, wanted: str) -> str:
    outcome = evidence.outcome
    return "" if outcome.code == 0 and wanted in outcome.out else f"no {wanted!r}: {outcome.brief()}"


def counted(evidence: Evidence, wanted: int) -> str:
    """Calls that were not needed are money lost: silent retries show here."""
    if evidence.calls is None:
        return ""
    wanted += evidence.client.side_calls
    found = [f"{call['path']} {call['status']}" for call in evidence.calls]
    return "" if len(found) == wanted else f"{len(found)} calls upstream instead of {wanted}: {', '.join(found)}"


def _said(evidence: Evidence) -> str:
    return answered(evidence, evidence.word) or counted(evidence, 1)


def _wrote(evidence: Evidence, *names: str) -> str:
    for name in names:
        path = evidence.task.folder / name
        if not path.exists():
            return f"no {name}: {evidence.outcome.brief()}"
        if path.read_text().strip() != evidence.word:
            return f"{name} holds {path.read_text()[:80]!r}"
    return ""


def _worked(evidence: Evidence) -> str:
    names = [FILE, f"{FILE}.2"] if evidence.client.leaves_two else [FILE]
    done = f"RIG-DONE {evidence.word}"
    return _wrote(evidence, *names) or answered(evidence, done) or counted(evidence, 2 + len(names))


def _worked_at_once(evidence: Evidence) -> str:
    return (
        _wrote(evidence, FILE, f"{FILE}.2") or answered(evidence, f"RIG-DONE {evidence.word}") or counted(evidence, 2)
    )


def _saw(evidence: Evidence) -> str:
    if evidence.calls is not None and not any(PICTURE_MARK in call["body"] for call in evidence.calls):
        return f"no picture came upstream: {evidence.outcome.brief()}"
    return answered(evidence, evidence.word)


def _said_all(evidence: Evidence) -> str:
    return answered(evidence, f"{evidence.word}-3999") or counted(evidence, 1)


WORKING = (
    Scenario(name="text", ask=say("text"), judge=_said),
    Scenario(name="thinking", ask=say("thinking"), judge=_said),
    Scenario(name="long", ask=say("long"), judge=_said_all),
    Scenario(name="tool", ask=_work("tool"), judge=_worked),
    Scenario(name="thinktool", ask=_work("thinktool"), judge=_worked),
    Scenario(name="parallel", ask=_work("parallel"), judge=_worked_at_once),
    Scenario(name="image", ask=say("text"), judge=_saw, needs=lambda client: client.attaches, attaches=True),
    Scenario(name="look", ask=_look, judge=_saw, needs=lambda client: client.looks),
)
