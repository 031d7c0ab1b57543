"""Rows that answer, in spatial order under two levels of bounding boxes, with sums of their codes.

What is in a layer depends on the filters, not on the point that is asked from: it is made once a
directory version and searched from ever new points (see `kernel.py`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from api.search import kernel
from api.search.compiled import compiled
from api.search.geometry import boxes

ROWS_A_BOX: Final = 32
BOXES_A_GROUP: Final = 32


class Layer:
    """Ascending rows that have a point, with the weight of each (-1, 0 or 1).

    `space` and `bits` are columns of the index: where clinics are in space, and their codes.

    Sizes are for tests: rows a box, at most 32, and boxes a group, at most 1,000.
    """

    def __init__(
        self,
        space: NDArray[np.float64],
        bits: NDArray[np.uint64],
        rows: NDArray[np.int32],
        weights: NDArray[np.int8],
        sizes: tuple[int, int] = (ROWS_A_BOX, BOXES_A_GROUP),
    ) -> None:
        self.rows = rows
        self.weights = weights
        self._bits = bits
        self._sizes = sizes
        self._boxes = boxes(space[rows], sizes[0])
        self._groups = boxes(self._boxes, sizes[1])
        self._parts: dict[bytes, kernel.Layer] = {}

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        sums = sum(part[3].nbytes + part[4].nbytes for part in self._parts.values())
        return self.rows.nbytes + self.weights.nbytes + self._boxes.nbytes + sums

    def counting(self, places: NDArray[np.int32]) -> kernel.Layer:
        """The layer as the kernel takes it, with sums for these bits (word * 64 + bit)."""
        key = places.tobytes()
        found = self._parts.get(key)
        if found is None:
            found = self._parts[key] = self._with_sums(places)
        return found

    def _with_sums(self, places: NDArray[np.int32]) -> kernel.Layer:
        per_box, per_group = self._sizes
        marks = np.zeros((len(self._boxes), 2 + len(places)), np.uint32)
        sums = np.zeros((len(self._groups), 1 + len(places)), np.int16)
        _mark(self._bits, self.rows, self.weights, places, per_box, per_group, marks, sums)
        return self.rows, self._boxes, self._groups, marks, sums, per_box, per_group


@compiled
def _mark(
    bits: NDArray[np.uint64],
    rows: NDArray[np.int32],
    weights: NDArray[np.int8],
    places: NDArray[np.int32],
    per_box: int,
    per_group: int,
    marks: NDArray[np.uint32],
    sums: NDArray[np.int16],
) -> None:
    """Fills marks and sums, which are 0, as `kernel.Layer` has them."""
    for i in range(len(rows)):
        box, row, weight = i // per_box, rows[i], weights[i]
        mark = np.uint32(1) << np.uint32(i % per_box)
        if weight:
            marks[box, 0 if weight > 0 else 1] |= mark
        sums[box // per_group, 0] += weight
        for k in range(len(places)):
            if bits[row, places[k] >> 6] >> np.uint64(places[k] & 63) & np.uint64(1):
                marks[box, 2 + k] |= mark
                sums[box // per_group, 1 + k] += weight
