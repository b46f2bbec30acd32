from __future__ import annotations

import msgspec
import pytest

from copilot_trio.models.model import Model, explain_refusal, parse_models


def parse_one(entry: dict[str, object]) -> Model:
    models, unreadable = parse_models(msgspec.json.encode({"data": [entry], "object": "list"}))
    assert (len(models), unreadable) == (1, 0)
    return models[0]


OLDER = b"""{"data":[{"billing":{"is_premium":true,"multiplier":3,"restricted_to":["pro"]},"capabilities":{"family":
"claude-opus-4.6","limits":{"max_context_window_tokens":200000,"max_non_streaming_output_tokens":16000,
"max_output_tokens":32000,"max_prompt_tokens":168000,"vision":{"max_prompt_image_size":3145728,"max_prompt_images":1,
"supported_media_types":["image/jpeg"]}},"object":"model_capabilities","supports":{"adaptive_thinking":true,
"max_thinking_budget":32000,"min_thinking_budget":1024,"reasoning_effort":["low","high"],"tool_calls":true},
"tokenizer":"o200k_base","type":"chat"},"id":"claude-opus-4.6","model_picker_enabled":true,"name":"Claude Opus 4.6",
"object":"model","policy":{"state":"unconfigured","terms":"x"},"preview":false,
"supported_endpoints":["/v1/messages","/chat/completions"],"vendor":"Anthropic","version":"v"}],"object":"list"}"""
NEWER = b"""{"data":[{"billing":{"token_prices":{"batch_size":1000000,"default":{"cache_price":55}}},
"capabilities":{"family":"gpt-5-mini","limits":{},"supports":{},"type":"chat"},"id":"gpt-5-mini","preview":false,
"warning_messages":[{"code":"model_degraded_github","message":"m"}]}],"object":"list"}"""


def test_the_older_shape_is_read() -> None:
    (model,), _ = parse_models(OLDER)
    assert (model.id, model.vendor, model.limits.max_output_tokens) == ("claude-opus-4.6", "Anthropic", 32000)
    assert model.supports.reasoning_effort == ("low", "high")
    assert model.limits.vision.max_prompt_image_size == 3145728
    assert model.policy is not None
    assert model.policy.state == "unconfigured"
    assert model.billing["multiplier"] == 3


def test_the_newer_shape_is_read() -> None:
    (model,), _ = parse_models(NEWER)
    assert model.billing["token_prices"]["default"]["cache_price"] == 55


def test_an_id_is_enough() -> None:
    assert parse_one({"id": "x"}) == Model(id="x")


@pytest.mark.parametrize(
    ("entry", "endpoints"),
    [
        ({"id": "gpt-4"}, ("/chat/completions",)),
        ({"id": "gpt-4", "supported_endpoints": None}, ("/chat/completions",)),
        ({"id": "gpt-4", "supported_endpoints": []}, ("/chat/completions",)),
        ({"id": "e", "capabilities": {"type": "embeddings"}}, ("/embeddings",)),
        ({"id": "c", "supported_endpoints": ["/responses", "ws:/responses"]}, ("/responses", "ws:/responses")),
        ({"id": "n", "supported_endpoints": ["/v9/unheard-of"]}, ("/v9/unheard-of",)),
    ],
    ids=["absent", "null", "empty", "embeddings", "responses only", "unknown"],
)
def test_endpoints_follow_the_list_or_the_type(entry: dict[str, object], endpoints: tuple[str, ...]) -> None:
    assert parse_one(entry).endpoints == endpoints


@pytest.mark.parametrize(
    "field", ["name", "vendor", "version", "policy", "billing", "capabilities", "request_headers", "preview"]
)
def test_a_null_is_a_missing_field(field: str) -> None:
    assert parse_one({"id": "x", field: None}) == Model(id="x")


def test_nulls_deep_inside_are_missing_fields() -> None:
    entry: dict[str, object] = {
        "id": "x",
        "capabilities": {"limits": {"vision": None, "max_output_tokens": 5}, "supports": None},
    }
    assert parse_one(entry).limits.max_output_tokens == 5


