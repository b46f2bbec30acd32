from __future__ import annotations

import base64
import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.clients.shells import OSC_52_LIMIT, Shell, copy, detect, launch_command, quoted

NASTY = "a b'c\"d$(touch x)`e`\\n%PATH%!&|<>^;#*~é"
UNIX: tuple[Shell, ...] = ("bash", "zsh", "sh", "fish")
FOR_REAL = [shell for shell in UNIX if shutil.which(shell)]


@pytest.mark.parametrize(
    ("variables", "platform", "shell"),
    [
        ({"SHELL": "/usr/bin/zsh"}, "linux", "zsh"),
        ({"SHELL": "/opt/homebrew/bin/fish"}, "darwin", "fish"),
        ({"SHELL": "/bin/dash"}, "linux", "sh"),
        ({"SHELL": "/bin/tcsh"}, "linux", "sh"),
        ({"SHELL": "/usr/bin/pwsh"}, "linux", "powershell"),
        ({}, "linux", "sh"),
        ({}, "win32", "cmd"),
        ({"PSModulePath": r"C:\Program Files\W;C:\Windows\M"}, "win32", "cmd"),
        ({"PSModulePath": r"C:\Users\me\M;C:\Program Files\W;C:\Windows\M"}, "win32", "powershell"),
        ({"SHELL": r"C:\Program Files\Git\usr\bin\bash.exe", "PSModulePath": "a;b;c"}, "win32", "bash"),
        ({"SHELL": "/usr/bin/bash"}, "win32", "bash"),
    ],
)
def test_the_shell_is_known_by_its_variables(variables: dict[str, str], platform: str, shell: Shell) -> None:
    assert detect(variables, platform) == shell


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "A=x B='y z' claude"),
        ("fish", "env A='x' B='y z' claude"),
        ("powershell", "$env:A = 'x'; $env:B = 'y z'; & 'claude'"),
        ("cmd", 'set "A=x" && set "B=y z" && claude'),
    ],
)
def test_the_line_that_starts_a_client(shell: Shell, line: str) -> None:
    assert launch_command(shell, {"A": "x", "B": "y z"}, ["claude"]) == line


@pytest.mark.parametrize("shell", FOR_REAL)
def test_the_shell_itself_reads_back_what_was_meant(shell: Shell, tmp_path: Path) -> None:
    line = launch_command(shell, {"ODD": NASTY}, ["printenv", "ODD"])
    done = subprocess.run([shell, "-c", line], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == f"{NASTY}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", FOR_REAL)
def test_words_of_a_command_are_quoted_too(shell: Shell, tmp_path: Path) -> None:
    line = launch_command(shell, {}, ["printf", "%s|", NASTY, ""])
    done = subprocess.run([shell, "-c", line], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == f"{NASTY}||"


def test_quoting_where_the_shell_is_not_at_hand() -> None:
    assert quoted("powershell", "it's $x `n \u2018odd\u2019") == "'it''s $x `n \u2018\u2018odd\u2019\u2019'"
    assert quoted("cmd", "a&b|c^<>") == '"a&b|c^<>"'
    assert quoted("fish", "it's \\ $x") == "'it\\'s \\\\ $x'"


@pytest.mark.parametrize("text", ['a"b', "%PATH%", "a!b!", "a\nb", "a\rb"])
def test_what_cmd_cannot_be_given_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="PowerShell"):
        launch_command("cmd", {"A": text}, ["claude"])


def test_odd_names_and_nul_are_refused() -> None:
    with pytest.raises(ValueError, match="no name"):
        launch_command("bash", {"A;rm": "x"}, ["claude"])
    for shell in ("bash", "fish", "powershell", "cmd"):
        with pytest.raises(ValueError, match="NUL"):
            quoted(shell, "a\0b")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_powershell_strings_end_where_they_should(text: str) -> None:
    inner = quoted("powershell", text)[1:-1]
    quotes = "'\u2018\u2019\u201a\u201b"
    position = 0
    while position < len(inner):
        if inner[position] in quotes:
            assert inner[position + 1] == inner[position]
            position += 1
        position += 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def program(folder: Path, name: str, *, works: bool = True) -> Path:
    """A clipboard program that keeps what it gets beside itself."""
    script = folder / name
    script.write_text(f"#!/bin/sh\n/bin/cat > {folder}/{name}.got\nexit {0 if works else 1}\n")
    script.chmod(0o755)
    return folder / f"{name}.got"


def test_the_first_clipboard_program_that_can_work_gets_it(tmp_path: Path) -> None:
    wayland, x11 = program(tmp_path, "wl-copy"), program(tmp_path, "xclip")
    assert copy("é $x", {"PATH": str(tmp_path), "DISPLAY": ":0"}, None) == "xclip"
    assert x11.read_text() == "é $x"
    assert not wayland.exists()
    assert copy("y", {"PATH": str(tmp_path), "DISPLAY": ":0", "WAYLAND_DISPLAY": "w"}, None) == "wl-copy"


def test_one_that_fails_is_passed_over(tmp_path: Path) -> None:
    program(tmp_path, "pbcopy", works=False)
    windows = program(tmp_path, "clip.exe")
    assert copy("é", {"PATH": str(tmp_path)}, None) == "clip.exe"
    assert windows.read_bytes().decode("utf-16-le") == "é"


def test_without_a_program_the_terminal_is_asked(tmp_path: Path) -> None:
    terminal = Terminal()
    assert copy("text", {"PATH": str(tmp_path), "TERM": "xterm"}, terminal) == "OSC 52"
    assert terminal.getvalue() == f"\x1b]52;c;{base64.b64encode(b'text').decode()}\x07"


def test_where_there_is_no_way_it_says_so(tmp_path: Path) -> None:
    assert copy("x", {"PATH": str(tmp_path)}, None) is None
    assert copy("x", {"PATH": str(tmp_path)}, io.StringIO()) is None
    for variables, text in (({"TERM": "dumb"}, "x"), ({}, "x" * OSC_52_LIMIT)):
        terminal = Terminal()
        assert copy(text, {"PATH": str(tmp_path), **variables}, terminal) is None
        assert terminal.getvalue() == ""
