"""The life of a referral as a pure state machine: `advance(referral, event, now, clocks)`.

`api.referrals.lifecycle.rules` says what is allowed when; this says what an allowed event does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, assert_never
from uuid import UUID

from msgspec.structs import replace

from api.referrals.lifecycle import clocks as clock
from api.referrals.lifecycle.clocks import Clocks, Offer
from api.referrals.lifecycle.events import (
    Accepted,
    Answered,
    Asked,
    Cancelled,
    ClinicClosed,
    ClinicFull,
    ClinicGone,
    ClinicMerged,
    ClockStruck,
    Completed,
    Declined,
    Effect,
    Event,
    FreePlace,
    NoShow,
    Notify,
    NotPossible,
    Referral,
    Returned,
    Routed,
    RouteRequested,
    Scheduled,
    ScreeningConfirmed,
    Started,
    Step,
    TakePlace,
)
from api.referrals.lifecycle.rules import QUESTIONS, E, S
from api.referrals.lifecycle.steps import (
    PATIENT,
    REFERRER,
    all_resumed,
    clinic_of,
    demand,
    open_offer,
    open_offer_at,
    replaced,
    step,
    without,
)
from db.states import (
    Audience,
    DeclineReason,
    OfferState,
    ReferralEvent,
    ReferralMode,
    ReferralState,
    Urgency,
)

BROADCAST: Final = 5
"""Clinics that are asked at once in broadcast mode, at most."""


def create(
    referral_id: UUID,
    urgency: Urgency,
    mode: ReferralMode,
    *,
    remind_at: datetime | None = None,
) -> Step:
    """The first step. With `remind_at` it waits for the referrer, because of a screening flag that
    stops routing, and the referrer is reminded once at that moment."""
    return Step(
        referral=Referral(
            id=referral_id,
            version=1,
            state=S.MATCHING if remind_at is None else S.SCREENING,
            urgency=urgency,
            mode=mode,
            answer_by=remind_at,
        ),
        event=E.CREATED,
        effects=(REFERRER, PATIENT),
    )


def next_moment(referral: Referral) -> datetime | None:
    """When something happens by itself, if nobody does anything: a reminder, an expiry, the limit
    of a question, a new look at the clinics."""
    moments = [
        moment for offer in referral.open_offers for moment in (offer.remind_at, offer.due_at)
    ]
    moments += [referral.answer_by, referral.retry_at]
    return min((moment for moment in moments if moment is not None), default=None)


def advance(  # noqa: C901 (one line for each event of a closed set)
    referral: Referral, event: Event, now: datetime, clocks: Clocks
) -> Step:
    """The step that an event makes. One event is one step, also where several things are due:
    `ClockStruck` is to be given until `next_moment` lies in the future.

    Raises NotPossible, and changes nothing then.
    """
    match event:
        case ScreeningConfirmed():
            demand(E.SCREENING_CONFIRMED, referral)
            return step(referral, E.SCREENING_CONFIRMED, state=S.MATCHING)
        case Routed():
            return _route(referral, event, now, clocks)
        case Accepted():
            return _accept(referral, event.offer_id, now)
        case Declined():
            return _decline(referral, event, now, clocks)
        case Asked():
            return _ask(referral, event.offer_id, now, clocks)
        case Answered():
            demand(E.ANSWERED, referral)
            return _resume(referral, E.ANSWERED, now, clocks)
        case Scheduled():
            return _by_owner(referral, E.SCHEDULED, S.SCHEDULED, visit_booked=True)
        case NoShow():
            return _no_show(referral)
        case Started():
            return _by_owner(referral, E.STARTED, S.IN_TREATMENT)
        case Completed():
            return _by_owner(referral, E.COMPLETED, S.COMPLETED)
        case Returned():
            return _give_back(referral, event.reason, now)
        case Cancelled():
            return _cancel(referral, now)
        case RouteRequested():
            return _route_again(referral, now)
        case ClinicClosed():
            demand(E.CLINIC_CLOSED, referral)
            return _withdraw_from(referral, event.clinic_id, E.CLINIC_CLOSED, now, clocks)
        case ClinicFull():
            return _withdraw_from(referral, event.clinic_id, E.CLINIC_FULL, now, clocks)
        case ClinicGone():
            return _clinic_gone(referral, event.clinic_id, now, clocks)
        case ClinicMerged():
            return _clinic_merged(referral, event, now)
        case ClockStruck():
            return _strike(referral, now, clocks)
        case _:
            assert_never(event)


def _route(referral: Referral, event: Routed, now: datetime, clocks: Clocks) -> Step:
    demand(E.OFFERED, referral)
    window = clocks.decision(referral.urgency)
    most = BROADCAST if referral.mode is ReferralMode.BROADCAST else 1
    new = [clock.opened(offer, clinic, now, window) for offer, clinic in event.offers[:most]]
    if new:
        return step(
            referral,
            E.OFFERED,
            state=S.OFFERED,
            offers=(*referral.offers, *new),
            effects=[REFERRER, *map(clinic_of, new)],
            offer=new[0] if len(new) == 1 else None,
        )
    if event.retry_at is not None:
        return step(referral, E.WAITING, state=S.MATCHING, retry_at=event.retry_at)
    return step(referral, E.UNROUTED, state=S.UNROUTED, effects=[REFERRER, PATIENT])


def _accept(referral: Referral, offer_id: UUID, now: datetime) -> Step:
    offer = open_offer(referral, E.ACCEPTED, offer_id, now)
    others = [other for other in referral.open_offers if other.id != offer_id]
    return step(
        referral,
        E.ACCEPTED,
        state=S.ACCEPTED,
        owner=offer.clinic_id,
        offers=replaced(
            referral.offers,
            clock.closed(offer, OfferState.ACCEPTED, now),
            *(clock.closed(other, OfferState.WITHDRAWN, now) for other in others),
        ),
        effects=[
            TakePlace(clinic_id=offer.clinic_id),
            REFERRER,
            PATIENT,
            *map(clinic_of, others),
        ],
        offer=offer,
    )


def _decline(referral: Referral, event: Declined, now: datetime, clocks: Clocks) -> Step:
    offer = open_offer(referral, E.DECLINED, event.offer_id, now)
    closed = clock.closed(offer, OfferState.DECLINED, now, event.reason)
    return without(referral, E.DECLINED, closed, now, clocks, reason=event.reason)


def _ask(referral: Referral, offer_id: UUID, now: datetime, clocks: Clocks) -> Step:
    offer = open_offer(referral, E.ASKED, offer_id, now)
    if offer.questions >= QUESTIONS:
        raise NotPossible("too-many-questions")
    offers = replaced(referral.offers, clock.asked(offer, now))
    return step(
        referral,
        E.ASKED,
        state=S.INFO_REQUESTED,
        offers=tuple(clock.paused(each, now) if each.is_open else each for each in offers),
        asked_by=offer_id,
        answer_by=now + clocks.answer,
        offer=offer,
    )


def _resume(referral: Referral, event: ReferralEvent, now: datetime, clocks: Clocks) -> Step:
    assert referral.asked_by is not None, "a question waits for its answer"
    return step(
        referral,
        event,
        state=S.OFFERED,
        offers=all_resumed(referral.offers, referral.urgency, now, clocks),
        effects=[REFERRER, *map(clinic_of, referral.open_offers)],
        offer=referral.offer(referral.asked_by),
    )


def _by_owner(
    referral: Referral, event: ReferralEvent, state: ReferralState, *, visit_booked: bool = False
) -> Step:
    demand(event, referral)
    return step(
        replace(referral, visit_booked=visit_booked),
        event,
        state=state,
        owner=referral.owner,
        effects=[REFERRER, PATIENT],
        clinic_id=referral.owner,
    )


def _no_show(referral: Referral) -> Step:
    demand(E.NO_SHOW, referral)
    if not referral.visit_booked:
        raise NotPossible("no-visit")
    return _by_owner(referral, E.NO_SHOW, S.SCHEDULED)


def _give_back(referral: Referral, reason: DeclineReason, now: datetime) -> Step:
    demand(E.RETURNED, referral)
    offers = (
        clock.given_back(offer, now, reason) if offer.state is OfferState.ACCEPTED else offer
        for offer in referral.offers
    )
    return _owner_lost(referral, E.RETURNED, tuple(offers), reason)


def _owner_lost(
    referral: Referral,
    event: ReferralEvent,
    offers: tuple[Offer, ...],
    reason: DeclineReason | None = None,
) -> Step:
    assert referral.owner is not None, "somebody owns it in these states"
    return step(
        replace(referral, visit_booked=False),
        event,
        state=S.MATCHING,
        offers=offers,
        effects=[FreePlace(clinic_id=referral.owner), REFERRER, PATIENT],
        clinic_id=referral.owner,
        reason=reason,
    )


def _cancel(referral: Referral, now: datetime) -> Step:
    demand(E.CANCELLED, referral)
    still_open = referral.open_offers
    effects: list[Effect] = [REFERRER, PATIENT, *map(clinic_of, still_open)]
    if referral.owner is not None:
        effects.append(Notify(audience=Audience.CLINIC, clinic_id=referral.owner))
        if referral.state is not S.IN_TREATMENT:
            effects.append(FreePlace(clinic_id=referral.owner))
    return step(
        referral,
        E.CANCELLED,
        state=S.CANCELLED,
        owner=referral.owner,
        offers=replaced(
            referral.offers,
            *(clock.closed(offer, OfferState.WITHDRAWN, now) for offer in still_open),
        ),
        effects=effects,
        clinic_id=referral.owner,
    )


def _route_again(referral: Referral, now: datetime) -> Step:
    demand(E.ROUTE_REQUESTED, referral)
    return step(replace(referral, routed_since=now), E.ROUTE_REQUESTED, state=S.MATCHING)


def _withdraw_from(
    referral: Referral, clinic_id: UUID, event: ReferralEvent, now: datetime, clocks: Clocks
) -> Step:
    demand(event, referral)
    offer = open_offer_at(referral, clinic_id)
    if offer is None:
        raise NotPossible("nothing-there")
    closed = clock.closed(offer, OfferState.WITHDRAWN, now)
    return without(referral, event, closed, now, clocks, tell=[clinic_of(offer)])


def _clinic_gone(referral: Referral, clinic_id: UUID, now: datetime, clocks: Clocks) -> Step:
    if referral.owner == clinic_id and referral.state is not S.COMPLETED:
        offers = (
            clock.closed(offer, OfferState.WITHDRAWN, now)
            if offer.state is OfferState.ACCEPTED
            else offer
            for offer in referral.offers
        )
        demand(E.CLINIC_GONE, referral)
        return _owner_lost(referral, E.CLINIC_GONE, tuple(offers))
    return _withdraw_from(referral, clinic_id, E.CLINIC_GONE, now, clocks)


def _clinic_merged(referral: Referral, event: ClinicMerged, now: datetime) -> Step:
    """What the first clinic held is held by the second one, with the clock where it was."""
    demand(E.CLINIC_MERGED, referral)
    offer = open_offer_at(referral, event.clinic_id)
    offers = referral.offers
    if offer is not None:
        both_asked = open_offer_at(referral, event.into) is not None
        offers = replaced(
            offers,
            clock.closed(offer, OfferState.WITHDRAWN, now)
            if both_asked
            else clock.moved(offer, event.into),
        )
    elif referral.owner != event.clinic_id:
        raise NotPossible("nothing-there")
    # The question goes on when its offer moved; that of a withdrawn offer is the survivor's now.
    asked_by = referral.asked_by
    if offer is not None and asked_by == offer.id:
        survivor = next(each for each in offers if each.is_open and each.clinic_id == event.into)
        asked_by = survivor.id
    return step(
        referral,
        E.CLINIC_MERGED,
        state=referral.state,
        owner=event.into if referral.owner == event.clinic_id else referral.owner,
        offers=offers,
        asked_by=asked_by,
        answer_by=referral.answer_by,
        effects=[REFERRER, Notify(audience=Audience.CLINIC, clinic_id=event.into)],
        clinic_id=event.into,
    )


def _strike(referral: Referral, now: datetime, clocks: Clocks) -> Step:
    if referral.state is S.SCREENING and referral.answer_by is not None:
        return _remind_of_screening(referral, now)
    if referral.answer_by is not None and referral.answer_by <= now:
        return _resume(referral, E.ANSWER_OVERDUE, now, clocks)
    # An expiry first: who is too late need not be reminded.
    for offer in referral.open_offers:
        if offer.has_lapsed(now):
            closed = clock.closed(offer, OfferState.EXPIRED, now)
            return without(referral, E.EXPIRED, closed, now, clocks, tell=[clinic_of(offer)])
    for offer in referral.open_offers:
        if offer.remind_at is not None and offer.remind_at <= now:
            return Step(
                referral=replace(
                    referral, offers=replaced(referral.offers, clock.reminded(offer, now))
                ),
                event=E.REMINDED,
                effects=(clinic_of(offer),),
                offer_id=offer.id,
                clinic_id=offer.clinic_id,
            )
    raise NotPossible("nothing-due")


def _remind_of_screening(referral: Referral, now: datetime) -> Step:
    if referral.answer_by is None or referral.answer_by > now:
        raise NotPossible("nothing-due")
    return Step(referral=replace(referral, answer_by=None), event=E.REMINDED, effects=(REFERRER,))
