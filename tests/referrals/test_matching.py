"""Matching against an oracle written from docs/matching.md, and what is always true of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.directory.schemas import AgeRange, ClinicProfile
from api.referrals.matching.eligibility import ASSESSED_ONLY, LONGEST_WAIT_DAYS, Reason
from api.referrals.matching.matching import Kind, Matches, match
from api.referrals.matching.needs import Candidate, Need
from api.referrals.matching.scoring import WEIGHTS, Factor
from db.states import Accepting, Route, Setting, Urgency
from tests.referrals import matching_oracle as oracle
from tests.referrals.directories import (
    CATALOGUE,
    Wanted,
    asked_condition,
    candidate,
    clinic,
    directories,
    needs,
    wanted,
)
from tests.search.profiles import MOMENT, offering

PAGE = Path(__file__).parents[2].joinpath("docs", "matching.md").read_text("utf-8")
PHOENIX = (33.45, -112.07)


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[ClinicProfile], Wanted, dict[UUID, int]]:
    clinics = draw(directories())
    chance = Random(draw(st.integers(0, 1000)))
    return clinics, draw(needs(clinics)), {each.id: chance.randint(0, 2) for each in clinics}


def matched(
    clinics: Sequence[ClinicProfile], need: Need, taken: dict[UUID, int] | None = None
) -> Matches:
    counts = taken or {}
    return match(
        need, [candidate(each, need.near, counts.get(each.id, 0)) for each in clinics], MOMENT
    )


def order(matches: Matches) -> list[UUID]:
    return [each.clinic_id for each in matches.ranked]


@settings(max_examples=300, deadline=None)
@given(cases())
def test_it_answers_as_the_page_says(
    case: tuple[list[ClinicProfile], Wanted, dict[UUID, int]],
) -> None:
    clinics, want, taken = case
    found = matched(clinics, want.need, taken)
    verdicts = oracle.verdicts(clinics, want.asked, taken, MOMENT)
    best = oracle.ranked(verdicts)
    assert order(found) == [each.clinic for each in best]
    for said, expected in zip(found.ranked, best, strict=True):
        assert said.score == float(expected.score)
        assert said.kind == expected.kind
        assert {name.value: value for name, value in said.factors.items()} == {
            name: float(value) for name, value in expected.factors.items()
        }
        assert [each.condition for each in said.offerings] == list(want.asked.conditions)
    excluded = sorted((each for each in verdicts if each.reasons), key=lambda each: each.place)
    assert [(each.clinic_id, set(each.reasons)) for each in found.excluded] == [
        (each.clinic, each.reasons) for each in excluded
    ]
    waits = None if best else oracle.waiting(clinics, verdicts, want.asked, MOMENT)
    said_waits = found.waiting and (found.waiting.until, set(found.waiting.clinic_ids))
    assert said_waits == waits


@settings(max_examples=50, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(
    case: tuple[list[ClinicProfile], Wanted, dict[UUID, int]], chance: Random
) -> None:
    clinics, want, taken = case
    found = matched(clinics, want.need, taken)
    chance.shuffle(clinics)
    assert msgspec.json.encode(matched(clinics, want.need, taken)) == msgspec.json.encode(found)


@settings(max_examples=50, deadline=None)
@given(cases(), st.data())
def test_closer_is_never_worse(
    case: tuple[list[ClinicProfile], Wanted, dict[UUID, int]], data: st.DataObject
) -> None:
    clinics, want, taken = case
    candidates = [candidate(each, want.need.near, taken[each.id]) for each in clinics]
    near = [at for at, each in enumerate(candidates) if each.distance_m is not None]
    assume(near)
    at = data.draw(st.sampled_from(near))
    metres = candidates[at].distance_m or 0.0
    closer = [*candidates]
    closer[at] = msgspec.structs.replace(
        candidates[at], distance_m=metres * data.draw(st.floats(0, 1))
    )
    before, after = (match(want.need, some, MOMENT) for some in (candidates, closer))
    moved = candidates[at].clinic_id
    if moved in order(before):
        assert order(after).index(moved) <= order(before).index(moved)
    assert [each for each in order(after) if each != moved] == [
        each for each in order(before) if each != moved
    ]


@settings(max_examples=50, deadline=None)
@given(cases(), st.data())
def test_a_preferred_clinic_comes_before_those_that_are_not(
    case: tuple[list[ClinicProfile], Wanted, dict[UUID, int]], data: st.DataObject
) -> None:
    clinics, want, taken = case
    assume(clinics)
    liked = data.draw(st.sampled_from(clinics)).id
    nobody = msgspec.structs.replace(want.need, preferred=frozenset())
    before = order(matched(clinics, nobody, taken))
    after = order(
        matched(clinics, msgspec.structs.replace(nobody, preferred=frozenset({liked})), taken)
    )
    assert set(after) == set(before)
    if liked in before:
        assert after[0] == liked


@settings(max_examples=50, deadline=None)
@given(cases(), st.data())
def test_excluding_one_clinic_does_not_reorder_the_others(
    case: tuple[list[ClinicProfile], Wanted, dict[UUID, int]], data: st.DataObject
) -> None:
    clinics, want, taken = case
    assume(clinics)
    gone = data.draw(st.sampled_from(clinics)).id
    before = matched(clinics, want.need, taken)
    need = msgspec.structs.replace(want.need, excluded=want.need.excluded | {gone})
    after = matched(clinics, need, taken)
    assert order(after) == [each for each in order(before) if each != gone]
    [said] = [each for each in after.excluded if each.clinic_id == gone]
    assert Reason.EXCLUDED in said.reasons


IV_FOR_CRPS = (offering(conditions=("crps",)),)
AT_HOME_IN_CALIFORNIA = (
    offering(Route.ORAL, Setting.AT_HOME, conditions=("crps",), coverage=("US-CA",)),
)
CASES: dict[Reason, tuple[dict[str, Any], dict[str, Any]]] = {
    Reason.CONDITION: ({"offerings": (offering(conditions=("migraine",)),)}, {}),
    Reason.CONDITION_NOT_STATED: ({"offerings": (offering(),)}, {}),
    Reason.ROUTE: ({}, {"routes": frozenset({Route.NASAL})}),
    Reason.SETTING: ({}, {"settings": frozenset({Setting.AT_HOME})}),
    Reason.COMBINATION: (
        {"offerings": (*IV_FOR_CRPS, offering(Route.NASAL, conditions=("migraine",)))},
        {"routes": frozenset({Route.NASAL})},
    ),
    Reason.DISTANCE: ({}, {"limit_m": 1000.0}),
    Reason.COVERAGE: ({"offerings": AT_HOME_IN_CALIFORNIA}, {}),
    Reason.AGE: ({"age": AgeRange(min=18, max=None)}, {"age": 17}),
    Reason.PAYER: ({"payers": ["va"]}, {"payer": "medicare"}),
    Reason.LANGUAGE: ({"languages": ["en"]}, {"language": "es"}),
    Reason.ACCEPTING: ({"accepting": Accepting.EXISTING_AND_FAMILY}, {}),
    Reason.WAIT: ({"wait_days": 8}, {"urgency": Urgency.URGENT}),
    Reason.ASSESSMENT: ({}, {"flags": frozenset({"substance_use_history"})}),
    Reason.CAPACITY: ({"weekly_capacity": 0}, {}),
    Reason.EXCLUDED: ({}, {"excluded": frozenset({UUID(int=1)})}),
    Reason.TRIED: ({}, {"tried": frozenset({UUID(int=1)})}),
}


def one(
    clinic_traits: dict[str, Any], need_fields: dict[str, Any], conditions: str = "crps"
) -> Matches:
    traits: dict[str, Any] = {"offerings": IV_FOR_CRPS} | clinic_traits
    fields: dict[str, Any] = {"near": PHOENIX, "state": "US-AZ"} | need_fields
    want = wanted(conditions.split(), **fields)
    return matched([clinic(1, 33.6, -112.07, **traits)], want.need)


def test_without_a_reason_a_clinic_is_ranked() -> None:
    [said] = one({}, {}).ranked
    assert said.kind is Kind.NEARBY
    assert said.distance_m == pytest.approx(16_640, abs=50)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_can_be_met_alone(reason: Reason) -> None:
    found = one(*CASES[reason])
    assert [each.reasons for each in found.excluded] == [(reason,)]


def test_several_reasons_are_all_named() -> None:
    found = one(
        {
            "accepting": Accepting.NO,
            "payers": [],
            "offerings": (offering(conditions=("migraine",)),),
        },
        {"payer": "medicare", "limit_m": 100.0},
    )
    assert found.excluded[0].reasons == (
        Reason.CONDITION, Reason.DISTANCE, Reason.PAYER, Reason.ACCEPTING,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "stated", "specificity"),
    [
        ("crps", "crps", 1.0),
        ("crps-1", "crps", 0.8),
        ("crps-1", "chronic-pain", 0.6),
        ("chronic-migraine", "chronic-pain", 0.5),
        ("chronic-pain", "crps-1", 0.4),
        ("crps-1", "crps-2", None),
        ("ptsd", "depression", None),
    ],
)
def test_parents_and_children(asked: str, stated: str, specificity: float | None) -> None:
    found = one({"offerings": (offering(conditions=(stated,)),)}, {}, asked)
    if specificity is None:
        assert found.excluded[0].reasons == (Reason.CONDITION,)
    else:
        assert found.ranked[0].factors[Factor.SPECIFICITY] == specificity
        assert found.ranked[0].offerings[0].treats == stated


def test_two_conditions_may_be_treated_by_two_offerings() -> None:
    both = (offering(conditions=("crps",)), offering(Route.NASAL, conditions=("depression",)))
    [said] = one({"offerings": both}, {}, "crps depression").ranked
    assert [(each.condition, each.position) for each in said.offerings] == [
        ("crps", 0), ("depression", 1),
    ]  # fmt: skip
    only_iv = {"routes": frozenset({Route.IV})}
    assert one({"offerings": both}, only_iv, "crps depression").excluded[0].reasons == (
        Reason.COMBINATION,
    )


def test_care_at_home_knows_no_distance() -> None:
    found = one({"offerings": AT_HOME_IN_CALIFORNIA}, {"state": "US-CA", "limit_m": 1.0})
    assert found.ranked[0].kind is Kind.AT_HOME
    assert found.ranked[0].factors[Factor.DISTANCE] == 0.5


def waits(urgency: Urgency, wait_days: int | None, capacity: int = 1) -> Matches:
    """MOMENT is a Sunday noon in London, twelve hours before the clinic's next week."""
    profile = clinic(
        1, *PHOENIX, offerings=IV_FOR_CRPS, time_zone="Europe/London", weekly_capacity=capacity,
        wait_days=wait_days,
    )  # fmt: skip
    need = wanted(["crps"], near=PHOENIX, urgency=urgency).need
    return matched([profile], need, {profile.id: capacity})


