"""The database that a command works on: a given one, or the one in the data folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from api.commands.failures import WRONGLY_CALLED, CommandError
from api.settings import Settings
from db.connection import Connection
from db.embedded import EmbeddedPostgres, place
from db.migrate import migrate
from db.pool import Limits, Pool
from db.roles import SERVICE

COMMAND_LIMITS: Final = Limits(acquire=5.0, statement=60.0, lock=10.0, idle_in_transaction=300.0)
"""A person is waiting, not a browser: a command may take longer than a request."""


def require_database(settings: Settings) -> None:
    """For the commands that work on what a service uses: a new database and a new keyring, made
    in the wrong folder, would take their work and no service would ever know of it.

    Raises CommandError, EmbeddedPostgresError.
    """
    if settings.database_url is not None:
        return
    folder = settings.data_dir.resolve()
    try:
        found = place.cluster_in(place.known_home(folder)).exists()
    except OSError:
        # Not ours to look into: opening the database says why in words of its own.
        return
    if not found:
        raise CommandError(
            f"There is no database in the data folder {folder}: run this where the service runs, "
            "or name the service's data folder with --data-dir or CLINICWAY_DATA_DIR.",
            WRONGLY_CALLED,
        )


@contextmanager
def database_address(settings: Settings) -> Generator[str]:
    """The address of the database, up for as long as this is open.

    A running service's embedded server is shared; when none runs, it is started for the moment.
    Raises EmbeddedPostgresError.
    """
    if settings.database_url is not None:
        yield settings.database_url
        return
    with EmbeddedPostgres(settings.data_dir, supervise=False) as dsn:
        yield dsn


@asynccontextmanager
async def opened(dsn: str, *, role: str | None = SERVICE) -> AsyncGenerator[Pool]:
    """A small pool for one command, with the rights of a request unless told otherwise."""
    pool = Pool(dsn, size=4, limits=COMMAND_LIMITS, application="clinicway command", role=role)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


@asynccontextmanager
async def migrated_transaction(dsn: str) -> AsyncGenerator[Connection]:
    """One transaction on a database that has every table, also a minute after its birth."""
    await migrate(dsn)
    async with opened(dsn) as pool, pool.transaction() as conn:
        yield conn
