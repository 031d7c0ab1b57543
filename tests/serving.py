"""The service on the real server, on a port of its own; with routes that show what the edge does.

`serving(settings)` runs it in a process; the fixture `edge_server` is one without a database.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import UUID

import httpx
import msgspec
import pytest
from granian.constants import HTTPModes, Interfaces, Loops
from granian.server import MPServer
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath, JSONBody
from litestar.response import Stream
from msgspec import Meta

from api.app import create_app
from api.clock import SystemClock
from api.commands.wiring import make_places
from api.logs import configure_logs, log_config
from api.operations import documented
from api.parameters import read_query
from api.search.places import Places
from api.settings import Settings
from db.errors import DatabaseUnavailable, ValueRefused

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"
CANARY = "canary-7c1f0b"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Part(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    colour: Colour
    weight: Annotated[float, Meta(ge=0, le=10)] | None = None


class Thing(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A body with one field of each kind."""

    name: Annotated[str, Meta(min_length=1, max_length=20)]
    count: int = 0
    small: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    at: datetime | None = None
    on: date | None = None
    id: UUID | None = None
    parts: Annotated[list[Part], Meta(max_length=3)] = []
    notes: dict[str, str] = {}
    whole: Part | msgspec.UnsetType = msgspec.UNSET


class ThingsQuery(msgspec.Struct, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    near: float | None = None
    colour: list[Colour] = []
    q: Annotated[str, Meta(max_length=10)] | None = None
    strict: bool = False
    since: Annotated[datetime, Meta(tz=True)] | None = None


@post("/probe/things")
async def make_thing(data: JSONBody[Thing]) -> Thing:
    return data


@get("/probe/things", opt=documented(query=ThingsQuery))
async def list_things(request: Request[Any, Any, Any]) -> ThingsQuery:
    return read_query(request, ThingsQuery)


@get("/probe/things/{number:int}")
async def read_thing(number: FromPath[int]) -> dict[str, int]:
    return {"number": number}


@get("/probe/crash")
async def crash() -> None:
    raise RuntimeError(CANARY)


@get("/probe/refused")
async def refuse() -> None:
    raise ValueRefused(CANARY)


@get("/probe/away")
async def away() -> None:
    raise DatabaseUnavailable(CANARY)


@get("/probe/page", media_type="text/html")
async def page() -> Response[str]:
    return Response("<p>", headers={"Content-Security-Policy": "default-src 'self'"})


@get("/probe/endless")
async def endless() -> Stream:
    async def lines() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1024

    return Stream(lines)


@get("/probe/broken")
async def broken() -> Stream:
    async def lines() -> AsyncIterator[bytes]:
        yield b"begun"
        raise RuntimeError(CANARY)

    return Stream(lines)


PROBES = [
    make_thing,
    list_things,
    read_thing,
    crash,
    refuse,
    away,
    page,
    endless,
    broken,
]


def application(settings: Settings, places: Places) -> Litestar:
    """The service as it is, and the routes above."""
    app = create_app(settings, clock=SystemClock(), geocoder=places)
    for probe in PROBES:
        app.register(probe)
    return app


def _worker(settings: Settings) -> Litestar:
    configure_logs(settings.log_level, settings.log_format)
    return application(settings, make_places(settings, SystemClock()))


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Served:
    """A running service: where it is, and what it has logged."""

    def __init__(self, port: int, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process = process
        self._log = log

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def logged(self, words: str) -> str:
        """The first line of the log with these words; a line is written after its answer."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for line in self.log().splitlines():
                if words in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"not logged: {words}")

    def raw(self, request: bytes, *, timeout: float = 10.0) -> bytes:
        """Everything that comes back for these bytes until the server closes the connection, for
        which a request asks with `Connection: close`."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(request)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
            return received


@contextmanager
def serving(settings: Settings) -> Generator[Served]:
    """`settings` name a database; the port is chosen here. Answers /health/live when it is given
    out; whether the directory is loaded is for the caller to wait for."""
    with tempfile.TemporaryDirectory(prefix="cw-") as folder:
        settings = msgspec.structs.replace(
            settings, port=free_port(), keyring=Path(folder, "keyring.json"), log_format="json"
        )
        log = Path(folder, "log")
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.serving"],
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=sink,
            )
        assert process.stdin is not None
        with process.stdin as channel:
            channel.write(msgspec.json.encode(settings, enc_hook=str))
        served = Served(settings.port, log, process)
        try:
            _wait_until_live(served)
            yield served
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_until_live(served: Served) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert served.process.poll() is None, served.log()
        try:
            httpx.get(f"{served.url}/health/live", timeout=5).raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(served.log())


@pytest.fixture(scope="session")
def places() -> Places:
    """The shipped gazetteer, read once."""
    return make_places(Settings(), SystemClock())


@asynccontextmanager
async def running(app: Litestar) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of an application that runs in this loop. Its start and its end are in one task, as
    its task groups want, which those of a fixture are not."""
    started, over = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await over.wait()

    life = asyncio.create_task(live())
    starting = asyncio.create_task(started.wait())
    try:
        await asyncio.wait((life, starting), return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            life.result()
        transport = httpx.ASGITransport(cast("Any", app))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client
    finally:
        starting.cancel()
        over.set()
        await life


@pytest.fixture
async def edge(places: Places, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The service and the probes without a server and without a database."""
    settings = Settings(
        database_url=NO_DATABASE, keyring=tmp_path / "keyring.json", max_body_bytes=4096
    )
    async with running(application(settings, places)) as client:
        yield client


@pytest.fixture
def app(places: Places, tmp_path: Path, dsn: str) -> Litestar:
    """The service on a migrated database that is this test's alone; not started."""
    settings = Settings(database_url=dsn, keyring=tmp_path / "keyring.json")
    return create_app(settings, clock=SystemClock(), geocoder=places)


@pytest.fixture
async def service(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app`, without a server between."""
    async with running(app) as client:
        yield client


@pytest.fixture(scope="module")
def edge_server() -> Iterator[Served]:
    with serving(Settings(database_url=NO_DATABASE, max_body_bytes=4096)) as served:
        yield served


def main() -> None:
    settings = msgspec.json.decode(
        sys.stdin.buffer.read(),
        type=Settings,
        dec_hook=lambda kind, value: kind(value),
    )
    server = MPServer(
        "tests",
        address="127.0.0.1",
        port=settings.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        log_dictconfig=log_config("info", "json"),
    )
    server.serve(target_loader=partial(_worker, settings), wrap_loader=False)


if __name__ == "__main__":
    main()