def test_a_full_clinic_is_waited_for_until_its_next_week() -> None:
    waiting = waits(Urgency.URGENT, None).waiting
    assert waiting is not None
    assert waiting.until == MOMENT + timedelta(hours=12)
    assert waits(Urgency.URGENT, 6).waiting == waiting
    # Twelve hours and seven days are more than the seven days of an urgent referral.
    assert waits(Urgency.URGENT, 7).waiting is None
    assert waits(Urgency.ROUTINE, 7).waiting == waiting
    assert waits(Urgency.ROUTINE, None, capacity=0).waiting is None


def test_a_need_has_a_condition() -> None:
    with pytest.raises(ValueError, match="at least one condition"):
        Need(conditions=())


def test_the_page_has_the_weights_and_the_reasons_of_the_code() -> None:
    weights = re.findall(r"^\| `(\w+)` \| (0\.\d\d) \|", PAGE, re.MULTILINE)
    assert weights == [(factor.value, f"{WEIGHTS[factor] / 100:.2f}") for factor in Factor]
    assert sum(WEIGHTS.values()) == 100
    assert WEIGHTS[Factor.PREFERRED] > 100 - WEIGHTS[Factor.PREFERRED]
    assert {name: float(weight) for name, weight in oracle.WEIGHTS.items()} == {
        factor.value: WEIGHTS[factor] / 100 for factor in Factor
    }
    reasons = re.findall(r"^\| `(\w+)` \| (?!0\.)", PAGE, re.MULTILINE)
    assert reasons == [reason.value for reason in Reason]
    for urgency, days in LONGEST_WAIT_DAYS.items():
        assert days is None or re.search(rf"{urgency}.* {days} days", PAGE)


def test_the_flags_that_must_be_assessed_are_those_of_the_catalogue() -> None:
    class Flag(msgspec.Struct):
        handling: str

    documents = CATALOGUE.documents["screening_flag"]
    handling = {
        code: msgspec.json.decode(raw, type=Flag).handling for code, raw in documents.items()
    }
    assert {code for code, how in handling.items() if how == "assessing_clinics"} == ASSESSED_ONLY


def test_a_candidate_has_unknowns_by_default() -> None:
    bare = Candidate(clinic_id=UUID(int=1), name="Clinic")
    need = Need(conditions=(asked_condition("crps"),))
    assert match(need, [bare], MOMENT).excluded[0].reasons == (Reason.CONDITION,)
