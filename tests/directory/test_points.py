"""Where a clinic is: given or found, and what is doubtful about it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from api.directory.points import (
    FAR_FROM_POSTAL_CODE,
    POSTAL_CODE_ELSEWHERE,
    given_point,
    point_of,
    time_zone,
)
from api.directory.schemas import AddressWrite, LocationWrite
from api.errors import InvalidBody
from api.search.places import Places
from db.states import PointPrecision

PHOENIX = AddressWrite(city="Phoenix", state="US-AZ", country="US", postal_code="85016")
LONDON = AddressWrite(city="London", state="GB-ENG", country="GB", postal_code="SW1A 1AA")


async def test_a_given_point_near_its_postal_code(places: Places) -> None:
    point = await point_of(places, PHOENIX, LocationWrite(lat=33.51, lon=-112.03))
    assert point is not None
    assert (point.source, point.precision, point.flags) == ("given", PointPrecision.EXACT, ())
    assert point.time_zone == "America/Phoenix"


async def test_a_point_far_from_its_postal_code_is_kept_and_flagged(places: Places) -> None:
    tucson = LocationWrite(lat=32.22, lon=-110.97)
    point = await point_of(places, PHOENIX, tucson)
    assert point is not None
    assert point.flags == (FAR_FROM_POSTAL_CODE,)
    without = await point_of(places, replace(PHOENIX, postal_code=None), tucson)
    assert without is not None
    assert without.flags == ()


@pytest.mark.parametrize(
    ("address", "lat", "lon"),
    [
        (PHOENIX, -112.03 % 90, 33.51),  # swapped, folded into range
        (PHOENIX, 48.85, 2.35),
        (PHOENIX, 51.5, -0.12),
        (PHOENIX, 90.0, 0.0),
        (PHOENIX, 0.0, 180.0),
        (LONDON, 33.51, -112.03),
        (LONDON, 53.35, -6.26),
    ],
)
async def test_a_point_outside_the_stated_country_is_refused(
    places: Places, address: AddressWrite, lat: float, lon: float
) -> None:
    with pytest.raises(InvalidBody) as refused:
        await point_of(places, address, LocationWrite(lat=lat, lon=lon))
    assert [error.pointer for error in refused.value.errors] == ["/location"]


async def test_a_point_is_found_from_the_postal_code_else_the_city(places: Places) -> None:
    area = await point_of(places, PHOENIX, None)
    assert area is not None
    assert (area.source, area.precision) == ("gazetteer", PointPrecision.POSTAL_AREA)
    assert area.uncertainty_m
    unit = await point_of(places, LONDON, None)
    assert unit is not None
    assert unit.time_zone == "Europe/London"
    city = await point_of(places, replace(PHOENIX, postal_code=None), None)
    assert city is not None
    assert city.precision is PointPrecision.CITY


@pytest.mark.parametrize(
    ("address", "code", "label"),
    [
        (PHOENIX, "10001", "New York"),
        (PHOENIX, "85701", "Tucson, in the same state"),
        (PHOENIX, "86001-1234", "Flagstaff"),
        (LONDON, "EH1", "Edinburgh"),
        (LONDON, "M1 1AA", "Manchester"),
    ],
)
async def test_a_postal_code_of_elsewhere_is_flagged_and_the_city_counts(
    places: Places, address: AddressWrite, code: str, label: str
) -> None:
    point = await point_of(places, replace(address, postal_code=code), None)
    city = await point_of(places, replace(address, postal_code=None), None)
    assert point is not None, label
    assert city is not None
    assert point.flags == (POSTAL_CODE_ELSEWHERE,)
    assert point == replace(city, flags=point.flags)


@pytest.mark.parametrize(
    ("city", "state", "code"),
    [
        ("Phoenix", "US-AZ", "85016"),
        ("Phoenix", "US-AZ", "85142"),  # a suburb
        ("Phoenix", "US-AZ", "00000"),  # known to nobody
        ("Los Angeles", "US-CA", "90731"),  # its harbour, 30 km off
        ("Anchorage", "US-AK", "99587"),  # Girdwood, 55 km off
        ("Greenville", "US-NY", "12083"),  # a larger Greenville lies 160 km off
        ("Qqxyzzy", "US-AZ", "85701"),  # a city that is not known speaks against nothing
    ],
)
async def test_a_postal_code_that_may_be_right_is_not_doubted(
    places: Places, city: str, state: str, code: str
) -> None:
    address = AddressWrite(city=city, state=state, country="US", postal_code=code)
    point = await point_of(places, address, None)
    assert point is not None
    assert point.flags == ()


async def test_an_address_that_nobody_knows_has_no_point(places: Places) -> None:
    nowhere = AddressWrite(city="Qqxyzzy", state="US-AZ", country="US")
    assert await point_of(places, nowhere, None) is None


@pytest.mark.parametrize(
    ("lat", "lon", "zone"),
    [
        (36.15, -111.24, "America/Denver"),
        (21.31, -157.86, "Pacific/Honolulu"),
        (18.22, -66.59, "America/Puerto_Rico"),
        (60.15, -1.15, "Europe/London"),
        (33.995, -118.50, "America/Los_Angeles"),
        (90.0, 0.0, None),
        (0.0, 180.0, None),
    ],
)
def test_zones(lat: float, lon: float, zone: str | None) -> None:
    found = time_zone(lat, lon)
    assert found == zone
    assert found is None or ZoneInfo(found)


def test_flags_are_given_without_refusing_for_those_who_import(places: Places) -> None:
    point = given_point(places, PHOENIX, 48.85, 2.35)
    assert point.flags == ("outside-country", "far-from-postal-code")
