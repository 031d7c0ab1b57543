"""The read model: every live clinic in columns, a row a clinic, kept in spatial order.

New rows are appended behind the ordered ones and an old row is struck out; when the appended
part grows past a bound the columns are put in order again. One thread reads and writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar, cast
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from api.directory.catalogue import plain_words
from api.search.abilities import Abilities
from api.search.arena import Arena
from api.search.bits import WORD, BitSpace, split
from api.search.geodesic import prepare_all
from api.search.geometry import spatial_order, to_space
from api.search.lookup import Lookup, hash_of
from api.search.records import (
    IndexedClinic,
    IndexedHours,
    ProfileStore,
    decode_clinic,
    decode_names,
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
        self._text = TextIndex()
        self.redirects: dict[UUID, UUID] = {}
        self._slug_redirects: dict[str, UUID] = {}
        self._count = 0
        self._by_id = Lookup()
        self._by_slug = Lookup()
        self.summaries = Arena()
        self._rests = Arena()
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
        self.prepared = np.full((rows, 3), np.nan)
        self.alive = np.zeros(rows, np.bool_)
        self.ids = np.zeros((rows, 2), np.uint64)
        self.clinic_bits = np.zeros((rows, self.clinic_space.words), np.uint64)
        self.wait_days = np.full(rows, np.inf, np.float32)
        self.verified = np.full(rows, np.nan)
        self.schedule = np.full(rows, -1, np.int32)
        self.name_key = np.zeros(rows, np.uint64)
        self.slug_hash = np.zeros(rows, np.uint64)
        self.abilities = Abilities(rows)

    # Reading

    def __len__(self) -> int:
        return self._count

    def row_of(self, key: str) -> int | None:
        """The row of a live clinic, by id or slug."""
        identifier = _as_id(key)
        if identifier is not None:
            return self._row_with_id(identifier)
        for row in self._by_slug.rows(hash_of(key)):
            if self.alive[row] and _slug_of(self.summary(row)).slug == key:
                return row
        return None

    def _row_with_id(self, identifier: UUID) -> int | None:
        for row in self._by_id.rows(identifier.int & _LOW):
            if self.alive[row] and self.id_of(row) == identifier:
                return row
        return None

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
        return self.summaries[row]

    def profile(self, row: int) -> bytes:
        """The clinic's full public profile as encoded JSON."""
        return self._store.unpack(self.summaries[row], self._rests[row])

    def id_of(self, row: int) -> UUID:
        high, low = self.ids[row].tolist()
        return UUID(int=high << WORD | low)

    def profiles(self) -> Iterable[tuple[UUID, bytes]]:
        """Every live clinic's id and profile, in no order."""
        for row in np.flatnonzero(self.alive[: self.size]).tolist():
            yield self.id_of(row), self.profile(row)

    @property
    def text(self) -> TextIndex:
        """The words of all clinics; reads what is missing first (5 µs a clinic)."""
        while self.read_words(self.size):
            pass
        return self._text

    def read_words(self, most: int) -> bool:
        """Takes in the words of the next rows; whether there are more. A start is not held up by
        words, which few searches ask for: they are read a little at a time after it."""
        first = self._text.rows
        for row in range(first, min(first + most, self.size)):
            self._text.add(row, decode_names(self.profile(row)))
        return self._text.rows < self.size

    # Writing

    def load(self, profiles: Sequence[bytes]) -> None:
        """Adds profiles of clinics that are not in yet; `finish_loading` follows the last batch."""
        if not self._count and profiles:
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
        self._by_id.add(clinic.id.int & _LOW, row)
        self._by_slug.add(int(self.slug_hash[row]), row)
        self._place(slice(row, row + 1))
        self._applied(seq)

    def delete(self, seq: int, clinic_id: UUID) -> None:
        """Applies the change `seq` that took this clinic out."""
        self._strike(clinic_id)
        self._applied(seq)

    def merge(self, seq: int, clinic_id: UUID, into: UUID) -> None:
        """Applies the change `seq` that made one clinic part of another."""
        row = self._row_with_id(clinic_id)
        slug = None if row is None else _slug_of(self.summary(row)).slug
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

    def _place(self, rows: slice) -> None:
        """Works out where rows are in space, and what their distances are computed from."""
        points = self.points[rows]
        self.space[rows] = to_space(points[:, 0], points[:, 1])
        prepare_all(points, self.prepared[rows])

    def _strike(self, clinic_id: UUID) -> None:
        row = self._row_with_id(clinic_id)
        if row is not None:
            self.alive[row] = False
            self._count -= 1
            self.abilities.forget()

    def _append(self, clinic: IndexedClinic, profile: bytes) -> int:
        """Writes a new row behind the others and gives its number; its place in space comes
        later, for many rows at once when loading."""
        row = self.size
        if row == len(self.alive):
            self._grow()
        self.size += 1
        self._count += 1
        summary, rest = self._store.pack(profile)
        self.summaries.append(summary)
        self._rests.append(rest)
        self.alive[row] = True
        self.ids[row] = (clinic.id.int >> WORD, clinic.id.int & _LOW)
        self.slug_hash[row] = hash_of(clinic.slug)
        has_point = clinic.lat is not None and clinic.lon is not None
        self.points[row] = (clinic.lat, clinic.lon) if has_point else np.nan
        self.wait_days[row] = np.inf if clinic.wait_days is None else clinic.wait_days
        self.verified[row] = (
            np.nan if clinic.verified_at is None else clinic.verified_at.timestamp()
        )
        self.schedule[row] = self._schedule_of(clinic)
        self.name_key[row] = name_key(plain_words(clinic.name))
        self._write_clinic_bits(row, clinic)
        self.abilities.write(
            row,
            accepting=clinic.accepting,
            capacity=clinic.weekly_capacity,
            age=clinic.age,
            assesses=clinic.assesses,
            answers=clinic.responsiveness,
            time_zone=clinic.time_zone,
            offerings=(self.offerings, len(clinic.offerings)),
        )
        self._write_offerings(row, clinic)
        return row

    def _write_clinic_bits(self, row: int, clinic: IndexedClinic) -> None:
        space = self.clinic_space
        conditions = {code for offering in clinic.offerings for code in offering.conditions}
        parents = {parent for code in conditions for parent in self.ancestors.get(code, ())}
        pattern = (
            space.pattern("route", [o.route for o in clinic.offerings])
            | space.pattern("setting", [o.setting for o in clinic.offerings])
            | space.pattern("condition", conditions | parents)
            | space.pattern("state", (clinic.state,))
            | space.pattern("payer", clinic.payers)
            | space.pattern("language", clinic.languages)
            | space.pattern("accepting", (clinic.accepting,))
        )
        self.clinic_bits = _wide_enough(self.clinic_bits, space.words)
        self.clinic_bits[row] = split(pattern, self.clinic_bits.shape[1])

    def _write_offerings(self, row: int, clinic: IndexedClinic) -> None:
        space = self.offering_space
        for offering in clinic.offerings:
            pattern = (
                space.pattern("route", (offering.route,))
                | space.pattern("setting", (offering.setting,))
                | space.pattern("drug", (offering.drug,))
                | space.pattern("condition", offering.conditions)
            )
            if offering.setting == Setting.AT_HOME:
                pattern |= space.pattern("coverage", offering.coverage)
            if self.offerings == len(self.offering_bits):
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
        self.prepared = _twice(self.prepared)
        self.alive, self.ids = _twice(self.alive), _twice(self.ids)
        self.clinic_bits = _twice(self.clinic_bits)
        self.wait_days, self.verified = _twice(self.wait_days), _twice(self.verified)
        self.schedule, self.name_key = _twice(self.schedule), _twice(self.name_key)
        self.slug_hash = _twice(self.slug_hash)
        self.abilities.grow()

    def _order_again(self) -> None:
        """Drops struck-out rows; puts the others in spatial order, those without a point last."""
        rows = np.flatnonzero(self.alive[: self.size])
        if self.ordered == 0:
            self._place(slice(0, self.size))
        placed = rows[~np.isnan(self.points[rows, 0])]
        unplaced = rows[np.isnan(self.points[rows, 0])]
        order = np.concatenate((placed[spatial_order(self.space[placed])], unplaced))
        new_row = np.full(self.size + 1, -1, np.int32)
        new_row[order] = np.arange(len(order), dtype=np.int32)
        self._permute(order, new_row)
        self.size, self.ordered = len(order), len(placed)

    def _permute(self, order: NDArray[np.intp], new_row: NDArray[np.int32]) -> None:
        count = len(order)
        for column in (
            self.space, self.points, self.prepared, self.alive, self.ids,
            self.clinic_bits, self.wait_days, self.verified, self.schedule, self.name_key,
            self.slug_hash,
        ):  # fmt: skip
            column[:count] = column[order]
        self.alive[count:] = False
        self.summaries.move(order)
        self._rests.move(order)
        self._by_id.rebuild(self.ids[:count, 1])
        self._by_slug.rebuild(self.slug_hash[:count])
        moved = new_row[self.offering_row[: self.offerings]]
        kept = np.flatnonzero(moved >= 0)
        self.offerings = len(kept)
        self.offering_row[: len(kept)] = moved[kept]
        self.offering_bits[: len(kept)] = self.offering_bits[kept]
        self.abilities.move(order, self.offering_row[: len(kept)])
        if self._text.rows == self.size:
            self._text.move(new_row, count)
        else:
            self._text = TextIndex()


def name_key(plain_name: str) -> int:
    """The first eight bytes as a number: in the order of the names, as far as eight bytes go."""
    return int.from_bytes(plain_name.encode()[:8].ljust(8, b"\0"))


class _Slugged(msgspec.Struct):
    slug: str


_slug_of = msgspec.json.Decoder(_Slugged).decode
_LOW = (1 << WORD) - 1


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
