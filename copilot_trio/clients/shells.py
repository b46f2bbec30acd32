"""The user's shell: quoting for it, the command that starts a client there, and the clipboard."""

from __future__ import annotations

import base64
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Literal, TextIO, get_args

import msgspec

Shell = Literal["bash", "zsh", "sh", "fish", "powershell", "cmd"]
SHELLS: tuple[Shell, ...] = get_args(Shell)
PROGRAM_SECONDS = 3.0
OSC_52_LIMIT = 74_994  # bytes of base64 that terminals take for certain

_CMD_CANNOT = re.compile(r'["%!\r\n]')
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def detect(environment: Mapping[str, str], platform: str) -> Shell:
    """``platform`` as ``sys.platform``. On Windows a set ``PSModulePath`` of the user's own tells PowerShell, unless
    ``SHELL`` names one of the others, as Git's does.
    """
    name = PureWindowsPath(environment.get("SHELL", "")).name if platform == "win32" else ""
    name = (name or PurePosixPath(environment.get("SHELL", "")).name).lower().removesuffix(".exe")
    if name in {"pwsh", "powershell"}:
        return "powershell"
    if name == "dash":
        return "sh"
    if name in SHELLS:
        return name
    if platform != "win32":
        return "sh"
    # Windows itself sets one folder of modules, PowerShell puts the user's before it.
    return "powershell" if environment.get("PSModulePath", "").count(";") > 1 else "cmd"


def launch_command(shell: Shell, variables: Mapping[str, str], command: Sequence[str]) -> str:
    """One line that sets the variables and starts the command. Raises ``ValueError`` for what cannot be quoted."""
    if wrong := next((name for name in variables if not _VARIABLE.fullmatch(name)), None):
        raise ValueError(f"{wrong!r} is no name of a variable")
    return _LAUNCH[shell](variables, command)


def quoted(shell: Shell, text: str) -> str:
    """One word that means ``text`` and nothing else. Raises ``ValueError`` where the shell has no way to say it."""
    if "\0" in text:
        raise ValueError("no shell can take a NUL")
    return _QUOTE[shell](text)


def _quoted_fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quoted_powershell(text: str) -> str:
    """Typographic quotes end a string there too."""
    return "'" + re.sub("(['\u2018\u2019\u201a\u201b])", r"\1\1", text) + "'"


def _quoted_cmd(text: str) -> str:
    if _CMD_CANNOT.search(text):
        raise ValueError('cmd cannot be given ", %, ! or a line break safely: use PowerShell')
    return f'"{text}"'


def _launch_posix(variables: Mapping[str, str], command: Sequence[str]) -> str:
    """For this one start: nothing stays in the shell."""
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), shlex.join(command)])


def _launch_fish(variables: Mapping[str, str], command: Sequence[str]) -> str:
    """``env``, for old versions of fish know no variables before a command."""
    set_here = [f"{name}={_quoted_fish(value)}" for name, value in variables.items()]
    return " ".join(["env", *set_here, *map(_quoted_fish_word, command)])


def _quoted_fish_word(text: str) -> str:
    return text if re.fullmatch(r"[\w./-]+", text, re.ASCII) else _quoted_fish(text)


def _launch_powershell(variables: Mapping[str, str], command: Sequence[str]) -> str:
    set_here = [f"$env:{name} = {_quoted_powershell(value)}" for name, value in variables.items()]
    return "; ".join([*set_here, "& " + " ".join(map(_quoted_powershell, command))])


def _launch_cmd(variables: Mapping[str, str], command: Sequence[str]) -> str:
    """The quotes are round the whole assignment, or they and the space before ``&`` would be part of the value."""
    set_here = [f"set {_quoted_cmd(f'{name}={value}')}" for name, value in variables.items()]
    words = [word if re.fullmatch(r"[\w./\\:-]+", word, re.ASCII) else _quoted_cmd(word) for word in command]
    return " && ".join([*set_here, " ".join(words)])


_QUOTE: dict[Shell, Callable[[str], str]] = {
    "bash": shlex.quote, "zsh": shlex.quote, "sh": shlex.quote, "fish": _quoted_fish,
    "powershell": _quoted_powershell, "cmd": _quoted_cmd,
}  # fmt: skip
_LAUNCH: dict[Shell, Callable[[Mapping[str, str], Sequence[str]], str]] = {
    "bash": _launch_posix, "zsh": _launch_posix, "sh": _launch_posix, "fish": _launch_fish,
    "powershell": _launch_powershell, "cmd": _launch_cmd,
}  # fmt: skip


class Clipboard(msgspec.Struct, frozen=True):
    """A program that takes its standard input there, and the variable without which it cannot work."""

    command: tuple[str, ...]
    needs: str = ""


CLIPBOARDS = (
    Clipboard(("wl-copy",), "WAYLAND_DISPLAY"),
    Clipboard(("xclip", "-selection", "clipboard"), "DISPLAY"),
    Clipboard(("xsel", "--clipboard", "--input"), "DISPLAY"),
    Clipboard(("pbcopy",)),
    Clipboard(("clip.exe",)),
)


def copy(text: str, environment: Mapping[str, str], terminal: TextIO | None) -> str | None:
    """Into the clipboard; says by what, or None where there is no way. ``terminal`` is one that a person sees.

    A terminal that is asked (OSC 52) does not say whether it did so.
    """
    for clipboard in CLIPBOARDS:
        if clipboard.needs and not environment.get(clipboard.needs):
            continue
        program = shutil.which(clipboard.command[0], path=environment.get("PATH"))
        if program and _feed([program, *clipboard.command[1:]], text, environment):
            return clipboard.command[0]
    packed = base64.b64encode(text.encode()).decode()
    if terminal is None or not terminal.isatty() or len(packed) > OSC_52_LIMIT or environment.get("TERM") == "dumb":
        return None
    terminal.write(f"\x1b]52;c;{packed}\x07")
    terminal.flush()
    return "OSC 52"


def _feed(command: Sequence[str], text: str, environment: Mapping[str, str]) -> bool:
    """What it prints goes nowhere: wl-copy and xclip stay behind, and would hold a pipe open."""
    encoding = "utf-16-le" if command[0].lower().endswith("clip.exe") else "utf-8"
    try:
        done = subprocess.run(  # noqa: S603 (a fixed list of programs)
            command,
            input=text.encode(encoding),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            timeout=PROGRAM_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
