"""Opening the twin's two ports: on loopback, and nowhere else."""

from __future__ import annotations

import ipaddress

import msgspec
import trio

from copilot_trio.server.listen import Limits, Server

from .twin import Twin


class Ports(msgspec.Struct, frozen=True):
    base_url: str
    control_url: str


async def serve_twin(
    twin: Twin,
    host: str = "127.0.0.1",
    port: int = 0,
    control_port: int = 0,
    *,
    limits: Limits | None = None,
    task_status: trio.TaskStatus[Ports] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled. Port 0 means a free one; ``task_status`` tells which.

    Raises ValueError for a host that is not loopback: the twin lets anybody in.
    """
    address = loopback_address(host)
    limits = limits or Limits()
    shown = f"[{address}]" if ":" in address else address
    opened = await trio.open_tcp_listeners(port, host=address)
    try:
        opened += await trio.open_tcp_listeners(control_port, host=address)
        main, control = opened  # one address each, so one listener each
        ports = Ports(f"http://{shown}:{_port_of(main)}", f"http://{shown}:{_port_of(control)}")
        twin.base_url = ports.base_url
        async with trio.open_nursery() as nursery:
            await nursery.start(Server(twin.handle, limits).serve, [main])
            await nursery.start(Server(twin.control, limits).serve, [control])
            task_status.started(ports)
    finally:  # a server that is cancelled leaves its listeners to who opened them
        for listener in opened:
            listener.socket.close()


def _port_of(listener: trio.SocketListener) -> int:
    port: int = listener.socket.getsockname()[1]
    return port


def loopback_address(host: str) -> str:
    """``host`` as an address. "localhost" is one address, not two, so that port 0 is one port."""
    address = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"the twin only listens on loopback, and {host!r} is not")
    return address
