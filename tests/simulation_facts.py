"""What the simulation's judge goes by: what went over the wire, what people did, and what the specification says of it.

Nothing here knows how the proxy decides. :data:`RULES` is product.md §4.3 written down once more, by the rows of
upstream.md §12.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal
from urllib.parse import parse_qs

import msgspec

from copilot_trio.twin import errors

MODEL_PATHS = {"/chat/completions", "/v1/messages", "/responses"}
TOKEN, USER, MODELS = "/copilot_internal/v2/token", "/copilot_internal/user", "/models"
PATIENCE = 30.0  # seconds that a request waits for a cooldown
AFFINITY = 3600.0
LIST_AGE = 600.0  # for how long a list of models is good
MONTH_END = 1_790_812_800.0  # 1 October 2026, UTC: the fourth day of the simulated week

Ending = Literal["", "finished", "cut", "left"]


class Sent(msgspec.Struct, kw_only=True):
    """One call that reached upstream. ``marker`` names the client's request; ``over`` is when its last byte went."""

    number: int
    at: float
    login: str
    path: str
    marker: str = ""
    model: str = ""
    initiator: str = ""
    bearer: int = 0
    body: int = 0
    reused: bool = False  # not the first on its connection
    quota_left: bool = False  # when this was asked, upstream's own books said so
    status: int = 0
    began: float | None = None  # when the status line went out
    headers: dict[str, str] = {}
    said: bytes = b""
    over: float | None = None
    ending: Ending = ""

    @property
    def row(self) -> str:
        return row_of(self.status, self.said.decode(errors="replace"))

    @property
    def stale(self) -> bool:
        """A connection that had carried another, closed before a byte came back."""
        return self.status == 0 and self.ending == "cut" and self.reused


class Asked(msgspec.Struct, kw_only=True):
    """One request of a client. ``failure`` is what it read of the error, empty where it was answered in full."""

    marker: str
    conversation: str
    pin: str
    model: str
    initiator: str
    at: float
    over: float = 0.0
    status: int = 0
    failure: str = ""


class Deed(msgspec.Struct, frozen=True):
    """Of a person: ``enable``, ``disable``, ``acknowledge``, ``add``, ``remove``."""

    at: float
    login: str
    what: str


class Dialled(msgspec.Struct, frozen=True):
    """A way out that did not open."""

    at: float
    login: str
    egress: str


Scope = Literal["request", "model", "account", "quota", "upstream", "warning", "banned"]
Then = Literal["stop", "repair", "next"]


class Rule(msgspec.Struct, frozen=True):
    """``seconds``: the cooldown where upstream names none; ``doubtful``: how long it may be as well."""

    scope: Scope
    then: Then = "stop"
    seconds: float = 0.0
    doubtful: float = 0.0


_REQUEST = (
    "missing_authorization", "malformed_authorization", "missing_editor_version", "unknown_editor_version",
    "model_max_prompt_tokens_exceeded", "prompt_too_long", "invalid_request_body", "empty_message",
    "tool_pairing", "previous_response_not_found", "off_topic", "bad_request", "authorize_url", "auto_mode_selector",
    "page_not_found", "repository_access", "method_not_allowed", "request_too_large", "request_too_large_json",
    "prompt_filtered", "agent_dependency", "client_not_supported",
)  # fmt: skip
REPAIRED_BODY = (
    "thinking_signature", "thinking_signature_vendor", "thinking_signature_bare", "encrypted_item_mismatch",
    "encrypted_content", "encrypted_output", "item_id", "item_id_401",
)  # fmt: skip
ONCE_MORE = {"user_request_timeout", "misdirected", "token_expired", "token_expired_old", "bad_token"}
REFUSED_TOKEN = {"token_expired", "token_expired_old", "bad_token"}
_QUOTA = ("quota_exceeded", "free_quota_exceeded", "overage_limit_reached", "billing_not_configured",
          "additional_spend_limit_reached")  # fmt: skip
_LIMITS = ("rate_limited", "user_global_rate_limited", "user_weekly_rate_limited")
_OPEN_LIMITS = ("integration_rate_limited", "agent_mode_limit_exceeded", "extension_blocked")
_MODEL_LIMITS = ("user_model_rate_limited", "model_overloaded", "upstream_provider_rate_limit")
HOUR = 3600.0
RULES: dict[str, Rule] = {
    **dict.fromkeys(_REQUEST, Rule("request")),
    **dict.fromkeys((*REPAIRED_BODY, *ONCE_MORE, "unsupported_api_for_model"), Rule("request", "repair")),
    # Only the list of models can say why, and another account's may have it.
    **dict.fromkeys(("model_not_supported", "model_not_available_for_integrator"), Rule("request", "next")),
    **dict.fromkeys(("feature_not_authorized", "access_denied"), Rule("model", "next", doubtful=HOUR)),
    **dict.fromkeys(_MODEL_LIMITS, Rule("model", "next", 60.0, 60.0)),
    "overloaded": Rule("model", doubtful=60.0),
    **dict.fromkeys(_LIMITS, Rule("account", "next", 60.0, 60.0)),
    **dict.fromkeys(_OPEN_LIMITS, Rule("account", "next", 60.0, 60.0)),
    **dict.fromkeys(_QUOTA, Rule("quota", "next")),
    **dict.fromkeys(("pat_permission", "classic_pat"), Rule("banned", "next")),
    **dict.fromkeys(("tos_block", "tos_block_old"), Rule("warning")),
    **dict.fromkeys(("unicorn", "internal_error", "bad_gateway", "gateway_timeout", "cancelled"), Rule("upstream")),
}
TWICE = {"encrypted_item_mismatch", "item_id", "item_id_401"}  # first the ids go, then what is encrypted
UNLISTED = {"model_not_supported", "model_not_available_for_integrator", "unsupported_api_for_model"}
UNCOUNTED = {"cancelled"}  # whether it is one of three failures in a row is open

BROKEN_OFF = {402: Rule("quota", "next"), 429: Rule("account", "next", doubtful=HOUR)}


def rule_of(sent: Sent) -> Rule | None:
    """None for what was no refusal, and for one that no row of the catalogue explains."""
    if sent.row:
        return RULES[sent.row]
    if sent.status >= 500:
        return Rule("upstream")
    if sent.status < 400 or sent.ending == "finished":
        return None
    return BROKEN_OFF.get(sent.status, Rule("request", "repair"))  # by what could be read of it


_BY_TEXT = {(row.status, row.body): name for name, row in reversed(errors.NAMED.items())}


def row_of(status: int, text: str) -> str:
    """By what was said, wherever it was said; empty for what no row has."""
    if status in {0, 200}:
        return ""
    if errors.FOREIGN_SIGNATURE in text:
        return "thinking_signature"
    if status == 400 and " is not accessible via the " in text:
        return "unsupported_api_for_model"
    return _BY_TEXT.get((status, text), "")


def retry_after(headers: dict[str, str], now: float) -> float | None:
    """Seconds from ``now``, in whole seconds or as a date; None for what is neither (upstream.md §12, end)."""
    value = headers.get("retry-after", "")
    if value.isdecimal():
        return float(value)
    try:
        return parsedate_to_datetime(value).timestamp() - now
    except ValueError:
        return None


def window_ends(headers: dict[str, str]) -> float | None:
    for name in ("x-usage-ratelimit-session", "x-usage-ratelimit-weekly"):
        if name in headers:
            return datetime.fromisoformat(parse_qs(headers[name])["rst"][0]).astimezone(UTC).timestamp()
    return None
