"""The statements of `db/sql/imports.sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import rows
from db.rows import ImportedRow, ImportMarkRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connection import Connection

SQL = statements("imports")


async def import_marks(conn: Connection, keys: Sequence[str]) -> list[ImportMarkRow]:
    """What the last import of those rows left behind, for the rows that were imported before."""
    return await rows(conn, ImportMarkRow, SQL["import_marks"], keys)


async def imported_from(conn: Connection, prefix: str) -> list[ImportedRow]:
    """The active clinics that came from the source whose keys begin so."""
    return await rows(conn, ImportedRow, SQL["imported_from"], prefix)
