"""What one check found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

State = Literal["ok", "warning", "failed"]
STATES: tuple[State, ...] = ("ok", "warning", "failed")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """``account`` is a label, empty where it is about the machine. ``details`` are for who wants to know more."""

    check: str
    state: State
    message: str
    remedy: str = ""
    account: str = ""
    details: tuple[str, ...] = ()


def ok(check: str, message: str, **more: Any) -> Finding:
    return Finding(check=check, state="ok", message=message, **more)


def warning(check: str, message: str, remedy: str, **more: Any) -> Finding:
    return Finding(check=check, state="warning", message=message, remedy=remedy, **more)


def failed(check: str, message: str, remedy: str, **more: Any) -> Finding:
    return Finding(check=check, state="failed", message=message, remedy=remedy, **more)


def worst(findings: Iterable[Finding]) -> State:
    return max((finding.state for finding in findings), key=STATES.index, default="ok")


def shown(findings: Iterable[Finding]) -> dict[str, Any]:
    findings = list(findings)
    return {"state": worst(findings), "checks": [msgspec.to_builtins(finding) for finding in findings]}
