"""Whatever happens to referrals, in whatever order, the invariants of the design hold."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from api.referrals.lifecycle.events import (
    Accepted,
    Answered,
    Asked,
    Cancelled,
    Completed,
    Declined,
    Event,
    NoShow,
    Returned,
    RouteRequested,
    Scheduled,
    ScreeningConfirmed,
    Started,
)
from db.states import DeclineReason, ReferralMode, Urgency
from tests.referrals.world import Town

PICK = st.integers(min_value=0, max_value=10_000)
REASONS = st.sampled_from(DeclineReason)


class Referrals(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.town = Town()

    @initialize(capacities=st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=7))
    def found(self, capacities: list[int | None]) -> None:
        for capacity in capacities:
            self.town.open_clinic(capacity)

    # --- picking ---

    def _referral(self, pick: int) -> UUID:
        return sorted(self.town.referrals)[pick % len(self.town.referrals)]

    def _clinic(self, pick: int) -> UUID:
        return sorted(self.town.listed)[pick % len(self.town.listed)]

    def _on_offer(self, pick: int, event: type[Accepted | Asked]) -> None:
        """On any offer, also one that is long decided: that must change nothing."""
        offers = [(r.id, o.id) for r in self.town.referrals.values() for o in r.offers]
        if offers:
            referral, offer = offers[pick % len(offers)]
            self.town.apply(referral, event(offer_id=offer))

    # --- the rules ---

    @rule(
        urgency=st.sampled_from(Urgency), mode=st.sampled_from(ReferralMode), flagged=st.booleans()
    )
    def send(self, urgency: Urgency, mode: ReferralMode, flagged: bool) -> None:
        if len(self.town.referrals) < 12:
            self.town.send(urgency, mode, flagged=flagged)

    @rule(pick=PICK)
    def accept(self, pick: int) -> None:
        self._on_offer(pick, Accepted)

    @rule(pick=PICK)
    def ask(self, pick: int) -> None:
        self._on_offer(pick, Asked)

    @rule(pick=PICK, reason=REASONS)
    def decline(self, pick: int, reason: DeclineReason) -> None:
        offers = [(r.id, o.id) for r in self.town.referrals.values() for o in r.offers]
        if offers:
            referral, offer = offers[pick % len(offers)]
            self.town.apply(referral, Declined(offer_id=offer, reason=reason))

    @precondition(lambda self: self.town.referrals)
    @rule(
        pick=PICK,
        event=st.sampled_from(
            [
                ScreeningConfirmed(),
                Answered(),
                Scheduled(),
                NoShow(),
                Started(),
                Completed(),
                RouteRequested(),
                Returned(reason=DeclineReason.CLINICAL),
                Returned(reason=DeclineReason.UNREACHABLE),
            ]
        ),
    )
    def act(self, pick: int, event: Event) -> None:
        self.town.apply(self._referral(pick), event)

    @precondition(lambda self: self.town.referrals)
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        self.town.apply(self._referral(pick), Cancelled())

    @rule(capacity=st.none() | st.integers(0, 3))
    def open_clinic(self, capacity: int | None) -> None:
        if len(self.town.listed) < 10:
            self.town.open_clinic(capacity)

    @precondition(lambda self: self.town.listed)
    @rule(pick=PICK)
    def close_clinic(self, pick: int) -> None:
        self.town.close_clinic(self._clinic(pick))

    @precondition(lambda self: self.town.listed)
    @rule(pick=PICK)
    def delete_clinic(self, pick: int) -> None:
        self.town.delete_clinic(self._clinic(pick))

    @precondition(lambda self: len(self.town.listed) > 1)
    @rule(pick=PICK, other=PICK)
    def merge_clinic(self, pick: int, other: int) -> None:
        clinic, into = self._clinic(pick), self._clinic(other)
        if clinic != into:
            self.town.merge_clinic(clinic, into)

    @rule(hours=st.floats(min_value=0, max_value=24 * 9))
    def wait(self, hours: float) -> None:
        self.town.now += timedelta(hours=hours)
        self.town.strike()

    @invariant()
    def holds(self) -> None:
        self.town.check()


TestReferrals = Referrals.TestCase
TestReferrals.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
