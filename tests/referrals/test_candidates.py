"""What is found in the index is what matching every clinic one by one would find."""

from __future__ import annotations

from itertools import count
from math import floor
from pathlib import Path
from random import Random
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.commands.wiring import make_places
from api.directory.composing import Identity, PreparedClinic, composed
from api.directory.points import Point, time_zone
from api.directory.profile import public_profile
from api.directory.schemas import ClinicProfile
from api.referrals.matching.candidate_rows import asked_condition, judged, resolved
from api.referrals.matching.candidates import find_candidates
from api.referrals.matching.eligibility import Reason
from api.referrals.matching.matching import Kind, Matches, Remedy
from api.referrals.matching.needs import Need
from api.referrals.matching.weeks import week_of
from api.search.abilities import RECORD
from api.search.index import SearchIndex
from api.settings import Settings
from db.states import PointPrecision, Route, Setting, Urgency
from tests.bench.scatter import facilities
from tests.keys.clocks import HandClock
from tests.referrals import matching_oracle as oracle
from tests.referrals.directories import CATALOGUE, clinic, directories, needs, wanted
from tests.search.profiles import MOMENT, encoded, offering

KIT = Path(__file__).parents[2] / "seeds" / "clinics" / "us_samhsa_ketamine_kit_2022.csv"
PHOENIX = (33.45, -112.07)


def loaded(clinics: list[ClinicProfile], most_unordered: int = 2048) -> SearchIndex:
    index = SearchIndex(CATALOGUE.ancestors, most_unordered)
    index.load([encoded(each) for each in clinics])
    index.finish_loading(1)
    return index


def found_in(
    index: SearchIndex, need: Need, taken: dict[UUID, int], most: int = 20, others: int = 20
) -> Matches:
    """As the service does it: only the weeks that are asked for are counted."""
    found = find_candidates(index, need, MOMENT, most_ranked=most, most_excluded=others)
    return found.matches({each.clinic_id: taken[each.clinic_id] for each in found.weeks})


def surely_rounded(metres: float | None) -> bool:
    """Whether half a millimetre, which is what geodesics differ by, changes no whole metre."""
    return metres is None or 0.001 < (metres + 0.5) % 1 < 0.999


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(0, 3))
def test_the_best_and_the_nearest_of_the_others_are_found(
    data: st.DataObject, most: int, others: int
) -> None:
    clinics = data.draw(directories(most=40))
    want = data.draw(needs(clinics))
    chance = Random(data.draw(st.integers(0, 1000)))
    taken = {each.id: chance.randint(0, 2) for each in clinics}
    verdicts = oracle.verdicts(clinics, want.asked, taken, MOMENT)
    assume(all(surely_rounded(each.metres) for each in verdicts))
    best = oracle.ranked(verdicts)
    found = found_in(loaded(clinics), want.need, taken, most, others)
    assert [(each.clinic_id, each.score, each.kind.value) for each in found.ranked] == [
        (each.clinic, float(each.score), each.kind) for each in best[:most]
    ]
    reasons = {each.clinic: each.reasons for each in verdicts}
    assert all(set(each.reasons) == reasons[each.clinic_id] for each in found.excluded)
    assert bool(found.suggestions) is False or not best
    if not best:
        waits = oracle.waiting(clinics, verdicts, want.asked, MOMENT)
        assert (found.waiting and (found.waiting.until, set(found.waiting.clinic_ids))) == waits
    listed = {each.clinic_id for each in found.excluded}
    live = {each.id for each in clinics}
    assert live & (want.need.excluded | want.need.tried) <= listed
    assert len(listed - want.need.named) <= others
    assert found.excluded_total >= len(listed)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_with_room_for_all_it_is_what_the_page_says(data: st.DataObject) -> None:
    clinics = data.draw(directories())
    want = data.draw(needs(clinics))
    verdicts = oracle.verdicts(clinics, want.asked, {}, MOMENT)
    assume(all(surely_rounded(each.metres) for each in verdicts))
    taken = dict.fromkeys((each.id for each in clinics), 0)
    found = found_in(loaded(clinics), want.need, taken, len(clinics) + 1, len(clinics) + 1)
    best = oracle.ranked(verdicts)
    assert [each.clinic_id for each in found.ranked] == [each.clinic for each in best]
    assert found.ranked_total == len(best)
    # A clinic at no known place is nobody's neighbour: it is shown only if it is considered.
    expected = sorted((v for v in verdicts if v.reasons), key=lambda v: v.place)
    if want.need.max_distance_m is not None:
        expected = [each for each in expected if each.metres is not None]
        shown = [each.clinic_id for each in found.excluded if each.distance_m is not None]
    else:
        shown = [each.clinic_id for each in found.excluded]
        assert found.excluded_total == len(shown)
    if want.need.near is not None or want.need.max_distance_m is None:
        assert shown == [each.clinic for each in expected]


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_kernel_and_matching_give_the_same_scores(data: st.DataObject) -> None:
    clinics = data.draw(directories(least=1))
    index = loaded(clinics)
    need = resolved(index, data.draw(needs(clinics)).need)
    rows = judged(index, need, floor(MOMENT.timestamp()))
    scores = dict(zip(rows.passed.tolist(), rows.scores.tolist(), strict=True))
    antipodal = np.isnan(rows.metres) & ~np.isnan(index.points[rows.passed, 0])
    assume(need.near is None or not antipodal.any())
    unlimited = [msgspec.structs.replace(each, weekly_capacity=None) for each in clinics]
    found = find_candidates(loaded(unlimited), need, MOMENT, most_ranked=99).matches({})
    assert {each.clinic_id: round(each.score * 10_000) for each in found.ranked} == {
        index.id_of(row): score for row, score in scores.items()
    }


