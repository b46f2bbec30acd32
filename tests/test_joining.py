from __future__ import annotations

import msgspec
import pytest

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.joining import (
    AlreadyThere,
    check_label,
    check_token,
    free_label,
    joined,
    new_record,
    second_of_group,
    signed_in,
    stored_host,
)
from copilot_trio.accounts.store import AccountsFile, Pause, pause_of, with_account, with_pause

WORK = AccountRecord(
    id="a1", label="work", github_token="ghu_SYNTHETIC1", login="octo-work", account_type="business", machine_id="m",
    proxy="http://proxy:1", status="banned", status_message="refused",
)  # fmt: skip
FILE = AccountsFile(accounts=(WORK,))


def test_a_new_account_has_ids_of_its_own() -> None:
    one, other = new_record("ghu_SYNTHETIC2"), new_record("ghu_SYNTHETIC2")
    assert one.id != other.id
    assert one.machine_id != other.machine_id
    assert len(one.machine_id) == 64
    assert (one.label, one.account_type, one.status) == ("", "individual", "active")
    assert one.added


def test_what_a_person_asks_for_is_kept_in_its_one_form() -> None:
    made = new_record(
        " ghu_SYNTHETIC2\n", label=" home ", account_type="enterprise", enterprise_host="https://api.Octo.ghe.com/",
        proxy=" socks5h://p:1 ", direct=True,
    )  # fmt: skip
    assert (made.github_token, made.label, made.account_type) == ("ghu_SYNTHETIC2", "home", "enterprise")
    assert (made.enterprise_host, made.proxy, made.direct) == ("octo.ghe.com", "socks5h://p:1", True)


@pytest.mark.parametrize("token", ["", " ", "two words", "a\nb", "tökén", "x" * 1025])
def test_what_is_no_token_is_refused_unquoted(token: str) -> None:
    with pytest.raises(ValueError, match="one line of printable characters") as caught:
        check_token(token)
    assert not token.strip() or token not in str(caught.value)


@pytest.mark.parametrize("label", ["", "  ", "x" * 61, "a\x1b[2J", "a\nb", "\ud800"])
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="1 to 60 printable characters"):
        check_label(label)


@pytest.mark.parametrize("label", ["1", "007", "٣"])
def test_a_number_is_no_label(label: str) -> None:
    with pytest.raises(ValueError, match="must not be a number"):
        check_label(label)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        (None, None),
        ("", None),
        ("github.com", None),
        ("https://www.github.com/", None),
        ("api.github.com", None),
        ("OCTO.ghe.com", "octo.ghe.com"),
        ("api.octo.ghe.com", "octo.ghe.com"),
    ],
)
def test_hosts_have_one_form(text: str | None, host: str | None) -> None:
    assert stored_host(text) == host


def test_who_joins_is_called_as_asked_or_as_its_login() -> None:
    file, first = joined(FILE, new_record("ghu_SYNTHETIC2", label="home"))
    assert (first.label, len(file.accounts)) == ("home", 2)
    file, second = joined(file, msgspec.structs.replace(new_record("ghu_SYNTHETIC3"), login="work"))
    assert second.label == "work 2"
    _, third = joined(file, new_record("ghu_SYNTHETIC4"))
    assert third.label == "github"


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (new_record(WORK.github_token, label="x"), "stored already, as 'work'"),
        (msgspec.structs.replace(new_record("ghu_SYNTHETIC2"), login="OCTO-work"), "stored already, as 'work'"),
        (new_record("ghu_SYNTHETIC2", label="Work"), "another account has the label 'Work'"),
    ],
)
def test_nobody_joins_twice(record: AccountRecord, words: str) -> None:
    with pytest.raises(AlreadyThere, match=words):
        joined(FILE, record)


def test_the_same_login_at_another_host_is_another_account() -> None:
    tenant = msgspec.structs.replace(new_record("ghu_SYNTHETIC2", enterprise_host="octo.ghe.com"), login=WORK.login)
    assert len(joined(FILE, tenant)[0].accounts) == 2


def test_who_signs_in_again_gets_the_new_token_and_keeps_the_rest() -> None:
    again = msgspec.structs.replace(new_record("ghu_SYNTHETIC2"), login="octo-work")
    file, renewed = signed_in(FILE, again)
    assert file.accounts == (renewed,)
    assert renewed == msgspec.structs.replace(WORK, github_token="ghu_SYNTHETIC2", status="active", status_message="")


def test_who_signs_in_again_may_get_another_label_and_type() -> None:
    file = with_account(FILE, AccountRecord(id="a2", label="home", github_token="ghu_SYNTHETIC9"))
    again = msgspec.structs.replace(new_record("ghu_SYNTHETIC2", label="home"), login="octo-work")
    assert signed_in(file, again, "enterprise")[1].label == "home 2"
    assert signed_in(file, again, "enterprise")[1].account_type == "enterprise"
    own = msgspec.structs.replace(again, label="WORK")
    assert signed_in(file, own)[1].label == "WORK"


def test_a_warning_follows_the_new_token() -> None:
    file = with_pause(FILE, WORK.github_token, Pause("spammy_user", 1.0))
    again = msgspec.structs.replace(new_record("ghu_SYNTHETIC2"), login="octo-work")
    assert pause_of(signed_in(file, again)[0], "ghu_SYNTHETIC2") is not None


def test_accounts_whose_login_nobody_knows_are_not_the_same() -> None:
    nameless = AccountsFile(accounts=(msgspec.structs.replace(WORK, login=""),))
    assert len(signed_in(nameless, new_record("ghu_SYNTHETIC2"))[0].accounts) == 2


def test_a_free_label_is_found_in_any_case() -> None:
    assert free_label(FILE, "home") == "home"
    assert free_label(FILE, "WORK") == "WORK 2"


@pytest.mark.parametrize(("on", "word"), [(True, "is on"), (False, "is off")])
def test_only_the_second_of_a_group_is_explained(on: bool, word: str) -> None:
    note = second_of_group("team", ["work", "home"], failover_on_quota=on)
    for part in ("team", "work and home", "failover_on_quota", word, "config.json", "groups"):
        assert part in note
    assert second_of_group("team", ["work"], failover_on_quota=on) == ""
    assert second_of_group("team", ["a", "b", "c"], failover_on_quota=on) == ""
