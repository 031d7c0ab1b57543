"""Likely duplicates: what counts, what does not, and that none is missed by not comparing all."""

from __future__ import annotations

from itertools import combinations
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from api.directory.duplicates import LARGE_GROUP, likely_duplicates
from api.directory.upkeep_schemas import DuplicatePair
from db.rows import SiteRow
from db.states import PointPrecision
from tests.directory.clinics import FULL, SMALL, body
from tests.directory.conftest import Service


def site(number: int, **fields: Any) -> SiteRow:
    plain = SiteRow(
        id=UUID(int=number),
        slug=f"site-{number}",
        name=f"Clinic Number {number * 7919}",
        line1=f"{number} Street",
        city="Phoenix",
        state="US-AZ",
        postal_code=f"{10000 + number}",
        lat=None,
        lon=None,
        point_precision=None,
        phone=None,
        website=None,
        director_registration_system=None,
        director_registration_value=None,
    )
    return replace(plain, **fields)


def reasons(*sites: SiteRow, min_score: int = 1) -> dict[str, int]:
    pairs = likely_duplicates(sites, min_score)
    assert len(pairs) <= 1
    return {each.reason.value: each.points for pair in pairs for each in pair.reasons}


def score(*sites: SiteRow) -> int:
    return sum(reasons(*sites).values())


HERE = {"line1": "100 Example Street", "postal_code": "85016", "name": "Example Pain Clinic"}


def test_one_clinic_entered_twice() -> None:
    first = site(1, **HERE, phone="+16025550100")
    second = site(
        2, line1="100 Example St, Suite 5", postal_code="85016-1234",
        name="The Example Pain Clinic, LLC", phone="+16025550100",
    )  # fmt: skip
    assert reasons(first, second) == {"same-address": 40, "similar-name": 40, "same-phone": 20}


def test_two_clinics_that_share_nothing() -> None:
    assert reasons(site(1), site(2)) == {}


def test_near_and_of_a_similar_name() -> None:
    first = site(1, name="Example Pain Clinic", lat=33.51, lon=-112.03,
                 point_precision=PointPrecision.EXACT)  # fmt: skip
    second = replace(site(2, name="Exampel Pain Clinic"), lat=33.512, lon=-112.03,
                     point_precision=PointPrecision.ADDRESS)  # fmt: skip
    assert reasons(first, second) == {"near": 35, "similar-name": 30}
    # The middle of a postal area says nothing of 300 metres.
    area = replace(second, point_precision=PointPrecision.POSTAL_AREA)
    assert "near" not in reasons(first, area)
    assert "near" not in reasons(first, replace(second, lat=33.514))


def test_one_postal_area_and_a_similar_name() -> None:
    first = site(1, **HERE)
    second = site(2, line1=None, postal_code="85016", name="Example Pain Clinic")
    assert reasons(first, second) == {"same-postal-code": 20, "similar-name": 40}


def test_the_same_registration() -> None:
    doctor = {"director_registration_system": "npi", "director_registration_value": "1234567893"}
    same_place = reasons(site(1, **HERE, **doctor), site(2, **HERE, **doctor))
    assert same_place["same-registration"] == 25
    assert reasons(site(1, **doctor), site(2, **doctor)) == {"same-registration": 10}


def test_a_chain_with_one_phone_is_not_one_clinic() -> None:
    chain = {"phone": "+16025550100", "website": "https://chain.example"}
    sites = [site(number, name="Chain Clinic", **chain) for number in range(1, 30)]
    assert likely_duplicates(sites, 50) == []
    weak = likely_duplicates(sites, 1)
    assert len(weak) == 29 * 28 // 2
    assert {pair.score for pair in weak} == {20}


def test_two_doors_of_one_postal_code_are_two_places() -> None:
    first = site(1, **HERE, phone="+16025550100")
    second = site(2, **{**HERE, "line1": "900 Other Avenue"}, phone="+16025550100")
    assert score(first, second) < 50


def test_what_thousands_share_costs_little_and_hides_nobody() -> None:
    sites = [site(number, phone="+16025550100") for number in range(1, 2000)]
    twins = [site(5000, **HERE, phone="+16025550100"), site(5001, **HERE, phone="+16025550100")]
    found = likely_duplicates([*sites, *twins], 50)
    assert [each.id for pair in found for each in pair.clinics] == [twins[0].id, twins[1].id]


values = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["Alpha Pain Clinic", "Alpha Pain Clinic LLC", "Beta Centre"]),
        "line1": st.sampled_from([None, "1 Main Street", "1 Main St", "2 Main Street"]),
        "postal_code": st.sampled_from([None, "85016", "85016-1234", "90210"]),
        "phone": st.sampled_from([None, "+16025550100"]),
        "lat": st.floats(33.5, 33.51),
        "lon": st.floats(-112.04, -112.03),
        "point_precision": st.sampled_from([PointPrecision.EXACT, PointPrecision.POSTAL_AREA]),
    }
)


@given(st.lists(values, max_size=LARGE_GROUP // 2))
def test_every_pair_that_scores_is_found_without_comparing_all(
    made: list[dict[str, Any]],
) -> None:
    sites = [site(number, **fields) for number, fields in enumerate(made, 1)]
    found = {ids(pair): pair.score for pair in likely_duplicates(sites, 50)}
    alone = {
        ids(pair): pair.score
        for two in combinations(sites, 2)
        for pair in likely_duplicates(two, 50)
    }
    assert found == alone


@given(st.floats(-89.9, 89.9), st.floats(-180, 180), st.floats(0, 0.0025), st.booleans())
def test_neighbours_are_seen_anywhere_on_the_globe(
    lat: float, lon: float, apart: float, up: bool
) -> None:
    exact = {"point_precision": PointPrecision.EXACT, "name": "Alpha"}
    further = min(90.0, lat + apart) if up else lat
    beside = lon if up else (lon + apart + 180) % 360 - 180
    sites = site(1, lat=lat, lon=lon, **exact), site(2, lat=further, lon=beside, **exact)
    assert (
        "near" in reasons(*(replace(each, name=str(each.id)) for each in sites)) or apart > 0.0026
    )


def ids(pair: DuplicatePair) -> tuple[UUID, UUID]:
    first, second = pair.clinics
    return first.id, second.id


async def test_the_list_is_paged_without_gap_or_repeat(service: Service) -> None:
    for name in ("Alpha Pain Clinic", "Beta Infusions", "Gamma Wellness"):
        for _ in range(3):
            await service.created(body(SMALL, name=name))
    await service.created(FULL)
    whole = (await service.call("GET", "/v1/duplicates")).json()
    assert whole["next"] is None
    assert whole["total"] == len(whole["items"]) == 9
    paged: list[Any] = []
    path = "/v1/duplicates?limit=2"
    cursor = ""
    while True:
        page = (await service.call("GET", path + cursor)).json()
        paged += page["items"]
        if page["next"] is None:
            break
        assert len(page["items"]) == 2
        cursor = f"&cursor={page['next']}"
    assert paged == whole["items"]
    scores = [pair["score"] for pair in paged]
    assert scores == sorted(scores, reverse=True)
    other = await service.call("GET", f"/v1/duplicates?min_score=10{cursor}")
    assert other.status_code == 400
    for bad in ("limit=0", "limit=101", "min_score=0", "cursor=x", "near=85016"):
        assert (await service.call("GET", f"/v1/duplicates?{bad}")).status_code == 400
