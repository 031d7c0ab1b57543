"""What the statements about referrals give back."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from uuid import UUID

import msgspec

from db.states import (
    Audience,
    DeclineReason,
    OfferState,
    ReferralEvent,
    ReferralMode,
    ReferralState,
    RoleInReferral,
    Urgency,
)


class ReferralRow(msgspec.Struct, frozen=True, kw_only=True):
    """A referral with its data key; `now` is the moment of the transaction that read it."""

    id: UUID
    version: int
    state: ReferralState
    urgency: Urgency
    mode: ReferralMode
    referrer: str
    owner_clinic_id: UUID | None
    owner_name: str | None
    asked_by: UUID | None
    answer_by: datetime | None
    visit_booked: bool
    retry_at: datetime | None
    routed_since: datetime | None
    due_at: datetime | None
    capacity_week: date | None
    sealed: bytes
    history_hash: bytes
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    keyring_id: str
    wrapped: bytes | None
    erased_at: datetime | None
    now: datetime


class OfferRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    referral_id: UUID
    referrer: str
    clinic_id: UUID
    clinic_name: str
    state: OfferState
    version: int
    sequential: bool
    opened_at: datetime
    due_at: datetime | None
    remind_at: datetime | None
    reminded_at: datetime | None
    remaining: timedelta | None
    questions: int
    first_answer_at: datetime | None
    decided_at: datetime | None
    decline_reason: DeclineReason | None
    updated_at: datetime


class HistoryRow(msgspec.Struct, frozen=True, kw_only=True):
    referral_id: UUID
    version: int
    at: datetime
    event: ReferralEvent
    role: RoleInReferral
    actor: str
    from_state: ReferralState | None
    to_state: ReferralState
    offer_id: UUID | None
    clinic_id: UUID | None
    clinic_name: str | None
    reason: DeclineReason | None
    sealed: bytes | None
    keyring_id: str
    hash: bytes


class ReferralColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The plain columns of a referral, as a step leaves them."""

    id: UUID
    version: int
    state: ReferralState
    urgency: Urgency
    mode: ReferralMode
    referrer: str
    owner_clinic_id: UUID | None
    offered_to: tuple[UUID, ...]
    asked_by: UUID | None
    answer_by: datetime | None
    visit_booked: bool
    retry_at: datetime | None
    routed_since: datetime | None
    due_at: datetime | None
    capacity_week: date | None
    history_hash: bytes
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None


class NoticeColumns(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as a step leaves it, to be sent."""

    id: UUID
    referral_id: UUID
    version: int
    event: ReferralEvent
    audience: Audience
    principal: str | None
    clinic_id: UUID | None
    offer_id: UUID | None
    at: datetime


class KeptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered to an Idempotency-Key: all of it hashed or sealed."""

    key_hash: bytes
    request_hash: bytes
    sealed: bytes


class BeforeSendingRow(msgspec.Struct, frozen=True, kw_only=True):
    """What there is already when a referral is sent: the answer that was given to this key, with
    the data key it is sealed with, and an open referral of the same patient and condition."""

    now: datetime
    referral_id: UUID | None
    request_hash: bytes | None
    answer: bytes | None
    keyring_id: str | None
    wrapped: bytes | None
    erased_at: datetime | None
    duplicate: UUID | None


class TakenRow(msgspec.Struct, frozen=True, kw_only=True):
    """How many referrals a clinic took in a week of its own."""

    clinic_id: UUID
    week: date
    taken: int


class TrackedRow(msgspec.Struct, frozen=True, kw_only=True):
    state: ReferralState
    visit_booked: bool
    created_at: datetime
    updated_at: datetime
    decide_by: datetime | None
    erased_at: datetime | None


class PlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic's zone, which says when its week begins, and how many it takes a week."""

    time_zone: str | None
    weekly_capacity: int | None
