"""The application in this process, on a database of its own, with time in the test's hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import pytest
from litestar import Litestar

from api.app import create_app
from api.commands.wiring import make_places
from api.keyring import Keyring
from api.keys.service import KeyMaker
from api.search.places import Places
from api.settings import Settings
from db.pool import Pool
from tests.keys.clocks import HandClock


@asynccontextmanager
async def running(app: Litestar) -> AsyncGenerator[None]:
    """The application between its start and its end, both in one task, which fixtures are not."""
    started, over = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            started.set()
            await over.wait()

    life = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait((life, waiting), return_when=asyncio.FIRST_COMPLETED)
    try:
        if life.done():
            life.result()
        yield
    finally:
        waiting.cancel()
        over.set()
        await life


class House:
    """Applications on one database and one keyring, as several server processes would be."""

    def __init__(self, settings: Settings, places: Places, clock: HandClock) -> None:
        self.settings = settings
        self.clock = clock
        self._places = places

    def app(self, database: Pool | None = None) -> Litestar:
        return create_app(self.settings, clock=self.clock, geocoder=self._places, database=database)

    @asynccontextmanager
    async def open(self, database: Pool | None = None) -> AsyncGenerator[httpx.AsyncClient]:
        app = self.app(database)
        # httpx describes ASGI more loosely than Litestar does; both mean the same.
        transport = httpx.ASGITransport(app=cast("Any", app))
        async with (
            running(app),
            httpx.AsyncClient(transport=transport, base_url="http://clinicway.example") as client,
        ):
            yield client

    async def key(self, *scopes: str, name: str = "test") -> str:
        """A key made as the command line makes it."""
        keyring = Keyring.load_or_create(self.settings.keyring_path, self.clock)
        maker = KeyMaker(self.settings.environment, keyring, self.clock)
        assert self.settings.database_url is not None
        pool = Pool(self.settings.database_url, size=1)
        try:
            async with pool.transaction() as conn:
                _, token = await maker.create(conn, name=name, scopes=scopes, created_by="test")
        finally:
            await pool.close()
        return token.text()

    def with_settings(self, **changed: object) -> House:
        return House(msgspec.structs.replace(self.settings, **changed), self._places, self.clock)


@pytest.fixture(scope="session")
def places() -> Places:
    return make_places(Settings(), HandClock())


@pytest.fixture
def house(dsn: str, tmp_path: Path, places: Places) -> House:
    settings = Settings(database_url=dsn, keyring=tmp_path / "keyring.json", pool_size=3)
    return House(settings, places, HandClock())


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.open() as client:
        yield client


@pytest.fixture
async def admin(house: House) -> dict[str, str]:
    """The headers of a caller who may do everything with keys."""
    return bearer(await house.key("admin", name="the admin"))


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
