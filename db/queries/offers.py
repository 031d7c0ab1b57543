"""The statements of db/sql/offers.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from db.connection import row_or_none, rows, values
from db.referral_rows import OfferRow
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.connection import Connection
    from db.states import OfferState

SQL = statements("offers")


async def referral_of_offer(conn: Connection, offer_id: UUID) -> UUID | None:
    found = await values(conn, UUID, SQL["referral_of_offer"], offer_id)
    return found[0] if found else None


async def offers_of_referral(conn: Connection, referral_id: UUID) -> list[OfferRow]:
    return await rows(conn, OfferRow, SQL["offers_of_referral"], referral_id)


async def offers_of_referrals(conn: Connection, referral_ids: Sequence[UUID]) -> list[OfferRow]:
    return await rows(conn, OfferRow, SQL["offers_of_referrals"], referral_ids)


async def offer_by_id(conn: Connection, offer_id: UUID, clinics: Sequence[UUID]) -> OfferRow | None:
    return await row_or_none(conn, OfferRow, SQL["offer_by_id"], offer_id, clinics)


async def page_of_offers(
    conn: Connection,
    *,
    clinics: Sequence[UUID],
    states: Sequence[OfferState] | None,
    limit: int,
    after_at: datetime | None,
    after_id: UUID | None,
) -> list[OfferRow]:
    return await rows(
        conn, OfferRow, SQL["page_of_offers"], clinics, states, limit, after_at, after_id
    )
