"""The statements of db/sql/referrals.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from db.connection import one_row, row_or_none, rows, value, values
from db.referral_rows import BeforeSendingRow, ReferralRow, TrackedRow
from db.roles import WORKER
from db.statements import statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from db.connection import Connection
    from db.referral_rows import (
        HistoryRow,
        KeptAnswer,
        NoticeColumns,
        OfferRow,
        ReferralColumns,
    )
    from db.sealing_rows import SealedKeyRow
    from db.states import ReferralState

SQL = statements("referrals")


async def begin_sending(
    conn: Connection, *, principal: str, request_lock: int, patient_locks: Sequence[int]
) -> bool:
    """Take the locks of a request and of its patient, and go on as the worker; False when a
    request with the same lock is under way."""
    locked = await value(
        conn, int, SQL["begin_sending"], principal, request_lock, patient_locks, WORKER
    )
    return locked >= 0


async def before_sending(
    conn: Connection, principal: str, key_hash: bytes, fingerprints: Sequence[bytes]
) -> BeforeSendingRow:
    return await one_row(
        conn, BeforeSendingRow, SQL["before_sending"], principal, key_hash, fingerprints
    )


async def insert_referral(
    conn: Connection,
    referral: ReferralColumns,
    *,
    sealed: bytes,
    fingerprints: Sequence[bytes],
    key: SealedKeyRow,
    answer: KeptAnswer,
    offers: Sequence[OfferRow],
    history: Sequence[HistoryRow],
    notices: Sequence[NoticeColumns],
) -> None:
    """A new referral with all that belongs to it."""
    await conn.execute(
        SQL["insert_referral"],
        _json([referral])[1:-1],
        sealed,
        fingerprints,
        key.keyring_id,
        key.wrapped,
        answer.key_hash,
        answer.request_hash,
        answer.sealed,
        _json(offers),
        _json(history),
        _json(notices),
    )


async def save_referral(
    conn: Connection,
    referral: ReferralColumns,
    *,
    before: int,
    sealed: bytes | None,
    offers: Sequence[OfferRow],
    history: Sequence[HistoryRow],
    notices: Sequence[NoticeColumns],
) -> bool:
    """Whether it still had the version `before`; if not, the transaction must not be committed.

    `sealed` takes the place of the stored document, unless it is None. `offers` are those that
    changed or are new, the changed ones first.
    """
    saved = await value(
        conn,
        int,
        SQL["save_referral"],
        _json([referral])[1:-1],
        before,
        sealed,
        _json(offers),
        _json(history),
        _json(notices),
    )
    return saved == 1


async def lock_referral(conn: Connection, referral_id: UUID) -> ReferralRow | None:
    """Of what may be seen; nobody else can change it until the transaction ends."""
    return await row_or_none(conn, ReferralRow, SQL["lock_referral"], referral_id)


async def referral_by_id(conn: Connection, referral_id: UUID) -> ReferralRow | None:
    return await row_or_none(conn, ReferralRow, SQL["referral_by_id"], referral_id)


async def referrals_by_id(conn: Connection, ids: Sequence[UUID]) -> list[ReferralRow]:
    return await rows(conn, ReferralRow, SQL["referrals_by_id"], ids)


async def page_of_referrals(
    conn: Connection,
    *,
    principal: str,
    clinics: Sequence[UUID],
    states: Sequence[ReferralState] | None,
    overdue: bool | None,
    updated_since: datetime | None,
    limit: int,
    after_at: datetime | None,
    after_id: UUID | None,
    urgent: timedelta,
    soon: timedelta,
    routine: timedelta,
) -> list[ReferralRow]:
    return await rows(
        conn,
        ReferralRow,
        SQL["page_of_referrals"],
        principal,
        clinics,
        states,
        overdue,
        updated_since,
        limit,
        after_at,
        after_id,
        urgent,
        soon,
        routine,
    )


async def held_by_clinic(conn: Connection, clinic_id: UUID) -> list[UUID]:
    return await values(conn, UUID, SQL["held_by_clinic"], clinic_id)


async def tracked_referral(conn: Connection, referral_id: UUID) -> TrackedRow | None:
    return await row_or_none(conn, TrackedRow, SQL["tracked_referral"], referral_id)


async def forget_answers(conn: Connection, before: datetime, most: int) -> int:
    """How many were deleted."""
    return await conn.execute(SQL["forget_answers"], before, most)


def _json(columns: Sequence[msgspec.Struct]) -> str:
    """As json_populate_recordset reads them: bytes in PostgreSQL's hexadecimal form."""
    return msgspec.json.encode(
        [
            {
                name: "\\x" + field.hex() if isinstance(field, bytes) else field
                for name, field in msgspec.structs.asdict(row).items()
            }
            for row in columns
        ]
    ).decode()
