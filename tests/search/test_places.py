"""What a person types after `near=`, against the gazetteer that ships."""

from __future__ import annotations

import asyncio
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.errors import InvalidParameter, Problem
from api.search.errors import AmbiguousPlace, CoordinatesSwapped, UnknownPlace
from api.search.place import Candidate, Place
from api.search.places import Places
from seeds.gazetteer.load import load_gazetteer

PLACES = Places(load_gazetteer())


def find(text: str) -> str:
    place = PLACES.find_local(text)
    return "nothing" if place is None else place.label


@pytest.mark.parametrize("text", ["85016", " 85016 ", "85016-1234", "850161234", "85016 1234"])
def test_zip_code_as_in_the_contract(text: str) -> None:
    place = PLACES.find_local(text)
    assert place is not None
    assert msgspec.to_builtins(place) == {
        "lat": 33.51017,
        "lon": -112.03168,
        "label": "85016, Phoenix, AZ",
        "source": "gazetteer",
        "precision": "postal_area",
        "uncertainty_m": 3000,
        "country": "US",
        "state": "US-AZ",
    }


@pytest.mark.parametrize(
    ("text", "label", "state"),
    [
        ("90045", "90045, Los Angeles, CA", "US-CA"),
        ("10001", "10001, New York, NY", "US-NY"),
        ("20500", "20500, Washington, DC", "US-DC"),
        ("00901", "00901, San Juan, PR", "US-PR"),
        ("SW1A", "SW1A, London, England", "GB-ENG"),
        ("sw1a 2aa", "SW1A, London, England", "GB-ENG"),
        ("S10", "S10, Sheffield, England", "GB-ENG"),
        ("S10 5UB", "S10 5UB, Sheffield, England", "GB-ENG"),
        ("s105ub", "S10 5UB, Sheffield, England", "GB-ENG"),
        ("BT1", "BT1, Belfast, Northern Ireland", "GB-NIR"),
        ("EH1", "EH1, Edinburgh, Scotland", "GB-SCT"),
        ("CF10", "CF10, Cardiff, Wales", "GB-WLS"),
        ("Phoenix, AZ 85016", "85016, Phoenix, AZ", "US-AZ"),
        ("85016, Phoenix, AZ", "85016, Phoenix, AZ", "US-AZ"),
        ("London SW1A 1AA", "SW1A, London, England", "GB-ENG"),
        ("85016, USA", "85016, Phoenix, AZ", "US-AZ"),
        ("Phoenix, AZ 85016, USA", "85016, Phoenix, AZ", "US-AZ"),
    ],
)
def test_postal_codes(text: str, label: str, state: str) -> None:
    place = PLACES.find_local(text)
    assert place is not None
    assert (place.label, place.state, place.country) == (label, state, state[:2])


def test_full_postcode_is_exact_where_it_is_known() -> None:
    known = PLACES.postal_point("GB", "S10 5UB")
    unknown = PLACES.postal_point("GB", "EH1 1AA")
    assert known is not None
    assert (known.lat, known.lon) == (53.37535, -1.53548)
    assert (known.precision, known.uncertainty_m) == ("postal_unit", 100)
    assert unknown is not None
    assert (unknown.precision, unknown.label) == ("postal_area", "EH1, Edinburgh, Scotland")


