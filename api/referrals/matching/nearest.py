"""The nearest clinics of some, or of all, by the geodesic, as search measures it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.referrals.matching.candidate_kernel import measure
from api.referrals.matching.candidate_rows import FARTHEST_M, Judged, reach_from, rows_within
from api.search.geometry import longest_chord
from api.search.index import SearchIndex
from api.search.ranking import Point, distance_m

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
        self._from = reach_from(near, None)

    def among(
        self, rows: NDArray[np.int32], chords2: NDArray[np.float64], most: int
    ) -> dict[int, float]:
        """The nearest of the rows, given with their squared chords, and their geodesics in metres,
        nearest first, ties by id. Rows without a point are left out."""
        placed = ~np.isnan(chords2)
        rows, chords2 = rows[placed], chords2[placed]
        if len(rows) > most > 0:
            # Nothing nearer than the farthest of those with the shortest chords has a longer chord
            # than one at its distance may have.
            first = np.argpartition(chords2, most - 1)[:most]
            bound = longest_chord(float(self._metres(rows[first]).max()))
            near = chords2 <= bound * bound
            rows = rows[near]
        metres = self._metres(rows)
        ids = self._index.ids[rows]
        order = np.lexsort((ids[:, 1], ids[:, 0], metres))[:most]
        return dict(zip(rows[order].tolist(), metres[order].tolist(), strict=True))

    def _metres(self, rows: NDArray[np.int32]) -> NDArray[np.float64]:
        metres = np.full(len(rows), np.nan)
        measure(self._index.space, self._index.prepared, self._from, rows, len(rows), metres)
        for at in np.flatnonzero(np.isnan(metres)).tolist():
            away = away_m(self._index, self._near, int(rows[at]))
            assert away is not None, "a row without a point has no chord"
            metres[at] = away
        return metres

    def beyond(self, judged: Judged, limit_m: float, most: int) -> dict[int, float]:
        """The nearest that are not among those who can take the referral, wherever they are."""
        rows = np.empty(self._index.size + 1, np.int32)
        reach = max(limit_m, SHORTEST_REACH_M) * WIDER
        while reach < FARTHEST_M:
            around = rows[: rows_within(self._index, reach_from(self._near, reach), rows)]
            found = self._others(judged, around, most)
            # Only what lies within the reach is surely nearer than all that was not looked at.
            if len(found) == most and max(found.values(), default=0.0) <= reach:
                return found
            reach *= WIDER
        everyone = np.flatnonzero(self._index.alive[: self._index.size]).astype(np.int32)
        return self._others(judged, everyone, most)

    def _others(self, judged: Judged, rows: NDArray[np.int32], most: int) -> dict[int, float]:
        others = np.setdiff1d(np.union1d(rows, judged.failed), judged.passed).astype(np.int32)
        away = self._index.space[others] - np.array(self._from.centre)
        return self.among(others, np.einsum("ij,ij->i", away, away), most)
