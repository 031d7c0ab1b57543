"""The clinics that the measurements run on are valid, spread as said, and plainly made up."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from api.clock import SystemClock
from api.directory.catalogue import Catalogue
from api.directory.checking import checked
from api.directory.schemas import ClinicProfile
from api.search.places import Places
from api.search.sphere import metres_between
from db.pool import Pool
from db.queries.changes import live_profiles, newest_change
from db.rows import CatalogueRow
from seeds.catalogue.load import entries, load_catalogue
from seeds.gazetteer.load import load_gazetteer
from tests.bench.scatter import (
    RARE_CONDITION,
    RARE_ROUTE,
    SPREAD_KM,
    Facility,
    facilities,
    is_rare,
    scattered,
    write_scattered,
)


@pytest.fixture(scope="module")
def real() -> list[Facility]:
    return facilities(Places(load_gazetteer()))


def test_every_real_facility_is_a_place_to_scatter_from(real: list[Facility]) -> None:
    assert len(real) == 9037


def test_the_same_generator_makes_the_same_clinics(real: list[Facility]) -> None:
    first = [msgspec.json.encode(item.body) for item in scattered(real, 50, Random(7))]
    again = [msgspec.json.encode(item.body) for item in scattered(real, 50, Random(7))]
    other = [msgspec.json.encode(item.body) for item in scattered(real, 50, Random(8))]
    assert first == again != other


def test_they_would_be_accepted_and_say_that_they_are_made_up(real: list[Facility]) -> None:
    codes = Catalogue(
        CatalogueRow(kind=kind, code=code, document=document.decode())
        for kind, code, document in entries(load_catalogue())
    )
    now = SystemClock().now()
    for item in scattered(real, 1_000, Random(1)):
        body = checked(item.body, codes, now)
        assert body.name.startswith("Example ")
        assert body.source.name.startswith("example")
        assert "does not exist" in body.unverified[0]


def test_they_lie_within_the_spread_of_a_real_one(real: list[Facility]) -> None:
    (only,) = real[:1]
    points = [item.point for item in scattered([only], 500, Random(2))]
    distances = [
        metres_between(only.lat, only.lon, point.lat, point.lon) / 1_000
        for point in points
        if point is not None
    ]
    assert max(distances) < SPREAD_KM * 1.005
    # Evenly over the disc: a quarter of them in the inner half of its radius.
    inner = sum(distance < SPREAD_KM / 2 for distance in distances)
    assert 90 < inner < 160


def test_one_in_a_thousand_has_the_rare_pair_and_each_half_of_it_is_common(
    real: list[Facility],
) -> None:
    both: list[int] = []
    condition = route = 0
    for number, item in enumerate(scattered(real, 5_000, Random(3))):
        has_condition = any(RARE_CONDITION in each.conditions for each in item.body.offerings)
        has_route = any(each.route is RARE_ROUTE for each in item.body.offerings)
        condition += has_condition
        route += has_route
        if has_condition and has_route:
            both.append(number)
    assert both == [number for number in range(5_000) if is_rare(number)]
    assert len(both) == 5
    assert condition > 250
    assert route > 200


async def test_they_are_written_as_any_clinic_is(pool: Pool, real: list[Facility]) -> None:
    written = [
        count
        async for count in write_scattered(
            pool, SystemClock(), scattered(real, 1_500, Random(4)), rows_a_transaction=600
        )
    ]
    assert written == [600, 1_200, 1_500]
    async with pool.acquire() as conn:
        assert await newest_change(conn) == 1_500
        rows = await live_profiles(conn, None, 10_000)
    profiles = [msgspec.json.decode(row.profile, type=ClinicProfile) for row in rows]
    assert len({profile.slug for profile in profiles}) == 1_500
    assert all(profile.location and profile.routes for profile in profiles)