def test_points_from_geonames_are_not_called_sure() -> None:
    place = PLACES.find_local("90095")
    assert place is not None
    assert place.uncertainty_m >= 15_000


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Phoenix, AZ", "Phoenix, AZ"),
        ("Phoenix AZ", "Phoenix, AZ"),
        ("phoenix arizona", "Phoenix, AZ"),
        ("PHOENIX, Arizona, USA", "Phoenix, AZ"),
        ("Phoenix", "Phoenix, AZ"),
        ("Los Angeles", "Los Angeles, CA"),
        ("London", "London, England"),
        ("London, UK", "London, England"),
        ("Springfield, IL", "Springfield, IL"),
        ("Springfield, Sangamon County, IL", "Springfield, IL"),
        ("Birmingham, UK", "Birmingham, England"),
        ("birmingham al", "Birmingham, AL"),
        ("Virginia, MN", "Virginia, MN"),
        ("bluefield west virginia", "Bluefield, WV"),
        ("New York", "New York, NY"),
        ("New York, NY", "New York, NY"),
        ("NYC", "New York, NY"),
        ("washington, d.c.", "Washington, DC"),
        ("saint louis", "St. Louis, MO"),
        ("St Louis MO", "St. Louis, MO"),
        ("coeur dalene", "Coeur d'Alene, ID"),
        ("Newcastle", "Newcastle upon Tyne, England"),
        ("Croydon, London", "Croydon, England"),
        ("Arizona", "Arizona"),
        ("US-AZ", "Arizona"),
        ("Scotland", "Scotland"),
        ("West Virginia, USA", "West Virginia"),
        ("Paris, France", "nothing"),
        ("London, Ontario", "nothing"),
        ("Phoenix, NY 85016", "nothing"),
        ("Rivendell", "nothing"),
    ],
)
def test_names(text: str, label: str) -> None:
    assert find(text) == label


def test_precision_of_names() -> None:
    city, state = PLACES.find_local("Phoenix, AZ"), PLACES.find_local("Arizona")
    assert city is not None
    assert state is not None
    assert (city.precision, state.precision) == ("city", "state")
    assert 5_000 < city.uncertainty_m < 30_000 < state.uncertainty_m


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Springfield", ["Springfield, MO", "Springfield, MA", "Springfield, IL"]),
        ("Birmingham", ["Birmingham, England", "Birmingham, AL"]),
        ("Kansas City", ["Kansas City, MO", "Kansas City, KS"]),
        ("Washington", ["Washington", "Washington, DC"]),
        ("Newport, England", ["Newport, England", "Newport, England"]),
    ],
)
def test_ambiguous_names_come_with_candidates(text: str, first: list[str]) -> None:
    with pytest.raises(AmbiguousPlace) as caught:
        PLACES.find_local(text)
    candidates = caught.value.extra["candidates"]
    assert isinstance(candidates, list)
    labels: list[str] = []
    for candidate in candidates:  # pyright: ignore[reportUnknownVariableType]
        assert isinstance(candidate, Candidate)
        labels.append(candidate.label)
        again = PLACES.find_local(candidate.near)
        assert again is not None
        assert (again.lat, again.lon) == (candidate.lat, candidate.lon)
    assert labels[: len(first)] == first


@pytest.mark.parametrize(
    "text",
    ["-112.07,33.45", "-118.4, 33.9", "-1.5,53.4", "-74,40.7", "139.7,35.6", "-0.13,51.5"],
)
def test_swapped_coordinates_are_named_as_such(text: str) -> None:
    with pytest.raises(CoordinatesSwapped):
        PLACES.find_local(text)


@pytest.mark.parametrize(
    "text",
    [
        "nan,1", "1,nan", "inf,0", "0,-inf", "1e999,0", "95,200", "0,180.1", "0,-180.0001",
        "200,200", "1,2,3", "", "   ", "85016\0", "\0", "a\tb", "Phoenix\n", "📍", "Phoenix 🏥",
        "1️⃣", "\ud800", "\u200e85016", "x" * 201, "\ue000", "\u2028",
    ],
)  # fmt: skip
def test_bad_input_is_a_400_that_repeats_nothing(text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        PLACES.find_local(text)
    assert (caught.value.status, caught.value.slug) == (400, "invalid-parameter")
    assert not text.strip() or text not in caught.value.detail


@pytest.mark.parametrize("text", ["90,0", "-90,0", "0,180", "0,-180", "90,180", "51.4,0", "0,0"])
def test_edges_of_the_earth_are_points(text: str) -> None:
    place = PLACES.find_local(text)
    assert place is not None
    assert f"{place.lat:g},{place.lon:g}" == text
    assert (place.precision, place.uncertainty_m, place.source) == ("exact", 0, "coordinates")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("00000", "postal code"),
        ("ZZ99 9ZZ", "postal code"),
        ("Rivendell", "of this name"),
        ("123 Main St, Phoenix, AZ", "address"),
        ("10001 Main St, Phoenix", "address"),
    ],
)
async def test_unknown_places_are_a_404_that_says_what_works(text: str, says: str) -> None:
    with pytest.raises(UnknownPlace) as caught:
        await PLACES.find(text)
    assert caught.value.status == 404
    assert says in caught.value.detail
    assert "ZIP code" in caught.value.detail
    assert text not in caught.value.detail


