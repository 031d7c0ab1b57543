"""The statements of `db/sql/organizations.sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import rows
from db.rows import OrganizationRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.connection import Connection

SQL = statements("organizations")


async def organizations_by_slug(conn: Connection, slugs: Sequence[str]) -> list[OrganizationRow]:
    return await rows(conn, OrganizationRow, SQL["organizations_by_slug"], slugs)


async def insert_organizations(
    conn: Connection, organizations: Sequence[OrganizationRow], now: datetime
) -> None:
    await conn.executemany(
        SQL["insert_organization"], [(row.id, row.slug, row.name, now) for row in organizations]
    )
