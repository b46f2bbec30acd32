from __future__ import annotations

from copilot_trio.accounts.affinity import Affinity


def affinity(entries: int = 100, seconds: float = 3600) -> Affinity:
    return Affinity(entries, seconds)


def test_a_conversation_is_its_last_accounts() -> None:
    bound = affinity()
    assert bound.account_of("c", "m", 0) is None
    bound.bind("c", "m", "a", 0)
    assert bound.account_of("c", "m", 1) == "a"
    bound.bind("c", "m", "b", 2)
    assert bound.account_of("c", "m", 3) == "b"


def test_a_second_model_goes_where_the_first_went() -> None:
    bound = affinity()
    bound.bind("c", "m", "a", 0)
    assert bound.account_of("c", "other", 1) == "a"


def test_each_model_of_a_conversation_keeps_its_account() -> None:
    bound = affinity()
    bound.bind("c", "m", "a", 0)
    bound.bind("c", "other", "b", 1)
    assert (bound.account_of("c", "m", 2), bound.account_of("c", "other", 2)) == ("a", "b")
    assert bound.account_of("c", "third", 2) == "b"


def test_what_stands_alone_is_bound_nowhere() -> None:
    bound = affinity()
    bound.bind("", "m", "a", 0)
    assert (len(bound), bound.account_of("", "m", 0)) == (0, None)


def test_a_binding_ends_an_hour_after_its_last_use() -> None:
    bound = affinity()
    bound.bind("c", "m", "a", 0)
    bound.bind("c", "m", "a", 3000)
    assert bound.account_of("c", "m", 6599) == "a"
    assert bound.account_of("c", "m", 6600) is None


def test_the_least_recently_used_go_first() -> None:
    bound = affinity(entries=2)
    bound.bind("one", "m", "a", 0)
    bound.bind("two", "m", "b", 1)
    bound.bind("one", "m", "a", 2)
    bound.bind("three", "m", "c", 3)
    assert [bound.account_of(name, "m", 4) for name in ("one", "two", "three")] == ["a", None, "c"]
    assert len(bound) == 4


def test_it_never_grows_beyond_its_bound() -> None:
    bound = affinity(entries=50)
    for number in range(1000):
        bound.bind(f"c{number}", "m", "a", number)
        assert len(bound) <= 100  # as a whole, and by the model


def test_a_removed_account_has_no_conversations() -> None:
    bound = affinity()
    bound.bind("c", "m", "a", 0)
    bound.bind("d", "m", "b", 0)
    bound.hold("a")
    bound.forget("a")
    assert (bound.account_of("c", "m", 1), bound.account_of("d", "m", 1)) == (None, "b")
    assert bound.holder("c", "m") is None


# ---- after a warning


def test_the_conversations_of_a_warned_account_are_held() -> None:
    bound = affinity()
    bound.bind("c", "m", "a", 0)
    bound.bind("d", "m", "b", 0)
    assert bound.hold("a") == ("c",)
    assert (bound.holder("c"), bound.holder("d"), bound.holder("")) == ("a", None, None)
    assert bound.holder("c", "any other model") == "a"


def test_they_are_held_longer_than_they_are_bound() -> None:
    bound = affinity(entries=2)
    bound.bind("c", "m", "a", 0)
    bound.hold("a")
    bound.bind("d", "m", "b", 99_999)
    assert bound.account_of("c", "m", 99_999) is None
    assert bound.holder("c") == "a"


def test_what_an_earlier_run_held_is_held_too() -> None:
    bound = affinity()
    bound.bind("new", "m", "a", 0)
    assert bound.hold("a", ("old", "new")) == ("old", "new")
    assert (bound.holder("old"), bound.holder("new")) == ("a", "a")


def test_a_conversation_that_is_elsewhere_as_a_whole_is_held_for_the_one_model() -> None:
    bound = affinity()
    bound.bind("c", "m", "a", 0)
    bound.bind("c", "other", "b", 1)
    held = bound.hold("a")
    assert held == ("c:m",)
    assert (bound.holder("c", "m"), bound.holder("c", "other")) == ("a", None)
    again = affinity()
    again.hold("a", held)
    assert (again.holder("c", "m"), again.holder("c", "other")) == ("a", None)


def test_an_acknowledgement_releases_that_accounts_alone() -> None:
    bound = affinity()
    bound.bind("c", "m", "a", 0)
    bound.bind("d", "m", "b", 0)
    bound.hold("a")
    bound.hold("b")
    bound.release("a")
    assert (bound.holder("c"), bound.holder("d")) == (None, "b")
    assert bound.account_of("c", "m", 1) == "a"  # and goes on where it was