async def test_a_misspelt_name_is_told_what_was_probably_meant() -> None:
    with pytest.raises(UnknownPlace) as caught:
        await PLACES.find("Pheonix, AZ")
    suggestions = caught.value.extra["suggestions"]
    assert isinstance(suggestions, list)
    assert isinstance(suggestions[0], Candidate)
    assert suggestions[0].near == "Phoenix, AZ"


@pytest.mark.parametrize(
    ("lat", "lon", "state"),
    [
        (33.4484, -112.0740, "US-AZ"), (40.7128, -74.0060, "US-NY"), (40.7178, -74.0431, "US-NJ"),
        (38.9072, -77.0369, "US-DC"), (39.0997, -94.5786, "US-MO"), (39.1142, -94.6275, "US-KS"),
        (61.2181, -149.9003, "US-AK"), (51.88, -176.65, "US-AK"), (21.3069, -157.8583, "US-HI"),
        (18.4655, -66.1057, "US-PR"), (18.3419, -64.9307, "US-VI"), (13.4443, 144.7937, "US-GU"),
        (15.19, 145.75, "US-MP"), (-14.2756, -170.7020, "US-AS"), (24.5551, -81.7800, "US-FL"),
        (51.5074, -0.1278, "GB-ENG"), (51.5, -0.12, "GB-ENG"), (55.9533, -3.1883, "GB-SCT"),
        (51.4816, -3.1791, "GB-WLS"), (54.5973, -5.9301, "GB-NIR"), (60.1550, -1.1450, "GB-SCT"),
        (42.3, -83.03, None), (43.09, -79.07, None), (32.51, -117.03, None), (31.69, -106.42, None),
        (53.35, -6.26, None), (54.0, -6.4, None), (48.85, 2.35, None), (30.0, -40.0, None),
        (90.0, 0.0, None), (0.0, 180.0, None), (0.0, -180.0, None),
    ],
)  # fmt: skip
def test_state_at(lat: float, lon: float, state: str | None) -> None:
    assert PLACES.state_at(lat, lon) == state


@given(lat=st.floats(-90, 90), lon=st.floats(-180, 180))
def test_every_point_on_earth_has_an_answer(lat: float, lon: float) -> None:
    state = PLACES.state_at(lat, lon)
    assert state is None or state[:3] in {"US-", "GB-"}


@given(lat=st.floats(-90, 90), lon=st.floats(-180, 180))
def test_coordinates_are_taken_as_they_are(lat: float, lon: float) -> None:
    try:
        place = PLACES.find_local(f"{lat!r},{lon!r}")
    except CoordinatesSwapped:
        assert PLACES.state_at(lat, lon) is None
        assert PLACES.state_at(lon, lat) is not None
    else:
        assert place is not None
        assert (place.lat, place.lon) == (lat, lon)


TYPED = st.one_of(
    st.text(max_size=210),
    st.text(alphabet="0123456789,.+-eE naif", max_size=40),
    st.text(alphabet="ABCDEFGHabcdefgh0123456789 ,'-", max_size=20),
    st.lists(
        st.sampled_from(
            ["Phoenix", "AZ", "85016", "SW1A", "1AA", "London", "Washington", "UK", "USA", ","]
        ),
        max_size=6,
    ).map(" ".join),
)


async def found(text: str) -> Place | Problem:
    try:
        return await PLACES.find(text)
    except Problem as problem:
        return problem


