"""What steps are made of: the next version of a referral, and the parts that events share. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from api.referrals.lifecycle import clocks as clock
from api.referrals.lifecycle.clocks import Clocks, Offer
from api.referrals.lifecycle.events import Effect, Notify, NotPossible, Referral, Step
from api.referrals.lifecycle.rules import RULE_OF, S
from db.states import Audience, DeclineReason, ReferralEvent, ReferralState, Urgency

REFERRER: Final = Notify(audience=Audience.REFERRER)
PATIENT: Final = Notify(audience=Audience.PATIENT)


def without(
    referral: Referral,
    event: ReferralEvent,
    closed: Offer,
    now: datetime,
    clocks: Clocks,
    *,
    reason: DeclineReason | None = None,
    tell: Iterable[Notify] = (),
) -> Step:
    """One open offer less: the others go on, and with none left it is for matching again."""
    offers = replaced(referral.offers, closed)
    asked_by, answer_by = referral.asked_by, referral.answer_by
    if asked_by == closed.id:
        asked_by = answer_by = None
        offers = all_resumed(offers, referral.urgency, now, clocks)
    state = S.MATCHING
    if any(offer.is_open for offer in offers):
        state = S.OFFERED if asked_by is None else S.INFO_REQUESTED
    return step(
        referral,
        event,
        state=state,
        offers=offers,
        asked_by=asked_by,
        answer_by=answer_by,
        effects=[REFERRER, *tell],
        offer=closed,
        reason=reason,
    )


def step(
    referral: Referral,
    event: ReferralEvent,
    *,
    state: ReferralState,
    owner: UUID | None = None,
    offers: tuple[Offer, ...] | None = None,
    asked_by: UUID | None = None,
    answer_by: datetime | None = None,
    retry_at: datetime | None = None,
    effects: Iterable[Effect] = (REFERRER,),
    offer: Offer | None = None,
    clinic_id: UUID | None = None,
    reason: DeclineReason | None = None,
) -> Step:
    """The next version. Owner, question and retry are gone unless they are handed on: what a state
    does not need, it must not keep."""
    return Step(
        referral=replace(
            referral,
            version=referral.version + 1,
            state=state,
            owner=owner,
            offers=referral.offers if offers is None else offers,
            asked_by=asked_by,
            answer_by=answer_by,
            retry_at=retry_at,
        ),
        event=event,
        effects=tuple(effects),
        offer_id=None if offer is None else offer.id,
        clinic_id=clinic_id if offer is None else offer.clinic_id,
        reason=reason,
    )


def demand(event: ReferralEvent, referral: Referral) -> None:
    if referral.state not in RULE_OF[event].sources:
        raise NotPossible("state")


def open_offer(referral: Referral, event: ReferralEvent, offer_id: UUID, now: datetime) -> Offer:
    offer = referral.offer(offer_id)
    if not offer.is_open:
        raise NotPossible("offer-closed")
    if offer.has_lapsed(now):
        raise NotPossible("offer-lapsed")
    demand(event, referral)
    return offer


def open_offer_at(referral: Referral, clinic_id: UUID) -> Offer | None:
    return next((offer for offer in referral.open_offers if offer.clinic_id == clinic_id), None)


def all_resumed(
    offers: tuple[Offer, ...], urgency: Urgency, now: datetime, clocks: Clocks
) -> tuple[Offer, ...]:
    window = clocks.decision(urgency)
    return tuple(clock.resumed(offer, now, window) if offer.is_open else offer for offer in offers)


def replaced(offers: tuple[Offer, ...], *new: Offer) -> tuple[Offer, ...]:
    by_id = {offer.id: offer for offer in new}
    return tuple(by_id.get(offer.id, offer) for offer in offers)


def clinic_of(offer: Offer) -> Notify:
    return Notify(audience=Audience.CLINIC, clinic_id=offer.clinic_id, offer_id=offer.id)
