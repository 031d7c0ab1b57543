"""Writing down who is to be told of an event, in the transaction of what happened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import assert_never
from uuid import UUID

import msgspec

from api.partners.webhooks.events import EventData, EventType, Message, ReferralData, TrialData
from db.connection import Connection
from db.queries.webhooks import insert_deliveries, subscriptions_for
from db.webhook_rows import TargetRow


async def queue_event(
    conn: Connection,
    *,
    event_type: EventType,
    data: EventData,
    at: datetime,
    new_id: Callable[[], UUID],
    principal: str | None = None,
    clinic: UUID | None = None,
    everybody: bool = False,
    source: UUID | None = None,
) -> int:
    """Queue the event for the webhooks of a line of keys (`principal`), of whoever speaks for a
    clinic, or of everybody; how many deliveries were written.

    Each webhook gets it once, also when it is meant twice. `source` is what this follows from (a
    notice): queued again from the same source, nothing is written. Nobody is told whose keys have
    all ended. The transaction is the caller's and runs as the worker; it locks no row but those
    of the webhooks, against being deleted.
    """
    targets = await subscriptions_for(
        conn, principal=principal, clinic=clinic, everybody=everybody, event_type=event_type
    )
    return await _write(conn, targets, event_type, data, at, new_id, source)


async def queue_test(
    conn: Connection, *, webhook: UUID, principal: str, at: datetime, new_id: Callable[[], UUID]
) -> UUID:
    """Queue a message that says nothing, for one webhook; its id. As the worker."""
    target = TargetRow(id=webhook, principal=principal)
    delivery_id = new_id()
    data = TrialData(webhook=webhook)
    await _write(conn, [target], EventType.WEBHOOK_TEST, data, at, lambda: delivery_id, None)
    return delivery_id


async def _write(
    conn: Connection,
    targets: list[TargetRow],
    event_type: EventType,
    data: EventData,
    at: datetime,
    new_id: Callable[[], UUID],
    source: UUID | None,
) -> int:
    if not targets:
        return 0
    kind, subject = _subject(data)
    message = Message(type=event_type, timestamp=at, data=data)
    return await insert_deliveries(
        conn,
        ids=[new_id() for _ in targets],
        subscriptions=[target.id for target in targets],
        principals=[target.principal for target in targets],
        event_type=event_type,
        subject_kind=kind,
        subject_id=subject,
        source=source,
        payload=msgspec.json.encode(message).decode(),
    )


def _subject(data: EventData) -> tuple[str, UUID]:
    match data:
        case ReferralData():
            return "referral", data.referral
        case TrialData():
            return "webhook", data.webhook
        case _:
            assert_never(data)
