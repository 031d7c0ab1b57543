"""Handing a mail over: to an SMTP server, or to a folder when there is none.

Both may be given the same mail twice; it then has the same Message-ID, and in the folder it is the
same file.
"""

from __future__ import annotations

import asyncio
import os
from email.errors import HeaderParseError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from enum import StrEnum
from pathlib import Path
from tempfile import mkstemp
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib
import msgspec

from api.notices.texts import NoticeText, body_of
from db.states import Audience

NOTICE_HEADER: Final = "X-Clinicway-Notice"
SECONDS: Final = 20.0
"""For a whole mail, from the connection to the server's word that it has it."""
_STEP_SECONDS: Final = 10.0
_PERMANENT: Final = range(500, 600)
_PORTS: Final = {"smtp": 25, "smtps": 465}


class Outcome(StrEnum):
    """What became of a notice. Never a text of a mail server, which can repeat an address."""

    SENT = "sent"
    NO_ADDRESS = "no-address"
    BAD_ADDRESS = "bad-address"
    REFUSED = "refused"
    DEFERRED = "deferred"
    UNREACHABLE = "unreachable"
    FAULT = "fault"


FINAL: Final = frozenset({Outcome.NO_ADDRESS, Outcome.BAD_ADDRESS, Outcome.REFUSED})
"""What no further attempt would change."""


class NotSent(Exception):
    """The mail was not handed over, as far as is known."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


class Mailer(Protocol):
    async def send(self, message: EmailMessage) -> None:
        """Raises NotSent."""
        ...


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """An SMTP server, as the setting names it."""

    host: str
    port: int
    username: str | None
    password: str | None
    tls: bool
    """From the first byte; otherwise by STARTTLS when the server offers it."""

    @classmethod
    def from_url(cls, url: str) -> Server:
        """`smtp://[user:password@]host[:port]`, or `smtps://…`."""
        parts = urlsplit(url)
        assert parts.hostname is not None, "the setting was checked"
        return cls(
            host=parts.hostname,
            port=parts.port or _PORTS[parts.scheme],
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            tls=parts.scheme == "smtps",
        )


class SmtpMailer:
    """One connection a mail: they are few, and a server that hangs then holds up one of them."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def send(self, message: EmailMessage) -> None:
        try:
            async with asyncio.timeout(SECONDS):
                await self._hand_over(message)
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = {refusal.code for refusal in error.recipients}
            refused = all(code in _PERMANENT for code in codes)
            raise NotSent(Outcome.REFUSED if refused else Outcome.DEFERRED) from None
        except aiosmtplib.SMTPDataError as error:
            refused = error.code in _PERMANENT
            raise NotSent(Outcome.REFUSED if refused else Outcome.DEFERRED) from None
        except aiosmtplib.SMTPResponseException:
            # Of the greeting, the log-in or the sender: a matter of the set-up, and it can change.
            raise NotSent(Outcome.DEFERRED) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError):
            raise NotSent(Outcome.UNREACHABLE) from None

    async def _hand_over(self, message: EmailMessage) -> None:
        server = self._server
        await aiosmtplib.send(
            message,
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.tls,
            # A password must not cross the network readable, whatever the server offers.
            start_tls=False if server.tls else (True if server.password else None),
            timeout=_STEP_SECONDS,
        )


class FolderMailer:
    """Mails as files `<notice id>.eml`, for a service without a mail server.

    Each file is written beside its place, made durable and then put there, so that whoever reads
    the folder sees whole mails only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, message: EmailMessage) -> None:
        try:
            name = f"{message[NOTICE_HEADER]}.eml"
            await asyncio.to_thread(self._write, name, message.as_bytes(policy=SMTP))
        except OSError:
            raise NotSent(Outcome.UNREACHABLE) from None

    def _write(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Of a name of its own (and for nobody else to read): two may be writing the same mail.
        descriptor, draft = mkstemp(prefix=".", suffix=".draft", dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(self._folder / name)
        except OSError:
            Path(draft).unlink(missing_ok=True)
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Letterhead(msgspec.Struct, frozen=True, kw_only=True):
    """What all mails of a deployment have in common."""

    sender: str
    """As in `Clinicway <notices@directory.example>`."""
    domain: str
    """The right side of each Message-ID."""


def composed(
    letterhead: Letterhead,
    notice_id: UUID,
    date: str,
    address: str,
    text: NoticeText,
    audience: Audience,
    link: str,
) -> EmailMessage:
    """The mail of a notice, the same at every attempt. `date` is as RFC 5322 writes it.

    Raises NotSent for an address that is not one.
    """
    message = EmailMessage(policy=SMTP)
    try:
        if not address.isascii():
            # Few servers take those (RFC 6531), and the one we hand over to is not asked.
            raise NotSent(Outcome.BAD_ADDRESS)
        message["To"] = (Address(addr_spec=address),)
    except (ValueError, IndexError, HeaderParseError):
        raise NotSent(Outcome.BAD_ADDRESS) from None
    message["From"] = letterhead.sender
    message["Subject"] = text.subject
    message["Date"] = date
    message["Message-ID"] = f"<{notice_id}@{letterhead.domain}>"
    message[NOTICE_HEADER] = str(notice_id)
    # So that nobody's absence is announced to us (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(body_of(text, audience, link))
    return message