class Written:
    """An index that is written to, and what it should hold."""

    def __init__(self) -> None:
        self.index = SearchIndex(CATALOGUE.ancestors, most_unordered=5)
        self.clinics: dict[UUID, ClinicProfile] = {}
        self.seq = 0

    def write(self, data: st.DataObject, pool: list[ClinicProfile]) -> None:
        self.seq += 1
        step = data.draw(st.sampled_from(["upsert", "upsert", "upsert", "delete", "merge"]))
        target = data.draw(st.sampled_from(pool))
        if step == "upsert":
            other = data.draw(st.sampled_from(pool))
            profile = msgspec.structs.replace(other, id=target.id, slug=target.slug)
            self.index.upsert(self.seq, encoded(profile))
            self.clinics[profile.id] = profile
        elif target.id in self.clinics and step == "delete":
            self.index.delete(self.seq, target.id)
            del self.clinics[target.id]
        elif target.id in self.clinics and len(self.clinics) > 1:
            into = data.draw(st.sampled_from(sorted(self.clinics.keys() - {target.id})))
            self.index.merge(self.seq, target.id, into)
            del self.clinics[target.id]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_after_any_writes_the_index_finds_what_one_loaded_afresh_finds(
    data: st.DataObject,
) -> None:
    pool = data.draw(directories(least=3, most=12))
    written = Written()
    for _ in range(data.draw(st.integers(1, 25))):
        written.write(data, pool)
        if data.draw(st.booleans()) and written.clinics:
            _same(data, written, pool)
    _columns_are_the_profiles(written)


def _same(data: st.DataObject, written: Written, pool: list[ClinicProfile]) -> None:
    clinics = list(written.clinics.values())
    need = data.draw(needs(pool)).need
    fresh = loaded(clinics)
    # Merged ids are known only where they were merged.
    need = resolved(written.index, need)
    taken = dict.fromkeys(written.clinics, 0)
    assert found_in(written.index, need, taken) == found_in(fresh, need, taken)


def _columns_are_the_profiles(written: Written) -> None:
    index = written.index
    flags = {code: 1 << bit for bit, code in index.abilities.flags.codes("assesses")}
    for profile in written.clinics.values():
        row = index.row_of(str(profile.id))
        assert row is not None
        record = {name: index.abilities.records[row][name].item() for name in RECORD.names or ()}
        answers, zone = profile.responsiveness, profile.time_zone
        assert record | {"pad": 0} == {
            "assesses": sum(flags[code] for code in profile.assesses),
            "capacity": -1 if profile.weekly_capacity is None else profile.weekly_capacity,
            "answer_minutes": -1 if answers is None else round(answers.median_hours * 60),
            "acceptance": -1
            if answers is None or answers.acceptance is None
            else round(answers.acceptance * 10_000),
            "age_min": profile.age.min or 0,
            "age_max": 32_767 if profile.age.max is None else profile.age.max,
            "zone": -1 if zone is None else index.abilities.zones.index(zone),
            "accepting": {"unknown": 1, "yes": 2}.get(profile.accepting.value, 0),
            "offerings": len(profile.offerings),
            "first_offering": record["first_offering"],
            "pad": 0,
        }
        first, many = record["first_offering"], record["offerings"]
        assert (index.offering_row[first : first + many] == row).all()


