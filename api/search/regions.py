"""States and nations for browsing, with what stands in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from urllib.parse import quote_plus

import msgspec
import numpy as np

from api.errors import NotFound
from api.search.bits import any_of
from api.search.index import SearchIndex


class RegionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """`clinics` stand in the region; `at_home` are all that treat at home there, wherever they
    stand."""

    code: str
    name: str
    country: str
    clinics: int
    at_home: int


class RegionList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[RegionSummary]
    next: None = None


class CityCount(msgspec.Struct, frozen=True, kw_only=True):
    """A city as the clinics' addresses write it; `href` is the search for its clinics."""

    name: str
    clinics: int
    href: str


class Region(RegionSummary, frozen=True, kw_only=True):
    cities: list[CityCount]
    href: str
    """The search for the clinics that stand here."""
    at_home_href: str
    """The search for those that treat at home here."""


class _Addressed(msgspec.Struct):
    city: str


_city_of = msgspec.json.Decoder(_Addressed).decode


class Regions:
    """Counts over one index. `names` are the regions by ISO 3166-2 code."""

    def __init__(self, index: SearchIndex, names: Mapping[str, str]) -> None:
        self._index = index
        self._names = names

    def all(self) -> list[RegionSummary]:
        """Every region, those with clinics and those without, by country and name."""
        found = [self._summary(code) for code in self._names]
        return sorted(found, key=lambda region: (region.country != "US", region.name))

    def one(self, code: str) -> Region:
        """A region with its cities, the one with the most clinics first. Raises `NotFound`."""
        if code not in self._names:
            raise NotFound("There is no such region: codes look like US-AZ or GB-ENG.")
        summary = self._summary(code)
        cities = Counter(
            _city_of(self._index.summary(row)).city for row in self._rows_in(code).tolist()
        )
        href = f"/v1/clinics?state={code}"
        return Region(
            **msgspec.structs.asdict(summary),
            cities=[
                CityCount(name=city, clinics=count, href=f"{href}&q={quote_plus(city)}")
                for city, count in sorted(cities.items(), key=lambda pair: (-pair[1], pair[0]))
            ],
            href=href,
            at_home_href=f"/v1/clinics?near={code}&route=at_home",
        )

    def _summary(self, code: str) -> RegionSummary:
        return RegionSummary(
            code=code,
            name=self._names[code],
            country=code[:2],
            clinics=len(self._rows_in(code)),
            at_home=self._at_home(code),
        )

    def _rows_in(self, code: str) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        index = self._index
        mask = index.clinic_space.mask("state", (code,))
        hit = any_of(index.clinic_bits[: index.size], mask) & index.alive[: index.size]
        return np.flatnonzero(hit)

    def _at_home(self, code: str) -> int:
        index = self._index
        mask = index.offering_space.mask("coverage", (code,))
        rows = index.offering_row[: index.offerings]
        hit = any_of(index.offering_bits[: index.offerings], mask) & index.alive[rows]
        return len(np.unique(rows[hit]))
