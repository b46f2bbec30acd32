"""The paths of codex-proxy, over the same state as everything else (product.md §2.4, systems.md §1.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from copilot_trio.clients.places import Place
from copilot_trio.reload import Reloader
from copilot_trio.server.router import Router

from . import codex_accounts, codex_claude, codex_settings
from .codex_accounts import shown_active
from .office import Office
from .sign_in import SignIns


class Home(msgspec.Struct, frozen=True):
    """A person's own files that may be looked into: other proxies' directories, and Claude Code's settings.

    As it is made here, none.
    """

    import_from: tuple[Path, ...] = ()
    claude: Place | None = None


def add_routes(router: Router, office: Office, sign_ins: SignIns, reloader: Reloader | None, home: Home) -> None:
    directory = None if office.path is None else office.path.parent
    codex_accounts.add_routes(router, office, sign_ins, home.import_from)
    codex_claude.add_routes(router, office.accounts, home.claude, directory)
    codex_settings.add_routes(router, office.accounts, reloader)


def health_fields(office: Office) -> dict[str, Any]:
    """What ``/health`` says there, beside its ``status``, to who may know."""
    shown = shown_active(office)
    path = office.path
    return {
        "total": shown["total"],
        "active": shown["activeAccount"],
        "account": shown["account"],
        "configPath": None if path is None else str(path),
    }
