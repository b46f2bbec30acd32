"""How a command says that it cannot."""

from __future__ import annotations


class CommandFailed(Exception):
    """One clear line for stderr: cause and remedy. ``exit_code`` 2 is for wrong use."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
