"""The statements of db/sql/keys.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import one_row, row_or_none, rows
from db.rows import ApiKeyRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.connection import Connection

SQL = statements("keys")


async def insert_key(
    conn: Connection,
    *,
    key_id: str,
    name: str,
    scopes: Sequence[str],
    secret_hash: bytes,
    keyring_id: str,
    created_at: datetime,
    created_by: str,
    expires_at: datetime | None,
    principal: str,
    email: str | None,
) -> ApiKeyRow:
    return await one_row(
        conn,
        ApiKeyRow,
        SQL["insert_key"],
        key_id,
        name,
        list(scopes),
        secret_hash,
        keyring_id,
        created_at,
        created_by,
        expires_at,
        principal,
        email,
    )


async def key_by_id(conn: Connection, key_id: str) -> ApiKeyRow | None:
    return await row_or_none(conn, ApiKeyRow, SQL["key_by_id"], key_id)


async def lock_key(conn: Connection, key_id: str) -> ApiKeyRow | None:
    return await row_or_none(conn, ApiKeyRow, SQL["lock_key"], key_id)


async def page_of_keys(
    conn: Connection, *, before: str | None, ended: bool, now: datetime, limit: int
) -> list[ApiKeyRow]:
    """Keys older than the key `before`; those that no longer work only if `ended`."""
    return await rows(conn, ApiKeyRow, SQL["page_of_keys"], before, ended, now, limit)


async def revoke_key(conn: Connection, key_id: str, now: datetime) -> ApiKeyRow | None:
    return await row_or_none(conn, ApiKeyRow, SQL["revoke_key"], key_id, now)


async def retire_key(
    conn: Connection, key_id: str, *, replaced_by: str, until: datetime
) -> ApiKeyRow:
    return await one_row(conn, ApiKeyRow, SQL["retire_key"], key_id, replaced_by, until)


async def keys_still_working(conn: Connection, key_id: str, now: datetime) -> list[ApiKeyRow]:
    return await rows(conn, ApiKeyRow, SQL["keys_still_working"], key_id, now)


async def note_key_use(conn: Connection, key_id: str, now: datetime) -> int:
    """How many rows were written: none when it was noted less than a minute ago."""
    return await conn.execute(SQL["note_key_use"], key_id, now)
