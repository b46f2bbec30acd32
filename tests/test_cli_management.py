"""Where the keys to ``/v0/management`` come from."""

from __future__ import annotations

import pytest

from copilot_trio.cli.failure import CommandFailed
from copilot_trio.cli.management import VARIABLE, management_keys
from copilot_trio.config import Config
from copilot_trio.server.auth import hash_key

LONG = "sixteen-or-more!"
STORED = Config(management_key=hash_key("the stored one"))


def test_without_any_there_is_none() -> None:
    assert management_keys(Config(), {}) == ()
    assert management_keys(Config(), {VARIABLE: ""}) == ()


def test_the_environments_and_the_stored_one_both_do() -> None:
    assert management_keys(STORED, {}) == (hash_key("the stored one"),)
    assert management_keys(STORED, {VARIABLE: LONG}) == (hash_key(LONG), hash_key("the stored one"))


@pytest.mark.parametrize(
    "key", ["fifteen-letters", " " * 20, "with a space in it", "sch\u00f6nes-langes-wort", LONG + "\n"]
)
def test_what_can_be_guessed_or_not_be_sent_is_refused_and_not_quoted(key: str) -> None:
    with pytest.raises(CommandFailed) as caught:
        management_keys(Config(), {VARIABLE: key})
    assert caught.value.exit_code == 2
    assert key not in str(caught.value)