def test_a_record_is_small() -> None:
    assert RECORD.itemsize <= 60


IV = (offering(conditions=("crps",)),)


def test_a_merged_clinic_that_is_named_counts_as_its_survivor() -> None:
    index = loaded([clinic(1, *PHOENIX, offerings=IV), clinic(2, 33.5, -112.07, offerings=IV)])
    index.merge(2, UUID(int=1), UUID(int=2))
    need = wanted(["crps"], near=PHOENIX, tried=frozenset({UUID(int=1)})).need
    [said] = found_in(index, need, {}).excluded
    assert (said.clinic_id, said.reasons) == (UUID(int=2), (Reason.TRIED,))


def test_a_full_clinic_does_not_take_the_place_of_one_with_room() -> None:
    full = [clinic(n, *PHOENIX, offerings=IV, weekly_capacity=1) for n in range(1, 31)]
    index = loaded([*full, clinic(40, 34.0, -112.07, offerings=IV)])
    taken = {each.id: 1 for each in full}
    found = found_in(index, wanted(["crps"], near=PHOENIX).need, taken, most=1, others=3)
    assert [each.clinic_id for each in found.ranked] == [UUID(int=40)]
    assert [each.reasons for each in found.excluded] == [(Reason.CAPACITY,)] * 3
    assert (found.ranked_total, found.excluded_total) == (1, 30)


def test_weeks_are_asked_for_with_the_monday_of_the_clinic() -> None:
    zones = {1: "Pacific/Auckland", 2: "America/Phoenix"}
    clinics = [
        clinic(n, *PHOENIX, offerings=IV, weekly_capacity=1, time_zone=zone)
        for n, zone in zones.items()
    ]
    found = find_candidates(loaded(clinics), wanted(["crps"], near=PHOENIX).need, MOMENT)
    assert {each.clinic_id.int: each.week for each in found.weeks} == {
        n: week_of(MOMENT, zone)[0] for n, zone in zones.items()
    }
    assert len({each.week for each in found.weeks}) == 2


ONLY_HOME = frozenset({Setting.AT_HOME})
NASAL = (offering(Route.NASAL, conditions=("crps",)),)
AT_HOME = (offering(Route.ORAL, Setting.AT_HOME, conditions=("crps",), coverage=("US-AZ",)),)


@pytest.mark.parametrize(
    ("traits", "asked", "changes", "limit_m"),
    [
        ({"offerings": IV}, {"limit_m": 50_000.0}, (Remedy.TWICE_THE_DISTANCE,), 100_000.0),
        ({"offerings": IV}, {"limit_m": 100.0}, (Remedy.ANY_DISTANCE,), None),
        ({"offerings": NASAL}, {"routes": frozenset({Route.IV})}, (Remedy.ANY_ROUTE,), None),
        (
            {"offerings": IV},
            {"settings": frozenset({Setting.AT_HOME})},
            (Remedy.ANY_SETTING,),
            None,
        ),
        ({"offerings": IV}, {"payer": "va"}, (Remedy.WITHOUT_PAYER,), None),
        ({"offerings": IV}, {"language": "es"}, (Remedy.WITHOUT_LANGUAGE,), None),
        (
            {"offerings": IV},
            {"excluded": frozenset({UUID(int=1)})},
            (Remedy.WITHOUT_EXCLUSIONS,),
            None,
        ),
        (
            {"offerings": IV},
            {"payer": "va", "language": "es"},
            (Remedy.WITHOUT_PAYER, Remedy.WITHOUT_LANGUAGE),
            None,
        ),
    ],
)
def test_what_would_help(
    traits: dict[str, object],
    asked: dict[str, object],
    changes: tuple[Remedy, ...],
    limit_m: float | None,
) -> None:
    index = loaded([clinic(1, 34.2, -112.07, **traits)])
    need = wanted(["crps"], near=PHOENIX, state="US-AZ", **asked).need
    found = found_in(index, need, {})
    assert not found.ranked
    assert [(each.changes, each.clinics) for each in found.suggestions] == [(changes, 1)]
    assert found.suggestions[0].max_distance_m == limit_m


