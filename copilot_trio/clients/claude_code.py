"""Claude Code: variables in the ``env`` of its settings, or of a shell (product.md §12, clients.md §3). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .document import Path
from .offer import Model, Target, calls_tools, family, first

COMMAND = "claude"
LEAST_WINDOW = 100_000  # tokens; a smaller one is taken for this
# What would send it elsewhere, or send another service's key here.
IN_THE_WAY = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX", "CLAUDE_CODE_USE_FOUNDRY")


def usual(models: Sequence[Model]) -> tuple[Model, Model]:
    """Main and small model where nobody chose."""
    main = family(models, "sonnet") or family(models, "opus") or first(models, calls_tools)
    return main, family(models, "haiku") or first(
        models, lambda model: "-mini" in model.id, lambda model: model is main
    )


def variables(target: Target) -> dict[str, str]:
    """``ANTHROPIC_BASE_URL`` is without ``/v1``. The windows are what a prompt may really have, not what the model's
    name lets Claude Code guess: one is for names that it knows, one for others.
    """
    main, small = target.main, target.small
    return {
        "ANTHROPIC_BASE_URL": target.base_url,
        "ANTHROPIC_AUTH_TOKEN": target.key,
        "ANTHROPIC_MODEL": main.id,
        "ANTHROPIC_SMALL_FAST_MODEL": small.id,
        "ANTHROPIC_DEFAULT_OPUS_MODEL": (target.family("opus") or main).id,
        "ANTHROPIC_DEFAULT_SONNET_MODEL": (target.family("sonnet") or main).id,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": small.id,
        "CLAUDE_CODE_AUTO_COMPACT_WINDOW": str(main.prompt),
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(main.prompt),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
    }


def wanted(target: Target) -> dict[Path, str | None]:
    gone: dict[Path, str | None] = {("env", name): None for name in IN_THE_WAY}
    return gone | {("env", name): value for name, value in variables(target).items()}


def notes(target: Target, environment: Iterable[str] = ()) -> list[str]:
    """What a person should know. ``environment``: the names that are set in their shell."""
    main = target.main
    said = [
        f"A conversation is made short before it reaches {main.prompt} tokens, what {main.id} really takes.",
        "Auto mode asks before risky commands: what it would have them judged by, `safeguards`, is not passed on.",
    ]
    if main.prompt < LEAST_WINDOW:
        said.append(f"Claude Code may take {LEAST_WINDOW} tokens for the least: use /compact yourself before that.")
    if in_the_way := sorted(set(environment) & set(IN_THE_WAY)):
        said.append(f"Your shell sets {', '.join(in_the_way)}: unset that, or Claude Code may go elsewhere.")
    return said
