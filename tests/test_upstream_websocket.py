"""Every way a WebSocket upstream can go, scripted byte for byte: what was not asked yet can still go over HTTP."""

from __future__ import annotations

import hashlib
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from world import World, error_of, events

from copilot_trio.accounts.outcome import Refusal
from copilot_trio.config import Config
from copilot_trio.errors import NoWebSocket, StreamTruncated, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from copilot_trio.twin import Fault
from copilot_trio.upstream.copilot import WEBSOCKET_PAUSE
from copilot_trio.upstream.network import Dial
from copilot_trio.upstream.pool import AccountPool, Timeouts
from copilot_trio.upstream.websocket import HANDSHAKE, MAX_FRAME, MEANT

URL = "http://upstream.test/responses"
FIRST = b'{"type":"response.created"}'
LAST = b'{"type":"response.completed"}'
Stream = trio.abc.HalfCloseableStream
Script = Callable[["Peer"], Awaitable[None]]


def framed(payload: bytes, opcode: int = 0x81) -> bytes:
    if len(payload) < 126:
        return bytes([opcode, len(payload)]) + payload
    if len(payload) < 1 << 16:
        return bytes([opcode, 126]) + len(payload).to_bytes(2, "big") + payload
    return bytes([opcode, 127]) + len(payload).to_bytes(8, "big") + payload


class Peer:
    """Upstream's end of one connection, after the head of the request was read."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.head = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    def welcome(self) -> bytes:
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")]
        key = next(value.strip() for name, _, value in lines if name.lower() == b"sec-websocket-key")
        proof = b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"x-github-request-id: R1\r\nsec-websocket-accept: " + proof + b"\r\n\r\n"
        )

    async def accept(self) -> None:
        """Shake hands, and read a frame, or enough of it."""
        await self.send(self.welcome())
        await self.stream.receive_some()

    async def hung_up(self) -> bool:
        with trio.move_on_after(1), suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while await self.stream.receive_some():
                pass
            return True
        return self.stream in CLOSED


CLOSED: list[Stream] = []


class Upstream:
    def __init__(self, nursery: trio.Nursery, script: Script) -> None:
        self._nursery = nursery
        self._script = script
        self.peers: list[Peer] = []

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        peer = Peer(theirs)
        self.peers.append(peer)
        self._nursery.start_soon(self._run, peer)
        return ours

    async def _run(self, peer: Peer) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while b"\r\n\r\n" not in peer.head and (data := await peer.stream.receive_some()):
                peer.head += data
            await self._script(peer)
