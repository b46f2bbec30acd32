"""What a command tells a person on standard output."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """A reader that has gone, say ``| head -2``, is no reason for a server to stop."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is still buffered would raise again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
