"""The statements of db/sql/sealed_keys.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import rows, value
from db.sealing_rows import SealedKeyRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from db.connection import Connection

SQL = statements("sealed_keys")


async def page_to_rewrap(
    conn: Connection, active: str, after: UUID | None, limit: int
) -> list[SealedKeyRow]:
    """Rows that are locked until the transaction ends, in the order of the referrals' ids."""
    return await rows(conn, SealedKeyRow, SQL["page_to_rewrap"], active, after, limit)


async def replace_wrapped(
    conn: Connection,
    keyring_id: str,
    referral_ids: Sequence[UUID],
    wrapped: Sequence[bytes],
    old: Sequence[bytes],
) -> int:
    """How many were still the old ones."""
    return await conn.execute(SQL["replace_wrapped"], keyring_id, referral_ids, wrapped, old)


async def count_to_rewrap(conn: Connection, active: str) -> int:
    return await value(conn, int, SQL["count_to_rewrap"], active)


async def erase_sealed_key(conn: Connection, referral_id: UUID, at: datetime) -> bool:
    """False when there is no key any more."""
    return await conn.execute(SQL["erase_sealed_key"], referral_id, at) == 1


async def vacuum_sealed_keys(conn: Connection) -> None:
    await conn.execute(SQL["vacuum_sealed_keys"])
