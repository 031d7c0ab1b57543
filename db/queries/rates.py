"""The statements of db/sql/rates.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import rows
from db.rate_rows import RateRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.connection import Connection

SQL = statements("rates")


async def exchange_counts(
    conn: Connection,
    *,
    opened: Sequence[datetime],
    buckets: Sequence[bytes],
    news: Sequence[int],
) -> list[RateRow]:
    """Adds `news` to each bucket, which may be there once only; what all processes have counted."""
    return await rows(conn, RateRow, SQL["exchange_counts"], opened, buckets, news)


async def delete_old_windows(conn: Connection, before: datetime) -> int:
    return await conn.execute(SQL["delete_old_windows"], before)
