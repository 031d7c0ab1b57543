"""An SMTP server that keeps what it takes, and answers as a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage

from tests.jobs.practice import read_mail

Answer = Callable[[str], str | None]
"""Given a command (`MAIL`, `RCPT`, `DATA`, `.` for the end of the data), another answer than
the usual one, or None. `hang` says nothing any more, `cut` ends the connection."""


class SmtpServer:
    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"smtp://127.0.0.1:{port}"
        self.taken: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.answer: Answer = lambda _: None
        self.connections = 0


@asynccontextmanager
async def smtp_server() -> AsyncGenerator[SmtpServer]:
    talking: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        made.connections += 1
        with suppress(ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await _talk(made, reader, writer)
        talking.discard(task)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    made = SmtpServer(server.sockets[0].getsockname()[1])
    try:
        yield made
    finally:
        server.close()
        for task in list(talking):
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        await server.wait_closed()


async def _talk(
    made: SmtpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    async def say(usual: str, command: str) -> str:
        words = made.answer(command) or usual
        if words == "hang":
            await asyncio.Event().wait()
        if words == "cut":
            raise ConnectionResetError
        writer.write(words.encode() + b"\r\n")
        await writer.drain()
        return words

    await say("220 test", "CONNECT")
    while line := await reader.readline():
        command = line.decode().strip()
        match command[:4].upper():
            case "EHLO" | "HELO":
                await say("250 test", "EHLO")
            case "RCPT":
                if (await say("250 ok", "RCPT")).startswith("250"):
                    made.recipients.append(command.partition("<")[2].partition(">")[0])
            case "DATA":
                if not (await say("354 go on", "DATA")).startswith("354"):
                    continue
                content = (await reader.readuntil(b"\r\n.\r\n")).removesuffix(b".\r\n")
                message = read_mail(content.replace(b"\r\n..", b"\r\n."))
                if made.answer(".") not in ("hang", "cut"):
                    made.taken.append(message)
                await say("250 taken", ".")
            case "QUIT":
                await say("221 bye", "QUIT")
                return
            case _:
                await say("250 ok", command[:4].upper())
