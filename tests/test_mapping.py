from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.models.mapping import closest, map_model, match_model, resolve

AVAILABLE = [
    "gpt-4.1",
    "gpt-4o-2024-11-20",
    "gpt-4o",
    "gpt-5-mini",
    "o3-mini",
    "claude-sonnet-4",
    "claude-sonnet-4.5",
    "claude-opus-4.5",
    "claude-opus-4.6-1m",
    "claude-opus-4.6-fast",
    "claude-opus-4.6",
    "claude-haiku-4.5",
    "gemini-2.5-pro",
]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("gpt-4.1", "gpt-4.1"),
        ("gpt-4o-2024-11-20", "gpt-4o-2024-11-20"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gpt-5-mini-latest", "gpt-5-mini"),
        ("gpt-4-1", "gpt-4.1"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5", "claude-sonnet-4.5"),
        ("claude-opus-4-6", "claude-opus-4.6"),
        ("claude-opus-4-6-fast", "claude-opus-4.6-fast"),
        ("claude-opus-4.6[1m]", "claude-opus-4.6"),
        ("gemini-2-5-pro", "gemini-2.5-pro"),
        ("claude-3-5-sonnet-20241022", "claude-sonnet-4.5"),
        ("claude-3-5-sonnet-latest", "claude-sonnet-4.5"),
        ("claude-3.5-sonnet", "claude-sonnet-4.5"),
        ("claude-3-7-sonnet-20250219", "claude-sonnet-4.5"),
        ("claude-3-sonnet-20240229", "claude-sonnet-4"),
        ("claude-3-opus-20240229", "claude-opus-4.5"),
        ("claude-3-5-haiku-20241022", "claude-haiku-4.5"),
        ("claude-3-haiku-20240307", "claude-haiku-4.5"),
        ("opus", "claude-opus-4.6"),
        ("sonnet", "claude-sonnet-4.5"),
        ("haiku", "claude-haiku-4.5"),
        ("gpt-9", None),
        ("claude-sonnet-9-9", None),
        ("my-opus", None),
        ("", None),
        ("constructor", None),
        ("[1m]", None),
    ],
)
def test_a_name_means_a_model(asked: str, found: str | None) -> None:
    assert match_model(asked, AVAILABLE) == found


def test_an_exact_name_wins_over_every_other_reading() -> None:
    available = ["claude-sonnet-4.5", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929"]
    assert match_model("claude-sonnet-4-5-20250929", available) == "claude-sonnet-4-5-20250929"


def test_dots_are_tried_as_dashes() -> None:
    assert match_model("claude-sonnet-4.5", ["claude-sonnet-4-5"]) == "claude-sonnet-4-5"


def test_a_legacy_name_means_nothing_where_its_successor_is_missing() -> None:
    assert match_model("claude-3-5-sonnet-20241022", ["gpt-4.1"]) is None


def test_a_family_means_nothing_where_it_has_no_member() -> None:
    assert match_model("opus", ["gpt-4.1"]) is None


def test_nothing_is_found_in_an_empty_list() -> None:
    assert match_model("gpt-4.1", []) is None


def test_an_alias_avoids_the_unusable_unless_there_is_nothing_else() -> None:
    assert match_model("opus", AVAILABLE, {"claude-opus-4.6"}) == "claude-opus-4.6-1m"
    assert match_model("haiku", AVAILABLE, {"claude-haiku-4.5"}) == "claude-haiku-4.5"


def test_a_name_of_its_own_means_itself_though_it_cannot_be_used() -> None:
    assert match_model("gpt-4o-2024-11-20", AVAILABLE, {"gpt-4o-2024-11-20"}) == "gpt-4o-2024-11-20"


@pytest.mark.parametrize("name", ["1" * 1_000_000, "-1" * 500_000, "claude-3-" * 100_000], ids=["1", "-1", "claude"])
def test_a_name_of_absurd_length_means_nothing_and_takes_no_time(name: str) -> None:
    before = time.process_time()
    assert resolve(name, {"*1*1*1*x*": "gpt-4.1"}, AVAILABLE) == (name, None)
    assert time.process_time() - before < 1


MAPPING = {
    "*": "gpt-4.1",
    "claude-*": "claude-sonnet-4.5",
    "claude-*-haiku*": "gpt-5-mini",
    "*-haiku-*": "o3-mini",
    "claude-3-5-haiku-latest": "claude-haiku-4.5",
    "gpt-*[x]": "o3-mini",
}


@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("claude-3-5-haiku-latest", "claude-haiku-4.5"),
        ("claude-3-5-haiku-20241022", "gpt-5-mini"),
        ("claude-opus-4.6", "claude-sonnet-4.5"),
        ("claude-", "claude-sonnet-4.5"),
        ("my-haiku-1", "o3-mini"),
        ("gpt-5[x]", "o3-mini"),
        ("gpt-5x", "gpt-5x"),
        ("gpt-9", "gpt-9"),
        ("", ""),
        ("constructor", "constructor"),
        ("a claude-opus", "a claude-opus"),
    ],
)
def test_an_exact_key_wins_then_the_pattern_that_says_most(asked: str, target: str) -> None:
    assert map_model(asked, MAPPING) == target
    assert map_model(asked, dict(reversed(MAPPING.items()))) == target


