"""Logging: lines for people on stderr and, by the admin API, the newest of them; and no secret in any of them."""

from __future__ import annotations

import logging
import re
from datetime import UTC, datetime

import msgspec

from copilot_trio.feed import Feed

ACCESS = "copilot_trio.access"
KEPT = 1000  # entries
MAX_MESSAGE = 4000  # characters of an entry
ICONS = {"DEBUG": "·", "INFO": "i", "SUCCESS": "✓", "WARN": "!", "ERROR": "✗"}

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
        text = self.message(record)
        return text if record.name == ACCESS else f"{record.levelname.lower()}: {text}"

    def message(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        if record.stack_info:
            text += "\n" + record.stack_info
        return redact(text)


class LogEntry(msgspec.Struct, frozen=True):
    """As systems.md §1.12 has it. ``timestamp`` is in UTC."""

    timestamp: str
    level: str
    message: str
    icon: str


class LogRing(logging.Handler):
    """The newest lines, redacted, for the admin API to show."""

    def __init__(self) -> None:
        super().__init__()
        self.feed: Feed[LogEntry] = Feed(KEPT)
        self._formatter = RedactingFormatter()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.feed.put(self._entry(record))
        except Exception:
            self.handleError(record)  # as every handler does: a line that cannot be written stops nothing

    def _entry(self, record: logging.LogRecord) -> LogEntry:
        moment = datetime.fromtimestamp(record.created, UTC)
        level = _level(record)
        message = self._formatter.message(record)[:MAX_MESSAGE]
        return LogEntry(f"{moment:%Y-%m-%d %H:%M:%S}", level, message, ICONS[level])


def _level(record: logging.LogRecord) -> str:
    """A request's last line says how it ended; its level alone does not."""
    status: int | None = getattr(record, "status", None)
    if status is not None:
        return "SUCCESS" if status < 400 else "WARN" if status < 500 else "ERROR"
    if record.levelno >= logging.ERROR:
        return "ERROR"
    if record.levelno >= logging.WARNING:
        return "WARN"
    return "INFO" if record.levelno >= logging.INFO else "DEBUG"


def set_up(*, verbose: bool, ring: LogRing | None = None) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler] if ring is None else [handler, ring]
    root.setLevel(logging.WARNING)
    logging.getLogger("copilot_trio").setLevel(logging.DEBUG if verbose else logging.INFO)
    # httpcore's DEBUG prints headers, that is, tokens.
    logging.getLogger("httpcore").setLevel(logging.INFO)
