"""Accepting connections, no more than we can carry, and stopping without dropping answers."""

from __future__ import annotations

import errno
import logging
from collections.abc import Sequence

import trio

from .connection import Connection, Limits, Serving
from .exchange import AdmitHead, Handler, Refuse, refuse_in_plain_text

__all__ = ["Limits", "Listener", "Server"]

logger = logging.getLogger(__name__)

Listener = trio.abc.Listener[trio.abc.HalfCloseableStream]

# The process, the machine or the kernel is out of something; it passes (accept(2)).
OUT_OF_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
# The connection died between SYN and accept; the next one is fine.
GONE_ALREADY = {
    errno.ECONNABORTED, errno.ECONNRESET, errno.EPROTO, errno.EPERM,
    errno.ETIMEDOUT, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH,
}  # fmt: skip
ACCEPT_PAUSE = 0.1
COMPLAIN_EVERY = 60.0


class Server:
    def __init__(
        self,
        handler: Handler,
        limits: Limits,
        refuse: Refuse = refuse_in_plain_text,
        admit_head: AdmitHead | None = None,
    ) -> None:
        self._admit_head = admit_head
        self._handler = handler
        self._refuse = refuse
        self._limits = limits
        self._accepting = trio.CancelScope()
        self._serving = Serving()
        self._places = trio.Semaphore(limits.max_connections)
        self._complained = float("-inf")

    async def serve(
        self,
        listeners: Sequence[Listener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until :meth:`stop`, then give the answers under way ``Limits.drain`` seconds. Closes the listeners."""
        async with trio.open_nursery() as connections:
            try:
                with self._accepting:
                    async with trio.open_nursery() as accepting:
                        for listener in listeners:
                            accepting.start_soon(self._accept, listener, connections)
                        task_status.started()
            finally:
                self._serving.stopping = True
                with trio.move_on_after(self._limits.close_timeout, shield=True):
                    for listener in listeners:
                        await listener.aclose()
            for scope in list(self._serving.idle):
                scope.cancel("shutting down")
            connections.cancel_scope.deadline = trio.current_time() + self._limits.drain

    def stop(self) -> None:
        self._accepting.cancel("shutting down")

    async def _accept(self, listener: Listener, connections: trio.Nursery) -> None:
        while True:
            # A place is taken before accepting, so that a flood waits in the kernel's backlog, not in ours.
            await self._places.acquire()
            try:
                stream = await listener.accept()
            except OSError as error:
                self._places.release()
                await self._survive(error)
            except BaseException:
                self._places.release()
                raise
            else:
                connections.start_soon(self._serve_one, stream)

    async def _survive(self, error: OSError) -> None:
        if error.errno in OUT_OF_RESOURCES:
            if trio.current_time() >= self._complained + COMPLAIN_EVERY:
                self._complained = trio.current_time()
                logger.error("cannot accept connections: %s; waiting for some to end", error)
            await trio.sleep(ACCEPT_PAUSE)
        elif error.errno not in GONE_ALREADY:
            raise error

    async def _serve_one(self, stream: trio.abc.HalfCloseableStream) -> None:
        try:
            await Connection(stream, self._handler, self._limits, self._serving, self._refuse, self._admit_head).serve()
        finally:
            self._places.release()
