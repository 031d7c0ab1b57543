"""How clinics have answered: measured from what happened to their offers, and shown in their
profiles, where matching reads it, too."""

from __future__ import annotations

from collections import Counter
from typing import Final
from uuid import UUID

import msgspec

from api.clock import Clock
from api.directory.composing import PreparedClinic, Stored
from api.directory.points import stored_point
from api.directory.profile import read_provenance, written
from api.directory.schemas import Responsiveness
from api.directory.step import locked_step
from api.directory.writing import Outcome, load, write_batch
from db.pool import Pool
from db.queries.responsiveness import answers_of, clinics_to_measure
from db.states import ClinicStatus
from db.work_rows import AnswersRow

ACTOR: Final = "service:responsiveness"
EVERY_SECONDS: Final = 3600.0
"""A profile changes for this no more often, however many answers a clinic gives."""
SHOWN_FROM: Final = 5
"""Answers; fewer would tell of single referrals."""
BATCH: Final = 200


def measured(row: AnswersRow) -> Responsiveness | None:
    """None while there are too few answers. Pure.

    Hours to a tenth and the share to a hundredth: finer is not known, and would change with every
    answer. A clinic that has only asked so far has decided nothing, and accepted no share of it.
    """
    if row.answers < SHOWN_FROM:
        return None
    decided = row.accepted + row.declined
    return Responsiveness(
        answers=row.answers,
        median_hours=round(row.median_seconds / 3600, 1),
        acceptance=round(row.accepted / decided, 2) if decided else None,
        decline_reasons=dict(Counter(row.reasons)),
    )


async def measure_all(worker: Pool, service: Pool, clock: Clock) -> int:
    """Measure every clinic that has answered lately; how many profiles changed.

    `worker` sees the offers of all clinics, `service` writes the directory. Its lock is taken for
    a batch at a time, and only where something has changed.
    """
    changed = 0
    after: UUID | None = None
    while True:
        async with worker.transaction(readonly=True) as conn:
            clinics = await clinics_to_measure(conn, after, BATCH)
            rows = await answers_of(conn, clinics)
        if not clinics:
            return changed
        after = clinics[-1]
        shown: dict[UUID, str | None] = dict.fromkeys(clinics)
        shown |= {row.clinic_id: _text(measured(row)) for row in rows}
        async with service.acquire() as conn:
            stored = await load(conn, ids=clinics)
        stale = [each.row.id for each in stored if not _same(each, shown[each.row.id])]
        if stale:
            changed += await _write(service, clock, {each: shown[each] for each in stale})


async def _write(service: Pool, clock: Clock, shown: dict[UUID, str | None]) -> int:
    async with locked_step(service, clock, ACTOR) as step:
        stored = await load(step.conn, ids=list(shown))
        results = await write_batch(
            step,
            [
                PreparedClinic(
                    body=written(each.row, each.offerings),
                    point=stored_point(each.row),
                    provenance=read_provenance(each.row.provenance),
                    existing=each,
                    responsiveness=shown[each.row.id],
                )
                for each in stored
                if each.row.status is ClinicStatus.ACTIVE
            ],
        )
    return sum(each.outcome is Outcome.CHANGED for each in results)


def _text(shown: Responsiveness | None) -> str | None:
    return None if shown is None else msgspec.json.encode(shown).decode()


def _same(stored: Stored, shown: str | None) -> bool:
    before = stored.row.responsiveness
    if before is None or shown is None:
        return before is shown
    decoded: list[object] = [msgspec.json.decode(each) for each in (before, shown)]
    return decoded[0] == decoded[1]
