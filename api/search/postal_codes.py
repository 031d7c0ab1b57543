"""Points of US ZIP codes, UK postcode districts and full UK postcodes."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from api.search.place import Candidate
from api.search.place_text import PostalCode

UNIT_UNCERTAINTY_M: Final = 100
_NONE: Final = -1


class Region(NamedTuple):
    """A state, territory or nation: ISO 3166-2 code, name, centre of its people."""

    code: str
    name: str
    lat: float
    lon: float
    population: int
    uncertainty_m: int

    @property
    def suffix(self) -> str:
        """What follows a city in a label: the postal abbreviation, or the nation's name."""
        return self.code[3:] if self.code.startswith("US") else self.name


class PostalColumns(NamedTuple):
    """ZIP codes or districts in order of code, one entry each; `regions` are indexes.

    `exact` is 0 for points that may be tens of kilometres off.
    """

    codes: Sequence[str]
    regions: array[int]
    lats: array[float]
    lons: array[float]
    towns: Sequence[str]
    uncertainties: array[int]
    exact: bytes


class UnitColumns(NamedTuple):
    """Full UK postcodes in order of `keys`: letters and digits read as one base-36 number."""

    keys: array[int]
    lats: array[float]
    lons: array[float]


class PostalCodes:
    """Look-ups by code, a microsecond or two each."""

    def __init__(
        self,
        regions: Sequence[Region],
        zips: PostalColumns,
        districts: PostalColumns,
        units: UnitColumns,
    ) -> None:
        self.zips = zips
        self.districts = districts
        self._regions = regions
        self._units = units
        self._zip_rows = array("i", [_NONE]) * 100_000
        for row, code in enumerate(zips.codes):
            self._zip_rows[int(code)] = row
        self._district_rows = {code: row for row, code in enumerate(districts.codes)}

    def find(self, code: PostalCode) -> Candidate | None:
        if code.country == "US":
            row = self._zip_rows[int(code.area)]
            return None if row == _NONE else self._area(self.zips, row)
        row = self._district_rows.get(code.area, _NONE)
        if row == _NONE:
            return None
        area = self._area(self.districts, row)
        return area if code.unit is None else self._unit(code.area, code.unit, area)

    def starting(self, prefix: str, limit: int) -> list[Candidate]:
        """Areas whose code begins so, in order of code; well-known points first."""
        columns = self.zips if prefix[:1].isdigit() else self.districts
        first = bisect_left(columns.codes, prefix)
        last = bisect_left(columns.codes, prefix + "~")
        rows = sorted(range(first, last), key=lambda row: not columns.exact[row])
        return [self._area(columns, row) for row in rows[:limit]]

    def area(self, row: int) -> Candidate:
        """The area by its row: ZIP codes are counted first, then districts."""
        zips = len(self.zips.codes)
        if row < zips:
            return self._area(self.zips, row)
        return self._area(self.districts, row - zips)

    def _area(self, columns: PostalColumns, row: int) -> Candidate:
        region = self._regions[columns.regions[row]]
        code, town = columns.codes[row], columns.towns[row]
        return Candidate(
            label=f"{code}, {town}, {region.suffix}" if town else f"{code}, {region.suffix}",
            near=code,
            lat=columns.lats[row],
            lon=columns.lons[row],
            precision="postal_area",
            uncertainty_m=columns.uncertainties[row],
            country=region.code[:2],
            state=region.code,
        )

    def _unit(self, district: str, unit: str, area: Candidate) -> Candidate:
        """A full postcode's own point where it is known; elsewhere its district's, under the
        district's label, so that nothing looks surer than it is."""
        key = int(district + unit, 36)
        at = bisect_left(self._units.keys, key)
        if at == len(self._units.keys) or self._units.keys[at] != key:
            return area
        written = f"{district} {unit}"
        return Candidate(
            label=area.label.replace(district, written, 1),
            near=written,
            lat=self._units.lats[at],
            lon=self._units.lons[at],
            precision="postal_unit",
            uncertainty_m=UNIT_UNCERTAINTY_M,
            country=area.country,
            state=area.state,
        )
