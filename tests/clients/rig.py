"""One run of a client: a home and a folder of its own, a command, what it printed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec
import trio

from .install import RIG

GRACE = 3.0  # seconds between asking a client to end and making it
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What a client shall do. ``base_url`` is without ``/v1``; ``image`` is to be sent along."""

    base_url: str
    model: str
    prompt: str
    box: Path
    image: Path | None = None

    @property
    def home(self) -> Path:
        return self.box / "home"

    @property
    def folder(self) -> Path:
        return self.box / "work"


class Command(msgspec.Struct, frozen=True):
    arguments: list[str]
    variables: dict[str, str]


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """``prepare`` writes the configuration into the box and says how to start.

    ``attaches``: can send a picture along; ``looks``: its tool that looks at one, with the name of the argument.
    ``leaves_two``: its tools make a second file in a tool loop. ``side_calls``: to the model beside the real ones, for
    a title. ``retries``: a failed request once more, ``broken`` ones too, or refused ones only.
    """

    name: str
    prepare: Callable[[Task], Command]
    attaches: bool = False
    looks: tuple[str, str] | None = None
    leaves_two: bool = False
    side_calls: int = 0
    retries: Literal["", "refused", "broken"] = "broken"


class Outcome(msgspec.Struct, frozen=True):
    """How it ended. ``code`` is None when it did not end in time."""

    code: int | None
    out: str
    errors: str
    seconds: float

    @property
    def text(self) -> str:
        return ESCAPES.sub("", f"{self.out}\n{self.errors}")

    def brief(self, length: int = 300) -> str:
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return f"exit {self.code}: {' | '.join(lines)[-length:]}"


@contextmanager
def box(*, keep: bool = False) -> Iterator[Path]:
    """Under the rig's folder: Codex warns about a home under the system's temporary one."""
    above = RIG / "tmp"
    above.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=above))
    try:
        for name in ("home/tmp", "work"):
            (made / name).mkdir(parents=True)
        yield made
    finally:
        if not keep:
            shutil.rmtree(made, ignore_errors=True)


async def run(command: Command, task: Task, patience: float) -> Outcome:
    """Nothing of the developer's own reaches the client; what it leaves running is ended with it."""
    home = task.home
    variables = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TERM": "xterm",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_STATE_HOME": str(home / ".local/state"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        **command.variables,
    }
    began = trio.current_time()
    out, errors = task.box / "out", task.box / "errors"
    code = None
    with out.open("wb") as out_file, errors.open("wb") as errors_file:
        with trio.move_on_after(patience):
            ended = await trio.run_process(
                command.arguments,
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=errors_file,
                env=variables,
                cwd=task.folder,
                start_new_session=True,
                deliver_cancel=_end,
                check=False,
            )
            code = ended.returncode
    return Outcome(
        code, out.read_text(errors="replace"), errors.read_text(errors="replace"), trio.current_time() - began
    )


async def _end(process: trio.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with trio.move_on_after(GRACE):
            await process.wait()
        os.killpg(process.pid, signal.SIGKILL)


def draw(path: Path, side: int = 64) -> None:
    """A red PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + b"\xff\0\0" * side) * side)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
