"""The statements of `db/sql/sweeps.sql`. All as `db.roles.WORKER`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from db.connection import one_row, rows, values
from db.statements import statements
from db.work_rows import BacklogRow, HolderRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connection import Connection

SQL = statements("sweeps")


async def claim_due_referrals(
    conn: Connection, waiting: Sequence[UUID], *, limit: int, among: int
) -> list[UUID]:
    """Up to `limit` of the `among` that have been due longest. They are this worker's until the
    transaction ends."""
    return await values(conn, UUID, SQL["claim_due_referrals"], list(waiting), limit, among)


async def still_due(conn: Connection, referrals: Sequence[UUID]) -> list[UUID]:
    return await values(conn, UUID, SQL["still_due"], list(referrals))


async def take_reader(conn: Connection) -> int | None:
    """The number of the last change that was read; None while another worker is reading."""
    found = await values(conn, int, SQL["take_reader"])
    return found[0] if found else None


async def move_reader(conn: Connection, seq: int) -> None:
    await conn.execute(SQL["move_reader"], seq)


async def clinics_with_referrals(conn: Connection, clinics: Sequence[UUID]) -> list[HolderRow]:
    return await rows(conn, HolderRow, SQL["clinics_with_referrals"], list(clinics))


async def backlog(conn: Connection) -> BacklogRow:
    return await one_row(conn, BacklogRow, SQL["backlog"])


async def forget_finished_jobs(conn: Connection, limit: int) -> int:
    return await conn.execute(SQL["forget_finished_jobs"], limit)


async def begin_duty(conn: Connection, name: str, every_seconds: float) -> bool:
    """Whether it is this worker that does it now."""
    return bool(await values(conn, str, SQL["begin_duty"], name, every_seconds))
