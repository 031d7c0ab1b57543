"""The statements of db/sql/audit.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.audit_rows import AuditEntryRow, AuditLaneRow, AuditPageRow
from db.connection import row_or_none, rows
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from db.connection import Connection

SQL = statements("audit")


async def lock_lane(conn: Connection, lane: int) -> AuditLaneRow | None:
    return await row_or_none(conn, AuditLaneRow, SQL["lock_lane"], lane)


async def open_lanes(
    conn: Connection, lanes: Sequence[int], keyring_id: str, macs: Sequence[bytes]
) -> int:
    """How many of these empty lanes were not there yet."""
    return await conn.execute(SQL["open_lanes"], lanes, keyring_id, macs)


async def append_entry(conn: Connection, entry: AuditEntryRow, lane_mac: bytes) -> int:
    """The entry, and the row of its lane moved on to it."""
    return await conn.execute(
        SQL["append_entry"],
        entry.lane,
        entry.number,
        entry.id,
        entry.at,
        entry.actor,
        entry.principal,
        entry.action,
        entry.object_kind,
        entry.object_id,
        entry.related,
        entry.request_id,
        entry.outcome,
        entry.resumed,
        entry.keyring_id,
        entry.mac,
        lane_mac,
    )


async def lanes(conn: Connection) -> list[AuditLaneRow]:
    return await rows(conn, AuditLaneRow, SQL["lanes"])


async def entries_of_lane(
    conn: Connection, lane: int, after: int, limit: int
) -> list[AuditEntryRow]:
    return await rows(conn, AuditEntryRow, SQL["entries_of_lane"], lane, after, limit)


async def page_of_entries(
    conn: Connection,
    *,
    actors: Sequence[str] | None,
    since: datetime | None,
    before: UUID | None,
    limit: int,
) -> list[AuditPageRow]:
    """Entries older than the entry `before` that were made by one of the actors."""
    return await rows(conn, AuditPageRow, SQL["page_of_entries"], actors, since, before, limit)


async def page_of_entries_about(
    conn: Connection,
    object_id: str,
    *,
    actors: Sequence[str] | None,
    since: datetime | None,
    before: UUID | None,
    limit: int,
) -> list[AuditPageRow]:
    """The same of what was done to an object, or of lists that it was on."""
    return await rows(
        conn, AuditPageRow, SQL["page_of_entries_about"], actors, since, before, limit, object_id
    )
