"""Many small pieces of bytes in one array: no object for each, and in the order of the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from api.search.compiled import compiled


class Arena:
    """Bytes by row number. Rows are added in order; a dropped row's bytes go at the next move."""

    def __init__(self) -> None:
        self.bytes: NDArray[np.uint8] = np.empty(1 << 16, np.uint8)
        self.starts: NDArray[np.int64] = np.empty(1024, np.int64)
        self.lengths: NDArray[np.int32] = np.empty(1024, np.int32)
        self.longest = 0
        """No row has more bytes."""
        self._rows = 0
        self._end = 0

    def append(self, piece: bytes) -> None:
        """Becomes the next row."""
        if self._rows == len(self.starts):
            self.starts = np.concatenate((self.starts, np.empty_like(self.starts)))
            self.lengths = np.concatenate((self.lengths, np.empty_like(self.lengths)))
        end = self._end + len(piece)
        if end > len(self.bytes):
            # Memory that is not written to is not taken either, so room to spare costs nothing.
            larger: NDArray[np.uint8] = np.empty(2 * end, np.uint8)
            larger[: self._end] = self.bytes[: self._end]
            self.bytes = larger
        self.bytes[self._end : end] = np.frombuffer(piece, np.uint8)
        self.starts[self._rows] = self._end
        self.lengths[self._rows] = len(piece)
        self.longest = max(self.longest, len(piece))
        self._rows += 1
        self._end = end

    def __getitem__(self, row: int) -> bytes:
        start = int(self.starts[row])
        return self.bytes[start : start + int(self.lengths[row])].tobytes()

    def move(self, order: NDArray[np.intp]) -> None:
        """Keeps the rows in `order`, in that order, with their bytes side by side."""
        starts, lengths = self.starts[order], self.lengths[order]
        ends = np.cumsum(lengths, dtype=np.int64)
        total = int(ends[-1]) if len(ends) else 0
        moved: NDArray[np.uint8] = np.empty(max(total + total // 8, 1 << 16), np.uint8)
        _move(self.bytes, starts, lengths, moved)
        room = max(len(order) + len(order) // 8, 1024)
        self.bytes = moved
        self.starts, self.lengths = np.empty(room, np.int64), np.empty(room, np.int32)
        self.starts[: len(order)] = ends - lengths
        self.lengths[: len(order)] = lengths
        self._rows, self._end = len(order), total


@compiled
def _move(
    source: NDArray[np.uint8],
    starts: NDArray[np.int64],
    lengths: NDArray[np.int32],
    target: NDArray[np.uint8],
) -> None:
    at = 0
    for i in range(len(starts)):
        start, length = starts[i], lengths[i]
        piece, place = source[start : start + length], target[at : at + length]
        for k in range(len(place)):
            place[k] = piece[k]
        at += length
