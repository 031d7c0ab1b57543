"""How long a clinic has to answer, when it is reminded, and what a pause does to that. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import assert_never
from uuid import UUID

import msgspec

from db.states import DeclineReason, OfferState, Urgency


class Clocks(msgspec.Struct, frozen=True, kw_only=True):
    """The spans of a deployment: for a clinic's decision by urgency, and for the referrer's answer
    to a clinic's question."""

    urgent: timedelta = timedelta(hours=4)
    soon: timedelta = timedelta(hours=24)
    routine: timedelta = timedelta(hours=72)
    answer: timedelta = timedelta(days=5)

    def decision(self, urgency: Urgency) -> timedelta:
        match urgency:
            case Urgency.URGENT:
                return self.urgent
            case Urgency.SOON:
                return self.soon
            case Urgency.ROUTINE:
                return self.routine
            case _:
                assert_never(urgency)


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A referral put to one clinic.

    While open, either the clock runs (`due_at` is set) or it is paused (`remaining` is set).
    """

    id: UUID
    clinic_id: UUID
    state: OfferState
    version: int
    opened_at: datetime
    due_at: datetime | None
    remind_at: datetime | None
    reminded_at: datetime | None = None
    remaining: timedelta | None = None
    questions: int = 0
    first_answer_at: datetime | None = None
    decided_at: datetime | None = None
    decline_reason: DeclineReason | None = None

    @property
    def is_open(self) -> bool:
        return self.state is OfferState.OPEN

    def has_lapsed(self, now: datetime) -> bool:
        """Whether its time is over, also when nobody has acted on that yet. The deadline itself is
        already too late: an accept and the expiry at that moment must not both hold."""
        return self.is_open and self.due_at is not None and now >= self.due_at


def opened(offer_id: UUID, clinic_id: UUID, now: datetime, window: timedelta) -> Offer:
    """A new offer whose clock runs from `now`; the reminder comes at half time."""
    return Offer(
        id=offer_id,
        clinic_id=clinic_id,
        state=OfferState.OPEN,
        version=1,
        opened_at=now,
        due_at=now + window,
        remind_at=now + window / 2,
    )


def paused(offer: Offer, now: datetime) -> Offer:
    if offer.due_at is None:
        return offer
    left = max(offer.due_at - now, timedelta(0))
    return _changed(offer, due_at=None, remind_at=None, remaining=left)


def resumed(offer: Offer, now: datetime, window: timedelta) -> Offer:
    """The clock goes on with what was left of it; a reminder that was not sent yet is due when half
    of `window` is left."""
    if offer.remaining is None:
        return offer
    due_at = now + offer.remaining
    remind_at = None if offer.reminded_at else max(now, due_at - window / 2)
    return _changed(offer, due_at=due_at, remind_at=remind_at, remaining=None)


def reminded(offer: Offer, now: datetime) -> Offer:
    """Not a new version: a clinic that is about to answer must not be told that it is late."""
    return msgspec.structs.replace(offer, remind_at=None, reminded_at=now)


def asked(offer: Offer, now: datetime) -> Offer:
    return _changed(
        offer, questions=offer.questions + 1, first_answer_at=offer.first_answer_at or now
    )


def closed(
    offer: Offer, state: OfferState, now: datetime, reason: DeclineReason | None = None
) -> Offer:
    """Decided, one way or the other; only the clinic's own word counts as its answer."""
    own = state in (OfferState.ACCEPTED, OfferState.DECLINED)
    return _changed(
        offer,
        state=state,
        due_at=None,
        remind_at=None,
        remaining=None,
        decided_at=now,
        first_answer_at=offer.first_answer_at or (now if own else None),
        decline_reason=reason,
    )


def given_back(offer: Offer, now: datetime, reason: DeclineReason) -> Offer:
    """An acceptance that came to nothing is a decline after all."""
    return _changed(offer, state=OfferState.DECLINED, decided_at=now, decline_reason=reason)


def moved(offer: Offer, clinic_id: UUID) -> Offer:
    """The same offer at the clinic that the first one was merged into."""
    return _changed(offer, clinic_id=clinic_id)


def _changed(offer: Offer, **fields: object) -> Offer:
    return msgspec.structs.replace(offer, version=offer.version + 1, **fields)
