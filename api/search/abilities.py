"""What matching asks of a clinic and search does not: one record of 32 bytes a row of the index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.search.bits import BitSpace
from db.states import Accepting

RECORD: Final = np.dtype(
    [
        ("assesses", np.uint64),
        ("capacity", np.int32),
        ("answer_minutes", np.int32),
        ("first_offering", np.int32),
        ("age_min", np.int16),
        ("age_max", np.int16),
        ("acceptance", np.int16),
        ("zone", np.int16),
        ("offerings", np.uint16),
        ("accepting", np.uint8),
        ("pad", np.uint8),
    ]
)
"""`answer_minutes`, `acceptance` (ten-thousandths), `capacity`, `zone`: -1 is not known."""

ACCEPTING: Final[Mapping[str, int]] = {
    Accepting.NO: 0,
    Accepting.EXISTING_ONLY: 0,
    Accepting.EXISTING_AND_FAMILY: 0,
    Accepting.UNKNOWN: 1,
    Accepting.YES: 2,
}
"""0 turns new patients away."""
OLDEST: Final = np.iinfo(np.int16).max
NOT_KNOWN: Final = -1


class IndexedAge(msgspec.Struct, frozen=True, gc=False):
    min: int | None = None
    max: int | None = None


class IndexedAnswers(msgspec.Struct, frozen=True, gc=False):
    """What was measured of a clinic's answers; `acceptance` is a share."""

    median_hours: float | None = None
    acceptance: float | None = None


class Neighbours(NamedTuple):
    """Live rows with a point in spatial order, the boxes around each run of them, and the groups
    around each run of boxes."""

    rows: NDArray[np.int32]
    boxes: NDArray[np.float64]
    groups: NDArray[np.float64]


class Abilities:
    """The records, kept in step with the rows of the index.

    `home_rows` by state and `neighbours` keep what was worked out of the index; they are empty
    again once anything is written.
    """

    def __init__(self, rows: int) -> None:
        self.records = np.zeros(rows, RECORD)
        self.flags = BitSpace()
        self.zones: list[str] = []
        self.home_rows: dict[str, NDArray[np.int32]] = {}
        self.neighbours: Neighbours | None = None
        self._zone_ids: dict[str, int] = {}

    def write(
        self,
        row: int,
        *,
        accepting: str,
        capacity: int | None,
        age: IndexedAge,
        assesses: list[str],
        answers: IndexedAnswers | None,
        time_zone: str | None,
        offerings: tuple[int, int],
    ) -> None:
        """Fills a row. `offerings` are the number of its first one, and how many there are."""
        minutes, share = _measured(answers)
        self.records[row] = (
            self.flags.pattern("assesses", assesses) if assesses else 0,
            NOT_KNOWN if capacity is None else capacity,
            minutes,
            offerings[0],
            0 if age.min is None else age.min,
            OLDEST if age.max is None else age.max,
            share,
            NOT_KNOWN if time_zone is None else self._zone_id(time_zone),
            offerings[1],
            ACCEPTING[accepting],
            0,
        )
        self.forget()

    def _zone_id(self, name: str) -> int:
        found = self._zone_ids.setdefault(name, len(self.zones))
        if found == len(self.zones):
            self.zones.append(name)
        return found

    def grow(self) -> None:
        """Makes room for twice as many rows."""
        self.records = np.concatenate((self.records, np.zeros_like(self.records)))

    def move(self, order: NDArray[np.intp], offering_row: NDArray[np.int32]) -> None:
        """Row i becomes what row `order[i]` was; `offering_row` has the new rows of the offerings,
        those of one clinic side by side."""
        self.records[: len(order)] = self.records[order]
        firsts = np.flatnonzero(np.diff(offering_row, prepend=-1))
        self.records["first_offering"][offering_row[firsts]] = firsts
        self.forget()

    def forget(self) -> None:
        """To be called when a row is struck out: what was worked out may hold it."""
        self.home_rows.clear()
        self.neighbours = None


def _measured(answers: IndexedAnswers | None) -> tuple[int, int]:
    if answers is None:
        return NOT_KNOWN, NOT_KNOWN
    hours, share = answers.median_hours, answers.acceptance
    return (
        NOT_KNOWN if hours is None else round(hours * 60),
        NOT_KNOWN if share is None else round(share * 10_000),
    )
