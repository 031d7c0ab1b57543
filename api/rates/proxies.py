"""Who a request comes from, when proxies stand between. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import AF_INET6, inet_ntoa, inet_pton
from typing import Final

NOBODY: Final = ""
"""The address of a peer that has none, as on a Unix socket."""
_MOST_HEADER_BYTES: Final = 2048
_MAPPED: Final = bytes(10) + b"\xff\xff"
# RFC 7239: name=token or name="quoted", separated by `;` inside an element and `,` between them.
_PAIR: Final = re.compile(rb'\s*([^\s=;,"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))\s*(;|,|\Z)')


class Networks:
    """Addresses and networks, separated by commas: `10.0.0.0/8, ::1`.

    Raises ValueError for a text that is not that, a network with host bits set included.
    """

    def __init__(self, text: str) -> None:
        self._networks = tuple(ip_network(part.strip()) for part in text.split(","))

    def __contains__(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Networks) and other._networks == self._networks

    def __hash__(self) -> int:
        return hash(self._networks)

    def __str__(self) -> str:
        return ", ".join(map(str, self._networks))

    def __repr__(self) -> str:
        return f"Networks({str(self)!r})"


def visitor(address: str) -> str:
    """The one name under which an address is counted. IPv6 by /64: that is what one subscriber
    gets, and whoever has it has 2**64 addresses. An IPv4 address inside IPv6 is the IPv4 one."""
    if ":" not in address:
        return address
    try:
        packed = inet_pton(AF_INET6, address.partition("%")[0])
    except OSError:
        return address
    return inet_ntoa(packed[12:]) if packed.startswith(_MAPPED) else packed[:8].hex()


def client_finder(trusted: Networks) -> Callable[[str, Iterable[tuple[bytes, bytes]]], str]:
    """A function of the peer's address and the request's headers that gives the client's address.

    Only a trusted peer is believed. Its list is read from the right, each trusted proxy vouching
    for the one before it; the first that is not trusted is the client, and what stands further
    left is that client's own word. A hop that cannot be read ends it: whoever reported it is taken
    for the client. When X-Forwarded-For and Forwarded disagree, one of them is the client's own
    invention, and the peer is taken.
    """

    @lru_cache(4096)
    def parsed(text: str) -> IPv4Address | IPv6Address | None:
        try:
            found = ip_address(text)
        except ValueError:
            return None
        return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found

    @lru_cache(4096)
    def is_trusted(text: str) -> bool:
        found = parsed(text)
        return found is not None and found in trusted

    def nearest(peer: str, hops: list[str]) -> str:
        client = peer
        for hop in reversed(hops):
            found = parsed(hop)
            if found is None:
                break
            client = str(found)
            if not is_trusted(client):
                break
        return client

    def client(peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str:
        if not is_trusted(peer):
            return peer
        listed = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        described = b",".join(value for name, value in headers if name == b"forwarded")
        found = {
            nearest(peer, hops)
            for hops in (_listed_hops(listed), list(_described_hops(described)))
            if hops
        }
        return found.pop() if len(found) == 1 else peer

    return client


def _listed_hops(value: bytes) -> list[str]:
    if not value:
        return []
    text = value[-_MOST_HEADER_BYTES:].decode("latin-1")
    return [_without_port(part.strip()) for part in text.split(",")]


def _described_hops(value: bytes) -> Iterator[str]:
    """The `for` of each element, "" where there is none; what cannot be read is one such hop."""
    position, hop = 0, ""
    while position < len(value):
        pair = _PAIR.match(value, position)
        if pair is None:
            yield ""
            return
        if pair[1].lower() == b"for":
            text = (pair[2] or pair[3] or b"").decode("latin-1")
            hop = _without_port(re.sub(r"\\(.)", r"\1", text))
        position = pair.end()
        if pair[4] != b";":
            yield hop
            hop = ""


def _without_port(hop: str) -> str:
    """`192.0.2.1:80` and `[2001:db8::1]:80` without what is not the address."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
