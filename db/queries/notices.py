"""The statements of `db/sql/notices.sql`. All as `db.roles.WORKER`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import one_row, rows
from db.statements import statements
from db.work_rows import NoticeContextRow, NoticeRow

if TYPE_CHECKING:
    from uuid import UUID

    from db.connection import Connection

SQL = statements("notices")


async def claim_notices(
    conn: Connection, *, limit: int, lease_seconds: float, referral_id: UUID | None
) -> list[NoticeRow]:
    return await rows(conn, NoticeRow, SQL["claim_notices"], limit, lease_seconds, referral_id)


async def notice_context(conn: Connection, notice_id: UUID) -> NoticeContextRow:
    return await one_row(conn, NoticeContextRow, SQL["notice_context"], notice_id)


async def notice_sent(conn: Connection, notice_id: UUID, attempts: int, outcome: str) -> int:
    """0 when a newer attempt has begun, here and in the two below."""
    return await conn.execute(SQL["notice_sent"], notice_id, attempts, outcome)


async def notice_put_off(
    conn: Connection, notice_id: UUID, attempts: int, seconds: float, outcome: str
) -> int:
    return await conn.execute(SQL["notice_put_off"], notice_id, attempts, seconds, outcome)


async def notice_given_up(conn: Connection, notice_id: UUID, attempts: int, outcome: str) -> int:
    return await conn.execute(SQL["notice_given_up"], notice_id, attempts, outcome)
