"""The statements of db/sql/erasure.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from db.connection import values
from db.statements import statements

if TYPE_CHECKING:
    from datetime import datetime

    from db.connection import Connection

SQL = statements("erasure")


async def forget_fingerprints(conn: Connection, referral_id: UUID) -> None:
    await conn.execute(SQL["forget_fingerprints"], referral_id)


async def page_to_erase(conn: Connection, before: datetime, limit: int) -> list[UUID]:
    return await values(conn, UUID, SQL["page_to_erase"], before, limit)
