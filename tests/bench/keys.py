"""API keys for those who call the service under measurement."""

from __future__ import annotations

from collections.abc import Sequence

from api.clock import SystemClock
from api.keyring import Keyring
from api.keys.service import KeyMaker
from db.pool import Pool
from tests.bench.service import Service


def keyring_of(service: Service) -> Keyring:
    return Keyring.load_or_create(service.folder / "service" / "keyring.json", SystemClock())


async def make_keys(service: Service, *scopes: Sequence[str]) -> list[str]:
    """A key for each of the lists of scopes."""
    maker = KeyMaker("live", keyring_of(service), SystemClock())
    pool = Pool(service.dsn, size=1)
    await pool.open()
    async with pool.transaction() as conn:
        made = [
            (await maker.create(
                conn, name="bench", scopes=list(each), created_by="bench", expires_at=None
            ))[1].text()
            for each in scopes
        ]  # fmt: skip
    await pool.close()
    return made
