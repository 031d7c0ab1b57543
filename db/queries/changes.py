"""The statements of `db/sql/changes.sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import rows, value
from db.rows import ChangeRow, ProfileRow, RedirectRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from db.connection import Connection
    from db.states import ChangeKind

SQL = statements("changes")


async def lock_directory(conn: Connection) -> None:
    await conn.execute(SQL["lock_directory"])


async def append_changes(
    conn: Connection,
    kinds: Sequence[ChangeKind],
    clinic_ids: Sequence[UUID],
    merged_into: Sequence[UUID | None],
    profiles: Sequence[str | None],
    at: datetime,
    actor: str,
) -> int:
    """One row of the log for each position of the four lists, in that order; the last number.

    The caller holds the lock of `lock_directory`, and the lists are not empty.
    """
    return await value(
        conn,
        int,
        SQL["append_changes"],
        kinds,
        clinic_ids,
        merged_into,
        profiles,
        at,
        actor,
    )


async def newest_change(conn: Connection) -> int:
    """The directory version: 0 when nothing was ever written."""
    return await value(conn, int, SQL["newest_change"])


async def changes_after(conn: Connection, seq: int, limit: int) -> list[ChangeRow]:
    return await rows(conn, ChangeRow, SQL["changes_after"], seq, limit)


async def changes_of_clinic(
    conn: Connection, clinic_id: UUID, below: int | None, limit: int
) -> list[ChangeRow]:
    return await rows(conn, ChangeRow, SQL["changes_of_clinic"], clinic_id, below, limit)


async def live_profiles(conn: Connection, after_id: UUID | None, limit: int) -> list[ProfileRow]:
    return await rows(conn, ProfileRow, SQL["live_profiles"], after_id, limit)


async def redirects(conn: Connection) -> list[RedirectRow]:
    return await rows(conn, RedirectRow, SQL["redirects"])
