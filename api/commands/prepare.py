"""Bringing a database to the point where the service can start on it."""

from __future__ import annotations

from typing import Final

from rich.console import Console

from api.clock import Clock
from api.commands.database import opened
from api.directory.catalogue import Catalogue
from api.settings import Settings
from db.migrate import migrate
from db.pool import Pool
from db.queries.catalogue import catalogue_entries, replace_catalogue
from db.queries.changes import newest_change
from db.rows import CatalogueRow
from seeds.catalogue.load import entries, load_catalogue

NEVER_WRITTEN: Final = 0


async def prepare(settings: Settings, clock: Clock, progress: Console) -> None:
    """Schema, catalogue, and the seed clinics if nothing was ever written to the directory.

    `settings` name a database. Raises MigrationError, DatabaseUnavailable.
    """
    assert settings.database_url is not None
    await update_schema(settings.database_url, progress)
    async with opened(settings.database_url) as pool:
        if await _was_never_written(pool):
            await _load_seeds(settings, pool, clock, progress)


async def update_schema(dsn: str, progress: Console) -> list[int]:
    """Migrations, and the catalogue of this release; the numbers of what was applied."""
    applied = await migrate(dsn)
    if applied:
        count = len(applied)
        progress.print(f"Applied {count} migration{'s' if count > 1 else ''}.", highlight=False)
    rows = [
        CatalogueRow(kind=kind, code=code, document=document.decode())
        for kind, code, document in entries(load_catalogue())
    ]
    # As the login itself, which owns the table: only a release changes the catalogue, no request.
    async with opened(dsn, role=None) as pool, pool.transaction() as conn:
        await replace_catalogue(conn, rows)
    return applied


async def _was_never_written(pool: Pool) -> bool:
    """Asked of the log, not of the clinics: who has deleted them all does not want them back."""
    async with pool.acquire() as conn:
        return await newest_change(conn) == NEVER_WRITTEN


async def _load_seeds(settings: Settings, pool: Pool, clock: Clock, progress: Console) -> None:
    # Imported only now: on every later start the gazetteer and the compiled geometry behind it
    # are of use to the server processes alone.
    from api.commands.wiring import make_places
    from seeds.clinics import load_all

    progress.print("Loading the first clinics …", highlight=False)
    async with pool.acquire() as conn:
        catalogue = Catalogue(await catalogue_entries(conn))
    report = await load_all(
        pool,
        clock=clock,
        places=make_places(settings, clock),
        catalogue=catalogue,
        claim_days=settings.claim_days,
    )
    progress.print(f"Loaded {report.created} clinics.", highlight=False)
    for note in report.refused:
        progress.print(f"  not loaded: {note.text}", highlight=False, markup=False)
