"""Questions to a person, where there is one."""

from __future__ import annotations

import sys

from .failure import CommandFailed


def confirmed(question: str, *, flag: str) -> bool:
    """Yes or no; what is not clearly a yes is a no. Raises ``CommandFailed`` where nobody can answer."""
    if not sys.stdin.isatty():
        raise CommandFailed(f"there is no terminal to ask on: add {flag} if so meant", 2)
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        print()
        return False
    return answer.strip().lower() in {"y", "yes"}
