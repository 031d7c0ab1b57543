"""A town of clinics and referrals without a database: what the stateful test plays with.

It does what the service does around `advance`: it routes by `match`, it counts places, it lets the
clock strike. Whatever is always true is checked in `check`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from api.referrals.lifecycle.clocks import Clocks
from api.referrals.lifecycle.events import (
    ClinicClosed,
    ClinicFull,
    ClinicGone,
    ClinicMerged,
    ClockStruck,
    Event,
    FreePlace,
    Notify,
    NotPossible,
    Referral,
    Routed,
    Step,
    TakePlace,
)
from api.referrals.lifecycle.lifecycle import BROADCAST, advance, create, next_moment
from api.referrals.lifecycle.rules import RULE_OF, actions_of_clinic, actions_of_referrer
from api.referrals.matching.matching import match
from api.referrals.matching.needs import AskedCondition, Candidate, Need, Offered
from db.states import (
    Accepting,
    Audience,
    Drug,
    OfferState,
    ReferralEvent,
    ReferralMode,
    ReferralState,
    Route,
    Setting,
    Urgency,
)

OPEN_STATES = {ReferralState.OFFERED, ReferralState.INFO_REQUESTED}
OWNED_STATES = {
    ReferralState.ACCEPTED,
    ReferralState.SCHEDULED,
    ReferralState.IN_TREATMENT,
    ReferralState.COMPLETED,
}
CLOCKS = Clocks()
WEEK = timedelta(days=7)
INFUSION = Offered(drug=Drug.KETAMINE, route=Route.IV, setting=Setting.CLINIC, conditions=("crps",))
START = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass
class Town:
    now: datetime = START
    capacity: dict[UUID, int | None] = field(default_factory=dict[UUID, int | None])
    """The clinics that are there and take patients, with their places a week."""
    listed: set[UUID] = field(default_factory=set[UUID])
    """The clinics that are there, also when they are closed to new patients."""
    merged: dict[UUID, UUID] = field(default_factory=dict[UUID, UUID])
    referrals: dict[UUID, Referral] = field(default_factory=dict[UUID, Referral])
    steps: dict[UUID, list[Step]] = field(default_factory=dict[UUID, list[Step]])
    taken: dict[tuple[UUID, datetime], int] = field(
        default_factory=dict[tuple[UUID, datetime], int]
    )
    taken_in: dict[UUID, tuple[UUID, datetime]] = field(
        default_factory=dict[UUID, tuple[UUID, datetime]]
    )
    holding: dict[UUID, tuple[UUID, datetime]] = field(
        default_factory=dict[UUID, tuple[UUID, datetime]]
    )
    ids: int = 0

    def new_id(self) -> UUID:
        self.ids += 1
        return UUID(int=self.ids)

    @property
    def week(self) -> datetime:
        return START + (self.now - START) // WEEK * WEEK

    # --- what people do ---

    def open_clinic(self, capacity: int | None) -> UUID:
        clinic = self.new_id()
        self.capacity[clinic] = capacity
        self.listed.add(clinic)
        return clinic

    def send(self, urgency: Urgency, mode: ReferralMode, *, flagged: bool) -> UUID:
        remind_at = self.now + CLOCKS.decision(urgency) / 2 if flagged else None
        step = create(self.new_id(), urgency, mode, remind_at=remind_at)
        referral = step.referral
        self.referrals[referral.id] = referral
        self.steps[referral.id] = [step]
        self.route(referral.id)
        return referral.id

    def apply(self, referral_id: UUID, event: Event) -> bool:
        """Whether it happened; nothing changes when it did not."""
        before = self.referrals[referral_id]
        try:
            step = advance(before, event, self.now, CLOCKS)
            self._take(referral_id, step)
        except NotPossible:
            assert self.referrals[referral_id] is before
            return False
        self._keep(before, step)
        self.route(referral_id)
        self._empty_full_clinics(step)
        return True

    def strike(self) -> None:
        """What the sweeper does, until nothing is due any more."""
        for referral_id in list(self.referrals):
            while self._is_due(referral_id):
                if not self.route(referral_id):
                    assert self.apply(referral_id, ClockStruck()), "due, and nothing happened"

    def close_clinic(self, clinic: UUID) -> None:
        self.capacity.pop(clinic, None)
        self._tell(ClinicClosed(clinic_id=clinic))

    def delete_clinic(self, clinic: UUID) -> None:
        self.capacity.pop(clinic, None)
        self.listed.discard(clinic)
        self._tell(ClinicGone(clinic_id=clinic))

    def merge_clinic(self, clinic: UUID, into: UUID) -> None:
        self.capacity.pop(clinic, None)
        self.listed.discard(clinic)
        self.merged[clinic] = into
        self._tell(ClinicMerged(clinic_id=clinic, into=into))

    # --- what the service does ---

    def route(self, referral_id: UUID) -> bool:
        referral = self.referrals[referral_id]
        if not referral.needs_routing(self.now):
            return False
        need = Need(
            conditions=(AskedCondition(code="crps"),),
            urgency=referral.urgency,
            tried=referral.tried,
        )
        found = match(need, [self._candidate(clinic) for clinic in self.listed], self.now)
        offers = tuple((self.new_id(), each.clinic_id) for each in found.ranked)
        retry_at = None if found.waiting is None else found.waiting.until
        step = advance(referral, Routed(offers=offers, retry_at=retry_at), self.now, CLOCKS)
        self._keep(referral, step)
        return True

    def _empty_full_clinics(self, step: Step) -> None:
        for effect in step.effects:
            if isinstance(effect, TakePlace) and self._is_full(effect.clinic_id):
                self._tell(ClinicFull(clinic_id=effect.clinic_id))

    def _candidate(self, clinic: UUID) -> Candidate:
        return Candidate(
            clinic_id=clinic,
            name="",
            offerings=(INFUSION,),
            accepting=Accepting.YES if clinic in self.capacity else Accepting.NO,
            wait_days=clinic.int % 5,
            weekly_capacity=self.capacity.get(clinic),
            taken=self.taken.get((clinic, self.week), 0),
            next_week=self.week + WEEK,
        )

    def _is_full(self, clinic: UUID) -> bool:
        return clinic in self.capacity and not self._has_place(clinic)

    def _has_place(self, clinic: UUID) -> bool:
        capacity = self.capacity[clinic]
        return capacity is None or self.taken.get((clinic, self.week), 0) < capacity

    def _is_due(self, referral_id: UUID) -> bool:
        referral = self.referrals[referral_id]
        moment = next_moment(referral)
        return referral.needs_routing(self.now) or (moment is not None and moment <= self.now)

    def _take(self, referral_id: UUID, step: Step) -> None:
        for effect in step.effects:
            if isinstance(effect, TakePlace):
                clinic = effect.clinic_id
                if clinic in self.capacity and not self._has_place(clinic):
                    raise NotPossible("no-capacity")
                where = (clinic, self.week)
                self.taken[where] = self.taken.get(where, 0) + 1
                self.taken_in[referral_id] = where
            elif isinstance(effect, FreePlace) and referral_id in self.taken_in:
                self.taken[self.taken_in.pop(referral_id)] -= 1

    def _keep(self, before: Referral, step: Step) -> None:
        check_step(before, step)
        self.referrals[before.id] = step.referral
        self._count(before, step)
        if not step.is_reminder:
            self.steps[before.id].append(step)

    def _count(self, before: Referral, step: Step) -> None:
        """Who holds a place in which week, from what happened and not from the effects."""
        after = step.referral
        if step.event is ReferralEvent.ACCEPTED and after.owner in self.capacity:
            assert after.owner is not None
            self.holding[before.id] = (after.owner, self.week)
        treated = before.state is ReferralState.IN_TREATMENT
        if after.owner is None or (step.event is ReferralEvent.CANCELLED and not treated):
            self.holding.pop(before.id, None)

    def _tell(self, event: Event) -> None:
        for referral_id in list(self.referrals):
            self.apply(referral_id, event)

    # --- what is always true ---

    def check(self) -> None:
        for referral in self.referrals.values():
            self._check(referral)
        assert all(taken >= 0 for taken in self.taken.values())
        for (clinic, _), holding in Counter(self.holding.values()).items():
            capacity = self.capacity.get(clinic)
            assert capacity is None or holding <= capacity

    def _check(self, referral: Referral) -> None:
        still_open = referral.open_offers
        assert (referral.state in OPEN_STATES) == bool(still_open)
        assert len(still_open) <= (BROADCAST if referral.mode is ReferralMode.BROADCAST else 1)
        assert len({offer.clinic_id for offer in still_open}) == len(still_open)
        if referral.state is not ReferralState.CANCELLED:
            assert (referral.owner is not None) == (referral.state in OWNED_STATES)
        if referral.state in OWNED_STATES - {ReferralState.COMPLETED}:
            assert referral.owner in self.listed
        asking = referral.state is ReferralState.INFO_REQUESTED
        assert asking == (referral.asked_by is not None)
        screening = referral.state is ReferralState.SCREENING
        assert referral.answer_by is not None if asking else referral.answer_by is None or screening
        for offer in still_open:
            # Nobody waits for an answer that cannot be a yes; what came by a merge, came.
            joined = offer.clinic_id in self.merged.values()
            assert joined or not self._is_full(offer.clinic_id)
            # Exactly one of the two: a clock that neither runs nor waits would never strike.
            assert (offer.due_at is None) == asking == (offer.remaining is not None)
            assert offer.clinic_id in self.listed
        if referral.asked_by is not None:
            assert referral.offer(referral.asked_by).is_open
        self._check_not_forgotten(referral)
        assert len(self.steps[referral.id]) == referral.version

    def _check_not_forgotten(self, referral: Referral) -> None:
        """Whoever it waits for can act, or a clock runs that will."""
        match referral.state:
            case ReferralState.MATCHING | ReferralState.OFFERED | ReferralState.INFO_REQUESTED:
                moment = next_moment(referral)
                assert moment is not None
                assert moment > self.now
            case ReferralState.SCREENING | ReferralState.UNROUTED:
                assert "cancel" in actions_of_referrer(referral)
                assert len(actions_of_referrer(referral)) > 1
            case ReferralState.ACCEPTED | ReferralState.SCHEDULED | ReferralState.IN_TREATMENT:
                assert referral.owner is not None
                assert "return" in actions_of_clinic(referral, referral.owner, self.now)
            case ReferralState.COMPLETED | ReferralState.CANCELLED:
                assert actions_of_referrer(referral) == []
                assert next_moment(referral) is None


def check_step(before: Referral, step: Step) -> None:
    """One step keeps to the table of rules, counts one version, and tells who has to know."""
    after = step.referral
    if step.is_reminder:
        assert after.version == before.version
        assert after.state is before.state
        return
    rule = RULE_OF[step.event]
    assert before.state in rule.sources
    assert after.state in rule.targets
    assert after.version == before.version + 1
    told = {(e.audience, e.clinic_id) for e in step.effects if isinstance(e, Notify)}
    assert (Audience.REFERRER, None) in told
    for old in before.open_offers:
        new = after.offer(old.id)
        ended_by_others = new.state in (OfferState.WITHDRAWN, OfferState.EXPIRED)
        if ended_by_others and step.event is not ReferralEvent.CLINIC_MERGED:
            assert (Audience.CLINIC, old.clinic_id) in told
        assert new.is_open or new.decided_at is not None
    for new in after.open_offers:
        if all(old.id != new.id for old in before.offers):
            assert (Audience.CLINIC, new.clinic_id) in told
            assert new.clinic_id not in before.tried
