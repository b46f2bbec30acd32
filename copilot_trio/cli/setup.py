"""``setup``: a client's own configuration file, shown, changed or put back."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from copilot_trio.accounts.lock import StoreBusy
from copilot_trio.clients import claude_code, codex, cursor, document, files, opencode
from copilot_trio.clients.document import Refused, dotted
from copilot_trio.clients.files import NothingToUndo
from copilot_trio.clients.offer import KEYLESS, Model, NoSuchModel, Target, named
from copilot_trio.clients.places import Place, place_of
from copilot_trio.config import DamagedFile, data_directory

from .failure import CommandFailed
from .live_models import clean_url, live_models
from .say import say

HIDDEN = "<your key>"


class Client(msgspec.Struct, frozen=True):
    command: str
    usual: Callable[[Sequence[Model]], tuple[Model, Model]]
    wanted: Callable[[Target], Mapping[document.Path, Any]]
    notes: Callable[[Target, Iterable[str]], list[str]]


CLIENTS = {
    "claude-code": Client(claude_code.COMMAND, claude_code.usual, claude_code.wanted, claude_code.notes),
    "codex": Client(codex.COMMAND, codex.usual, codex.wanted, lambda target, _: codex.notes(target)),
    "opencode": Client(opencode.COMMAND, opencode.usual, opencode.wanted, lambda target, _: opencode.notes(target)),
}


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    if options.client == "cursor":
        return _cursor(options)
    directory = data_directory(environment)
    try:
        place = place_of(options.client, environment, Path.home(), Path.cwd() if options.project else None)
    except Refused as error:
        raise CommandFailed(str(error), 2) from None
    try:
        if options.undo:
            _undo(place, directory)
        else:
            _set_up(options, environment, place, directory)
    except (Refused, DamagedFile, NothingToUndo, NoSuchModel, StoreBusy) as error:
        raise CommandFailed(str(error)) from None
    except OSError as error:
        raise CommandFailed(f"{error.filename or place.path}: {error.strerror or error}") from None
    return 0


def _set_up(options: argparse.Namespace, environment: Mapping[str, str], place: Place, directory: Path) -> None:
    client = CLIENTS[options.client]
    target = _target(options, client.usual)
    wanted = client.wanted(target)
    if not options.write:
        planned = files.plan(place, wanted, directory)
        say(f"{planned.file}, with --write:\n")
        say(_fragment(place, client, target))
        for line in _effects(planned.changed.done, planned=True):
            say(line)
    else:
        written = files.write(place, wanted, directory)
        if not written.changed.done:
            say(f"{written.file} says all that already.")
        else:
            say(f"{written.file} written; `copilot-trio setup {options.client} --undo` makes it what it was.")
        if written.backup:
            say(f"backup   {written.backup}")
        for line in _effects(written.changed.done, planned=False):
            say(line)
    small = "" if target.small is target.main else f", for side jobs {target.small.id}"
    say(f"models   {target.main.id}{small}; {len(target.models)} offered at {target.base_url}")
    if options.project and target.key != KEYLESS:
        say("note     The file holds your key: keep it out of version control.")
    for note in client.notes(target, environment):
        say(f"note     {note}")
    say(f"start    {client.command}")


def _target(options: argparse.Namespace, usual: Callable[[Sequence[Model]], tuple[Model, Model]]) -> Target:
    if options.client == "codex" and options.small_model:
        raise CommandFailed("--small-model: Codex uses one model for everything", 2)
    url, key = clean_url(options.url), _key(options)
    models = live_models(url, key)
    main, small = usual(models)
    main = named(models, options.model) if options.model else main
    if options.small_model:
        small = named(models, options.small_model)
    elif options.client == "codex":
        small = main
    return Target(url, models, main, small, key)


def _key(options: argparse.Namespace) -> str:
    key = options.key
    if options.key_file:
        path = Path(options.key_file).expanduser()
        try:
            key = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandFailed(f"--key-file {path} cannot be read: {getattr(error, 'strerror', error)}", 2) from None
    if key is None:
        return KEYLESS
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise CommandFailed(f"{'--key-file' if options.key_file else '--key'} holds no key: one line of ASCII", 2)
    return str(key)


def _fragment(place: Place, client: Client, target: Target) -> str:
    """What a new file would be, its key hidden."""
    shown = target if target.key == KEYLESS else msgspec.structs.replace(target, key=HIDDEN)
    empty = place.format.read(place.format.empty)
    return document.change(empty, client.wanted(shown)).text


def _effects(done: Sequence[document.Change], *, planned: bool) -> list[str]:
    """By name only: what was there may be secret. What is new is counted, for it is shown or in the file."""
    added = sum(change.before is None for change in done)
    replaced = [dotted(change.path) for change in done if change.before is not None and change.after is not None]
    removed = [dotted(change.path) for change in done if change.after is None]
    lines = [f"{'adds' if planned else 'added'}     {added}"] if added else []
    lines += [f"{'replaces' if planned else 'replaced'} {', '.join(replaced)}"] if replaced else []
    return lines + ([f"{'removes' if planned else 'removed'}  {', '.join(removed)}"] if removed else [])


def _undo(place: Place, directory: Path) -> None:
    undone = files.undo(place, directory)
    say(f"{undone.file} {'is gone: it was not there before' if undone.removed else 'is what it was before setup'}.")
    if undone.backup:
        say(f"Others had changed it since; that stays. As it was just now: {undone.backup}")
    if undone.touched:
        say(f"Put back although changed since: {', '.join(map(dotted, undone.touched))}")


def _cursor(options: argparse.Namespace) -> int:
    if options.write or options.undo or options.project:
        raise CommandFailed("Cursor has no file for this: run `copilot-trio setup cursor` and enter what it shows", 2)
    try:
        target = _target(options, codex.usual)
    except NoSuchModel as error:
        raise CommandFailed(str(error)) from None
    for line in cursor.instructions(target):
        say(line)
    return 0
