"""Mails as files, and mails to an SMTP server that takes them, refuses them or stops talking."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest

from api.notices import mail
from api.notices.mail import (
    NOTICE_HEADER,
    FolderMailer,
    Letterhead,
    NotSent,
    Outcome,
    Server,
    SmtpMailer,
    composed,
)
from api.notices.texts import TEXTS
from db.states import Audience, ReferralEvent
from tests.notices.smtp_server import SmtpServer, smtp_server

NOTICE = UUID("019ab3c0-5f00-7000-8000-000000000001")
LETTERHEAD = Letterhead(sender="Clinicway <notices@directory.example>", domain="directory.example")
DATE = "Sun, 22 Nov 2026 09:00:00 +0000"
LINK = "https://directory.example/v1/offers/019ab3c0-5f00-7000-8000-000000000002"


def offered(address: str = "clinic@example.org") -> EmailMessage:
    text = TEXTS[ReferralEvent.OFFERED, Audience.CLINIC]
    return composed(LETTERHEAD, NOTICE, DATE, address, text, Audience.CLINIC, LINK)


@pytest.fixture
async def server() -> AsyncIterator[SmtpServer]:
    async with smtp_server() as made:
        yield made


def test_a_mail_says_whose_notice_it_is_and_is_the_same_each_time() -> None:
    message = offered()
    assert message.as_bytes() == offered().as_bytes()
    assert message["Message-ID"] == f"<{NOTICE}@directory.example>"
    assert message[NOTICE_HEADER] == str(NOTICE)
    assert message["From"] == "Clinicway <notices@directory.example>"
    assert message["To"] == "clinic@example.org"
    assert message["Date"] == DATE
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "text/plain"
    assert LINK in message.get_content()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "a@b.example, c@d.example",
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\n",
        "Somebody <a@b.example>",
        "jürgen@b.example",
        "a b@c.example",
        "@b.example",
        "a@",
    ],
)
def test_what_is_no_single_address_gets_no_mail(address: str) -> None:
    with pytest.raises(NotSent) as caught:
        offered(address)
    assert caught.value.outcome is Outcome.BAD_ADDRESS
    assert address == "" or address not in str(caught.value)


async def test_a_file_is_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mail"
    mailer = FolderMailer(folder)
    await asyncio.gather(*(mailer.send(offered()) for _ in range(3)))
    (path,) = folder.iterdir()
    assert path.name == f"{NOTICE}.eml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert path.read_bytes() == offered().as_bytes()


async def test_a_folder_that_cannot_be_written_to_is_no_mail(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file")
    with pytest.raises(NotSent) as caught:
        await FolderMailer(tmp_path / "mail").send(offered())
    assert caught.value.outcome is Outcome.UNREACHABLE


async def test_the_server_gets_the_mail(server: SmtpServer) -> None:
    await SmtpMailer(Server.from_url(server.url)).send(offered())
    (message,) = server.taken
    assert message[NOTICE_HEADER] == str(NOTICE)
    assert LINK in message.get_content()
    assert server.recipients == ["clinic@example.org"]


@pytest.mark.parametrize(
    ("command", "answer", "outcome"),
    [
        ("CONNECT", "554 no service", Outcome.DEFERRED),
        ("CONNECT", "421 later", Outcome.DEFERRED),
        ("CONNECT", "cut", Outcome.UNREACHABLE),
        ("MAIL", "550 not from you", Outcome.DEFERRED),
        ("RCPT", "550 no such mailbox", Outcome.REFUSED),
        ("RCPT", "450 greylisted", Outcome.DEFERRED),
        ("DATA", "452 full", Outcome.DEFERRED),
        (".", "554 not wanted", Outcome.REFUSED),
        (".", "451 try again", Outcome.DEFERRED),
        (".", "cut", Outcome.UNREACHABLE),
        (".", "not SMTP at all", Outcome.DEFERRED),
    ],
)
async def test_what_the_server_says_decides(
    server: SmtpServer, command: str, answer: str, outcome: Outcome
) -> None:
    server.answer = lambda said: answer if said == command else None
    with pytest.raises(NotSent) as caught:
        await SmtpMailer(Server.from_url(server.url)).send(offered())
    assert caught.value.outcome is outcome
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("command", ["CONNECT", "EHLO", "."])
async def test_a_server_that_stops_talking_is_not_waited_for(
    server: SmtpServer, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "SECONDS", 0.3)
    server.answer = lambda said: "hang" if said == command else None
    with pytest.raises(NotSent) as caught:
        await SmtpMailer(Server.from_url(server.url)).send(offered())
    assert caught.value.outcome is Outcome.UNREACHABLE


async def test_without_a_server_it_is_out_of_reach() -> None:
    async with smtp_server() as gone:
        url = gone.url
    with pytest.raises(NotSent) as caught:
        await SmtpMailer(Server.from_url(url)).send(offered())
    assert caught.value.outcome is Outcome.UNREACHABLE


async def test_a_password_never_crosses_the_network_readable(server: SmtpServer) -> None:
    said: list[str] = []

    def listen(command: str) -> str | None:
        said.append(command)
        return None

    server.answer = listen
    url = server.url.replace("smtp://", "smtp://somebody:secret%2F1@")
    assert Server.from_url(url).password == "secret/1"
    with pytest.raises(NotSent):
        await SmtpMailer(Server.from_url(url)).send(offered())
    assert "AUTH" not in said
    assert server.taken == []


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [
        ("smtp://mail.example", 25, False),
        ("smtps://mail.example", 465, True),
        ("smtp://u:p@mail.example:587/", 587, False),
        ("smtps://[::1]:2465", 2465, True),
    ],
)
def test_the_setting_names_the_server(url: str, port: int, tls: bool) -> None:
    server = Server.from_url(url)
    assert (server.port, server.tls) == (port, tls)
    assert server.host in ("mail.example", "::1")
