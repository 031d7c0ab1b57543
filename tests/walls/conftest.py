"""Connections with the rights of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.pool import Pool
from db.roles import SERVICE
from tests.keys.conftest import admin, client, house, places
from tests.walls.trails import Trail

__all__ = ["admin", "client", "house", "places"]


@pytest.fixture
async def service(dsn: str) -> AsyncIterator[Pool]:
    pool = Pool(dsn, size=4, role=SERVICE)
    yield pool
    await pool.close()


@pytest.fixture
def trail(dsn: str, service: Pool, tmp_path: Path) -> Trail:
    return Trail(dsn, service, tmp_path / "keyring.json")
