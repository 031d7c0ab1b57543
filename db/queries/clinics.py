"""The statements of `db/sql/clinics.sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from db.connection import rows, values
from db.rows import ClinicRow, ImportedRow, OfferingRow, SiteRow, StaleRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from uuid import UUID

    from db.connection import Connection

SQL = statements("clinics")

# organization_name is read through the join and is no column of the table.
CLINIC_COLUMNS = tuple(name for name in ClinicRow.__struct_fields__ if name != "organization_name")


async def find_clinics(
    conn: Connection,
    *,
    ids: Sequence[UUID] | None = None,
    slugs: Sequence[str] | None = None,
    import_keys: Sequence[str] | None = None,
) -> list[ClinicRow]:
    """Clinics of any status that meet every filter that is given."""
    return await rows(conn, ClinicRow, SQL["find_clinics"], ids, slugs, import_keys)


async def point_redirects_to(conn: Connection, merged: UUID, survivor: UUID) -> None:
    await conn.execute(SQL["point_redirects_to"], merged, survivor)


async def clinics_with_expired_claims(
    conn: Connection, now: datetime, limit: int
) -> list[ClinicRow]:
    return await rows(conn, ClinicRow, SQL["clinics_with_expired_claims"], now, limit)


async def offerings_of_clinics(conn: Connection, clinic_ids: Sequence[UUID]) -> list[OfferingRow]:
    """Clinic by clinic, in the order in which they were written."""
    return await rows(conn, OfferingRow, SQL["offerings_of_clinics"], clinic_ids)


async def save_clinics(conn: Connection, clinics: Sequence[ClinicRow]) -> None:
    """Insert each one, or overwrite the one with its id. Raises `AlreadyThere` on a taken slug or
    import key. `change_seq` must name a row of the log by the end of the transaction."""
    await conn.executemany(
        SQL["save_clinic"],
        [[getattr(clinic, column) for column in CLINIC_COLUMNS] for clinic in clinics],
    )


async def delete_offerings(conn: Connection, clinic_ids: Sequence[UUID]) -> None:
    await conn.execute(SQL["delete_offerings"], clinic_ids)


async def insert_offerings(conn: Connection, offerings: Sequence[OfferingRow]) -> None:
    await conn.executemany(
        SQL["insert_offering"], [msgspec.structs.astuple(offering) for offering in offerings]
    )


async def taken_slugs(conn: Connection, candidates: Sequence[str]) -> list[str]:
    return await values(conn, str, SQL["taken_slugs"], candidates)


async def imported_clinics(conn: Connection, key_prefix: str) -> list[ImportedRow]:
    return await rows(conn, ImportedRow, SQL["imported_clinics"], key_prefix)


async def stale_clinics(
    conn: Connection,
    verified_before: datetime,
    after_verified_at: datetime | None,
    after_id: UUID | None,
    limit: int,
) -> list[StaleRow]:
    return await rows(
        conn,
        StaleRow,
        SQL["stale_clinics"],
        verified_before,
        after_verified_at,
        after_id,
        limit,
    )


async def sites(conn: Connection) -> list[SiteRow]:
    return await rows(conn, SiteRow, SQL["sites"])
