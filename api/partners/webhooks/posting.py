"""One message, posted once: to a checked address, within ten seconds, whatever comes back."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self, TypeAlias

import aiohttp
import msgspec
import structlog
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from api.partners.webhooks.guard import (
    AddressRefused,
    Target,
    UrlRefused,
    read_target,
    require_public,
)
from db.states import DeliveryFault

SECONDS: Final = 10.0
"""For everything: the name, the connection, TLS, sending, and the head of the answer."""
_BUFFER_BYTES: Final = 4096
"""Of an answer's body, which nobody reads; the connection is closed once its head is there."""
_LOOKUPS_AT_ONCE: Final = 8
_HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "Clinicway-Webhooks/1",
}

_log = structlog.get_logger()

Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, for a port. Raises OSError."""

_Address: TypeAlias = tuple[
    int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]
]
"""Family, kind, protocol, name and address of a socket, as `getaddrinfo` has them."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt. Nothing that the receiver wrote is in it but a number."""

    status: int | None = None
    fault: DeliveryFault | None = None
    """None if the message was taken."""
    retry_after: str | None = None


class Poster:
    """An HTTP client that follows no redirects, uses no proxy and keeps nothing: no connection, no
    cookie, no name. To be entered and left on the event loop that it is used on."""

    def __init__(
        self,
        *,
        allow_private: bool,
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, thread_name_prefix="webhook-lookup")
        self._lookup = lookup or self._ask_system
        self._tls = tls
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        if self._allow_private:
            _log.warning("webhooks may go to private addresses", setting="webhook_allow_private")
        connector = aiohttp.TCPConnector(
            resolver=_CheckedResolver(self._lookup, allow_private=self._allow_private),
            socket_factory=self._socket,
            ssl=self._tls or ssl.create_default_context(),
            use_dns_cache=False,
            force_close=True,
            limit=0,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            # The limit is around the whole attempt, the lookup of the name among it.
            timeout=aiohttp.ClientTimeout(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_BUFFER_BYTES,
        )
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        assert self._session is not None, "left without having been entered"
        await self._session.close()
        # A lookup that hangs is left to end by itself.
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post(self, url: str, headers: Mapping[str, str], body: str) -> Answer:
        """Never raises for what the receiver or the network does."""
        try:
            # Checked again: the setting may have changed since the webhook was made.
            target = read_target(url, allow_private=self._allow_private)
            async with asyncio.timeout(self._seconds):
                return await self._exchange(target, headers, body)
        except (UrlRefused, AddressRefused):
            return Answer(fault=DeliveryFault.ADDRESS_REFUSED)
        except TimeoutError:
            return Answer(fault=DeliveryFault.TIMED_OUT)
        except (aiohttp.ClientSSLError, ssl.SSLError):
            return Answer(fault=DeliveryFault.TLS_FAILED)
        except aiohttp.ClientConnectorDNSError:
            return Answer(fault=DeliveryFault.NAME_NOT_FOUND)
        except (OSError, RuntimeError):
            # uvloop has RuntimeErrors where others have OSErrors.
            return Answer(fault=DeliveryFault.NOT_REACHED)
        except aiohttp.ClientError:
            return Answer(fault=DeliveryFault.NOT_HTTP)

    async def _exchange(self, target: Target, headers: Mapping[str, str], body: str) -> Answer:
        assert self._session is not None, "used without having been entered"
        path, _, query = target.path.partition("?")
        url = URL.build(
            scheme=target.scheme,
            # Encoded means as it stands in a URL, and an IPv6 address stands in brackets there.
            host=f"[{target.host}]" if ":" in target.host else target.host,
            port=target.port,
            path=path,
            query_string=query,
            encoded=True,
        )
        async with self._session.post(
            url, data=body.encode(), headers={**_HEADERS, **headers}, allow_redirects=False
        ) as response:
            return Answer(
                status=response.status,
                fault=_fault_of(response.status),
                retry_after=response.headers.get("Retry-After"),
            )

    def _socket(self, info: _Address) -> socket.socket:
        """A socket for an address that is about to be connected to: the last look at it, which also
        those get that were written as numbers and never resolved."""
        family, kind, protocol, _, address = info
        if not self._allow_private:
            require_public([str(address[0])])
        return socket.socket(family, kind, protocol)

    async def _ask_system(self, host: str, port: int) -> Sequence[str]:
        # In threads of our own: a name server that hangs must not stop what others run in theirs.
        found = await asyncio.get_running_loop().run_in_executor(
            self._threads, _system_addresses, host, port
        )
        return list(dict.fromkeys(found))


def _system_addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise OSError("not a name that can be looked up") from None
    return [str(address[0]) for *_, address in found]


class _CheckedResolver(AbstractResolver):
    """Looks a name up once, and gives its addresses on if all of them may be connected to."""

    def __init__(self, lookup: Lookup, *, allow_private: bool) -> None:
        self._lookup = lookup
        self._allow_private = allow_private

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 (aiohttp's signature)
    ) -> list[ResolveResult]:
        """Raises AddressRefused, or OSError for a name without addresses."""
        addresses = await self._lookup(host, port)
        if not addresses:
            raise OSError("no address")
        if not self._allow_private:
            require_public(addresses)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""


def _fault_of(status: int) -> DeliveryFault | None:
    match status:
        case 410:
            return DeliveryFault.GONE
        case _ if 200 <= status <= 299:
            return None
        case _ if 300 <= status <= 399:
            return DeliveryFault.REDIRECTED
        case _:
            return DeliveryFault.BAD_STATUS
