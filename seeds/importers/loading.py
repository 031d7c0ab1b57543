"""Mapped rows into the directory: checked and placed first, then written under the lock.

Up to `rows_a_transaction` rows are one transaction, so a file of that size goes in whole or not at
all; a longer one goes in by parts of that size, each complete, and running it again goes on where
it was cut off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from api.clock import Clock
from api.directory.checking import Codes, checked
from api.directory.composing import PreparedClinic, Stored
from api.directory.points import Places, Point, found_point, given_point, stored_point
from api.directory.profile import read_provenance
from api.directory.provenance import keeping_verified, stated_by_source, verified_fields
from api.directory.schemas import ClinicWrite
from api.directory.step import Step, locked_step
from api.directory.writing import Outcome, load, write_batch
from api.errors import InvalidBody, Problem
from db.pool import Pool
from db.queries.clinics import find_clinics, imported_clinics
from db.rows import ImportedRow
from db.states import ClinicStatus
from seeds.importers.contacts import contacts_at_fault, left_out
from seeds.importers.mapped import Mapped, PassedOver, Unreadable, named_column, place_in_cell
from seeds.importers.report import ImportOptions, ImportReport, Refused

T = TypeVar("T")

ROWS_A_STATEMENT: Final = 1_000
ROWS_BETWEEN_PROGRESS: Final = 500

OUTSIDE_STATE: Final = "outside-state"
GONE_BEFORE: Final = "somebody deleted this clinic from the directory or merged it; left so"

Reading = Mapped | PassedOver | Unreadable


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is new or says something new, checked and placed."""

    mapped: Mapped
    digest: bytes
    body: ClinicWrite
    point: Point | None


