"""What webhooks can hear of, and what a message says: ids and names of steps, nothing else."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

import msgspec

from db.states import ReferralState


class EventType(StrEnum):
    """What can happen. Those of referrals are `db.states.ReferralEvent`, one for one."""

    REFERRAL_CREATED = "referral.created"
    REFERRAL_SCREENING_CONFIRMED = "referral.screening_confirmed"
    REFERRAL_OFFERED = "referral.offered"
    REFERRAL_WAITING = "referral.waiting"
    REFERRAL_UNROUTED = "referral.unrouted"
    REFERRAL_ACCEPTED = "referral.accepted"
    REFERRAL_DECLINED = "referral.declined"
    REFERRAL_ASKED = "referral.asked"
    REFERRAL_ANSWERED = "referral.answered"
    REFERRAL_ANSWER_OVERDUE = "referral.answer_overdue"
    REFERRAL_EXPIRED = "referral.expired"
    REFERRAL_CLINIC_CLOSED = "referral.clinic_closed"
    REFERRAL_CLINIC_FULL = "referral.clinic_full"
    REFERRAL_CLINIC_GONE = "referral.clinic_gone"
    REFERRAL_CLINIC_MERGED = "referral.clinic_merged"
    REFERRAL_SCHEDULED = "referral.scheduled"
    REFERRAL_NO_SHOW = "referral.no_show"
    REFERRAL_STARTED = "referral.started"
    REFERRAL_COMPLETED = "referral.completed"
    REFERRAL_RETURNED = "referral.returned"
    REFERRAL_CANCELLED = "referral.cancelled"
    REFERRAL_ROUTE_REQUESTED = "referral.route_requested"
    REFERRAL_REMINDED = "referral.reminded"
    REFERRAL_ERASED = "referral.erased"
    WEBHOOK_TEST = "webhook.test"


class ReferralData(msgspec.Struct, frozen=True, kw_only=True):
    """Which referral, and where it stands after the step. Read the rest with a key."""

    referral: UUID
    offer: UUID | None
    clinic: UUID | None
    state: ReferralState
    version: int


class TrialData(msgspec.Struct, frozen=True, kw_only=True):
    """A message that was asked for, to see whether it arrives."""

    webhook: UUID


EventData: TypeAlias = ReferralData | TrialData


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """The body that is signed and sent, as Standard Webhooks lays it out."""

    type: EventType
    timestamp: datetime
    """When it happened, not when it is sent."""
    data: EventData
