"""The statements of `db/sql/catalogue.sql`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import rows
from db.rows import CatalogueRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connection import Connection

SQL = statements("catalogue")


async def catalogue_entries(conn: Connection) -> list[CatalogueRow]:
    """All entries, by kind, each kind in the order in which it was given."""
    return await rows(conn, CatalogueRow, SQL["catalogue_entries"])


async def replace_catalogue(conn: Connection, entries: Sequence[CatalogueRow]) -> None:
    """Make the entries given the whole catalogue. To be called inside a transaction."""
    kinds = [entry.kind for entry in entries]
    codes = [entry.code for entry in entries]
    documents = [entry.document for entry in entries]
    await conn.execute(SQL["remove_other_catalogue_entries"], kinds, codes)
    await conn.execute(
        SQL["put_catalogue_entries"], kinds, codes, list(range(len(entries))), documents
    )