def test_care_at_home_would_help() -> None:
    index = loaded([clinic(1, 60.0, -112.07, offerings=AT_HOME)])
    only_iv = {"routes": frozenset({Route.IV}), "settings": frozenset({Setting.CLINIC})}
    found = found_in(index, wanted(["crps"], near=PHOENIX, state="US-AZ", **only_iv).need, {})
    assert [each.changes for each in found.suggestions] == [(Remedy.AT_HOME,)]


def test_what_no_change_makes_right_is_not_suggested() -> None:
    index = loaded([clinic(1, *PHOENIX, offerings=IV, wait_days=90)])
    urgent = wanted(["crps"], near=PHOENIX, urgency=Urgency.URGENT, payer="va").need
    assert found_in(index, urgent, {}).suggestions == ()


@pytest.fixture(scope="module")
def real() -> list[ClinicProfile]:
    """The clinics of the shipped SAMHSA list at the points of their ZIP codes, each with the
    conditions and the wait that a test gives it: the list states none."""
    chance = Random(3)
    numbers = count(1)
    clinics: list[ClinicProfile] = []
    for facility in facilities(make_places(Settings(), HandClock()), KIT):
        number = next(numbers)
        point = Point(
            lat=facility.lat, lon=facility.lon, source="gazetteer",
            precision=PointPrecision.POSTAL_AREA, uncertainty_m=3000,
            time_zone=time_zone(facility.lat, facility.lon),
        )  # fmt: skip
        identity = Identity(
            id=UUID(int=number * 7919), slug=f"clinic-{number}", version=1, change_seq=number,
            created_at=MOMENT, updated_at=MOMENT,
        )  # fmt: skip
        prepared = PreparedClinic(body=facility.profile, point=point, provenance={})
        stored = composed(prepared, identity, None, lambda: UUID(int=1))
        profile = public_profile(stored.row, stored.offerings)
        stated = [
            msgspec.structs.replace(each, conditions=chance.sample(["crps", "depression"], 1))
            for each in profile.offerings
        ]
        # Every third stays as it is in the list.
        offerings = profile.offerings if number % 3 == 0 else stated
        wait = chance.choice([None, 3, 20, 60])
        clinics.append(msgspec.structs.replace(profile, offerings=offerings, wait_days=wait))
    return clinics


@pytest.mark.parametrize(
    ("near", "state", "limit_m"),
    [
        ((34.05, -118.25), "US-CA", 400_000.0),
        ((40.75, -73.99), "US-NY", 800_000.0),
        ((44.5, -107.5), "US-WY", None),
        ((33.45, -112.07), "US-AZ", 1_600_000.0),
    ],
)
@pytest.mark.parametrize("payer", [None, "medicare"])
def test_the_shipped_clinics(
    real: list[ClinicProfile],
    near: tuple[float, float],
    state: str,
    limit_m: float | None,
    payer: str | None,
) -> None:
    assert len(real) > 100
    want = wanted(
        ["crps"], near=near, state=state, limit_m=limit_m, payer=payer, age=50, language="en",
        urgency=Urgency.SOON,
    )  # fmt: skip
    index = loaded(real)
    found = found_in(index, want.need, dict.fromkeys((each.id for each in real), 0))
    verdicts = oracle.verdicts(real, want.asked, {}, MOMENT)
    best = oracle.ranked(verdicts)
    assert best
    assert found.ranked_total == len(best)
    assert [(each.clinic_id, each.score) for each in found.ranked] == [
        (each.clinic, float(each.score)) for each in best[:20]
    ]
    assert all(each.kind is Kind.NEARBY for each in found.ranked)
    nearest = sorted((each for each in verdicts if each.reasons), key=lambda each: each.place)
    assert [(each.clinic_id, set(each.reasons)) for each in found.excluded] == [
        (each.clinic, each.reasons) for each in nearest[:20]
    ]


def test_conditions_are_placed_as_in_the_catalogue() -> None:
    index = loaded([])
    asked = asked_condition(index, "crps")
    assert asked.above == ("chronic-pain",)
    assert asked.below == {"crps-1", "crps-2"}
