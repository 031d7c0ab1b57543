"""The shipped gazetteer as a geopy geocoder: US and UK places found without a network."""

# geopy has no annotations, so pyright sees unknown types wherever its classes are touched.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, cast, overload

from geopy.adapters import BaseSyncAdapter
from geopy.exc import GeocoderUnavailable as NoService
from geopy.geocoders.base import Geocoder
from geopy.location import Location
from geopy.point import Point

from api.search.boundaries import Outlines
from api.search.jurisdiction import Jurisdictions
from api.search.named_places import NamedPlaces
from api.search.place import Candidate
from api.search.place_names import CityColumns
from api.search.place_text import leading_postal_code, postal_code, trailing_postal_code
from api.search.postal_codes import PostalCodes, PostalColumns, Region, UnitColumns

# Farther than this from every known postal area, a point has no address to name.
REVERSE_M: Final = 50_000.0


class _NoNetwork(BaseSyncAdapter):
    """Stands where geopy expects an HTTP client; the gazetteer never asks anyone."""

    def get_json(self, *_: object, **__: object) -> None:
        raise NoService("the gazetteer has no network")

    def get_text(self, *_: object, **__: object) -> None:
        raise NoService("the gazetteer has no network")


class Gazetteer(Geocoder):
    """Offline geocoder for the United States and the United Kingdom.

    `geocode` and `reverse` are geopy's. `candidates` tells a sure place from an ambiguous name,
    which geopy's interface cannot.
    """

    def __init__(
        self,
        *,
        regions: Sequence[Region],
        zips: PostalColumns,
        districts: PostalColumns,
        units: UnitColumns,
        cities: CityColumns,
        aliases: Sequence[tuple[str, int]],
        timezones: Iterable[str],
        outlines: Outlines,
    ) -> None:
        super().__init__(adapter_factory=_NoNetwork)
        self.regions = tuple(regions)
        self.postal_codes = PostalCodes(regions, zips, districts, units)
        self.names = NamedPlaces(regions, cities, aliases)
        self.jurisdictions = Jurisdictions(outlines, regions, [zips, districts], timezones)

    @overload
    def geocode(
        self, query: str, *, exactly_one: Literal[True] = True, timeout: object = None
    ) -> Location | None: ...
    @overload
    def geocode(
        self, query: str, *, exactly_one: Literal[False], timeout: object = None
    ) -> list[Location] | None: ...
    def geocode(
        self,
        query: str,
        *,
        exactly_one: bool = True,
        timeout: object = None,  # noqa: ARG002  # part of geopy's signature
    ) -> Location | list[Location] | None:
        """Locations for a postal code or a place name, most populous first; None for none.

        `raw` holds the fields of `Candidate`. The timeout is geopy's and has nothing to limit.
        """
        found = [_location(candidate) for candidate in self.candidates(query)]
        if not found:
            return None
        return found[0] if exactly_one else found

    def reverse(
        self,
        query: object,
        *,
        timeout: object = None,  # noqa: ARG002  # part of geopy's signature
    ) -> Location | None:
        """The postal area whose point is nearest, within 50 km; None beyond."""
        lat, lon, _ = cast("tuple[float, float, float]", tuple(Point(query)))
        row = self.jurisdictions.nearest(lat, lon, REVERSE_M)
        return None if row is None else _location(self.postal_codes.area(row))

    def candidates(self, text: str) -> list[Candidate]:
        """What the text may mean: nothing, one sure place, or several to choose from.

        A postal code; a name alone or with its state, nation or country; both together when
        they agree ("Phoenix, AZ 85016", but not "Phoenix, NY 85016").
        """
        if code := postal_code(text):
            found = self.postal_codes.find(code)
            return [found] if found else []
        for rest, code in filter(None, (trailing_postal_code(text), leading_postal_code(text))):
            found = self.postal_codes.find(code)
            if found and self.names.is_in(rest, found.state):
                return [found]
        return self.names.find(text)

    def suggest(self, text: str, limit: int) -> list[Candidate]:
        """Places whose code or name begins so, for a type-ahead."""
        compact = text.replace(" ", "").upper()
        found: list[Candidate] = []
        if compact.isascii() and compact.isalnum() and any(map(str.isdigit, compact)):
            if exact := postal_code(text):
                whole = self.postal_codes.find(exact)
                found = [whole] if whole else []
            starting = self.postal_codes.starting(compact, limit)
            found += [candidate for candidate in starting if candidate not in found]
        if len(found) < limit:
            found += self.names.starting(text, limit - len(found))
        return found[:limit]

    def state_at(self, lat: float, lon: float) -> str | None:
        """ISO 3166-2 code of the state or nation at a point, None elsewhere."""
        return self.jurisdictions.state_at(lat, lon)


def _location(candidate: Candidate) -> Location:
    raw = {name: getattr(candidate, name) for name in candidate.__struct_fields__}
    return Location(candidate.label, (candidate.lat, candidate.lon), raw)