class Loader:
    """Loads the rows of one file into one directory and keeps the account of it.

    `columns` names the file's columns for the paths of a profile; `prefix_of` gives what the keys
    of a row's source begin with.
    """

    def __init__(
        self,
        database: Pool,
        *,
        clock: Clock,
        places: Places,
        codes: Codes,
        report: ImportReport,
        columns: Mapping[str, str],
        prefix_of: Callable[[str], str],
        options: ImportOptions,
    ) -> None:
        self._database = database
        self._clock = clock
        self._places = places
        self._codes = codes
        self._report = report
        self._columns = columns
        self._prefix_of = prefix_of
        self._options = options
        self._lines: dict[str, int] = {}
        self._known: dict[str, ImportedRow] = {}
        self._missing: set[str] = set()
        self._prefixes: set[str] = set()

    async def load(self, rows: Iterable[Reading], progress: Callable[[int], None]) -> None:
        """Raises what the database raises; what was committed until then stays."""
        async for batch in self._batches(rows, progress):
            ready = await self._ready(batch)
            if ready:
                await self._write(ready)
            progress(self._report.read)
        self._report.gone = await self._gone()
        self._report.refused.sort(key=lambda note: note.line)
        self._report.doubts.sort(key=lambda note: note.line)

    async def _batches(
        self, rows: Iterable[Reading], progress: Callable[[int], None]
    ) -> AsyncIterator[list[Mapped]]:
        """The rows that can be loaded, and the account of the others."""
        report = self._report
        batch: list[Mapped] = []
        for row in rows:
            report.read += 1
            if report.read % ROWS_BETWEEN_PROGRESS == 0:
                progress(report.read)
            match row:
                case Unreadable():
                    report.refuse(row.line, row.reason)
                case PassedOver():
                    report.passed_over += 1
                    if row.key is not None:
                        await self._is_there(row.key)
                case Mapped():
                    await self._is_there(row.key)
                    earlier = self._lines.setdefault(row.key, row.line)
                    if earlier != row.line:
                        report.refuse(row.line, f"is the same clinic as line {earlier}")
                        continue
                    batch.append(row)
            if len(batch) == self._options.rows_a_transaction:
                yield batch
                batch = []
        yield batch

    async def _is_there(self, key: str) -> None:
        """Take a clinic off the list of those that the source no longer has."""
        prefix = self._prefix_of(key)
        if prefix not in self._prefixes:
            self._prefixes.add(prefix)
            async with self._database.acquire() as conn:
                for row in await imported_clinics(conn, prefix):
                    self._known[row.import_key] = row
                    if row.status is ClinicStatus.ACTIVE:
                        self._missing.add(row.import_key)
        self._missing.discard(key)

    async def _gone(self) -> list[str]:
        ids = [self._known[key].id for key in self._missing]
        slugs: list[str] = []
        async with self._database.acquire() as conn:
            for part in parts(ids):
                slugs += [row.slug for row in await find_clinics(conn, ids=part)]
        return sorted(slugs)

    async def _ready(self, batch: Sequence[Mapped]) -> list[Ready]:
        """Those of the rows that say something new. No transaction is open: points may come from
        the network."""
        now = self._clock.now()
        ready: list[Ready] = []
        for row in batch:
            for doubt in row.doubts:
                self._report.doubt(row.line, doubt)
            digest = row.digest()
            known = self._known.get(row.key)
            if known is not None:
                if known.status is not ClinicStatus.ACTIVE:
                    self._report.doubt(row.line, GONE_BEFORE)
                if known.status is not ClinicStatus.ACTIVE or known.import_hash == digest:
                    self._report.unchanged += 1
                    continue
            try:
                body = self._checked(row, now)
                point = await self._point(row, body)
            except Problem as problem:
                self._report.refuse(row.line, self._reason(problem, row.profile))
                continue
            ready.append(Ready(mapped=row, digest=digest, body=body, point=point))
        return ready

    def _checked(self, row: Mapped, now: datetime) -> ClinicWrite:
        """The profile in its stored form, without the contacts that cannot be right."""
        try:
            return checked(row.profile, self._codes, now)
        except InvalidBody as invalid:
            wrong = contacts_at_fault({error.pointer or "" for error in invalid.errors})
            if not wrong:
                raise
        for field in sorted(wrong):
            self._report.doubt(row.line, left_out(named_column(field, self._columns), field))
        without = msgspec.structs.replace(row.profile, **dict.fromkeys(wrong))
        return checked(without, self._codes, now)

    async def _point(self, row: Mapped, body: ClinicWrite) -> Point | None:
        """The given point if nothing speaks against it; else that of the address, flagged."""
        address, location = body.address, body.location
        if location is None:
            return await found_point(self._places, address)
        given = given_point(self._places, address, location.lat, location.lon)
        flags = list(given.flags)
        if not flags and address.postal_code is None:
            state = self._places.state_at(location.lat, location.lon)
            if state != address.state:
                flags.append(OUTSIDE_STATE)
        if not flags:
            return given
        where = named_column("location.lat", self._columns)
        self._report.doubt(
            row.line, f"{where}: does not fit the address ({', '.join(flags)}); the address counts"
        )
        found = await found_point(self._places, address)
        return found and msgspec.structs.replace(found, flags=(*flags, *found.flags))

    async def _write(self, ready: Sequence[Ready]) -> None:
        actor = f"import:{self._report.kind}"
        account = ImportReport(kind=self._report.kind)
        async with locked_step(self._database, self._clock, actor) as step:
            for part in parts(ready):
                await self._write_part(step, part, account)
        # Counted once it is committed, and not before.
        self._report.add(account)

    async def _write_part(self, step: Step, ready: Sequence[Ready], account: ImportReport) -> None:
        known = {
            stored.row.import_key: stored
            for stored in await load(step.conn, import_keys=[row.mapped.key for row in ready])
        }
        items: list[PreparedClinic] = []
        for row in ready:
            existing = known.get(row.mapped.key)
            # Somebody may have been here since the row was compared, before the lock was held.
            if existing is not None and existing.row.status is not ClinicStatus.ACTIVE:
                account.doubt(row.mapped.line, GONE_BEFORE)
                account.unchanged += 1
            elif existing is not None and existing.row.import_hash == row.digest:
                account.unchanged += 1
            else:
                try:
                    items.append(self._item(step, row, existing, account))
                except Refused as refused:
                    account.refuse(row.mapped.line, str(refused))
        for written in await write_batch(step, items):
            match written.outcome:
                case Outcome.CREATED:
                    account.created += 1
                case Outcome.CHANGED:
                    account.changed += 1
                case Outcome.UNCHANGED:
                    account.unchanged += 1

    def _item(
        self, step: Step, row: Ready, existing: Stored | None, account: ImportReport
    ) -> PreparedClinic:
        """Raises `Refused` when what a person verified and what the row says break a rule
        together."""
        body, point, before = row.body, row.point, {}
        if existing is not None:
            body, kept = keeping_verified(body, existing.row, existing.offerings)
            before = read_provenance(existing.row.provenance)
            if kept:
                try:
                    body = checked(body, self._codes, step.now)
                except Problem as problem:
                    raise Refused(
                        "together with the fields that a person verified: "
                        + self._reason(problem, body)
                    ) from None
                account.keep(row.mapped.line, row.mapped.key, kept)
            if "location" in verified_fields(existing.row) or "address" in kept:
                point = stored_point(existing.row)
        body, provenance = stated_by_source(before, body, step.now, self._options.claim_days)
        return PreparedClinic(
            body=body,
            point=point,
            provenance=provenance,
            existing=existing,
            import_key=row.mapped.key,
            import_hash=row.digest,
        )

    def _reason(self, problem: Problem, profile: ClinicWrite) -> str:
        fields = msgspec.to_builtins(profile)
        found = [
            f"{self._column(pointer)}: {error.message}"
            + place_in_cell(pointer.strip("/").split("/"), fields)
            for error in problem.errors
            for pointer in [error.pointer or ""]
        ]
        return "; ".join(dict.fromkeys(found)) or problem.detail

    def _column(self, pointer: str) -> str:
        path = ".".join(part for part in pointer.split("/") if part and not part.isdigit())
        return named_column(path, self._columns)


def parts(items: Sequence[T]) -> Iterable[Sequence[T]]:
    """The items by as many as one statement takes."""
    return (
        items[start : start + ROWS_A_STATEMENT] for start in range(0, len(items), ROWS_A_STATEMENT)
    )
