"""What a referral is to the state machine, what can happen to it, and what follows. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias, assert_never
from uuid import UUID

import msgspec

from api.referrals.lifecycle.clocks import Offer
from db.states import (
    Audience,
    DeclineReason,
    OfferState,
    ReferralEvent,
    ReferralMode,
    ReferralState,
    Urgency,
)


class Referral(msgspec.Struct, frozen=True, kw_only=True):
    """Where a referral stands. What it says of the patient is elsewhere, and sealed."""

    id: UUID
    version: int
    state: ReferralState
    urgency: Urgency
    mode: ReferralMode
    owner: UUID | None = None
    offers: tuple[Offer, ...] = ()
    asked_by: UUID | None = None
    """The offer whose question waits for an answer."""
    answer_by: datetime | None = None
    """Until when the referrer's word is waited for: the answer to a question, or what a screening
    flag needs."""
    visit_booked: bool = False
    retry_at: datetime | None = None
    """In `matching`: when to look again."""
    routed_since: datetime | None = None
    """When the referrer last asked for it to be routed again."""

    def needs_routing(self, now: datetime) -> bool:
        """Whether it is for matching to go on, rather than for a person or a clock."""
        return self.state is ReferralState.MATCHING and (
            self.retry_at is None or self.retry_at <= now
        )

    @property
    def open_offers(self) -> tuple[Offer, ...]:
        return tuple(offer for offer in self.offers if offer.is_open)

    @property
    def tried(self) -> frozenset[UUID]:
        """The clinics that are not asked again: those that said no or gave it back, and those that
        did not answer. What was withdrawn from a clinic was not its doing."""
        return frozenset(offer.clinic_id for offer in self.offers if self._rules_out(offer))

    def _rules_out(self, offer: Offer) -> bool:
        match offer.state:
            case OfferState.OPEN | OfferState.ACCEPTED:
                return True
            case OfferState.WITHDRAWN:
                return False
            case OfferState.DECLINED | OfferState.EXPIRED:
                # Who was silent or full may be asked again once the referrer asks for it.
                passing = offer.decline_reason in (None, DeclineReason.CAPACITY)
                asked_again = self.routed_since is not None and offer.opened_at < self.routed_since
                return not (passing and asked_again)
            case _:
                assert_never(offer.state)

    def offer(self, offer_id: UUID) -> Offer:
        return next(offer for offer in self.offers if offer.id == offer_id)


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Something that happened. Its class decides which `ReferralEvent` stands in the history."""


class ScreeningConfirmed(_Event, frozen=True, kw_only=True):
    pass


class Routed(_Event, frozen=True, kw_only=True):
    """What matching found: whom to ask, best first, or when somebody will be able, or nobody."""

    offers: tuple[tuple[UUID, UUID], ...] = ()
    """New offer id and clinic id of each."""
    retry_at: datetime | None = None


class Accepted(_Event, frozen=True, kw_only=True):
    offer_id: UUID


class Declined(_Event, frozen=True, kw_only=True):
    offer_id: UUID
    reason: DeclineReason


class Asked(_Event, frozen=True, kw_only=True):
    offer_id: UUID


class Answered(_Event, frozen=True, kw_only=True):
    pass


class Scheduled(_Event, frozen=True, kw_only=True):
    pass


class NoShow(_Event, frozen=True, kw_only=True):
    pass


class Started(_Event, frozen=True, kw_only=True):
    pass


class Completed(_Event, frozen=True, kw_only=True):
    pass


class Returned(_Event, frozen=True, kw_only=True):
    reason: DeclineReason


class Cancelled(_Event, frozen=True, kw_only=True):
    pass


class RouteRequested(_Event, frozen=True, kw_only=True):
    pass


class ClinicClosed(_Event, frozen=True, kw_only=True):
    """The clinic takes no new patients any more: its open offer ends, what it owns stays."""

    clinic_id: UUID


class ClinicFull(_Event, frozen=True, kw_only=True):
    """The clinic has taken as many this week as it can: its open offers go elsewhere."""

    clinic_id: UUID


class ClinicGone(_Event, frozen=True, kw_only=True):
    """The clinic was taken out of the directory."""

    clinic_id: UUID


class ClinicMerged(_Event, frozen=True, kw_only=True):
    clinic_id: UUID
    into: UUID


class ClockStruck(_Event, frozen=True, kw_only=True):
    """A moment has come at which something happens by itself: see `next_moment`."""


Event: TypeAlias = (
    ScreeningConfirmed
    | Routed
    | Accepted
    | Declined
    | Asked
    | Answered
    | Scheduled
    | NoShow
    | Started
    | Completed
    | Returned
    | Cancelled
    | RouteRequested
    | ClinicClosed
    | ClinicFull
    | ClinicGone
    | ClinicMerged
    | ClockStruck
)


class Notify(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody is to be told. For a clinic it says which, and about which offer if any."""

    audience: Audience
    clinic_id: UUID | None = None
    offer_id: UUID | None = None


class TakePlace(msgspec.Struct, frozen=True, kw_only=True):
    """One place of the clinic's week is used up; without one left, the step does not happen."""

    clinic_id: UUID


class FreePlace(msgspec.Struct, frozen=True, kw_only=True):
    """The place that this referral took is free again."""

    clinic_id: UUID


Effect: TypeAlias = Notify | TakePlace | FreePlace


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step: the referral after it, what stands in the history, and what follows.

    `event` is `reminded` for a reminder, which is no step: the version stays what it was, and
    nothing is written to the history.
    """

    referral: Referral
    event: ReferralEvent
    effects: tuple[Effect, ...] = ()
    offer_id: UUID | None = None
    clinic_id: UUID | None = None
    reason: DeclineReason | None = None

    @property
    def is_reminder(self) -> bool:
        return self.event is ReferralEvent.REMINDED


class NotPossible(Exception):
    """The event cannot happen to this referral now. `why` is a code, for the problem's text."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
