from __future__ import annotations

import pytest

from copilot_trio.models.mapping import match_model

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
