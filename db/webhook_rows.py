"""What the statements of db/sql/webhooks.sql give back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from db.states import DeliveryFault, DeliveryState, DisabledReason


class SubscriptionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook without its secrets."""

    id: UUID
    url: str
    description: str | None
    events: list[str] | None
    created_at: datetime
    previous_until: datetime | None
    """Null unless the secret before still signs."""
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None


class SealedSecretRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    secret: bytes
    secret_keyring_id: str


class TargetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook that an event goes to."""

    id: UUID
    principal: str


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    event_type: str
    subject_kind: str
    subject_id: UUID
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    last_attempt_at: datetime | None
    last_status: int | None
    last_fault: DeliveryFault | None
    delivered_at: datetime | None
    dead_at: datetime | None


class ClaimedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is to be sent now, with what it takes."""

    id: UUID
    subscription_id: UUID
    attempts: int
    tries: int
    payload: str
    url: str
    secret: bytes
    secret_keyring_id: str
    previous_secret: bytes | None
    previous_keyring_id: str | None
    disabled: bool
    key_lives: bool
