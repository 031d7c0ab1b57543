"""Where a clinic is: the point it gave, or the one found from its address."""

from __future__ import annotations

from itertools import product
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace
from tzfpy import get_tz

from api.directory.checking import invalid
from api.directory.profile import GIVEN
from api.directory.schemas import AddressWrite, LocationWrite
from api.errors import FieldError
from api.search.place import Address, Place
from api.search.place_text import fold
from api.search.sphere import metres_between
from db.rows import ClinicRow
from db.states import PointPrecision

FAR_FROM_POSTAL_CODE: Final = "far-from-postal-code"
OUTSIDE_COUNTRY: Final = "outside-country"
POSTAL_CODE_ELSEWHERE: Final = "postal-code-elsewhere"
ADDRESS_NOT_FOUND: Final = "address-not-found"

NEAR_ENOUGH_M: Final = 25_000.0
"""A point this near its postal code's is never doubted: rural areas are wide."""
UNCERTAINTIES: Final = 3
CITY_REACHES_M: Final = 60_000.0
"""A postal code this near the middle of its city is never doubted: Anchorage reaches as far."""

# About five kilometres, tried around a point on a pier or a small island.
_NUDGE_DEGREES: Final = 0.05


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A place on WGS 84 with how it was found, what is doubtful about it, and its IANA zone."""

    lat: float
    lon: float
    source: str
    precision: PointPrecision
    uncertainty_m: int | None
    flags: tuple[str, ...] = ()
    time_zone: str | None = None


class Places(Protocol):
    """What finds places (`api.search.places`)."""

    async def locate(self, address: Address) -> Place | None:
        """The most exact point known for an address. May ask over the network."""
        ...

    def postal_point(self, country: str, postal_code_text: str) -> Place | None:
        """The point of a postal code."""
        ...

    def state_at(self, lat: float, lon: float) -> str | None:
        """ISO 3166-2 code of the state or nation, None outside the US and the UK."""
        ...


async def point_of(
    places: Places, address: AddressWrite, location: LocationWrite | None
) -> Point | None:
    """The point to store with an address: the given one if there is one, else the one found.

    To be called before the transaction is opened: a geocoder on the network may be slow.
    Raises InvalidBody when the given point lies outside the address's country.
    """
    if location is None:
        return await found_point(places, address)
    point = given_point(places, address, location.lat, location.lon)
    if OUTSIDE_COUNTRY in point.flags:
        raise invalid(
            [
                FieldError(
                    pointer="/location",
                    message="must lie in the country of the address; latitude and longitude "
                    "may have been swapped",
                )
            ]
        )
    return point


async def found_point(places: Places, address: AddressWrite) -> Point | None:
    """None when nothing is known of the address, not even its city.

    A postal code of another place than the city's is flagged, and the rest of the address counts.
    """
    elsewhere = await _has_postal_code_of_elsewhere(places, address)
    place = await places.locate(replace(address, postal_code=None) if elsewhere else address)
    # The middle of a state is no answer to "where is it".
    if place is None or place.precision == "state" or place.country != address.country:
        return None
    return Point(
        lat=place.lat,
        lon=place.lon,
        source=place.source,
        precision=PointPrecision(place.precision),
        uncertainty_m=place.uncertainty_m,
        flags=(POSTAL_CODE_ELSEWHERE,) if elsewhere else (),
        time_zone=time_zone(place.lat, place.lon),
    )


def given_point(places: Places, address: AddressWrite, lat: float, lon: float) -> Point:
    """A point that somebody gave, with the doubts that the address raises in `flags`."""
    flags: list[str] = []
    state = places.state_at(lat, lon)
    if state is None or not state.startswith(address.country + "-"):
        flags.append(OUTSIDE_COUNTRY)
    if _is_far_from_postal_code(places, address, lat, lon):
        flags.append(FAR_FROM_POSTAL_CODE)
    return Point(
        lat=lat,
        lon=lon,
        source=GIVEN,
        precision=PointPrecision.EXACT,
        uncertainty_m=None,
        flags=tuple(flags),
        time_zone=time_zone(lat, lon),
    )


def _is_far_from_postal_code(places: Places, address: AddressWrite, lat: float, lon: float) -> bool:
    if address.postal_code is None:
        return False
    area = places.postal_point(address.country, address.postal_code)
    if area is None:
        return False
    distance = metres_between(lat, lon, area.lat, area.lon)
    return distance > max(NEAR_ENOUGH_M, UNCERTAINTIES * area.uncertainty_m)


async def _has_postal_code_of_elsewhere(places: Places, address: AddressWrite) -> bool:
    """Whether the postal code is known, and is one of another state or far from the city."""
    if address.postal_code is None:
        return False
    area = places.postal_point(address.country, address.postal_code)
    if area is None:
        return False
    if area.state != address.state:
        return True
    # Towns of one name in one state: the code says which.
    if fold(address.city) in fold(area.label):
        return False
    # Without a street this is no question for a service on the network.
    city = await places.locate(replace(address, postal_code=None, line1=None))
    if city is None:
        return False
    distance = metres_between(city.lat, city.lon, area.lat, area.lon)
    return distance > max(
        CITY_REACHES_M, UNCERTAINTIES * max(area.uncertainty_m, city.uncertainty_m)
    )


def stored_point(row: ClinicRow) -> Point | None:
    """The point that a clinic has now."""
    if row.lat is None or row.lon is None:
        return None
    return Point(
        lat=row.lat,
        lon=row.lon,
        source=row.point_source or GIVEN,
        precision=row.point_precision or PointPrecision.EXACT,
        uncertainty_m=row.uncertainty_m,
        flags=tuple(row.point_flags),
        time_zone=row.time_zone,
    )


def time_zone(lat: float, lon: float) -> str | None:
    """The IANA zone of a point on land or within some kilometres of it."""
    for north, east in product((0, 1, -1), repeat=2):
        zone = get_tz(lon + east * _NUDGE_DEGREES, lat + north * _NUDGE_DEGREES)
        # The zones of the open sea say nothing of a clinic's hours.
        if zone and not zone.startswith("Etc/"):
            return zone
    return None
