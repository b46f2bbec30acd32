from __future__ import annotations

import pytest

from copilot_trio.accounts.groups import NO_PIN, Member, Pin, chosen_group, group_of
from copilot_trio.errors import Forbidden


def member(label: str, *, host: str | None = None, kind: str = "individual") -> Member:
    return Member(f"id-{label}", label, host, kind)


@pytest.mark.parametrize(
    ("host", "kind", "group"),
    [
        (None, "individual", "github.com/individual"),
        (None, "business", "github.com/business"),
        ("octo.ghe.com", "enterprise", "octo.ghe.com/enterprise"),
    ],
)
def test_hosts_and_types_stay_apart(host: str | None, kind: str, group: str) -> None:
    assert group_of(member("a", host=host, kind=kind), {}) == group


@pytest.mark.parametrize("name", ["work", "id-work"])
def test_a_configured_group_names_its_accounts_by_label_or_id(name: str) -> None:
    groups = {"other": ["x"], "mine": ["y", name]}
    assert group_of(member("work", kind="business"), groups) == "mine"
    assert group_of(member("private"), groups) == "github.com/individual"


MEMBERS = [(member("one"), "first"), (member("two"), "second"), (member("three"), "second")]


@pytest.mark.parametrize(
    ("pin", "default", "group"),
    [
        (NO_PIN, None, "first"),
        (NO_PIN, "second", "second"),
        (Pin(group="second"), None, "second"),
        (Pin(group="second"), "first", "second"),
        (Pin(account="three"), None, "second"),
        (Pin(account="id-two"), "first", "second"),
    ],
)
def test_the_group_of_a_request(pin: Pin, default: str | None, group: str) -> None:
    assert chosen_group(pin, MEMBERS, default) == group


@pytest.mark.parametrize(
    ("pin", "default", "words"),
    [
        (Pin(account="gone"), None, "pinned to the account 'gone'.*`keys`"),
        (Pin(group="gone"), None, "'gone'.*`keys` in config.json. There is: first, second"),
        (NO_PIN, "gone", r"'gone'.*`accounts\.default_group`"),
        (Pin(group=""), "first", "no account is in the group ''"),
        (Pin(account=""), "first", "pinned to the account ''"),
    ],
    ids=["account", "group", "default", "an empty group", "an empty account"],
)
def test_what_names_nothing_is_forbidden_and_never_somewhere_else(pin: Pin, default: str | None, words: str) -> None:
    with pytest.raises(Forbidden, match=words):
        chosen_group(pin, MEMBERS, default)


def test_a_pin_is_one_only_where_it_names_something() -> None:
    assert not NO_PIN
    assert Pin(group="g")
    assert Pin(account="a")