def test_numbers_as_strings_are_read() -> None:
    assert parse_one({"id": "x", "capabilities": {"limits": {"max_output_tokens": "5"}}}).limits.max_output_tokens == 5


def test_of_duplicate_ids_the_first_wins() -> None:
    models, _ = parse_models(b'{"data":[{"id":"gpt-4","name":"a"},{"id":"o"},{"id":"gpt-4","name":"b"}]}')
    assert [(model.id, model.name) for model in models] == [("gpt-4", "a"), ("o", "")]


@pytest.mark.parametrize("entry", [b"5", b'{"name":"no id"}', b'{"id":5}', b'{"id":"x","capabilities":[]}', b"null"])
def test_an_unreadable_entry_is_left_out_and_counted(entry: bytes) -> None:
    models, unreadable = parse_models(b'{"data":[{"id":"a"},%b,{"id":"b"}]}' % entry)
    assert ([model.id for model in models], unreadable) == (["a", "b"], 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"data":{}}', b'{"error":{"message":"no"}}', b"null"])
def test_what_is_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        parse_models(body)


@pytest.mark.parametrize(
    ("billing", "multiplier", "free"),
    [
        ({"is_premium": True, "multiplier": 3}, 3, False),
        ({"is_premium": True, "multiplier": 0.25}, 0.25, False),
        ({"is_premium": True, "multiplier": 0}, 0, True),
        ({"is_premium": False, "multiplier": 1}, 1, True),
        ({"is_premium": False}, 1, True),
        ({"multiplier": -1}, 1, False),
        ({"multiplier": "3"}, 1, False),
        ({"token_prices": {"batch_size": 0}}, 1, True),
        ({"token_prices": {"batch_size": 0}, "is_premium": True}, 1, True),
        ({"token_prices": {"batch_size": 1_000_000, "default": {"cache_price": 55}}}, 1, False),
        ({"token_prices": {"batch_size": 1_000_000}, "is_premium": False, "multiplier": 0}, 0, False),
        ({"token_prices": {}}, 1, False),
        ({"token_prices": None, "multiplier": 0}, 0, True),
        ({}, 1, False),
        (None, 1, False),
    ],
    ids=["dear", "cheap", "nothing", "included", "included without a figure", "negative", "text", "a free batch",
         "a free batch of a premium model", "by tokens", "by tokens, whatever stands beside", "no prices",
         "null prices", "nothing said", "no billing"],
)  # fmt: skip
def test_what_a_model_costs(billing: object, multiplier: float, *, free: bool) -> None:
    model = parse_one({"id": "x", "billing": billing})
    assert (model.multiplier, model.free) == (multiplier, free)


@pytest.mark.parametrize(
    ("billing", "plans"),
    [
        ({"restricted_to": ["pro", "max"]}, ("pro", "max")),
        ({"restricted_to": []}, ()),
        ({"restricted_to": None}, ()),
        ({"restricted_to": "pro"}, ()),
        ({}, ()),
        (None, ()),
    ],
    ids=["listed", "empty", "null", "odd", "absent", "no billing"],
)
def test_the_plans_of_a_model(billing: object, plans: tuple[str, ...]) -> None:
    assert parse_one({"id": "x", "billing": billing}).plans == plans


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, "list has no 'asked'"),
        ({"policy": {"state": "unconfigured"}}, "its terms have not been accepted: see https://github.com/settings"),
        ({"policy": {"state": "disabled"}}, "a policy of the account or its organisation has disabled it"),
        ({"billing": {"restricted_to": ["pro", "max"]}}, "x is only for the plans pro, max:"),
        ({"policy": {"state": "enabled"}}, "x is in the account's model list, open to every plan"),
    ],
    ids=["not listed", "terms", "policy", "plan", "nothing known"],
)
def test_upstreams_refusal_of_a_model_is_explained(entry: dict[str, object] | None, reason: str) -> None:
    explained = explain_refusal(parse_one({"id": "x", **entry}) if entry is not None else None, "asked")
    assert reason in explained
    assert explained.endswith(".")
