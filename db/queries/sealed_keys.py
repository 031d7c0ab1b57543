"""The statements of db/sql/sealed_keys.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import row_or_none, rows, value
from db.sealing_rows import SealedKeyRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from db.connection import Connection

SQL = statements("sealed_keys")


async def insert_sealed_key(conn: Connection, row: SealedKeyRow) -> None:
    await conn.execute(SQL["insert_sealed_key"], row.referral_id, row.keyring_id, row.wrapped)


async def sealed_key_of(conn: Connection, referral_id: UUID) -> SealedKeyRow | None:
    return await row_or_none(conn, SealedKeyRow, SQL["sealed_key_of"], referral_id)


async def sealed_keys_of(conn: Connection, referral_ids: Sequence[UUID]) -> list[SealedKeyRow]:
    return await rows(conn, SealedKeyRow, SQL["sealed_keys_of"], referral_ids)


async def page_to_rewrap(
    conn: Connection, active: str, after: UUID | None, limit: int
) -> list[SealedKeyRow]:
    """Rows that are locked until the transaction ends, in the order of the referrals' ids."""
    return await rows(conn, SealedKeyRow, SQL["page_to_rewrap"], active, after, limit)


async def replace_wrapped(
    conn: Connection, referral_id: UUID, keyring_id: str, wrapped: bytes, old: bytes
) -> bool:
    """Whether it was still the old one."""
    return await conn.execute(SQL["replace_wrapped"], referral_id, keyring_id, wrapped, old) == 1


async def count_to_rewrap(conn: Connection, active: str) -> int:
    return await value(conn, int, SQL["count_to_rewrap"], active)


async def erase_sealed_key(conn: Connection, referral_id: UUID, at: datetime) -> bool:
    """False when there is no key any more."""
    return await conn.execute(SQL["erase_sealed_key"], referral_id, at) == 1


async def vacuum_sealed_keys(conn: Connection) -> None:
    await conn.execute(SQL["vacuum_sealed_keys"])
