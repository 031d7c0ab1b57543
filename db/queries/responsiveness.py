"""The statements of `db/sql/responsiveness.sql`. All as `db.roles.WORKER`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from db.connection import rows, values
from db.statements import statements
from db.work_rows import AnswersRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from db.connection import Connection

SQL = statements("responsiveness")


async def clinics_to_measure(conn: Connection, after: UUID | None, limit: int) -> list[UUID]:
    """By id, from the one after `after` on."""
    return await values(conn, UUID, SQL["clinics_to_measure"], after, limit)


async def answers_of(conn: Connection, clinics: Sequence[UUID]) -> list[AnswersRow]:
    """One row for each of them that has answered at all."""
    return await rows(conn, AnswersRow, SQL["answers_of"], list(clinics))
