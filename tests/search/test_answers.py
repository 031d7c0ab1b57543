"""Answers as they are sent: their form, their counts, what helps when there are none."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.directory.schemas import ClinicProfile, Hours
from api.errors import InvalidParameter
from api.parameters import decode_query
from api.search.answer import Search
from api.search.filters import Filters, is_open_at
from api.search.index import SearchIndex
from api.search.parameters import SearchParameters
from api.search.place import Place
from api.search.query import FACETS, Question, understand
from api.search.records import IndexedHours
from api.search.schemas import SearchAnswer
from db.states import Route, Setting
from tests.keyrings import fixed_keyring
from tests.search import oracle
from tests.search.profiles import MOMENT, encoded, offering, profile, shipped_catalogue
from tests.search.strategies import directories, filters, points, radii
from tests.search.test_oracle import THOROUGH, loaded

CATALOGUE = shipped_catalogue()
KEYS = fixed_keyring()
PHOENIX = (33.4484, -112.074)


def place(lat: float, lon: float, state: str | None = "US-AZ") -> Place:
    return Place(
        lat=lat, lon=lon, label="here", source="coordinates", precision="exact",
        uncertainty_m=0, country="US", state=state,
    )  # fmt: skip


def asked(query: str) -> Question:
    return understand(decode_query(query.encode(), SearchParameters), CATALOGUE, MOMENT)


def answered(index: SearchIndex, query: str, origin: Place | None = None) -> SearchAnswer:
    body = Search(index, KEYS).answer(asked(query), origin)
    return msgspec.json.decode(body, type=SearchAnswer)


def names(answer: SearchAnswer) -> list[str]:
    return [item.clinic.name for item in answer.items]


@pytest.fixture
def directory() -> SearchIndex:
    """Clinics of Phoenix and its surroundings, one provider at home elsewhere."""
    return loaded(
        [
            profile(1, 33.45, -112.07, name="Kadelyx", organization="Kadelyx Group",
                    director="Ana Rao", registration="1234567893",
                    offerings=(offering(conditions=("crps-1", "diabetic-neuropathy")),)),
            profile(2, 33.5, -112.0, name="Desert Mind", city="Scottsdale", wait_days=3,
                    offerings=(offering(Route.NASAL, conditions=("depression",)),)),
            profile(3, 37.77, -122.42, name="Calm at Home", city="San Francisco", state="US-CA",
                    offerings=(offering(Route.SUBLINGUAL, Setting.AT_HOME, ("ptsd",),
                                        ("US-AZ", "US-CA")),)),
            profile(4, name="Unplaced Pain Care", city="Sedona"),
        ]
    )  # fmt: skip


@THOROUGH
@given(directories(), filters(), points, radii)
def test_answers_have_their_form_their_total_and_true_counts(
    clinics: list[ClinicProfile],
    wanted: Filters,
    origin: tuple[float, float],
    radius_m: float | None,
) -> None:
    question = msgspec.structs.replace(
        asked("near=1,1&limit=100&facets=" + ",".join(FACETS)), filters=wanted, radius_m=radius_m
    )
    body = Search(loaded(clinics), KEYS).answer(question, place(*origin))
    answer = msgspec.json.decode(body, type=SearchAnswer)
    expected = oracle.answers(clinics, wanted, origin, "US-AZ", radius_m)
    near_the_edge = radius_m is not None and any(
        abs(oracle.distance(origin, clinic) - radius_m) < 0.002
        for clinic in clinics
        if clinic.lat is not None
    )
    if near_the_edge:
        return
    assert answer.total == len(answer.items) == len(expected)
    having = [clinic for clinic in clinics if clinic.id.int in expected]
    for facet in FACETS:
        assert answer.facets[facet] == _counted(having, facet)
    for item in answer.items:
        assert item.distance is not None
        metres, match = expected[item.clinic.id.int]
        assert item.match == match
        assert item.distance.m == pytest.approx(metres, abs=0.06)
        assert item.distance.km == pytest.approx(item.distance.m / 1000, abs=0.001)
        assert item.distance.mi == pytest.approx(item.distance.m / 1609.344, abs=0.01)


def _counted(clinics: list[ClinicProfile], facet: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for clinic in clinics:
        codes: set[str] = {
            "route": {str(code) for code in clinic.routes},
            "setting": {str(code) for code in clinic.settings},
            "condition": set(clinic.conditions),
            "state": {clinic.state},
            "payer": set(clinic.payers),
            "language": set(clinic.languages),
            "accepting": {str(clinic.accepting)},
        }[facet]
        if facet == "condition":
            codes = codes.union(*(CATALOGUE.ancestors[code] for code in codes))
        counts.update(codes)
    return dict(counts)


@THOROUGH
@given(
    directories(),
    points,
    st.sampled_from(
        ["radius=1mi&route=iv", "radius=2km&condition=crps&payer=va", "language=fr",
         "condition=depression&route=nasal&state=US-AZ&wait=", "radius=5km&q=zen&sort=relevance",
         "radius=any&max_wait_days=0&accepting=no&setting=clinic"]
    ),
)  # fmt: skip
def test_whoever_follows_a_suggestion_finds_what_it_says(
    clinics: list[ClinicProfile], origin: tuple[float, float], query: str
) -> None:
    index = loaded(clinics)
    here = place(*origin)
    query = "near=1,1&" + query.removesuffix("&wait=")
    answer = answered(index, query, here)
    assert bool(answer.suggestions) <= (answer.total == 0)
    for suggestion in answer.suggestions:
        assert suggestion.total > 0
        assert answered(index, urlsplit(suggestion.href).query, here).total == suggestion.total


def test_an_empty_answer_says_what_would_help(directory: SearchIndex) -> None:
    answer = answered(directory, "near=1,1&radius=5mi&condition=ptsd&route=iv", place(*PHOENIX))
    assert answer.total == 0
    found = {(s.kind, tuple(c.parameter for c in s.changes)): s.total for s in answer.suggestions}
    assert found == {
        ("at_home", ("route",)): 1,
        ("without_filter", ("condition",)): 1,
        ("without_filter", ("route",)): 1,
    }


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("near=1,1&radius=5mi&condition=ptsd&route=iv&payer=va", {"without_filter"}),
        ("near=1,1&radius=5mi&condition=ptsd&route=iv&payer=va&language=fr", {"place_only"}),
        ("condition=ptsd&payer=va&language=fr&accepting=no", {"place_only"}),
    ],
)
def test_when_several_things_are_in_the_way_there_is_still_help(
    directory: SearchIndex, query: str, kinds: set[str]
) -> None:
    origin = place(*PHOENIX) if "near" in query else None
    answer = answered(directory, query, origin)
    assert {suggestion.kind for suggestion in answer.suggestions} == kinds


@THOROUGH
@given(directories(), filters(), points, radii)
def test_where_there_is_a_clinic_there_is_help(
    clinics: list[ClinicProfile],
    wanted: Filters,
    origin: tuple[float, float],
    radius_m: float | None,
) -> None:
    question = msgspec.structs.replace(asked("near=1,1"), filters=wanted, radius_m=radius_m)
    body = Search(loaded(clinics), KEYS).answer(question, place(*origin))
    answer = msgspec.json.decode(body, type=SearchAnswer)
    some = any(clinic.lat is not None for clinic in clinics)
    assert bool(answer.items or answer.suggestions) == some


def test_at_home_stands_behind_what_is_near(directory: SearchIndex) -> None:
    answer = answered(directory, "near=1,1", place(*PHOENIX))
    assert [(item.clinic.name, item.match) for item in answer.items] == [
        ("Kadelyx", "nearby"), ("Desert Mind", "nearby"), ("Calm at Home", "at_home"),
    ]  # fmt: skip
    elsewhere = answered(directory, "near=1,1&route=at_home", place(47.6, -122.3, "US-WA"))
    assert elsewhere.total == 0


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("kadelyx", ["Kadelyx"]),
        ("Kadelix", ["Kadelyx"]),
        ("kadl", []),
        ("scotsdale", ["Desert Mind"]),
        ("desert scottsdale", ["Desert Mind"]),
        ("desert phoenix", []),
        ("nerve pain", ["Kadelyx"]),
        ("RSD", ["Kadelyx"]),
        ("rsd phoenix", ["Kadelyx"]),
        ("trauma", ["Calm at Home"]),
        ("PTSD", ["Calm at Home"]),
        ("unplaced", ["Unplaced Pain Care"]),
        ("zzzz", []),
    ],
)
def test_words_find_names_cities_and_conditions(
    directory: SearchIndex, words: str, found: list[str]
) -> None:
    assert names(answered(directory, f"q={words.replace(' ', '%20')}")) == found


def test_the_better_match_comes_first() -> None:
    index = loaded(
        [
            profile(1, name="Phoenix Rising", city="Tucson"),
            profile(2, name="Desert Mind", city="Phoenix"),
            profile(3, name="Pheonix Care", city="Mesa"),
        ]
    )
    found = names(answered(index, "q=phoenix"))
    assert found == ["Phoenix Rising", "Desert Mind", "Pheonix Care"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("condition=crps", ["Kadelyx"]),
        ("condition=RSD", ["Kadelyx"]),
        ("condition=nerve%20pain", ["Kadelyx"]),
        ("condition=crps,depression", ["Desert Mind", "Kadelyx"]),
        ("condition=crps&condition=depression", []),
        ("condition=crps&condition=diabetic-neuropathy", ["Kadelyx"]),
        ("condition=crps&route=nasal", []),
        ("route=iv,nasal", ["Desert Mind", "Kadelyx"]),
        ("route=IV,%20Nasal", ["Desert Mind", "Kadelyx"]),
        ("state=us-ca", ["Calm at Home"]),
        ("route=at_home", ["Calm at Home"]),
        ("setting=at_home", ["Calm at Home"]),
        ("max_wait_days=7", ["Desert Mind"]),
        ("director=rao", ["Kadelyx"]),
        ("director=1234567893", ["Kadelyx"]),
        ("organization=Kadelyx%20Group", ["Kadelyx"]),
        ("state=US-CA", ["Calm at Home"]),
        ("bbox=-113,33,-111,34", ["Desert Mind", "Kadelyx"]),
        ("bbox=170,30,-120,40", ["Calm at Home"]),
    ],
)
def test_filters(directory: SearchIndex, query: str, found: list[str]) -> None:
    assert sorted(names(answered(directory, query))) == found


def test_a_clinic_without_a_point_is_found_by_name_only(directory: SearchIndex) -> None:
    assert "Unplaced Pain Care" in names(answered(directory, "sort=name"))
    assert "Unplaced Pain Care" not in names(
        answered(directory, "near=1,1&radius=any", place(*PHOENIX))
    )


NIGHT = Hours(days=["fri"], opens="22:00", closes="06:00")
DAY = Hours(days=["sun"], opens="01:30", closes="03:30")


@pytest.mark.parametrize(
    ("hours", "zone", "moment", "is_open"),
    [
        (NIGHT, "America/Phoenix", "2026-11-21T05:30:00Z", True),  # Friday 22:30
        (NIGHT, "America/Phoenix", "2026-11-21T12:59:00Z", True),  # Saturday 05:59
        (NIGHT, "America/Phoenix", "2026-11-21T13:00:00Z", False),  # Saturday 06:00
        (NIGHT, "America/Phoenix", "2026-11-22T05:30:00Z", False),  # Saturday 22:30
        # New York falls back on 2026-11-01: 01:45 comes twice, and both are open.
        (DAY, "America/New_York", "2026-11-01T05:45:00Z", True),
        (DAY, "America/New_York", "2026-11-01T06:45:00Z", True),
        (DAY, "America/New_York", "2026-11-01T08:30:00Z", False),
        # It springs forward on 2026-03-08: 02:00 to 03:00 does not happen, 03:15 does.
        (DAY, "America/New_York", "2026-03-08T07:15:00Z", True),
        (DAY, "America/New_York", "2026-03-08T07:30:00Z", False),
        (DAY, "Europe/London", "2026-03-29T01:15:00Z", True),  # 02:15 British Summer Time
    ],
)
def test_open_at_goes_by_the_clinics_own_clock(
    hours: Hours, zone: str, moment: str, is_open: bool
) -> None:
    span = IndexedHours(days=tuple(hours.days), opens=hours.opens, closes=hours.closes)
    at = datetime.fromisoformat(moment).astimezone(UTC)
    assert is_open_at((zone, (span,)), at) == is_open
    index = loaded([profile(1, 1.0, 1.0, hours=(hours,), time_zone=zone)])
    assert answered(index, f"open_at={moment}").total == is_open


def test_a_cursor_is_good_for_its_own_question_only(directory: SearchIndex) -> None:
    here = place(*PHOENIX)
    first = answered(directory, "near=1,1&limit=1", here)
    assert first.next is not None
    second = answered(directory, f"near=1,1&limit=1&cursor={first.next}", here)
    assert names(second) == ["Desert Mind"]
    flipped = ("A" if first.next[0] != "A" else "B") + first.next[1:]
    for query in (
        f"near=1,1&limit=1&cursor={flipped}",
        f"near=1,1&limit=1&cursor={first.next[:-2]}",
        f"near=1,2&limit=1&cursor={first.next}",
        f"near=1,1&limit=1&route=iv&cursor={first.next}",
        "near=1,1&cursor=%C3%A9",
    ):
        with pytest.raises(InvalidParameter) as raised:
            answered(directory, query, here)
        assert raised.value.errors[0].parameter == "cursor"


@pytest.mark.parametrize(
    "query",
    ["radius=0mi&near=1,1", "radius=20000km&near=1,1", "radius=5mi", "sort=distance",
     "sort=relevance", "route=", "route=swim", "condition=made-up", "state=Arizona", "payer=me",
     "facets=colour", "bbox=1,2,3", "bbox=1,5,2,4", "q=%21%3F", "open_at=2026-11-22T09:00:00",
     "verified_since=yesterday", "condition=" + "&condition=".join(["crps"] * 65)],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused_by_name(query: str) -> None:
    with pytest.raises(InvalidParameter) as raised:
        asked(query)
    assert raised.value.errors[0].parameter == query.split("=")[0]


def test_a_misspelt_condition_is_told_what_may_be_meant() -> None:
    with pytest.raises(InvalidParameter) as raised:
        asked("condition=fibromyalga")
    assert "perhaps fibromyalgia is meant" in raised.value.errors[0].message
    assert CATALOGUE.conditions_matching("fibromyalga") == ["fibromyalgia"]
    assert CATALOGUE.conditions_matching("bak pain")[0] == "low-back-pain"
    with pytest.raises(InvalidParameter) as raised:
        asked("condition=suicidal%20thoughts")
    assert "988" in raised.value.errors[0].message


def test_profiles_come_back_byte_for_byte() -> None:
    clinics: list[Any] = [profile(n, 1.0, n / 10, name=f"Ünïcode {n}") for n in range(1, 20)]
    index = loaded(clinics, unordered=5)
    for clinic in clinics:
        row = index.row_of(clinic.slug)
        assert row is not None
        assert index.profile(row) == encoded(clinic)
        assert msgspec.json.decode(index.summary(row))["name"] == clinic.name
