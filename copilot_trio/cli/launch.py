"""``start --claude-code``: which models Claude Code is to use, and the command that starts it with them."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import msgspec
import trio

from copilot_trio.accounts.offer import offered
from copilot_trio.api.models import shown
from copilot_trio.app import App
from copilot_trio.clients import claude_code, shells
from copilot_trio.clients.offer import KEYLESS, Model, NoSuchModel, Target, named, read_models
from copilot_trio.errors import ProxyError

from .say import say
from .terminal import Terminal

YOUR_KEY = "<your key>"


async def offer_claude_code(
    app: App, terminal: Terminal, base_url: str, key: str | None, environment: Mapping[str, str]
) -> None:
    """``key``: one that was given to this run in clear, which goes into the clipboard and on no screen."""
    models = await _usable(app)
    if not models:
        say("Claude Code: no model can be used, so there is nothing to choose from.")
        return
    say("\n".join(f"{number:3}  {model.id}" for number, model in enumerate(models, 1)))
    main, small = claude_code.usual(models)
    chosen = await _choose(terminal, "Model for Claude Code", models, main)
    fast = chosen and await _choose(terminal, "Small, fast model for Claude Code", models, small)
    if chosen is None or fast is None:
        say("Claude Code: nothing was chosen. `copilot-trio setup claude-code` does the same at any time.")
        return
    app.chosen = (chosen.id, fast.id)
    public = YOUR_KEY if app.keyed else KEYLESS
    target = Target(base_url, tuple(models), chosen, fast, public)
    shell = shells.detect(environment, sys.platform)
    try:
        command, secret = (
            shells.launch_command(shell, claude_code.variables(target), [claude_code.COMMAND])
            for target in (target, msgspec.structs.replace(target, key=(key if app.keyed else None) or public))
        )
    except ValueError as error:
        say(f"Claude Code: {error}. `copilot-trio setup claude-code --write` does without a command.")
        return
    say(f"\nClaude Code, in another {shell}:\n\n{command}\n")
    by = await trio.to_thread.run_sync(shells.copy, secret, environment, sys.stdout)
    if by is not None:
        say(f"It was copied to the clipboard ({by}){', with your key' if secret != command else ''}.")


async def _usable(app: App) -> Sequence[Model]:
    try:
        models = await offered(app.accounts)
    except ProxyError:  # the list of models has said why
        return ()
    return read_models(msgspec.json.encode({"data": [shown(model) for model in models]}))


async def _choose(terminal: Terminal, what: str, models: Sequence[Model], usual: Model) -> Model | None:
    """By number or name; an empty line takes the usual one. None where nobody answers."""
    question = f"{what}, by number or name [{usual.id}]: "
    while True:
        answer = await terminal.ask(question)
        if answer is None:
            return None
        if not answer:
            return usual
        if answer.isdecimal() and 1 <= int(answer) <= len(models):
            return models[int(answer) - 1]
        try:
            return named(models, answer)
        except NoSuchModel as error:
            question = f"  {error}\n{what} [{usual.id}]: "
