"""The clients that the matrix runs, each in one version, in a folder outside the checkout.

``python -m tests.clients.install`` puts them into ``$CLIENT_RIG``, by default ``~/.cache/copilot-trio-clients``: 1.2 GB
from npm and PyPI, half a minute. What is there in the right version stays.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

RIG = Path(os.environ.get("CLIENT_RIG") or Path.home() / ".cache" / "copilot-trio-clients")
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
PATIENCE = 600.0


class Package(msgspec.Struct, frozen=True):
    """A command line client on npm."""

    command: str
    name: str
    version: str

    @property
    def folder(self) -> Path:
        return RIG / self.command

    @property
    def binary(self) -> Path:
        return self.folder / "node_modules" / ".bin" / self.command

    def installed(self) -> bool:
        try:
            manifest = json.loads((self.folder / "node_modules" / self.name / "package.json").read_bytes())
        except (OSError, ValueError):
            return False
        return manifest.get("version") == self.version and self.binary.exists()


CLAUDE = Package("claude", "@anthropic-ai/claude-code", "2.1.329")
CODEX = Package("codex", "@openai/codex", "0.169.0")
OPENCODE = Package("opencode", "opencode-ai", "1.18.33")
PACKAGES = (CLAUDE, CODEX, OPENCODE)
PYTHON = RIG / "pyvenv" / "bin" / "python"


def install() -> None:
    """Raises subprocess.CalledProcessError or FileNotFoundError (no npm)."""
    for package in PACKAGES:
        if package.installed():
            continue
        package.folder.mkdir(parents=True, exist_ok=True)
        manifest = package.folder / "package.json"
        if not manifest.exists():
            manifest.write_text('{"private":true}')
        npm = shutil.which("npm")
        if npm is None:
            raise FileNotFoundError("npm is needed for the clients")
        _run(npm, "install", "--no-fund", "--no-audit", "--loglevel=error", f"{package.name}@{package.version}",
             folder=package.folder)  # fmt: skip
    if not PYTHON.exists():
        _run(sys.executable, "-m", "venv", str(PYTHON.parents[1]), folder=RIG)
    _run(str(PYTHON), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS), folder=RIG)


def _run(*command: str, folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)


def main() -> int:
    try:
        install()
    except (OSError, subprocess.SubprocessError) as error:
        print(f"the clients could not be installed: {error}", file=sys.stderr)
        return 2
    for package in PACKAGES:
        print(f"{package.name} {package.version}")
    print(REQUIREMENTS.read_text().strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
