"""Logging: lines for people on stderr, and no secret in any of them."""

from __future__ import annotations

import logging
import re

# GitHub's token prefixes, Copilot's token (tid=…), bearer headers and the like.
_SECRET = re.compile(
    r"(gh[opusr]_|github_pat_|tid=)[A-Za-z0-9_=;:.+/\-]{4,}|"
    r"((?:bearer\s+(?=\S{8})|token\s+(?=\S{16}))(?:gh[opusr]_|github_pat_|tid=)?)[A-Za-z0-9_=;:.+/~\-]+|"
    r"(://[^/\s:@]*:)[^/\s\"]+(?=@)",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """``text`` without credentials: what they begin with stays, so that a person can tell which it was."""
    return _SECRET.sub(lambda match: f"{match[1] or match[2] or match[3]}***", text)


class RedactingFormatter(logging.Formatter):
    """The request lines stand alone; all other messages carry their level."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.name != "copilot_trio.access":
            text = f"{record.levelname.lower()}: {text}"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if record.stack_info:
            text += "\n" + record.stack_info
        return redact(text)


def set_up(*, verbose: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("copilot_trio").setLevel(logging.DEBUG if verbose else logging.INFO)
    # httpcore's DEBUG prints headers, that is, tokens.
    logging.getLogger("httpcore").setLevel(logging.INFO)