def test_of_equal_patterns_the_first_wins() -> None:
    assert map_model("ab", {"a*": "x", "*b": "y"}) == "x"
    assert map_model("ab", {"*b": "y", "a*": "x"}) == "y"


def test_stars_do_not_count() -> None:
    assert map_model("abcd", {"*a*b*c*": "x", "abcd*": "y"}) == "y"


def test_a_pattern_does_not_use_a_character_twice() -> None:
    assert map_model("aba", {"ab*ba": "x"}) == "aba"
    assert map_model("abba", {"ab*ba": "x"}) == "x"
    assert map_model("abc", {"a*bc*c": "x"}) == "abc"


@given(st.text("ab-", max_size=8), st.text("ab-*", min_size=1, max_size=6).filter(lambda key: key.strip("*")))
def test_patterns_are_those_of_a_shell(name: str, pattern: str) -> None:
    fits = re.fullmatch(fnmatch.translate(pattern), name) is not None
    assert map_model(name, {pattern: "target"}) == ("target" if fits else name)


@pytest.mark.parametrize(
    ("asked", "mapping", "found"),
    [
        ("gpt-4.1", {"gpt-4.1": "o3-mini"}, ("o3-mini", "o3-mini")),
        ("gpt-4.1", {"gpt-*": "o3-mini"}, ("o3-mini", "o3-mini")),
        ("gpt-4.1", {"*": "o3-mini"}, ("gpt-4.1", "gpt-4.1")),
        ("claude-3-5-sonnet-latest", {"*": "o3-mini"}, ("claude-3-5-sonnet-latest", "claude-sonnet-4.5")),
        ("opus", {"*": "o3-mini"}, ("opus", "claude-opus-4.6")),
        ("opus", {"opus": "sonnet", "sonnet": "gpt-4.1"}, ("sonnet", "claude-sonnet-4.5")),
        ("unheard-of", {"*": "gpt-4-1"}, ("gpt-4-1", "gpt-4.1")),
        ("unheard-of", {"*": "neither"}, ("neither", None)),
        ("a", {"a": "b", "b": "gpt-4.1", "*": "gpt-4.1"}, ("b", None)),
        ("a", {}, ("a", None)),
    ],
    ids=[
        "an exact key beats the list",
        "a pattern beats the list",
        "the last resort does not",
        "nor a legacy name",
        "nor an alias",
        "a target is matched like any name, but not mapped again",
        "the last resort's target is matched too",
        "or not",
        "nothing is mapped twice",
        "no mapping",
    ],
)
def test_mapping_comes_before_matching(asked: str, mapping: dict[str, str], found: tuple[str, str | None]) -> None:
    assert resolve(asked, mapping, AVAILABLE) == found


def test_names_that_look_alike_are_few_and_the_best_first() -> None:
    assert closest("claude-opus-46", AVAILABLE)[0] == "claude-opus-4.6"
    assert len(closest("claude-opus-46", AVAILABLE)) == 3
    assert closest("zzz", AVAILABLE) == []
