"""What the Copilot API refuses of chat, Responses and embeddings requests (upstream.md §7, §8, §11, §12)."""

from __future__ import annotations

from . import errors
from .catalogue import Model
from .identifiers import Seal
from .prompt import Prompt
from .reply import JSON, Reply, entries, members

MAX_TOOLS = 128
MAX_EMBEDDINGS = 512
ROLES = {"system", "developer", "user", "assistant", "tool", "function"}


def check_chat(prompt: Prompt, model: Model) -> Reply | None:
    messages = prompt.body.get("messages")
    if not isinstance(messages, list) or not messages:
        return errors.error("invalid_request_body")
    if any(members(message).get("role") not in ROLES for message in messages):
        return errors.error("invalid_request_body")
    if len(entries(prompt.body.get("tools"))) > MAX_TOOLS:
        return errors.error("invalid_request_body")
    return _check_pairing(messages, model) or _check_size(prompt, model)


def _check_size(prompt: Prompt, model: Model) -> Reply | None:
    if prompt.tokens > model.max_prompt:
        return errors.too_many_tokens(prompt.tokens, model.max_prompt, vendor=False)
    return None


def _check_pairing(messages: list[object], model: Model) -> Reply | None:
    """Each tool message answers a call of the turn before it; Claude wants each call answered, too."""
    unanswered: set[str] = set()
    asked_at = 0
    for index, message in enumerate(map(members, messages)):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in unanswered:
                return errors.error("invalid_request_body")
            unanswered.discard(str(message["tool_call_id"]))
            continue
        if unanswered and model.family == "claude":
            return errors.rejected(f"messages.{asked_at}: {errors.UNPAIRED}{', '.join(sorted(unanswered))}")
        calls = map(members, entries(message.get("tool_calls")))
        unanswered, asked_at = {str(call.get("id")) for call in calls}, index
    if unanswered and model.family == "claude":
        return errors.rejected(f"messages.{asked_at}: {errors.UNPAIRED}{', '.join(sorted(unanswered))}")
    return None


def check_responses(prompt: Prompt, model: Model, login: str, seal: Seal) -> Reply | None:
    body = prompt.body
    if not isinstance(body.get("input"), str | list):
        return errors.error("invalid_request_body")
    if body.get("previous_response_id"):  # the server keeps no state over HTTP (upstream.md §8.1)
        return errors.error("previous_response_not_found")
    if "stream_options" in body:
        return errors.rejected("stream_options: Extra inputs are not permitted")
    for item in map(members, entries(body.get("input"))):
        if problem := _check_item(item, login, seal):
            return problem
    return _check_size(prompt, model)


def _check_item(item: JSON, login: str, seal: Seal) -> Reply | None:
    """Ids we never made are ignored (``msg_123``); ours must belong to the account (upstream.md §14)."""
    if item.get("type") == "item_reference":
        return errors.error("previous_response_not_found")
    known = seal.open(str(item.get("id", "")))
    if known and known[0] != login:
        return errors.error("item_id")
    secret = item.get("encrypted_content")
    if not isinstance(secret, str):
        return None
    content = seal.open(secret)
    if content is None or content[0] != login:
        return errors.error("encrypted_content")
    if known and known[1].removeprefix("item ") != content[1].removeprefix("content "):
        return errors.error("encrypted_item_mismatch")
    return None


def check_embeddings(body: JSON) -> Reply | None:
    """``input`` must be a list of strings, and nothing else (upstream.md §0.1 fact 16)."""
    texts = body.get("input")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        return errors.error("bad_request")
    return errors.error("invalid_request_body") if len(texts) > MAX_EMBEDDINGS else None
