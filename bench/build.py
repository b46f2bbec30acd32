"""Compiles the two C programs on first use; says so, and why, when it cannot."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = ["-O2", "-std=gnu11", "-Wall", "-Wextra"]


def compile_program(name: str) -> Path | None:
    """The binary of ``bench/<name>.c``, or None without a compiler (or off Linux: the programs need epoll).

    The hash of the source is in the binary's name, so a binary never outlives its source.
    """
    source = HERE / f"{name}.c"
    digest = hashlib.sha256(source.read_bytes() + " ".join(FLAGS).encode()).hexdigest()[:12]
    binary = HERE / ".build" / f"{name}-{digest}"
    if binary.exists():
        return binary
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    binary.parent.mkdir(exist_ok=True)
    unfinished = binary.with_name(f"{binary.name}.{os.getpid()}")
    built = subprocess.run(
        [compiler, *FLAGS, "-o", str(unfinished), str(source)], capture_output=True, text=True, timeout=120, check=False
    )
    if built.returncode:
        print(f"bench: {name}.c does not compile here, falling back to Python:\n{built.stderr}", file=sys.stderr)
        return None
    unfinished.replace(binary)
    return binary
