"""Bring the schema to what this version of the code expects.

Migrations are the files `NNNN_title.sql` in `db/migrations`, applied in order, each one in its own
transaction together with its row in `schema_migration`. Once applied, a file never changes: its
hash is compared at every start. The tables of the queue come after them, from its library.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from db.connection import Connection, rows, value
from db.errors import DatabaseUnavailable, StatementFailed
from db.pool import Limits, connect
from db.queue_install import install_queue
from db.roles import GRANT_ROLES, MAKE_ROLES, ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

MIGRATIONS_FOLDER = Path(__file__).parent / "migrations"
OLDEST_SERVER = 150000

# Any fixed number, the same in every release: whoever migrates holds this advisory lock.
_LOCK_KEY = 0x636C696E
LOCK_NOT_AVAILABLE = "55P03"
TABLE_LOCK_WAIT = 1
"""Seconds; shorter than the `lock` limit of the pool, so that no request fails behind us."""
TABLE_LOCK_ATTEMPTS = 30
# What a migration asks of a person, by the code that it raises: texts of the server are not shown.
_NAMES = " and ".join(ROLES)
_TO_DO = {
    "CW001": (
        f"The login of CLINICWAY_DATABASE_URL may not create the roles {_NAMES}. Create them once "
        f"as an administrator ({MAKE_ROLES}) and grant them to the login ({GRANT_ROLES})."
    ),
    "CW002": (
        f"The login of CLINICWAY_DATABASE_URL may not become {_NAMES}, which are there. Grant "
        f"them to it once as an administrator: {GRANT_ROLES}"
    ),
    "CW003": (
        f"The tables are out of sight of the roles {_NAMES}, most likely because the search_path "
        'holds "$user". Name the schema: alter role … set search_path = …;'
    ),
}
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

_CREATE_LEDGER = """
create table if not exists schema_migration (
    version integer primary key,
    title text not null,
    sha256 text not null,
    applied_at timestamptz not null default now()
)
"""


class MigrationError(Exception):
    """The schema cannot be brought up to date; the message says what a person has to do."""


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    title: str
    sha256: str
    sql: str


class AppliedMigration(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    title: str
    sha256: str


def migrations(folder: Path = MIGRATIONS_FOLDER) -> list[Migration]:
    """All migrations in order. Raises `MigrationError` when their numbers are not 1, 2, 3, …"""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not named like 0001_title.sql")
        content = path.read_bytes()
        found.append(
            Migration(
                version=int(match[1]),
                title=match[2],
                sha256=hashlib.sha256(content).hexdigest(),
                sql=content.decode("utf-8"),
            )
        )
    for expected, migration in enumerate(found, start=1):
        if migration.version != expected:
            raise MigrationError(
                f"Migration {expected:04} is missing, or its number is there twice"
            )
    return found


async def migrate(
    dsn: str,
    *,
    lock_patience: float = 30.0,
    statement_limit: float = 600.0,
    known: Sequence[Migration] | None = None,
) -> list[int]:
    """Apply what is missing and return its numbers; safe from several processes at once.

    Seconds: `lock_patience` for another process that is migrating; `statement_limit` for one
    migration. Raises `MigrationError`, or `DatabaseUnavailable`
    when the database cannot be reached or the lock is not free in time.
    """
    limits = Limits(acquire=5.0, statement=statement_limit, lock=lock_patience)
    driver = await connect(dsn, limits, application="clinicway migrate")
    try:
        connection = Connection(driver)
        await _check_server(connection)
        await _take_lock(connection)
        done = await _apply_missing(connection, migrations() if known is None else known)
        if known is None:
            await install_queue(connection)
        return done
    finally:
        # Closing the connection is also what gives the advisory lock back.
        driver.terminate()


async def applied(conn: Connection) -> list[AppliedMigration]:
    """What the database says it has, in order; nothing on an empty database."""
    exists = await value(conn, bool, "select to_regclass('schema_migration') is not null")
    if not exists:
        return []
    return await rows(
        conn,
        AppliedMigration,
        "select version, title, sha256 from schema_migration order by version",
    )


async def _check_server(conn: Connection) -> None:
    number = await value(conn, int, "select current_setting('server_version_num')::int")
    if number < OLDEST_SERVER:
        raise MigrationError(
            f"This PostgreSQL is version {number // 10000}; Clinicway needs 15 or newer. "
            "Upgrade it, or leave CLINICWAY_DATABASE_URL unset to use the built-in one."
        )


async def _take_lock(conn: Connection) -> None:
    # Session-level, because it spans several transactions. lock_timeout bounds the wait.
    try:
        await conn.execute("select pg_advisory_lock($1)", _LOCK_KEY)
    except DatabaseUnavailable as error:
        if error.sqlstate != LOCK_NOT_AVAILABLE:
            raise
        raise DatabaseUnavailable(
            "Another process has been migrating this database for too long; try again",
            sqlstate=error.sqlstate,
        ) from None


async def _apply_missing(conn: Connection, known: Sequence[Migration]) -> list[int]:
    await conn.execute(_CREATE_LEDGER)
    done = await applied(conn)
    _compare(known, done)
    missing = known[len(done) :]
    for migration in missing:
        await _apply(conn, migration)
    return [migration.version for migration in missing]


async def _apply(conn: Connection, migration: Migration) -> None:
    """One migration, tried again while a table it needs is in use.

    While it waits for a table, everybody else waits behind it. So it gives up sooner than a
    request does, lets the queue drain, and comes back.
    """
    for attempt in range(1, TABLE_LOCK_ATTEMPTS + 1):
        try:
            async with conn.transaction():
                await conn.execute(f"set local lock_timeout = '{TABLE_LOCK_WAIT}s'")
                await conn.execute(migration.sql)
                await conn.execute(
                    "insert into schema_migration (version, title, sha256) values ($1, $2, $3)",
                    migration.version,
                    migration.title,
                    migration.sha256,
                )
        except StatementFailed as error:
            if error.sqlstate in _TO_DO:
                raise MigrationError(_TO_DO[error.sqlstate]) from None
            raise
        except DatabaseUnavailable as error:
            if error.sqlstate != LOCK_NOT_AVAILABLE or attempt == TABLE_LOCK_ATTEMPTS:
                raise
            await asyncio.sleep(TABLE_LOCK_WAIT)
        else:
            return


def _compare(known: Sequence[Migration], done: Sequence[AppliedMigration]) -> None:
    if len(done) > len(known):
        raise MigrationError(
            f"The database is at migration {done[-1].version}, newer than this version of "
            f"Clinicway, which knows {len(known)}. Start the newer version."
        )
    for ours, theirs in zip(known, done, strict=False):
        if ours.version != theirs.version:
            raise MigrationError(
                f"The database lacks migration {ours.version:04}. Restore a backup."
            )
        if ours.sha256 != theirs.sha256:
            raise MigrationError(
                f"Migration {ours.version:04} was changed after it was applied. Put the file back "
                "as it was, and write what is new as a migration of its own."
            )
