"""Claims that have run out: nobody has repeated them, so they are not known any more."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog
from msgspec.structs import replace

from api.directory.composing import PreparedClinic, Stored
from api.directory.points import stored_point
from api.directory.profile import read_provenance, written
from api.directory.provenance import CLAIMS
from api.directory.step import Services, Step, directory_write
from api.directory.writing import with_offerings, write_batch
from db.errors import DatabaseError
from db.queries.clinics import clinics_with_expired_claims

ACTOR: Final = "claims"
EVERY_SECONDS: Final = 60.0
BATCH: Final = 200

_log = structlog.get_logger("api.directory.claims")


async def expire_claims(step: Step) -> int:
    """Take back the claims past their time, of 200 clinics at most; how many clinics it were."""
    rows = await clinics_with_expired_claims(step.conn, step.now, BATCH)
    stored = await with_offerings(step.conn, rows)
    await write_batch(step, [_without_expired(each, step) for each in stored])
    return len(rows)


def _without_expired(stored: Stored, step: Step) -> PreparedClinic:
    provenance = read_provenance(stored.row.provenance)
    expired = [
        name
        for name, stands in provenance.items()
        if stands.expires_at is not None and stands.expires_at <= step.now
    ]
    body = written(stored.row, stored.offerings)
    return PreparedClinic(
        body=replace(body, **{name: CLAIMS[name] for name in expired}),
        point=stored_point(stored.row),
        provenance={name: each for name, each in provenance.items() if name not in expired},
        existing=stored,
    )


async def expire_all(state: Services) -> int:
    """In steps of 200 clinics, until none is left. Takes the writers' lock only when there is
    something to do, so that several processes may do this side by side."""
    expired = 0
    while True:
        async with state.database.acquire() as conn:
            if not await clinics_with_expired_claims(conn, state.clock.now(), 1):
                return expired
        async with directory_write(state, ACTOR) as step:
            expired += await expire_claims(step)


async def run_claim_expiry(state: Services, every_seconds: float = EVERY_SECONDS) -> None:
    """Never returns; to be cancelled. Outlives every failure of the database."""
    while True:
        try:
            expired = await expire_all(state)
            if expired:
                _log.info("claims expired", clinics=expired)
        except DatabaseError as error:
            _log.warning("claims not looked at", sqlstate=error.sqlstate)
        await asyncio.sleep(every_seconds)
