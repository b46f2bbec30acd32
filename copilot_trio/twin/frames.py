"""Responses over a WebSocket, without the socket: what a frame asks, what goes back, what is kept (upstream.md §9)."""

from __future__ import annotations

from typing import Any

import msgspec

from . import errors
from .catalogue import RESPONSES, SOCKET
from .copilot_routes import Served, generate
from .github import QuotaSnapshot
from .reply import JSON, Frame, Reply, encode_sorted, entries, members
from .rules import invalid_value
from .state import Call, State

METHOD = "FRAME"
EXPERIMENTS = "exp_twin_a:1;exp_twin_b:2;"
# What an error that is no JSON is called; with 402 and 429 come the quotas.
CODES = {
    400: "bad_request",
    401: "unauthorized",
    402: "quota_exceeded",
    403: "forbidden",
    404: "not_found",
    413: "request_too_large",
    422: "content_filter",
    429: "rate_limited",
    500: "internal_error",
}
OUT_OF_QUOTA = {402, 429}
UNVERIFIED = "The encrypted content "


class Session:
    """One socket's memory: who opened it, and the conversation up to its last completed response.

    A response that fails or does not get through is forgotten, and with it the ones before.
    """

    def __init__(self, state: State, handshake: Call) -> None:
        assert handshake.caller.account is not None
        self.id = state.identifiers.uuid()
        self._state = state
        self._handshake = handshake
        self._account = handshake.caller.account
        self._last = ""  # what the ids of the last response mean
        self._kept: list[Any] = []
        self._asked: list[Any] = []  # the conversation, as far as the frame at hand
        self._quota: JSON = {}

    def call_of(self, text: str | bytes) -> Call:
        """A client's frame as a request: with the headers of the handshake, and its own initiator."""
        body = text.encode() if isinstance(text, str) else text
        initiator = _decoded(body).get("initiator")
        headers = {name: value for name, value in self._handshake.headers.items() if name != "x-initiator"}
        if isinstance(initiator, str):
            headers["x-initiator"] = initiator
        return msgspec.structs.replace(self._handshake, method=METHOD, path=RESPONSES, headers=headers, body=body)

    def answer(self, state: State, call: Call) -> Served:
        self._quota = QuotaSnapshot.of(self._account).body(state.now())
        self._asked = []
        frame = _decoded(call.body)
        if not frame:
            return Served(reply=errors.error("invalid_request_body"))
        if frame.get("type") != "response.create":
            return Served(reply=errors.rejected(invalid_value(frame.get("type"), ("response.create",))))
        if "stream" in frame:  # there is no other way here
            return Served(reply=errors.rejected("Unknown parameter: 'stream'."))
        body = {name: value for name, value in frame.items() if name not in {"type", "initiator"}}
        previous = body.pop("previous_response_id", None)
        if previous is not None:
            if not self._last or state.seal.open(str(previous)) != (self._account.login, self._last):
                return Served(reply=errors.error("previous_response_not_found"))
            body["input"] = [*self._kept, *_items(body.get("input"))]
        self._asked = _items(body.get("input"))
        return generate(state, call, self._account, body | {"stream": True}, SOCKET)

    def frames(self, served: Served) -> tuple[Frame, ...]:
        """One event each, with what only sockets add; errors in the gateway's own shape."""
        reply = served.reply
        if reply.frames is None:
            data = reply.body if reply.status == 200 else encode_sorted(self._error(reply))
            return (Frame(data, ending=True),)
        if served.scripted:
            return reply.frames
        headers = self._headers()
        return tuple(self._dressed(frame, headers) for frame in reply.frames)

    def settle(self, frames: tuple[Frame, ...], *, delivered: bool) -> None:
        """Keep what was said, if it was said to the end; else forget all."""
        ending = _decoded(frames[-1].data) if frames and delivered else {}
        self._last, self._kept = "", []
        if ending.get("type") != "response.completed":
            return
        response = members(ending.get("response"))
        meaning = self._state.seal.open(str(response.get("id", "")))
        if meaning is not None:
            self._last, self._kept = meaning[1], [*self._asked, *entries(response.get("output"))]

    def _dressed(self, frame: Frame, headers: JSON) -> Frame:
        event = _decoded(frame.data)
        if event.get("type") == "error":
            error = {"code": event["code"], "message": event["message"]}
            return Frame(encode_sorted({"type": "error", "error": error}), ending=True)
        extra: JSON = {"headers": headers}
        if frame.ending:
            extra["copilot_quota_snapshots"] = self._quota
        return Frame(encode_sorted(event | extra), ending=frame.ending)

    def _headers(self) -> JSON:
        identifiers = self._state.identifiers
        return {
            "X-Copilot-API-Exp-Assignment-Context": EXPERIMENTS,
            "X-Copilot-Service-Request-Id": identifiers.uuid(),
            "X-Copilot-WebSocket-Session-Id": self.id,
            "X-GitHub-Copilot-Request-Te": "true",
            "X-Request-Id": identifiers.uuid(),
        }

    def _error(self, reply: Reply) -> JSON:
        """Without status and headers (upstream.md §9.3); two of them under another code than over HTTP (§12)."""
        said = members(_decoded(reply.body).get("error"))
        message = str(said.get("message") or reply.body.decode(errors="replace").strip())
        default = CODES.get(reply.status, "service_unavailable" if reply.status > 500 else "bad_request")
        error: JSON = {"code": said.get("code") or default, "message": message}
        if message == errors.FOREIGN_ITEM:
            error |= {"code": "bad_request", "type": "websocket_error"}
        elif message.startswith(UNVERIFIED):
            error["code"] = "bad_request"
        frame: JSON = {"type": "error", "error": error}
        return frame | {"copilot_quota_snapshots": self._quota} if reply.status in OUT_OF_QUOTA else frame


def _items(given: object) -> list[Any]:
    return [{"role": "user", "content": given}] if isinstance(given, str) else entries(given)


def _decoded(data: bytes) -> JSON:
    try:
        return members(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