@given(text=TYPED)
def test_any_text_gives_a_place_or_a_named_problem(text: str) -> None:
    outcome = asyncio.run(found(text))
    if isinstance(outcome, Problem):
        assert (outcome.status, outcome.slug) in {
            (400, "invalid-parameter"),
            (400, "coordinates-swapped"),
            (400, "ambiguous-place"),
            (404, "unknown-place"),
        }
    else:
        assert math.isfinite(outcome.lat)
        assert math.isfinite(outcome.lon)
        assert outcome.uncertainty_m >= 0


def suggested(text: str) -> list[Candidate]:
    try:
        return PLACES.suggest(text, 8)
    except InvalidParameter:
        return []


@given(text=TYPED)
def test_suggestions_lead_back_to_themselves(text: str) -> None:
    candidates = suggested(text)
    assert len(candidates) <= 8
    for candidate in candidates:
        place = PLACES.find_local(candidate.near)
        assert place is not None
        assert (place.lat, place.lon) == (candidate.lat, candidate.lon)


def test_type_ahead_names_its_own_parameter() -> None:
    with pytest.raises(InvalidParameter) as caught:
        PLACES.suggest("\0", 5)
    assert caught.value.errors[0].parameter == "q"


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("phoe", "Phoenix, AZ"),
        ("pheon", "Phoenix, AZ"),
        ("pheonix", "Phoenix, AZ"),
        ("springfield, i", "Springfield, IL"),
        ("8501", "85012, Phoenix, AZ"),
        ("85016", "85016, Phoenix, AZ"),
        ("s1", "S1, Sheffield, England"),
        ("lond", "London, England"),
        ("ariz", "Arizona"),
        ("st lou", "St. Louis, MO"),
    ],
)
def test_type_ahead(typed: str, first: str) -> None:
    assert PLACES.suggest(typed, 5)[0].label == first


def test_type_ahead_of_nothing_known() -> None:
    assert PLACES.suggest("xyzzyq", 5) == []


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Billings, MT", "Billings, MT"),
        ("billings mt", "Billings, MT"),
        ("Billings MT USA", "Billings, MT"),
        ("Billings, MT, USA", "Billings, MT"),
        ("MT", "Montana"),
        ("US-MT", "Montana"),
        ("Butte, MT 59701", "59701, Butte, MT"),
        ("Mt. Vernon, IL", "Mount Vernon, IL"),
        ("Rocky Mt, NC", "Rocky Mount, NC"),
        ("St Louis, MO", "St. Louis, MO"),
    ],
)
def test_words_that_stand_for_two_things(text: str, label: str) -> None:
    assert find(text) == label


def test_every_code_of_a_state_is_its_state() -> None:
    for region in PLACES.gazetteer.regions:
        assert find(region.code) == region.name
        scope = PLACES.gazetteer.names.scope(region.suffix.lower())
        assert scope == region.code


def test_whatever_is_suggested_leads_back_to_that_very_place() -> None:
    """Every town, state, ZIP code and district under its own name, all of them."""
    gazetteer = PLACES.gazetteer
    names = [candidate.label.partition(",")[0] for candidate in every_town_and_state()]
    found = {
        candidate.near: candidate for name in set(names) for candidate in PLACES.suggest(name, 50)
    }
    assert len(found) > 28_000
    codes = (gazetteer.postal_codes.zips, gazetteer.postal_codes.districts)
    areas = [gazetteer.postal_codes.area(row) for row in range(sum(len(c.codes) for c in codes))]
    elsewhere = [
        candidate
        for candidate in [*found.values(), *areas]
        if not leads_back(candidate, PLACES.find_local(candidate.near))
    ]
    assert elsewhere == []


def every_town_and_state() -> list[Candidate]:
    initials = "abcdefghijklmnopqrstuvwxyz"
    return [place for initial in initials for place in PLACES.suggest(initial, 30_000)]


def leads_back(candidate: Candidate, place: Place | None) -> bool:
    if place is None or (place.lat, place.lon) != (candidate.lat, candidate.lon):
        return False
    # Of two towns with one name in one state the smaller goes by its point.
    if place.source == "coordinates":
        return True
    return (place.label, place.state) == (candidate.label, candidate.state)
