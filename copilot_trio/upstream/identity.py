"""The headers of every upstream call, in one table (upstream.md §4.1). Settings, not constants of nature."""

from __future__ import annotations

from copilot_trio.accounts.account import Account
from copilot_trio.config import Identity

Headers = list[tuple[str, str]]


def github_headers(identity: Identity, github_token: str | None = None, account: Account | None = None) -> Headers:
    """``account``: whose ids go along; there is none yet when somebody signs in."""
    headers = [
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", identity.user_agent),
        ("X-GitHub-Api-Version", identity.github_api_version),
    ]
    if account is not None:
        headers += account_headers(account)
    return headers if github_token is None else [("Authorization", f"token {github_token}"), *headers]


def account_headers(account: Account) -> Headers:
    """An account's own ids: no other's calls carry them (product.md §4.6)."""
    return [("VScode-SessionId", account.session_id), ("VScode-MachineId", account.record.machine_id)]


def copilot_headers(identity: Identity, account: Account, token: str, request_id: str) -> Headers:
    """What every Copilot call of this account carries, and of no other."""
    return [
        ("Authorization", f"Bearer {token}"),
        ("Accept-Encoding", "identity"),
        ("Copilot-Integration-Id", identity.integration_id),
        ("Editor-Version", identity.editor_version),
        ("Editor-Plugin-Version", identity.editor_plugin_version),
        ("User-Agent", identity.user_agent),
        ("X-GitHub-Api-Version", identity.copilot_api_version),
        ("X-Request-Id", request_id),
        *account_headers(account),
    ]


def models_headers(identity: Identity, account: Account, token: str, request_id: str) -> Headers:
    return [
        *copilot_headers(identity, account, token, request_id),
        ("OpenAI-Intent", "model-access"),
        ("Accept", "application/json"),
    ]


def call_headers(
    identity: Identity,
    account: Account,
    token: str,
    request_id: str,
    *,
    initiator: str,
    vision: bool,
    betas: str | None,
    stream: bool,
    intent: str | None = None,
    interaction: str | None = None,
) -> Headers:
    """A model call. ``initiator`` is derived from the request (product.md §5.4) and has no setting."""
    headers = [
        *copilot_headers(identity, account, token, request_id),
        ("Content-Type", "application/json"),
        ("Accept", "text/event-stream" if stream else "application/json"),
        ("OpenAI-Intent", intent or identity.intent),
        ("X-Initiator", initiator),
    ]
    if interaction is not None:
        headers.append(("X-Interaction-Type", interaction))
    if vision:
        headers.append(("Copilot-Vision-Request", "true"))
    if betas is not None:
        headers.append(("anthropic-beta", betas))
    return headers
