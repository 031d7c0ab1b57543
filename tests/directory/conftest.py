"""The service with a real database, an index that follows it, and keys of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import AsyncTestClient

from api.app import create_app
from api.commands.wiring import make_places
from api.keyring import Keyring
from api.keys.service import KeyMaker
from api.search.places import Places
from api.settings import Settings
from db.pool import Pool
from db.queries.catalogue import replace_catalogue
from db.rows import CatalogueRow
from seeds.catalogue.load import entries, load_catalogue
from tests.directory.clinics import ShippedCodes
from tests.keys.clocks import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def places() -> Places:
    return make_places(Settings(), HandClock())


@pytest.fixture(scope="session")
def codes() -> ShippedCodes:
    return ShippedCodes()


class Service:
    """The running service, spoken to over HTTP with the key of one caller."""

    def __init__(
        self, client: AsyncTestClient[Any], keyring: Keyring, pool: Pool, clock: HandClock
    ) -> None:
        self.client = client
        self.keyring = keyring
        self.pool = pool
        self.clock = clock
        self.operator = ""

    async def key(self, *scopes: str) -> str:
        """A new key with those scopes."""
        maker = KeyMaker("live", self.keyring, self.clock)
        async with self.pool.transaction() as conn:
            _, token = await maker.create(
                conn, name="test", scopes=list(scopes), created_by="test", expires_at=None
            )
        return token.text()

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = None,
        match: str | None = None,
    ) -> httpx.Response:
        """As the operator, unless another key is given; "" is nobody."""
        key = self.operator if key is None else key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if match is not None:
            headers["If-Match"] = match
        if body is None:
            return await self.client.request(method, path, headers=headers)
        return await self.client.request(method, path, headers=headers, json=body)

    async def created(self, profile: dict[str, Any]) -> dict[str, Any]:
        answer = await self.call("POST", "/v1/clinics", profile)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
async def service(
    pool: Pool, dsn: str, places: Places, clock: HandClock, tmp_path: Path
) -> AsyncIterator[Service]:
    rows = [
        CatalogueRow(kind=kind, code=code, document=document.decode())
        for kind, code, document in entries(load_catalogue())
    ]
    async with pool.transaction() as conn:
        await replace_catalogue(conn, rows)
    settings = Settings(database_url=dsn, keyring=tmp_path / "keyring.json", data_dir=tmp_path)
    app = create_app(settings, clock=clock, geocoder=places)
    async with AsyncTestClient(app) as client:
        service = Service(client, app.state.keyring, pool, clock)
        service.operator = await service.key("directory:write")
        yield service
