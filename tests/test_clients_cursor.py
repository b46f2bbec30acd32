from __future__ import annotations

import msgspec
from clients_offer import target

from copilot_trio.clients.cursor import instructions


def test_what_to_enter_names_url_and_models_and_never_the_key() -> None:
    said = "\n".join(instructions(target(key="secret")))
    assert "http://localhost:4141/v1" in said
    assert "gpt-5.3-codex" in said
    assert "secret" not in said
    assert "any text" in "\n".join(instructions(target()))


def test_another_machines_address_stays() -> None:
    elsewhere = msgspec.structs.replace(target(), base_url="https://box.lan:8443/x")
    assert "https://box.lan:8443/x/v1" in "\n".join(instructions(elsewhere))
