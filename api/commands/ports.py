"""Taking the port before anything heavy starts, so that a taken one is known at once."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterable

import msgspec

NEARBY = 20


class PortError(Exception):
    """The address cannot be listened on; the message is a sentence and what to do."""


class ClaimedPort(msgspec.Struct, frozen=True):
    """A port that no other process can take for as long as this is open.

    The socket never listens. The server processes listen beside it, which the kernel allows to
    the same user when every socket sets SO_REUSEPORT; a second service does not get in, because
    it looks first, with a socket that does not.
    """

    address: str
    """The IP address that the host stands for."""
    port: int
    sockets: tuple[socket.socket, ...]

    def release(self) -> None:
        for each in self.sockets:
            each.close()


def claim_port(host: str, port: int) -> ClaimedPort:
    """Raises PortError."""
    family, address = _resolved(host, port)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Without this, connections that a previous run has just closed count as taking it.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
        return ClaimedPort(address, port, _held(family, address, port))
    except OSError as error:
        raise PortError(_sentence(error, family, address, port)) from None


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
    except (OSError, UnicodeError):
        raise PortError(
            "The host to listen on has no address on this machine. Use an IP address such as "
            "127.0.0.1 (this machine only) or 0.0.0.0 (every network): --host or CLINICWAY_HOST."
        ) from None
    family, _, _, _, address = found[0]
    return family, str(address[0])


def _held(family: socket.AddressFamily, address: str, port: int) -> tuple[socket.socket, ...]:
    if not hasattr(socket, "SO_REUSEPORT"):
        return ()
    held = socket.socket(family, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        held.bind((address, port))
    except OSError:
        held.close()
        raise
    return (held,)


def _sentence(error: OSError, family: socket.AddressFamily, address: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            free = first_free(
                range(port + 1, port + 1 + NEARBY), lambda n: _is_free(family, address, n)
            )
            example = f"--port {free}" if free is not None else "--port NUMBER"
            return (
                f"Port {port} on {address} is taken by another program. Stop that one, or choose "
                f"another port: clinicway serve {example} (or CLINICWAY_PORT)."
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"This user may not listen on port {port}: those below 1024 belong to the system. "
                "Choose a higher one: clinicway serve --port 8000 (or CLINICWAY_PORT)."
            )
        case errno.EADDRNOTAVAIL:
            return (
                f"{address} is not an address of this machine. Use one that is, such as 127.0.0.1 "
                "or 0.0.0.0: --host or CLINICWAY_HOST."
            )
        case _:
            return f"Port {port} on {address} cannot be listened on ({error.strerror})."


def first_free(ports: Iterable[int], is_free: Callable[[int], bool]) -> int | None:
    return next((port for port in ports if port <= 65535 and is_free(port)), None)


def _is_free(family: socket.AddressFamily, address: str, port: int) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
