"""Webhooks as they are asked for and as they are shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

import msgspec
from msgspec import Meta

from api.partners.webhooks.events import EventType
from api.partners.webhooks.guard import LONGEST_URL
from db.states import DeliveryFault, DeliveryState, DisabledReason
from db.webhook_rows import DeliveryRow, SubscriptionRow

_CURSOR = Meta(
    min_length=1,
    max_length=500,
    description="`next` of the page before",
    extra={"right": "what `next` of the page before holds"},
)


class WebhookWrite(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=LONGEST_URL,
            description=(
                "Where to send: https, on a public address, on port 443 or one above 1023, "
                "without user name, password and fragment"
            ),
            examples=["https://hooks.example.com/clinicway"],
        ),
    ]
    events: (
        Annotated[
            list[EventType],
            Meta(min_length=1, max_length=100, description="Types to send; every type, if null"),
        ]
        | None
    ) = None
    description: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=200,
                pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$(?!\n)",
                description="What it is for, in the words of whoever makes it",
                extra={"right": "1 to 200 characters in one line"},
                examples=["Worklist of the Phoenix office"],
            ),
        ]
        | None
    ) = None


class Replayable(StrEnum):
    """The states of a delivery that is over, one way or the other."""

    DEAD = DeliveryState.DEAD
    DELIVERED = DeliveryState.DELIVERED


class ReplayWrite(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to send once more: what is named, and what was queued since then."""

    since: (
        Annotated[
            datetime,
            Meta(tz=True, description="Everything that was first queued at this moment or later"),
        ]
        | None
    ) = None
    deliveries: Annotated[
        list[UUID], Meta(max_length=1000, description="Ids of deliveries of this webhook")
    ] = []
    only: (
        Annotated[
            Replayable,
            Meta(description="Of these only the dead ones, or only the delivered ones"),
        ]
        | None
    ) = None


class WebhooksQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: Annotated[int, Meta(ge=1, le=100, description="Webhooks on a page")] = 50
    cursor: Annotated[str, _CURSOR] | None = None


class DeliveriesQuery(msgspec.Struct, frozen=True, kw_only=True):
    state: Annotated[DeliveryState, Meta(description="Only those in this state")] | None = None
    limit: Annotated[int, Meta(ge=1, le=100, description="Deliveries on a page")] = 50
    cursor: Annotated[str, _CURSOR] | None = None


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook without its secret."""

    id: UUID
    url: str
    events: Annotated[list[EventType] | None, Meta(description="Null means every type")]
    description: str | None
    created_at: datetime
    previous_secret_until: Annotated[
        datetime | None,
        Meta(description="Until when the secret before the last rotation signs, too"),
    ]
    disabled_at: Annotated[
        datetime | None, Meta(description="Since when nothing is sent; null while it works")
    ]
    disabled_reason: Annotated[
        DisabledReason | None, Meta(description="gone: the receiver answered 410")
    ]

    @classmethod
    def from_row(cls, row: SubscriptionRow) -> Self:
        return cls(
            id=row.id,
            url=row.url,
            events=None if row.events is None else [EventType(each) for each in row.events],
            description=row.description,
            created_at=row.created_at,
            previous_secret_until=row.previous_until,
            disabled_at=row.disabled_at,
            disabled_reason=row.disabled_reason,
        )


class NewWebhook(Webhook, frozen=True, kw_only=True):
    """A webhook with its secret, which is shown this once."""

    secret: Annotated[
        str,
        Meta(
            description=(
                "What messages are signed with, for a library of Standard Webhooks; keep it, it "
                "is not shown again"
            )
        ),
    ]

    @classmethod
    def with_secret(cls, row: SubscriptionRow, secret: str) -> Self:
        return cls(secret=secret, **msgspec.structs.asdict(Webhook.from_row(row)))


class WebhookPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Webhook]
    next: Annotated[str | None, Meta(description="The `cursor` of the next page; null on the last")]


class DeliverySubject(msgspec.Struct, frozen=True, kw_only=True):
    kind: Annotated[str, Meta(description="referral, or webhook for a test")]
    id: UUID


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one webhook, and how its delivery goes."""

    id: Annotated[UUID, Meta(description="The header webhook-id, the same at every attempt")]
    type: EventType
    subject: DeliverySubject
    state: DeliveryState
    attempts: Annotated[int, Meta(description="Attempts begun so far")]
    created_at: datetime
    next_attempt_at: Annotated[
        datetime | None,
        Meta(
            description="Null unless pending. Attempts come soon after it, and it takes into "
            "account that nothing is sent while the webhook is held back"
        ),
    ]
    last_attempt_at: datetime | None
    last_status: Annotated[
        int | None, Meta(description="HTTP status of the last answer; null if none came")
    ]
    last_fault: Annotated[
        DeliveryFault | None, Meta(description="Why the last attempt did not deliver it")
    ]
    delivered_at: datetime | None
    dead_at: Annotated[
        datetime | None, Meta(description="When it was given up; a replay sends it again")
    ]

    @classmethod
    def from_row(cls, row: DeliveryRow) -> Self:
        return cls(
            id=row.id,
            type=EventType(row.event_type),
            subject=DeliverySubject(kind=row.subject_kind, id=row.subject_id),
            state=row.state,
            attempts=row.attempts,
            created_at=row.created_at,
            next_attempt_at=row.next_attempt_at,
            last_attempt_at=row.last_attempt_at,
            last_status=row.last_status,
            last_fault=row.last_fault,
            delivered_at=row.delivered_at,
            dead_at=row.dead_at,
        )


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Delivery]
    next: Annotated[str | None, Meta(description="The `cursor` of the next page; null on the last")]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    queued: Annotated[int, Meta(description="Deliveries that will be sent once more")]
