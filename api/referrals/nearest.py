"""The nearest clinics of some, or of all, by the geodesic, as search finds them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.referrals.candidate_rows import FARTHEST_M, Judged, rows_within
from api.search import kernel
from api.search.geodesic import in_space, prepared
from api.search.index import SearchIndex
from api.search.ranking import FROM_THE_START, Point, distance_m

SHORTEST_REACH_M: Final = 10_000.0
WIDER: Final = 2.5


def away_m(index: SearchIndex, near: tuple[float, float], row: int) -> float | None:
    """The geodesic in metres from a point to a clinic, also to the far side of the earth; None for
    a clinic without a point."""
    lat, lon = index.points[row].tolist()
    return None if np.isnan(lat) else distance_m(Point(*near), lat, lon)


class Nearest:
    """Looks from one point, at one version of the index."""

    def __init__(self, index: SearchIndex, near: tuple[float, float]) -> None:
        self._index = index
        self._near = near
        self._columns = (index.space[: index.size], index.prepared[: index.size])

    def among(
        self, rows: NDArray[np.int32], chords2: NDArray[np.float64], most: int
    ) -> dict[int, float]:
        """The nearest of the rows, given with their squared chords, and their geodesics in metres,
        nearest first, ties by id. Rows without a point are left out."""
        size = len(rows)
        if not size:
            return {}
        near_rows, near_m = np.empty(size, np.int32), np.empty(size)
        order = np.empty(most, np.int32)
        found, measured, undecided = kernel.nearest(
            self._columns, self._index.ids, prepared(*self._near), FROM_THE_START, most,
            rows, chords2, size, near_rows, near_m, order,
        )  # fmt: skip
        if undecided:
            for at in np.flatnonzero(np.isnan(near_m[:measured])).tolist():
                away = away_m(self._index, self._near, int(near_rows[at]))
                assert away is not None, "a row without a point is no candidate"
                near_m[at] = away
            found = kernel.page_of(
                near_m, near_rows, self._index.ids, measured, FROM_THE_START, most, order
            )
        first = order[:found]
        return dict(zip(near_rows[first].tolist(), near_m[first].tolist(), strict=True))

    def beyond(self, judged: Judged, limit_m: float, most: int) -> dict[int, float]:
        """The nearest that are not among those who can take the referral, wherever they are."""
        rows = np.empty(self._index.size, np.int32)
        reach = max(limit_m, SHORTEST_REACH_M) * WIDER
        while reach < FARTHEST_M:
            around = rows[: rows_within(self._index, self._near, reach, rows)]
            found = self._others(judged, around, most)
            # Only what lies within the reach is surely nearer than all that was not looked at.
            if len(found) == most and max(found.values()) <= reach:
                return found
            reach *= WIDER
        everyone = np.flatnonzero(self._index.alive[: self._index.size]).astype(np.int32)
        return self._others(judged, everyone, most)

    def _others(self, judged: Judged, rows: NDArray[np.int32], most: int) -> dict[int, float]:
        others = np.setdiff1d(np.union1d(rows, judged.failed), judged.passed).astype(np.int32)
        away = self._columns[0][others] - np.array(in_space(*self._near))
        return self.among(others, np.einsum("ij,ij->i", away, away), most)
