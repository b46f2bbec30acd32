"""The direction of imports, kept by a test: a module may import its own layer or one below."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parent.parent / "copilot_trio"

# Longest prefix wins. Layers as in docs/architecture.md.
LAYERS: dict[str, int] = {
    "errors": 0, "unreadable": 0, "sse": 0, "turn": 0, "dialects": 0, "tokens": 0, "clients": 0,
    "models.model": 0, "models.mapping": 0,
    "accounts.affinity": 0, "accounts.error_body": 0, "accounts.frame": 0, "accounts.groups": 0, "accounts.health": 0,
    "accounts.outcome": 0, "accounts.overlay": 0, "accounts.pace": 0, "accounts.quota": 0,
    "accounts.quota_snapshot": 0, "accounts.quota_user": 0, "accounts.quota_view": 0, "accounts.resend": 0,
    "github.budgets_json": 0, "github.budgets_page": 0, "upstream.dechunk": 0, "upstream.proxy_url": 0,
    "usage.note": 0, "usage.price": 0, "usage.record": 0, "usage.report": 0,
    "config": 1, "accounts": 1, "models": 1, "usage": 1, "logs": 1, "feed": 1, "github.hosts": 1,
    "server": 2, "upstream": 2, "github": 2, "accounts.store": 2, "accounts.lock": 2, "accounts.importing": 2,
    "accounts.sync": 2, "config_file": 2,
    "clients.places": 2, "clients.journal": 2, "clients.files": 2, "clients.shells": 2,
    "job": 3, "admission": 3, "reload": 3, "attempt": 3, "websearch": 3, "relay": 3,
    "api": 4, "admin": 4, "doctor": 4, "twin": 4, "app": 5, "cli": 6,
}  # fmt: skip
EDGES = ("server", "upstream", "github")
IO = {"trio", "httpcore", "h11", "socket", "ssl", "sqlite3", "time", "random", "threading", "logging", "asyncio", "os"}
TWIN_MAY_IMPORT = ("twin", "server", "sse")
MODULES = sorted(path for path in SRC.rglob("*.py") if path.stem not in {"__init__", "__main__"})


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts)


def layer(name: str) -> int:
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        found = LAYERS.get(".".join(parts[:length]))
        if found is not None:
            return found
    raise AssertionError(f"{name} has no layer: give it one here and in docs/architecture.md")


def imports(path: Path) -> list[str]:
    """Absolute names of what a module imports at run time; ours without the package's name, marked by a dot."""
    package = ["copilot_trio", *path.relative_to(SRC).parent.parts]
    found: list[str] = []
    skipped = {
        inner
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in map(ast.unparse, node.body)
    }
    for node in ast.walk(ast.parse(path.read_text())):
        if ast.unparse(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *filter(None, [node.module])])
            found += [f"{stem}.{alias.name}" for alias in node.names]
    return [name.replace("copilot_trio.", ".", 1) if name.startswith("copilot_trio.") else name for name in found]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    name = name_of(path)
    top = name.split(".")[0]
    for imported in imports(path):
        if not imported.startswith("."):
            if layer(name) == 0:
                assert imported.split(".")[0] not in IO, f"{name} does no I/O, so it cannot want {imported}"
            continue
        if imported == ".__version__":
            continue
        other = imported[1:]
        assert layer(other) <= layer(name), f"{name} must not import {other}"
        assert {top, other.split(".")[0]} not in ({"server", "upstream"}, {"server", "github"}), "the edges are apart"
        if top == "twin":
            assert other.split(".")[0] in TWIN_MAY_IMPORT, f"the twin must not import {other}"
        elif top not in {"cli", "app"}:
            assert not other.startswith("twin"), "the product does not know its emulator"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_upstream_speaks_httpcore(path: Path) -> None:
    speaks = any(name.split(".")[0] == "httpcore" for name in imports(path))
    assert not speaks or name_of(path).startswith("upstream.")


def test_a_planted_import_is_found(tmp_path: Path) -> None:
    planted = SRC / "sse.py"
    assert "trio" not in imports(planted)
    assert layer("sse") == 0
    assert layer("accounts.store") > layer("accounts.account")
