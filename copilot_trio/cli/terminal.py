"""Questions on the terminal of a running server: it goes on serving meanwhile, and a question can be withdrawn."""

from __future__ import annotations

import os
import sys

import trio

from .failure import CommandFailed

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

MAX_LINE = 4096  # as much as a terminal gives at once


def terminal_for(flag: str) -> Terminal:
    """Raises ``CommandFailed`` where nobody could answer."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CommandFailed(f"{flag} asks questions, and there is no terminal to ask on: leave it out here", 2)
    if termios is None:
        raise CommandFailed(f"{flag} needs a terminal as Linux and macOS have them", 2)
    return Terminal(sys.stdin.fileno(), sys.stdout.fileno())


class Terminal:
    """A line at a time, by file descriptors. What was typed before a question is no answer to it."""

    def __init__(self, input_fd: int, output_fd: int) -> None:
        self._input = input_fd
        self._output = output_fd
        self._busy = trio.Lock()

    async def ask(self, question: str) -> str | None:
        """The line typed in answer, stripped; None once there is nobody. Cancelling withdraws the question."""
        async with self._busy:
            try:
                termios.tcflush(self._input, termios.TCIFLUSH)
                self._write(question)
                await trio.lowlevel.wait_readable(self._input)
                typed = os.read(self._input, MAX_LINE)
            except trio.Cancelled:
                self._write("\n  (withdrawn: nobody waits for it any more)\n")
                raise
            except (OSError, termios.error):  # it was closed
                return None
            if not typed:
                self._write("\n")
                return None
            return typed.decode(errors="replace").strip()

    def _write(self, text: str) -> None:
        try:
            os.write(self._output, text.encode(errors="replace"))
        except OSError:
            return  # then nobody reads it
