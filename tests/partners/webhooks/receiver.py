"""A receiver of webhooks on this machine, over HTTP or HTTPS, that answers as it is told to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks import Webhook

Answering: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Taken(msgspec.Struct, frozen=True):
    """One request as it came in."""

    headers: dict[str, str]
    body: str
    path: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The message, if the library of Standard Webhooks finds a signature of that secret."""
        return Webhook(secret).verify(self.body, self.headers)


class Receiver:
    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.url = ""
        self.port = 0
        self._next: list[Answering] = []

    def then(self, *answers: int | Answering) -> None:
        """How the next requests are answered; those after them get 204."""
        self._next += [each if callable(each) else status(each) for each in answers]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): found for name, found in request.headers.items()}
        self.taken.append(Taken(headers, await request.text(), request.path_qs))
        answer = self._next.pop(0) if self._next else status(204)
        return await answer(request)


def status(number: int, **headers: str) -> Answering:
    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): found for name, found in headers.items()}
        return web.Response(status=number, headers=named)

    return answer


@asynccontextmanager
async def receiving(
    tls: ssl.SSLContext | None = None, *, host: str = "127.0.0.1"
) -> AsyncGenerator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    receiver.port = runner.addresses[0][1]
    shown = f"[{host}]" if ":" in host else host
    receiver.url = f"{'https' if tls else 'http'}://{shown}:{receiver.port}/hook?token=t"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(raw: bytes, *, for_ever: bool = False) -> AsyncGenerator[str]:
    """A server that writes those bytes to whoever connects; the address of it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            await writer.drain()
            while for_ever:
                writer.write(b"x" * 65536)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


def certified(folder: Path, *names: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server with a certificate for those names, and of a client that trusts
    it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([_named(name) for name in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
