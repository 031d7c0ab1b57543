"""Whose jurisdiction a point is in: the state or nation that licenses a prescriber there."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from tzfpy import get_tz

from api.search.border_kernel import NOTHING, Floats, all_owned, nearest_of
from api.search.boundaries import Outlines
from api.search.postal_codes import PostalColumns, Region

# The outlines are coarse: this near a postal point its state is the better witness.
NEAR_M: Final = 2_000.0
# Outlines leave out islands and quays: this far off, a point still belongs to the shore.
COAST_M: Final = 25_000.0
# On land with a time zone of ours, the nearest postal point may be this far: Alaska.
LAND_M: Final = 300_000.0
CELLS_A_DEGREE: Final = 4
MARGIN: Final = 0.05
"""Degrees around a cell that must be the same state's, too."""
MOST_CELLS: Final = 20_000


class Jurisdictions:
    """Answers from the outlines, corrected near borders and coasts by the postal points."""

    def __init__(
        self,
        outlines: Outlines,
        regions: Sequence[Region],
        columns: Sequence[PostalColumns],
        timezones: Iterable[str],
    ) -> None:
        self.outlines = outlines
        lats = np.concatenate([np.frombuffer(each.lats) for each in columns])
        lons = np.concatenate([np.frombuffer(each.lons) for each in columns])
        owners = np.concatenate([np.frombuffer(each.regions, dtype=np.int32) for each in columns])
        exact = np.concatenate([np.frombuffer(each.exact, dtype=np.uint8) for each in columns])
        order = np.argsort(lats)
        order = order[exact[order] > 0]
        self._lats: Floats = np.ascontiguousarray(lats[order])
        self._lons: Floats = np.ascontiguousarray(lons[order])
        self._owners = array("i", owners[order].tolist())
        self._rows = array("i", order.tolist())
        self._codes = [region.code for region in regions]
        self._timezones = frozenset(timezones)
        self._sure: dict[tuple[int, int], str | None] = {}

    def state_at(self, lat: float, lon: float) -> str | None:
        """ISO 3166-2 code, or None outside the United States and the United Kingdom."""
        cell = (math.floor(lat * CELLS_A_DEGREE), math.floor(lon * CELLS_A_DEGREE))
        if cell not in self._sure:
            if len(self._sure) >= MOST_CELLS:
                self._sure.clear()
            self._sure[cell] = self._sure_of(*cell)
        return self._sure[cell] or self._looked_up(lat, lon)

    def _sure_of(self, row: int, column: int) -> str | None:
        """The state that a cell lies in the midst of, by the outlines and by every postal point in
        it and around it; None for a cell near a border or a coast. Most questions come from the
        midst of a state, and are then answered by one look into a dict."""
        south, west = row / CELLS_A_DEGREE - MARGIN, column / CELLS_A_DEGREE - MARGIN
        north, east = (
            south + 1 / CELLS_A_DEGREE + 2 * MARGIN,
            west + 1 / CELLS_A_DEGREE + 2 * MARGIN,
        )
        around = self.outlines.region_around(south, west, north, east)
        if around is None:
            return None
        owner = self._codes.index(around)
        owners = np.frombuffer(self._owners, dtype=np.int32)
        sure = all_owned(south, west, north, east, self._lats, self._lons, owners, owner)
        return around if sure else None

    def _looked_up(self, lat: float, lon: float) -> str | None:
        inside = self.outlines.region_at(lat, lon)
        if inside is not None:
            return self._owner(lat, lon, NEAR_M) or inside
        # Windsor and Tijuana are within reach of a ZIP code too; their time zone tells.
        zone = get_tz(lon, lat)
        if zone in self._timezones:
            return self._owner(lat, lon, LAND_M)
        return self._owner(lat, lon, COAST_M) if zone.startswith("Etc/") else None

    def nearest(self, lat: float, lon: float, within_m: float) -> int | None:
        """Row of the nearest postal area with a sure point, counted through all columns."""
        at, _ = nearest_of(lat, lon, self._lats, self._lons, within_m)
        return None if at == NOTHING else self._rows[at]

    def _owner(self, lat: float, lon: float, within_m: float) -> str | None:
        at, _ = nearest_of(lat, lon, self._lats, self._lons, within_m)
        return None if at == NOTHING else self._codes[self._owners[at]]
