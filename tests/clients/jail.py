"""A network of our own with nothing in it but loopback: what a client wants to tell its maker fails at once.

Linux gives one to root, and to users where it lets them have a user namespace. Elsewhere the clients run without.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import queue
import socket
import struct
import sys
import threading
from pathlib import Path

NEW_USER, NEW_NETWORK = 0x10000000, 0x40000000
SET_FLAGS, UP, RUNNING = 0x8914, 0x1, 0x40  # SIOCSIFFLAGS, IFF_UP, IFF_RUNNING
PIECE = 65536


def enter() -> bool:
    """Move this thread, and what it starts from now on, there. False: not on this machine."""
    if not sys.platform.startswith("linux"):
        return False
    trial = os.fork()  # half an entry, as some systems allow, would be worse than none
    if not trial:
        try:
            _enter()
        finally:
            os._exit(sys.exc_info()[0] is not None)
    if os.waitpid(trial, 0)[1]:
        return False
    _enter()
    return True


def _enter() -> None:
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_NETWORK) != 0:
        if libc.unshare(NEW_USER | NEW_NETWORK) != 0:
            raise OSError(ctypes.get_errno(), "no network of our own")
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket() as anything:
        fcntl.ioctl(anything, SET_FLAGS, struct.pack("16sH14x", b"lo", UP | RUNNING))


class Gate:
    """One port of the outer loopback, to be found at the same port inside.

    Made outside, opened inside: a thread keeps the network that it began in.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listeners: queue.Queue[socket.socket] = queue.Queue()
        threading.Thread(target=self._serve, daemon=True).start()

    def open(self) -> None:
        self._listeners.put(socket.create_server(("127.0.0.1", self._port)))

    def _serve(self) -> None:
        listener = self._listeners.get()
        while True:
            inner, _ = listener.accept()
            try:
                outer = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                inner.close()
                continue
            for source, target in ((inner, outer), (outer, inner)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(PIECE):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()
