"""`clinicway migrate`: the schema and the catalogue, without starting the service."""

from __future__ import annotations

from rich.console import Console

from api.commands.database import database_address
from api.commands.prepare import update_schema
from api.settings import Settings


async def migrate_now(settings: Settings, progress: Console) -> int:
    """Raises MigrationError, EmbeddedPostgresError, DatabaseUnavailable."""
    with database_address(settings) as dsn:
        applied = await update_schema(dsn, progress)
    if not applied:
        progress.print("The database is up to date.", highlight=False)
    return 0
