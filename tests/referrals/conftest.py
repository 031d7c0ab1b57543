"""The service with a real database, where nothing happens by itself unless a test makes it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from api.app import create_app
from api.commands.wiring import make_places
from api.search.places import Places
from api.settings import Settings
from db.pool import Pool
from db.queries.catalogue import replace_catalogue
from db.rows import CatalogueRow
from seeds.catalogue.load import entries, load_catalogue
from tests.keys.clocks import HandClock
from tests.keys.conftest import running
from tests.referrals.practice import Practice


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def places() -> Places:
    return make_places(Settings(), HandClock())


@pytest.fixture
async def practice(
    pool: Pool, dsn: str, places: Places, clock: HandClock, tmp_path: Path
) -> AsyncIterator[Practice]:
    rows = [
        CatalogueRow(kind=kind, code=code, document=document.decode())
        for kind, code, document in entries(load_catalogue())
    ]
    async with pool.transaction() as conn:
        await replace_catalogue(conn, rows)
    settings = Settings(
        database_url=dsn,
        keyring=tmp_path / "keyring.json",
        data_dir=tmp_path,
        jobs=False,
        public_url="https://directory.example",
        pool_size=20,
        rate_key=0,
        rate_address=0,
    )
    app = create_app(settings, clock=clock, geocoder=places)
    # httpx describes ASGI more loosely than Litestar does; both mean the same.
    transport = httpx.ASGITransport(app=cast("Any", app))
    async with (
        running(app),
        httpx.AsyncClient(transport=transport, base_url="http://clinicway.example") as client,
    ):
        # A start gives up waiting for it when the machine is busy.
        await app.state.doors.opened.wait()
        practice = Practice(client, app, pool, clock)
        practice.key = await practice.new_key("referrals:write")
        practice.operator = await practice.new_key("directory:write")
        yield practice
