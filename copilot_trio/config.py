"""Settings: ``config.json``, the data directory, and what the environment overrides. Validated, never guessed at."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from copilot_trio.unreadable import UNREADABLE
from copilot_trio.upstream.proxy_url import check_proxy_url, shown_proxy

Right = Literal["inference", "admin"]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86400)]
HeaderValue = Annotated[str, msgspec.Meta(pattern=r"^[!-~]([ -~]*[!-~])?\Z")]
ModelName = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[^\s*]+\Z")]
ModelPattern = Annotated[str, msgspec.Meta(max_length=200, pattern=r"^(\*|\S*[^\s*]\S*)\Z")]  # stars alone: only one
Limit = Annotated[int, msgspec.Meta(ge=1)]
Delay = Annotated[float, msgspec.Meta(ge=0, le=60)]
AccountName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
GroupName = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]
ProxyText = Annotated[str, msgspec.Meta(max_length=1024)]
NoProxy = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"^[ -~]*\Z")]


class ApiKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Only the SHA-256 of a key is kept. ``group`` or ``account`` (label or id): where its requests go."""

    label: str
    sha256: Sha256
    rights: tuple[Right, ...] = ("inference", "admin")
    group: str | None = None
    account: str | None = None

    def __post_init__(self) -> None:
        if self.group is not None and self.account is not None:
            raise ValueError(f"the key {self.label!r} is pinned to a group and to an account: one of them is enough")


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As which client we present ourselves: VS Code, for the API refuses requests without an editor's version.

    The README and the first run say so plainly. Values: upstream.md §3.1, §4.1.
    """

    client_id: HeaderValue = "Iv1.b507a08c87ecfe98"
    scope: HeaderValue = "read:user"
    integration_id: HeaderValue = "vscode-chat"
    editor_version: HeaderValue = "vscode/1.113.0"
    editor_plugin_version: HeaderValue = "copilot-chat/0.42.0"
    user_agent: HeaderValue = "GitHubCopilotChat/0.42.0"
    copilot_api_version: HeaderValue = "2026-06-01"
    github_api_version: HeaderValue = "2025-04-01"
    intent: HeaderValue = "conversation-agent"


class TimeoutSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds (product.md §5.7)."""

    connect: Seconds = 15
    response_headers: Seconds = 120
    silence: Seconds = 300
    wait: Seconds = 30  # for a cooldown


class AccountSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How several accounts are used (product.md §4.4, §4.6). Seconds, where nothing else is said.

    ``default_group``: where requests without a pinned key go; as a rule the first account's. ``failover_on_quota``:
    whether a request goes on to the next account of its group where one's quota is used up. ``start_gap``: between the
    starts of two requests of an account; ``move_delay``: least and most before a conversation goes on elsewhere; both
    only where there is more than one account. ``pool_seconds`` and ``pool_jitter`` (a share of it): how often an
    account gets new connections. ``failures_allowed`` in a row, then it rests for ``error_seconds``. ``quota_seconds``:
    between two questions about a quota; ``ping_seconds``: between two signs of life through a proxy.
    """

    default_group: str | None = None
    failover_on_quota: bool = True
    affinity_entries: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10_000
    affinity_seconds: Seconds = 3600
    start_gap: Annotated[float, msgspec.Meta(ge=0, le=60)] = 1.0
    move_delay: tuple[Delay, Delay] = (1.0, 5.0)
    pool_seconds: Seconds = 4 * 3600
    pool_jitter: Annotated[float, msgspec.Meta(ge=0, le=0.9)] = 0.25
    failures_allowed: Limit = 3
    error_seconds: Seconds = 60
    quota_seconds: Seconds = 300
    ping_seconds: Seconds = 30

    def __post_init__(self) -> None:
        if self.move_delay[0] > self.move_delay[1]:
            raise ValueError("move_delay is the least and the most, in this order")


class ProxySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The saved proxy, of accounts without one of their own where ``--proxy-env`` is not given (product.md §4.9)."""

    enabled: bool = True
    http_proxy: ProxyText | None = None
    https_proxy: ProxyText | None = None
    no_proxy: NoProxy = ""

    def __post_init__(self) -> None:
        for name in ("http_proxy", "https_proxy"):
            if (url := getattr(self, name)) is not None:
                try:
                    check_proxy_url(url)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
        if self.http_proxy is None and self.https_proxy is None:
            raise ValueError("a saved proxy needs http_proxy, https_proxy or both")

    def __repr__(self) -> str:
        shown = [None if url is None else shown_proxy(url) for url in (self.http_proxy, self.https_proxy)]
        return f"<ProxySettings {'on' if self.enabled else 'off'} http {shown[0]} https {shown[1]}>"

    def variables(self) -> dict[str, str]:
        """As the environment would say it; each of the two proxies stands in for the other where one is missing."""
        plain, secure = self.http_proxy or self.https_proxy or "", self.https_proxy or self.http_proxy or ""
        return {"HTTP_PROXY": plain, "HTTPS_PROXY": secure, "NO_PROXY": self.no_proxy}


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``keep_billing_header``: leave Claude Code's attribution block in prompts, though it spoils the cache.

    ``model_mapping``: from a name that clients ask for, or a pattern of such names with ``*``, to the model that they
    get; ``*`` alone is for names that mean nothing else. ``concurrency``: requests at once by model id, and by
    ``default`` (10) for the others. ``auto_thinking``: let models think where the client says nothing about it.
    ``upstream_websocket``: ask upstream over a WebSocket where a model offers one; ``websocket``: serve Responses over
    one. ``web_search_model``: which model answers searches that the client leaves to the server. ``groups``: accounts,
    by label or id, that may stand in for each other; the others are grouped by host and type. ``proxy``: the saved one.
    ``management_key``: the SHA-256 of what opens ``/v0/management``. ``inspect_bodies``: keep headers and the beginning
    of the bodies of the newest requests in memory, for ``GET /api/requests``. ``budget_cookie_files``: by an account's
    label or id, a file that is yours alone with the cookies of its GitHub session: ``check-usage`` shows its budgets.
    """

    identity: Identity = Identity()
    keys: tuple[ApiKey, ...] = ()
    timeouts: TimeoutSettings = TimeoutSettings()
    keep_billing_header: bool = False
    model_mapping: dict[ModelPattern, ModelName] = {}
    concurrency: dict[ModelName, Limit] = {}
    auto_thinking: bool = True
    upstream_websocket: bool = False
    websocket: bool = True
    web_search_model: ModelName | None = None
    accounts: AccountSettings = AccountSettings()
    groups: dict[GroupName, tuple[str, ...]] = {}
    proxy: ProxySettings | None = None
    management_key: Sha256 | None = None
    inspect_bodies: bool = False
    budget_cookie_files: dict[AccountName, str] = {}

    def __post_init__(self) -> None:
        named = [name for names in self.groups.values() for name in names]
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"`groups` names the account {twice!r} more than once")


class DamagedFile(Exception):
    """A file that cannot be read as what it should be. It is left as it is; the message says what to do."""


parse_config = msgspec.json.Decoder(Config).decode
"""Raises ``UNREADABLE`` naming the field."""


def load_config(path: Path) -> Config:
    """Raises ``DamagedFile`` naming the field; a missing file means the defaults."""
    return read_config_file(path)[0]


def read_config_file(path: Path) -> tuple[Config, bytes]:
    """The settings and their text. Raises ``DamagedFile``; a missing file is an empty object."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        text = b"{}"
    except OSError as error:
        raise DamagedFile(f"{path} cannot be read: {error.strerror}. Mend its permissions.") from None
    try:
        return parse_config(text), text
    except UNREADABLE as error:
        raise DamagedFile(f"{path} is not usable: {error}. It was left as it is: mend that place.") from None


def data_directory(environment: Mapping[str, str]) -> Path:
    """``$COPILOT_TRIO_HOME``, else the platform's place for a user's data (product.md §1)."""
    if home := environment.get("COPILOT_TRIO_HOME"):
        return Path(home).expanduser()
    if sys.platform == "win32":
        return Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "copilot-trio"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "copilot-trio"
    base = environment.get("XDG_DATA_HOME")
    return (Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "share") / "copilot-trio"
