"""The statements of `db/sql/notices.sql`. All as `db.roles.WORKER`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from db.connection import rows, values
from db.statements import statements
from db.work_rows import NoticeContextRow, NoticeRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connection import Connection

SQL = statements("notices")


async def claim_notices(
    conn: Connection, *, limit: int, lease_seconds: float, referral_id: UUID | None
) -> list[NoticeRow]:
    return await rows(conn, NoticeRow, SQL["claim_notices"], limit, lease_seconds, referral_id)


async def notice_contexts(conn: Connection, ids: Sequence[UUID]) -> list[NoticeContextRow]:
    return await rows(conn, NoticeContextRow, SQL["notice_contexts"], ids)


async def note_attempts(
    conn: Connection,
    ids: Sequence[UUID],
    attempts: Sequence[int],
    outcomes: Sequence[str],
    pauses: Sequence[float | None],
) -> list[UUID]:
    """Those that were noted; the others have a newer attempt. Pauses in seconds, null for the last
    attempt."""
    return await values(conn, UUID, SQL["note_attempts"], ids, attempts, outcomes, pauses)
