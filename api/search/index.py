"""The read model: every live clinic in columns, a row a clinic, kept in spatial order.

New rows are appended behind the ordered ones and an old row is struck out; when the appended
part grows past a bound the columns are put in order again. One thread reads and writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, cast
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from api.directory.catalogue import plain_words
from api.search.bits import WORD, BitSpace, split
from api.search.geometry import boxes, spatial_order, to_space
from api.search.kernel import BOXES_PER_GROUP, ROWS_PER_BOX
from api.search.records import (
    IndexedClinic,
    IndexedHours,
    ProfileStore,
    StoredProfile,
    decode_clinic,
)
from api.search.text import TextIndex
from db.states import Setting

MOST_UNORDERED = 2048
"""Rows scanned one by one before the columns are ordered again: about 3 µs of every query."""

Column = TypeVar("Column", bound=NDArray[np.generic])
Schedule = tuple[str, tuple[IndexedHours, ...]]


class SearchIndex:
    """The directory at one version. `apply` moves it on by one change."""

    def __init__(
        self, ancestors: Mapping[str, Sequence[str]], most_unordered: int = MOST_UNORDERED
    ) -> None:
        self._most_unordered = most_unordered
        self.version = 0
        self.ancestors = ancestors
        self.clinic_space = BitSpace()
        self.offering_space = BitSpace()
        self.text = TextIndex()
        self.redirects: dict[UUID, UUID] = {}
        self._slug_redirects: dict[str, UUID] = {}
        # Keyed by the id as a whole number, which takes half the memory of a UUID object.
        self._row_of: dict[int, int] = {}
        self._row_of_slug: dict[str, int] = {}
        self._slugs: list[str] = []
        self._profiles: list[StoredProfile | None] = []
        self._store = ProfileStore()
        self._schedule_ids: dict[Schedule, int] = {}
        self.schedules: list[Schedule] = []
        self.size = 0
        self.ordered = 0
        self._allocate(1024)
        self.offerings = 0
        self.offering_row: NDArray[np.int32] = np.empty(1024, np.int32)
        self.offering_bits = np.zeros((1024, 1), np.uint64)
        self._order_again()

    def _allocate(self, rows: int) -> None:
        self.space = np.full((rows, 3), np.nan)
        self.points = np.full((rows, 2), np.nan)
        self.alive = np.zeros(rows, np.bool_)
        self.ids = np.zeros((rows, 2), np.uint64)
        self.clinic_bits = np.zeros((rows, self.clinic_space.words), np.uint64)
        self.wait_days = np.full(rows, np.inf, np.float32)
        self.verified = np.full(rows, np.nan)
        self.schedule = np.full(rows, -1, np.int32)
        self.name_key = np.zeros(rows, np.uint64)

    # Reading

    def __len__(self) -> int:
        return len(self._row_of)

    def row_of(self, key: str) -> int | None:
        """The row of a live clinic, by id or slug."""
        identifier = _as_id(key)
        if identifier is None:
            return self._row_of_slug.get(key)
        return self._row_of.get(identifier.int)

    def survivor_of(self, key: str) -> UUID | None:
        """The id of the clinic that this merged one, by id or slug, lives on in."""
        identifier = _as_id(key)
        found = (
            self._slug_redirects.get(key) if identifier is None else self.redirects.get(identifier)
        )
        while found is not None and found in self.redirects:
            found = self.redirects[found]
        return found

    def summary(self, row: int) -> bytes:
        """The clinic's summary as encoded JSON."""
        return cast(StoredProfile, self._profiles[row]).summary

    def profile(self, row: int) -> bytes:
        """The clinic's full public profile as encoded JSON."""
        return self._store.unpack(cast(StoredProfile, self._profiles[row]))

    def id_of(self, row: int) -> UUID:
        high, low = self.ids[row].tolist()
        return UUID(int=high << WORD | low)

    def profiles(self) -> Iterable[tuple[UUID, bytes]]:
        """Every live clinic's id and profile, in no order."""
        for identifier, row in self._row_of.items():
            yield UUID(int=identifier), self.profile(row)

    # Writing

    def load(self, profiles: Sequence[bytes]) -> None:
        """Adds profiles of clinics that are not in yet; `finish_loading` follows the last batch."""
        if not self._row_of and profiles:
            self._store = ProfileStore(b"".join(profiles[:8]))
        for profile in profiles:
            self._append(decode_clinic(profile), profile)

    def finish_loading(self, version: int) -> None:
        """Orders what was loaded and says which directory version it is."""
        self.version = version
        self._order_again()

    def upsert(self, seq: int, profile: bytes) -> None:
        """Applies the change `seq` that wrote this profile."""
        clinic = decode_clinic(profile)
        self._strike(clinic.id)
        self.redirects.pop(clinic.id, None)
        row = self._append(clinic, profile)
        self.space[row] = to_space(self.points[row, 0], self.points[row, 1])
        self._applied(seq)

    def delete(self, seq: int, clinic_id: UUID) -> None:
        """Applies the change `seq` that took this clinic out."""
        self._strike(clinic_id)
        self._applied(seq)

    def merge(self, seq: int, clinic_id: UUID, into: UUID) -> None:
        """Applies the change `seq` that made one clinic part of another."""
        row = self._row_of.get(clinic_id.int)
        slug = None if row is None else self._slugs[row]
        self._strike(clinic_id)
        self.redirect(clinic_id, slug, into)
        self._applied(seq)

    def redirect(self, clinic_id: UUID, slug: str | None, into: UUID) -> None:
        """Remembers where a merged clinic lives on."""
        self.redirects[clinic_id] = into
        if slug is not None:
            self._slug_redirects[slug] = into

    def _applied(self, seq: int) -> None:
        self.version = seq
        if self.size - self.ordered > self._most_unordered + self.ordered // 64:
            self._order_again()

    def _strike(self, clinic_id: UUID) -> None:
        row = self._row_of.pop(clinic_id.int, None)
        if row is None:
            return
        del self._row_of_slug[self._slugs[row]]
        self.alive[row] = False
        self._profiles[row] = None

    def _append(self, clinic: IndexedClinic, profile: bytes) -> int:
        """Writes a new row behind the others and gives its number; its place in space comes
        later, for many rows at once when loading."""
        row = self.size
        if row == len(self.alive):
            self._grow()
        self.size += 1
        self._row_of[clinic.id.int] = row
        self._row_of_slug[clinic.slug] = row
        self._slugs.append(clinic.slug)
        self._profiles.append(self._store.pack(profile))
        self.alive[row] = True
        self.ids[row] = (clinic.id.int >> WORD, clinic.id.int & (1 << WORD) - 1)
        has_point = clinic.lat is not None and clinic.lon is not None
        self.points[row] = (clinic.lat, clinic.lon) if has_point else np.nan
        self.wait_days[row] = np.inf if clinic.wait_days is None else clinic.wait_days
        self.verified[row] = (
            np.nan if clinic.verified_at is None else clinic.verified_at.timestamp()
        )
        self.schedule[row] = self._schedule_of(clinic)
        self.name_key[row] = name_key(plain_words(clinic.name))
        self._write_clinic_bits(row, clinic)
        self._write_offerings(row, clinic)
        self.text.add(row, clinic)
        return row

    def _write_clinic_bits(self, row: int, clinic: IndexedClinic) -> None:
        space = self.clinic_space
        conditions = {code for offering in clinic.offerings for code in offering.conditions}
        with_parents = conditions.union(*(self.ancestors.get(code, ()) for code in conditions))
        pattern = (
            space.pattern("route", {o.route.value for o in clinic.offerings})
            | space.pattern("setting", {o.setting.value for o in clinic.offerings})
            | space.pattern("condition", sorted(with_parents))
            | space.pattern("state", (clinic.state,))
            | space.pattern("payer", clinic.payers)
            | space.pattern("language", clinic.languages)
            | space.pattern("accepting", (clinic.accepting.value,))
        )
        self.clinic_bits = _wide_enough(self.clinic_bits, space.words)
        self.clinic_bits[row] = split(pattern, self.clinic_bits.shape[1])

    def _write_offerings(self, row: int, clinic: IndexedClinic) -> None:
        space = self.offering_space
        for offering in clinic.offerings:
            pattern = (
                space.pattern("route", (offering.route.value,))
                | space.pattern("setting", (offering.setting.value,))
                | space.pattern("drug", (offering.drug.value,))
                | space.pattern("condition", offering.conditions)
            )
            if offering.setting is Setting.AT_HOME:
                pattern |= space.pattern("coverage", offering.coverage)
            if self.offerings == len(self.offering_row):
                self.offering_row = _twice(self.offering_row)
                self.offering_bits = _twice(self.offering_bits)
            self.offering_bits = _wide_enough(self.offering_bits, space.words)
            self.offering_row[self.offerings] = row
            self.offering_bits[self.offerings] = split(pattern, self.offering_bits.shape[1])
            self.offerings += 1

    def _schedule_of(self, clinic: IndexedClinic) -> int:
        """Clinics with the same hours in the same zone share one schedule; -1 is unknown hours."""
        if clinic.time_zone is None or not clinic.hours:
            return -1
        schedule = (clinic.time_zone, clinic.hours)
        found = self._schedule_ids.setdefault(schedule, len(self.schedules))
        if found == len(self.schedules):
            self.schedules.append(schedule)
        return found

    def _grow(self) -> None:
        self.space, self.points = _twice(self.space), _twice(self.points)
        self.alive, self.ids = _twice(self.alive), _twice(self.ids)
        self.clinic_bits = _twice(self.clinic_bits)
        self.wait_days, self.verified = _twice(self.wait_days), _twice(self.verified)
        self.schedule, self.name_key = _twice(self.schedule), _twice(self.name_key)

    def _order_again(self) -> None:
        """Drops struck-out rows; puts the others in spatial order, those without a point last."""
        rows = np.flatnonzero(self.alive[: self.size])
        self.space[rows] = to_space(self.points[rows, 0], self.points[rows, 1])
        placed = rows[~np.isnan(self.points[rows, 0])]
        unplaced = rows[np.isnan(self.points[rows, 0])]
        order = np.concatenate((placed[spatial_order(self.space[placed])], unplaced))
        new_row = np.full(self.size + 1, -1, np.int32)
        new_row[order] = np.arange(len(order), dtype=np.int32)
        self._permute(order, new_row)
        self.size, self.ordered = len(order), len(placed)
        self.boxes = boxes(self.space[: self.ordered], ROWS_PER_BOX)
        self.groups = boxes(self.boxes, BOXES_PER_GROUP)

    def _permute(self, order: NDArray[np.intp], new_row: NDArray[np.int32]) -> None:
        count = len(order)
        for column in (
            self.space, self.points, self.alive, self.ids,
            self.clinic_bits, self.wait_days, self.verified, self.schedule, self.name_key,
        ):  # fmt: skip
            column[:count] = column[order]
        self.alive[count:] = False
        self._profiles = [self._profiles[row] for row in order.tolist()]
        self._slugs = [self._slugs[row] for row in order.tolist()]
        self._row_of = {key: int(new_row[row]) for key, row in self._row_of.items()}
        self._row_of_slug = {key: int(new_row[row]) for key, row in self._row_of_slug.items()}
        moved = new_row[self.offering_row[: self.offerings]]
        kept = np.flatnonzero(moved >= 0)
        self.offerings = len(kept)
        self.offering_row[: len(kept)] = moved[kept]
        self.offering_bits[: len(kept)] = self.offering_bits[kept]
        self.text.move(new_row)


def name_key(plain_name: str) -> int:
    """The first eight bytes as a number: in the order of the names, as far as eight bytes go."""
    return int.from_bytes(plain_name.encode()[:8].ljust(8, b"\0"))


def _as_id(key: str) -> UUID | None:
    """A slug has no four hyphens at a UUID's places; anything else is no id."""
    if len(key) != 36 or key[8] != "-" or key[13] != "-":
        return None
    try:
        return UUID(key)
    except ValueError:
        return None


def _twice(column: Column) -> Column:
    return cast(Column, np.concatenate((column, np.zeros_like(column))))


def _wide_enough(bits: NDArray[np.uint64], words: int) -> NDArray[np.uint64]:
    missing = words - bits.shape[1]
    return bits if missing <= 0 else np.pad(bits, ((0, 0), (0, missing)))
