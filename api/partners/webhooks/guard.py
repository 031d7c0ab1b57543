"""Where messages may go: https to public addresses. Nothing here asks the network.

A receiver's address is looked at three times: when the webhook is made (its form), after its name
was resolved, and when a socket for it is made, which is the address that is really connected to.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

import msgspec

LONGEST_URL: Final = 2000
_LONGEST_HOST: Final = 253
_HIGH_PORTS: Final = range(1024, 65536)
_ANY_PORT: Final = range(1, 65536)
_URL = re.compile(r'(https?)://([^/?#\\]+)([/?][!"$-~]*)?', re.ASCII | re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::([0-9]{1,5}))?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# As the URL standard of browsers has it: a host whose last part looks like this is an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)

# What the tables of Python, which differ between its versions, may not yet or no longer refuse.
_NEVER_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers and clouds (RFC 6598)
        "168.63.129.16/32",  # the host of a virtual machine at Azure, public by its number only
        "192.0.0.0/24",  # protocol assignments; a metadata service at Oracle
        "192.88.99.0/24",  # relays of 6to4, withdrawn (RFC 7526)
        "198.18.0.0/15",
        "240.0.0.0/4",
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_NEVER_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo with its embedded IPv4 among them
        "2001:db8::/32",
        "2002::/16",  # 6to4 leads to any IPv4 address, withdrawn (RFC 7526)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


class AddressRefused(Exception):
    """A name or number that leads where messages may not go. Not an OSError: nobody may take it
    for a failure of the network and try the next address."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver's address, taken apart once: what is checked here is what is connected to."""

    scheme: str
    host: str
    """In lower case; an IPv6 address without its brackets."""
    port: int
    path: str
    """With the query, as it was given."""


class UrlRefused(ValueError):
    """An address that no webhook can have; `right` says what one must be, after "must be"."""

    def __init__(self, right: str) -> None:
        super().__init__(f"must be {right}")
        self.right = right


def read_target(url: str, *, allow_private: bool) -> Target:
    """A receiver's address, if its form is one that messages may go to. Raises UrlRefused.

    `allow_private` is for tests on one machine: http, any port and any address.
    """
    found = _URL.fullmatch(url)
    if found is None or len(url) > LONGEST_URL:
        raise UrlRefused("an https URL in ASCII, without a fragment")
    scheme, authority, path = found[1].lower(), found[2], found[3] or "/"
    if scheme != "https" and not allow_private:
        raise UrlRefused("a URL that begins with https://")
    if "@" in authority:
        raise UrlRefused(
            "a URL without user name and password: put a token into the path or the query"
        )
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise UrlRefused("a URL with a host name and, at most, a port behind it")
    port = int(parts[2] or (443 if scheme == "https" else 80))
    if port not in (_ANY_PORT if allow_private else _HIGH_PORTS) and port != 443:
        raise UrlRefused("a URL on port 443 or one from 1024 to 65535")
    return Target(
        scheme=scheme,
        host=_host(parts[1].lower(), allow_private=allow_private),
        port=port,
        path=path if path.startswith("/") else "/" + path,
    )


def _host(text: str, *, allow_private: bool) -> str:
    if text.startswith("["):
        try:
            address: IPv4Address | IPv6Address = IPv6Address(text[1:-1])
        except ValueError:
            raise UrlRefused("a URL with a valid IPv6 address in the brackets") from None
    elif _NUMBER.fullmatch(text.rpartition(".")[2]):
        # Resolvers take 127.1, 0x7f000001 and 0177.0.0.1 for addresses; this takes only four
        # decimal numbers, none with a zero in front.
        try:
            address = IPv4Address(text)
        except ValueError:
            raise UrlRefused(
                "a URL with a name, or with an IPv4 address as four decimal numbers"
            ) from None
    else:
        return _name(text, allow_private=allow_private)
    if not allow_private and not is_public(address):
        raise UrlRefused("a URL with a name or address of the public internet")
    return str(address)


def _name(text: str, *, allow_private: bool) -> str:
    labels = text.split(".")
    if len(text) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlRefused(
            "a URL with a host name of letters, digits, hyphens and dots (xn--… for others)"
        )
    if not allow_private and (len(labels) == 1 or labels[-1] == "localhost"):
        raise UrlRefused("a URL with a full host name, such as hooks.example.com")
    return text


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one host's on the public internet, to be reached by anybody."""
    if isinstance(address, IPv4Address):
        return (
            address.is_global
            and not address.is_multicast
            and not address.is_reserved
            and not any(address in network for network in _NEVER_V4)
        )
    if address in _NAT64:
        # Networks without IPv4 reach it through such addresses: it is as public as what is inside.
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return (
        address.scope_id is None
        and address in _GLOBAL_V6
        and address.is_global
        and not any(address in network for network in _NEVER_V6)
    )


def require_public(addresses: Iterable[str]) -> None:
    """Raises AddressRefused if any of them is not public: a name that leads to both kinds is either
    not meant for us or meant to deceive us."""
    for text in addresses:
        try:
            public = is_public(ipaddress.ip_address(text))
        except ValueError:
            public = False
        if not public:
            raise AddressRefused("the name leads to an address that is not public")
