"""An emulator of github.com, api.github.com and the Copilot API: for tests, for the demo, for trying things out."""

from __future__ import annotations

from .accounts import Account, AccountChange, free_account, sample_accounts
from .delivery import Delivery
from .faults import Fault, ScenarioError, Scenarios, load_scenarios
from .listen import Ports, serve_twin
from .prompt import Prompt
from .records import Record
from .twin import Twin

__all__ = [
    "Account",
    "AccountChange",
    "Delivery",
    "Fault",
    "Ports",
    "Prompt",
    "Record",
    "ScenarioError",
    "Scenarios",
    "Twin",
    "free_account",
    "load_scenarios",
    "sample_accounts",
    "serve_twin",
]
