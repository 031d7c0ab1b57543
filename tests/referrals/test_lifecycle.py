"""Single steps of the lifecycle that chance rarely reaches."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from api.referrals.lifecycle.events import (
    Accepted,
    Answered,
    Asked,
    ClinicMerged,
    ClockStruck,
    Declined,
    Event,
    NotPossible,
    Referral,
    Routed,
)
from api.referrals.lifecycle.lifecycle import advance, create, next_moment
from db.states import (
    DeclineReason,
    OfferState,
    ReferralEvent,
    ReferralMode,
    ReferralState,
    Urgency,
)
from tests.referrals.world import CLOCKS, START

A, B, C = (UUID(int=n) for n in (1, 2, 3))
OFFER_A, OFFER_B, OFFER_C = (UUID(int=n) for n in (11, 12, 13))
DAY = timedelta(hours=24)


def offered(mode: ReferralMode = ReferralMode.BROADCAST) -> Referral:
    """A referral of urgency soon, put to A, B and C (to A alone in sequential mode)."""
    made = create(UUID(int=9), Urgency.SOON, mode).referral
    return after(made, Routed(offers=((OFFER_A, A), (OFFER_B, B), (OFFER_C, C))))


def after(referral: Referral, *events: Event, hours: float = 0) -> Referral:
    for event in events:
        referral = advance(referral, event, START + timedelta(hours=hours), CLOCKS).referral
    return referral


def test_a_question_moves_to_the_survivor_that_was_asked_as_well() -> None:
    asked = after(offered(), Asked(offer_id=OFFER_A))
    merged = after(asked, ClinicMerged(clinic_id=A, into=B))
    assert merged.asked_by == OFFER_B
    assert merged.offer(OFFER_A).state is OfferState.WITHDRAWN
    assert after(merged, Answered()).state is ReferralState.OFFERED


def test_an_offer_that_moves_keeps_its_clock() -> None:
    before = offered(ReferralMode.SEQUENTIAL)
    moved = after(before, ClinicMerged(clinic_id=A, into=B)).offer(OFFER_A)
    assert (moved.clinic_id, moved.due_at) == (B, before.offer(OFFER_A).due_at)


def test_who_declines_while_asking_drops_the_question() -> None:
    asked = after(offered(), Asked(offer_id=OFFER_A), hours=6)
    declined = after(asked, Declined(offer_id=OFFER_A, reason=DeclineReason.CLINICAL), hours=30)
    assert declined.state is ReferralState.OFFERED
    # 18 hours were left when the clock stopped.
    assert declined.offer(OFFER_B).due_at == START + timedelta(hours=48)


def test_another_decline_leaves_the_question_open() -> None:
    asked = after(offered(), Asked(offer_id=OFFER_A))
    declined = after(asked, Declined(offer_id=OFFER_B, reason=DeclineReason.PAYER))
    assert declined.state is ReferralState.INFO_REQUESTED
    assert declined.asked_by == OFFER_A


def test_the_pause_is_worth_what_it_lasted() -> None:
    asked = after(offered(ReferralMode.SEQUENTIAL), Asked(offer_id=OFFER_A), hours=6)
    answered = after(asked, Answered(), hours=6 + 100)
    offer = answered.offer(OFFER_A)
    assert offer.due_at == START + timedelta(hours=124)
    # The reminder was due at half time, with 12 hours left.
    assert offer.remind_at == START + timedelta(hours=112)


def test_without_an_answer_the_clock_goes_on() -> None:
    asked = after(offered(ReferralMode.SEQUENTIAL), Asked(offer_id=OFFER_A))
    assert next_moment(asked) == START + CLOCKS.answer
    overdue = advance(asked, ClockStruck(), START + CLOCKS.answer, CLOCKS)
    assert overdue.event is ReferralEvent.ANSWER_OVERDUE
    assert overdue.referral.state is ReferralState.OFFERED


def test_a_fourth_question_is_too_many() -> None:
    referral = offered(ReferralMode.SEQUENTIAL)
    for _ in range(3):
        referral = after(referral, Asked(offer_id=OFFER_A), Answered())
    with pytest.raises(NotPossible, match="too-many-questions"):
        after(referral, Asked(offer_id=OFFER_A))


def test_the_deadline_itself_is_too_late() -> None:
    referral = offered(ReferralMode.SEQUENTIAL)
    with pytest.raises(NotPossible, match="offer-lapsed"):
        advance(referral, Accepted(offer_id=OFFER_A), START + DAY, CLOCKS)
    just = START + DAY - timedelta(microseconds=1)
    accepted = advance(referral, Accepted(offer_id=OFFER_A), just, CLOCKS)
    assert accepted.referral.owner == A


def test_one_reminder_at_half_time() -> None:
    referral = offered(ReferralMode.SEQUENTIAL)
    assert next_moment(referral) == START + DAY / 2
    step = advance(referral, ClockStruck(), START + DAY / 2, CLOCKS)
    assert step.is_reminder
    assert next_moment(step.referral) == START + DAY
    with pytest.raises(NotPossible, match="nothing-due"):
        advance(step.referral, ClockStruck(), START + DAY / 2, CLOCKS)


def test_after_a_long_sleep_the_expiry_comes_without_a_reminder() -> None:
    step = advance(offered(ReferralMode.SEQUENTIAL), ClockStruck(), START + 3 * DAY, CLOCKS)
    assert step.event is ReferralEvent.EXPIRED
    assert step.referral.needs_routing(START)
