"""The statements of db/sql/weeks.sql: what clinics take in their weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.connection import one_row, rows, values
from db.referral_rows import PlaceRow, TakenRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date
    from uuid import UUID

    from db.connection import Connection

SQL = statements("weeks")


async def taken_in_weeks(
    conn: Connection, clinics: Sequence[UUID], weeks: Sequence[date]
) -> list[TakenRow]:
    """Pairs of the two lists that took none are left out."""
    return await rows(conn, TakenRow, SQL["taken_in_weeks"], clinics, weeks)


async def place_of_clinic(conn: Connection, clinic_id: UUID) -> PlaceRow:
    return await one_row(conn, PlaceRow, SQL["place_of_clinic"], clinic_id)


async def take_place(conn: Connection, clinic_id: UUID, week: date) -> int | None:
    """How many the clinic has taken with this one; None when it has no place left."""
    taken = await values(conn, int, SQL["take_place"], clinic_id, week)
    return taken[0] if taken else None


async def free_place(conn: Connection, clinic_id: UUID, week: date) -> None:
    await conn.execute(SQL["free_place"], clinic_id, week)


async def move_place(
    conn: Connection, clinic_id: UUID, into: UUID, week: date, week_there: date
) -> None:
    await conn.execute(SQL["move_place"], clinic_id, into, week, week_there)
