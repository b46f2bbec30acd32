from __future__ import annotations

from world import BASE

from copilot_trio.accounts.account import Account, AccountRecord, Hosts
from copilot_trio.config import Config
from copilot_trio.upstream.identity import call_headers, github_headers, models_headers
from copilot_trio.upstream.network import dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

IDENTITY = Config().identity


async def account() -> Account:
    record = AccountRecord(id="a", label="a", github_token="ghu_SYNTHETIC", machine_id="m1")
    return Account(record, Hosts(BASE, BASE), AccountPool(dial_direct, shared_context))


async def test_a_model_call_is_an_editors_call_of_this_account() -> None:
    sender = await account()
    headers = dict(
        call_headers(IDENTITY, sender, "tok", "r1", initiator="agent", vision=True, betas="b-1", stream=True)
    )
    assert headers["Authorization"] == "Bearer tok"
    assert headers["Editor-Version"] == IDENTITY.editor_version
    assert headers["VScode-MachineId"] == "m1"
    assert headers["VScode-SessionId"] == sender.session_id
    assert (headers["X-Request-Id"], headers["X-Initiator"]) == ("r1", "agent")
    assert (headers["Copilot-Vision-Request"], headers["anthropic-beta"]) == ("true", "b-1")
    assert headers["Accept"] == "text/event-stream"


async def test_what_does_not_apply_is_not_sent() -> None:
    headers = dict(
        call_headers(IDENTITY, await account(), "tok", "r1", initiator="user", vision=False, betas=None, stream=False)
    )
    assert not {"Copilot-Vision-Request", "anthropic-beta"} & headers.keys()
    assert headers["Accept"] == "application/json"


async def test_two_accounts_share_no_id() -> None:
    one, two = await account(), await account()
    assert one.session_id != two.session_id


async def test_the_model_list_is_asked_for_as_vs_code_asks() -> None:
    headers = dict(models_headers(IDENTITY, await account(), "tok", "r1"))
    assert headers["OpenAI-Intent"] == "model-access"
    assert "X-Initiator" not in headers


def test_github_gets_the_github_token_and_no_editor_headers() -> None:
    headers = dict(github_headers(IDENTITY, "ghu_SYNTHETIC"))
    assert headers["Authorization"] == "token ghu_SYNTHETIC"
    assert "Editor-Version" not in headers
    assert "Authorization" not in dict(github_headers(IDENTITY))
