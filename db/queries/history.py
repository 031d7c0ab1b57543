"""The statements of db/sql/history.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import rows
from db.referral_rows import HistoryRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from db.connection import Connection

SQL = statements("history")


async def history_of_referral(conn: Connection, referral_id: UUID) -> list[HistoryRow]:
    return await rows(conn, HistoryRow, SQL["history_of_referral"], referral_id)


async def history_of_referrals(conn: Connection, referral_ids: Sequence[UUID]) -> list[HistoryRow]:
    return await rows(conn, HistoryRow, SQL["history_of_referrals"], referral_ids)
