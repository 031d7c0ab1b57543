"""The statements of db/sql/webhooks.sql."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from db.connection import one_row, row_or_none, rows, value, values
from db.statements import statements
from db.webhook_rows import ClaimedRow, DeliveryRow, SealedSecretRow, SubscriptionRow, TargetRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from db.connection import Connection
    from db.states import DeliveryFault, DeliveryState, DisabledReason

SQL = statements("webhooks")


async def hold_principal(conn: Connection, principal: str) -> None:
    await conn.execute(SQL["hold_principal"], principal)


async def count_subscriptions(conn: Connection, principal: str) -> int:
    return await value(conn, int, SQL["count_subscriptions"], principal)


async def insert_subscription(
    conn: Connection,
    *,
    subscription_id: UUID,
    principal: str,
    clinics: Sequence[UUID],
    url: str,
    description: str | None,
    events: Sequence[str] | None,
    secret: bytes,
    keyring_id: str,
) -> SubscriptionRow:
    return await one_row(
        conn,
        SubscriptionRow,
        SQL["insert_subscription"],
        subscription_id,
        principal,
        list(clinics),
        url,
        description,
        None if events is None else list(events),
        secret,
        keyring_id,
    )


async def page_of_subscriptions(
    conn: Connection, principal: str, *, before: UUID | None, limit: int
) -> list[SubscriptionRow]:
    return await rows(conn, SubscriptionRow, SQL["page_of_subscriptions"], principal, before, limit)


async def subscription_by_id(
    conn: Connection, subscription_id: UUID, principal: str
) -> SubscriptionRow | None:
    return await row_or_none(
        conn, SubscriptionRow, SQL["subscription_by_id"], subscription_id, principal
    )


async def lock_own_subscription(
    conn: Connection, subscription_id: UUID, principal: str
) -> SubscriptionRow | None:
    return await row_or_none(
        conn, SubscriptionRow, SQL["lock_own_subscription"], subscription_id, principal
    )


async def lock_secret(
    conn: Connection, subscription_id: UUID, principal: str
) -> SealedSecretRow | None:
    return await row_or_none(conn, SealedSecretRow, SQL["lock_secret"], subscription_id, principal)


async def replace_secret(
    conn: Connection,
    subscription_id: UUID,
    *,
    secret: bytes,
    keyring_id: str,
    previous_secret: bytes,
    previous_keyring_id: str,
    overlap_seconds: float,
) -> SubscriptionRow:
    return await one_row(
        conn,
        SubscriptionRow,
        SQL["replace_secret"],
        subscription_id,
        secret,
        keyring_id,
        previous_secret,
        previous_keyring_id,
        overlap_seconds,
    )


async def delete_subscription(conn: Connection, subscription_id: UUID, principal: str) -> int:
    """How many there were: one or none. Its deliveries go with it."""
    return await conn.execute(SQL["delete_subscription"], subscription_id, principal)


async def enable_subscription(
    conn: Connection, subscription_id: UUID, principal: str
) -> SubscriptionRow | None:
    return await row_or_none(
        conn, SubscriptionRow, SQL["enable_subscription"], subscription_id, principal
    )


async def subscriptions_for(
    conn: Connection,
    *,
    principal: str | None,
    clinic: UUID | None,
    everybody: bool,
    event_type: str,
) -> list[TargetRow]:
    return await rows(
        conn, TargetRow, SQL["subscriptions_for"], principal, clinic, everybody, event_type
    )


async def insert_deliveries(
    conn: Connection,
    *,
    ids: Sequence[UUID],
    subscriptions: Sequence[UUID],
    principals: Sequence[str],
    event_type: str,
    subject_kind: str,
    subject_id: UUID,
    source: UUID | None,
    payload: str,
) -> int:
    """Writes one delivery for each subscription; how many there were not yet of that source."""
    return await conn.execute(
        SQL["insert_deliveries"],
        ids,
        subscriptions,
        principals,
        event_type,
        subject_kind,
        subject_id,
        source,
        payload,
    )


async def delivery_by_id(
    conn: Connection, delivery_id: UUID, subscription_id: UUID
) -> DeliveryRow | None:
    return await row_or_none(conn, DeliveryRow, SQL["delivery_by_id"], delivery_id, subscription_id)


async def page_of_deliveries(
    conn: Connection,
    subscription_id: UUID,
    *,
    state: DeliveryState | None,
    before: UUID | None,
    limit: int,
) -> list[DeliveryRow]:
    return await rows(
        conn, DeliveryRow, SQL["page_of_deliveries"], subscription_id, state, before, limit
    )


async def deliveries_among(
    conn: Connection, subscription_id: UUID, ids: Sequence[UUID]
) -> list[UUID]:
    """Those of the ids that are deliveries of that webhook."""
    return await values(conn, UUID, SQL["deliveries_among"], subscription_id, ids)


async def replay_deliveries(
    conn: Connection,
    subscription_id: UUID,
    *,
    state: DeliveryState | None,
    since: datetime | None,
    ids: Sequence[UUID],
) -> int:
    return await conn.execute(SQL["replay_deliveries"], subscription_id, state, since, ids)


async def claim_due(
    conn: Connection, *, limit: int, per_subscription: int, lease_seconds: float
) -> list[ClaimedRow]:
    return await rows(conn, ClaimedRow, SQL["claim_due"], limit, per_subscription, lease_seconds)


async def lock_subscription(conn: Connection, subscription_id: UUID) -> int:
    return await conn.execute(SQL["lock_subscription"], subscription_id)


async def mark_delivered(conn: Connection, delivery_id: UUID, attempt: int, *, status: int) -> int:
    """One, or none when the attempt is no longer the newest; so for the next two, as well."""
    return await conn.execute(SQL["mark_delivered"], delivery_id, attempt, status)


async def mark_dead(
    conn: Connection, delivery_id: UUID, attempt: int, *, status: int | None, fault: DeliveryFault
) -> int:
    return await conn.execute(SQL["mark_dead"], delivery_id, attempt, status, fault)


async def put_off(
    conn: Connection,
    delivery_id: UUID,
    attempt: int,
    *,
    seconds: float,
    status: int | None,
    fault: DeliveryFault,
) -> int:
    return await conn.execute(SQL["put_off"], delivery_id, attempt, seconds, status, fault)


async def hush_subscription(conn: Connection, subscription_id: UUID, seconds: float) -> int:
    return await conn.execute(SQL["hush_subscription"], subscription_id, seconds)


async def disable_subscription(
    conn: Connection, subscription_id: UUID, reason: DisabledReason
) -> int:
    return await conn.execute(SQL["disable_subscription"], subscription_id, reason)


async def end_pending(conn: Connection, subscription_id: UUID) -> int:
    return await conn.execute(SQL["end_pending"], subscription_id)


async def forget_deliveries(conn: Connection, *, older_than_seconds: float, limit: int) -> int:
    return await conn.execute(SQL["forget_deliveries"], older_than_seconds, limit)
