"""What the statements of db/sql/notices.sql, sweeps.sql and responsiveness.sql give back."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from db.states import Audience, DeclineReason, ReferralEvent, ReferralState


class NoticeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that was claimed: the attempt has begun."""

    id: UUID
    referral_id: UUID
    version: int
    event: ReferralEvent
    audience: Audience
    principal: str | None
    clinic_id: UUID | None
    offer_id: UUID | None
    at: datetime
    attempts: int


class NoticeContextRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where a notice goes, and what it is about. The last three are null unless the address may
    stand in the sealed part."""

    id: UUID
    state: ReferralState
    step_offer_id: UUID | None
    step_clinic_id: UUID | None
    email: str | None
    has_webhooks: bool
    sealed: bytes | None
    keyring_id: str | None
    wrapped: bytes | None

    def __repr__(self) -> str:
        return f"NoticeContextRow({self.state})"


class HolderRow(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic that has referrals, and the number of its newest change."""

    clinic_id: UUID
    change_seq: int


class BacklogRow(msgspec.Struct, frozen=True, kw_only=True):
    """Lags in seconds; jobs in the queue."""

    referral_lag: float
    notice_lag: float
    queued: int
    taken: int


class AnswersRow(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the offers of one clinic within a year."""

    clinic_id: UUID
    answers: int
    median_seconds: float
    accepted: int
    declined: int
    reasons: list[DeclineReason]
    """Of the declines, each once or more."""
