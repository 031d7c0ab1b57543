"""What a name means: one place for sure, several to choose from, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from api.search.place import Candidate
from api.search.place_names import CityColumns, PlaceNames
from api.search.place_text import fold
from api.search.postal_codes import Region
from api.search.sphere import metres_between

# How many times more populous a place must be than its namesakes to be meant without saying so.
# Across the ocean the wrong guess costs more.
FAR_MORE: Final = 5
FAR_MORE_ABROAD: Final = 10
# A smaller place does not make the name of a state ambiguous.
RIVALS_A_STATE: Final = 100_000
# A city with this share of its state's people is what the name of both means (New York).
SHARE_OF_STATE: Final = 0.25
# Entries of one name in one state nearer than this are one place counted twice.
SAME_PLACE_M: Final = 15_000.0
# "Croydon, London": the second place must be this large, and the first this near to it.
LARGE_PLACE: Final = 100_000
AROUND_M: Final = 40_000.0
MOST_CANDIDATES: Final = 20

COUNTRIES: Final[Mapping[str, str]] = {
    "us": "US", "usa": "US", "united states": "US", "united states of america": "US",
    "uk": "GB", "gb": "GB", "united kingdom": "GB", "great britain": "GB", "britain": "GB",
}  # fmt: skip
MORE_REGION_NAMES: Final[Mapping[str, str]] = {
    "dc": "US-DC", "us virgin islands": "US-VI", "cymru": "GB-WLS",
}  # fmt: skip


class NamedPlaces:
    """Cities, states and nations by name, narrowed down by state, nation or country."""

    def __init__(
        self, regions: Sequence[Region], cities: CityColumns, aliases: Iterable[tuple[str, int]]
    ) -> None:
        self._cities = cities
        self._regions = regions
        own_names = ((name, row) for row, name in enumerate(cities.names))
        self._names = PlaceNames([*own_names, *aliases], cities.populations)
        self._by_code = {region.code: region for region in regions}
        self._region_names = dict(MORE_REGION_NAMES)
        for region in regions:
            self._region_names[fold(region.name)] = region.code
            self._region_names[fold(region.code)] = region.code
            if region.code.startswith("US"):
                self._region_names[region.code[3:].lower()] = region.code

    def scope(self, key: str) -> str | None:
        """ISO 3166-2 code of a state or nation, or country code, for a folded name or code."""
        return self._region_names.get(key) or COUNTRIES.get(key)

    def find(self, text: str) -> list[Candidate]:
        """Candidates, most populous first; a single one is sure."""
        parts = [part for part in map(fold, text.split(",")) if part]
        if not parts:
            return []
        whole = " ".join(parts)
        if found := self._of(whole, None):
            return found
        name, scope, between = self._split(parts)
        if between:
            around = self._of(" ".join((name, *between)), scope)
            return around or self._around(name, between[-1], scope)
        return self._of(name, scope) if scope else []

    def is_in(self, text: str, state: str) -> bool:
        """Whether the text names the state, or something that may lie in it."""
        parts = [part for part in map(fold, text.split(",")) if part]
        if not parts:
            return False
        if len(parts) == 1 and (scope := self.scope(parts[0])) and state.startswith(scope):
            return True
        name, scope, between = self._split(parts)
        if between or (scope and not state.startswith(scope)):
            return False
        return bool(self._rows(name, state))

    def starting(self, text: str, limit: int) -> list[Candidate]:
        """Places whose name begins so, or nearly so; "springfield, i" narrows by the state."""
        head, comma, tail = text.partition(",")
        prefix, scope = fold(head), fold(tail)
        if not prefix:
            return []
        ranked = [
            (region.population / 10, self._region(region))
            for region in self._regions
            if not comma and fold(region.name).startswith(prefix)
        ]
        rows = self._narrowed(self._names.starting(prefix), scope)[:limit]
        ranked += [(float(self._cities.populations[row]), self._city(row)) for row in rows]
        ranked.sort(key=lambda pair: -pair[0])
        found = [candidate for _, candidate in ranked]
        if not found:
            close = self._narrowed(self._names.resembling(prefix), scope)
            found = [self._city(row) for row in close[:limit]]
        return found[:limit]

    def similar(self, text: str, limit: int) -> list[Candidate]:
        """Places with nearly this name, for "did you mean"."""
        parts = [part for part in map(fold, text.split(",")) if part]
        if not parts:
            return []
        name, scope, _ = self._split(parts)
        rows = self._names.similar(name)
        return [self._city(row) for row in rows if self._within(row, scope)][:limit]

    def _split(self, parts: list[str]) -> tuple[str, str | None, list[str]]:
        """The name, what narrows it down, and what stands between the two.

        "phoenix, az, usa" and "phoenix arizona" both give ("phoenix", "US-AZ", []).
        """
        scope: str | None = None
        rest = list(parts)
        while len(rest) > 1:
            found = self.scope(rest[-1])
            if found is None or not _compatible(scope, found):
                break
            scope = max(scope or "", found, key=len)
            rest.pop()
        if len(rest) > 1:
            return rest[0], scope, rest[1:]
        name, scope = self._split_words(rest[0], scope)
        return name, scope, []

    def _split_words(self, name: str, scope: str | None) -> tuple[str, str | None]:
        if self._of(name, scope):
            return name, scope
        words = name.split(" ")
        # The longest tail wins: "bluefield west virginia" is not in Virginia.
        for first in range(1, len(words)):
            found = self.scope(" ".join(words[first:]))
            if found and _compatible(scope, found):
                narrower = max(scope or "", found, key=len)
                return self._split_words(" ".join(words[:first]), narrower)
        return name, scope

    def _rows(self, name: str, scope: str | None) -> list[int]:
        return [row for row in self._names.named(name) if self._within(row, scope)]

    def _within(self, row: int, scope: str | None) -> bool:
        return scope is None or self._region_of(row).code.startswith(scope)

    def _narrowed(self, rows: Iterable[int], scope: str) -> list[int]:
        """Rows whose state or nation begins with what was typed after the comma."""
        if not scope:
            return list(rows)
        country = COUNTRIES.get(scope, "-")
        return [
            row
            for row in rows
            for region in [self._region_of(row)]
            if fold(region.name).startswith(scope)
            or region.suffix.lower().startswith(scope)
            or region.code.startswith(country)
        ]

    def _of(self, name: str, scope: str | None) -> list[Candidate]:
        rows = self._distinct(self._rows(name, scope))
        code = self._region_names.get(name)
        if code is not None and (scope is None or code.startswith(scope)):
            return self._of_region(self._by_code[code], rows)
        return self._sure_or_all(rows)

    def _of_region(self, region: Region, rows: Sequence[int]) -> list[Candidate]:
        for row in rows:
            large = self._cities.populations[row] >= SHARE_OF_STATE * region.population
            if large and self._region_of(row) is region:
                return [self._city(row)]
        rivals = [row for row in rows if self._cities.populations[row] >= RIVALS_A_STATE]
        return [self._region(region), *map(self._city, rivals[:MOST_CANDIDATES])]

    def _sure_or_all(self, rows: Sequence[int]) -> list[Candidate]:
        if self._is_sure(rows):
            rows = rows[:1]
        return [self._city(row) for row in rows[:MOST_CANDIDATES]]

    def _is_sure(self, rows: Sequence[int]) -> bool:
        """Whether the first row has far more people than every other."""
        return all(
            self._cities.populations[rows[0]]
            >= max(self._cities.populations[row], 1) * self._far_more(rows[0], row)
            for row in rows[1:]
        )

    def _far_more(self, row: int, other: int) -> int:
        here, there = self._region_of(row).code[:2], self._region_of(other).code[:2]
        return FAR_MORE if here == there else FAR_MORE_ABROAD

    def _distinct(self, rows: Sequence[int]) -> list[int]:
        kept: list[int] = []
        for row in rows:
            region = self._region_of(row)
            if not any(
                self._region_of(other) is region and self._metres(row, other) < SAME_PLACE_M
                for other in kept
            ):
                kept.append(row)
        return kept

    def _around(self, name: str, centre: str, scope: str | None) -> list[Candidate]:
        """ "Croydon, London": places of the first name in reach of a large one of the second,
        or "Springfield, Sangamon County, IL", where the middle says nothing new."""
        rows = self._distinct(self._rows(name, scope))
        if scope is not None and len(scope) > len("US"):
            return self._sure_or_all(rows)
        centres = [
            row for row in self._rows(centre, scope) if self._cities.populations[row] >= LARGE_PLACE
        ]
        near = [row for row in rows if any(self._metres(row, c) <= AROUND_M for c in centres)]
        return self._sure_or_all(near)

    def _metres(self, row: int, other: int) -> float:
        lats, lons = self._cities.lats, self._cities.lons
        return metres_between(lats[row], lons[row], lats[other], lons[other])

    def _region_of(self, row: int) -> Region:
        return self._regions[self._cities.regions[row]]

    def _city(self, row: int) -> Candidate:
        cities, region = self._cities, self._region_of(row)
        lat, lon = cities.lats[row], cities.lons[row]
        label = f"{cities.names[row]}, {region.suffix}"
        namesakes = self._distinct(self._rows(fold(cities.names[row]), region.code))
        unique = bool(namesakes) and namesakes[0] == row and self._is_sure(namesakes)
        return Candidate(
            label=label,
            near=label if unique else f"{lat},{lon}",
            lat=lat,
            lon=lon,
            precision="city",
            uncertainty_m=cities.uncertainties[row],
            country=region.code[:2],
            state=region.code,
            population=cities.populations[row],
            timezone=cities.timezones[row],
        )

    def _region(self, region: Region) -> Candidate:
        return Candidate(
            label=region.name,
            near=region.code,
            lat=region.lat,
            lon=region.lon,
            precision="state",
            uncertainty_m=region.uncertainty_m,
            country=region.code[:2],
            state=region.code,
        )


def _compatible(scope: str | None, found: str) -> bool:
    return scope is None or found.startswith(scope) or scope.startswith(found)
