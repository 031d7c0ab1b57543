"""What became of a profile, change by change."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from api.directory.errors import NoSuchClinic
from api.directory.schemas import ClinicWrite
from api.directory.upkeep_schemas import HistoryEntry
from db.connection import Connection
from db.queries.changes import changes_of_clinic
from db.rows import ChangeRow

COMPARED = ("slug", *ClinicWrite.__struct_fields__, "time_zone", "provenance", "responsiveness")
"""The fields of a public profile, without those that only repeat a part of another one."""

_Profile = dict[str, msgspec.Raw]


async def history(
    conn: Connection, clinic_id: UUID, below: int | None, limit: int
) -> tuple[list[HistoryEntry], int | None]:
    """A page of the clinic's changes, newest first, and the number to go on below.

    Deleted and merged clinics keep their history. Raises NoSuchClinic.
    """
    # One more than asked for: what the last one on the page changed is seen against it.
    rows = await changes_of_clinic(conn, clinic_id, below, limit + 1)
    if not rows and below is None:
        raise NoSuchClinic
    entries = entries_of(rows)[:limit]
    return entries, (entries[-1].seq if len(rows) > limit else None)


def entries_of(rows: Sequence[ChangeRow]) -> list[HistoryEntry]:
    """One entry a row; rows are newest first, without gaps in the clinic's own sequence."""
    profiles = [_decoded(row.profile) for row in rows]
    before = [*profiles[1:], {}] if profiles else []
    return [
        HistoryEntry(
            seq=row.seq,
            kind=row.kind,
            at=row.at,
            actor=row.actor,
            merged_into=row.merged_into,
            fields=[] if row.profile is None else _changed(old, new),
        )
        for row, old, new in zip(rows, before, profiles, strict=True)
    ]


def _decoded(profile: str | None) -> _Profile:
    return {} if profile is None else msgspec.json.decode(profile, type=_Profile)


def _changed(old: _Profile, new: _Profile) -> list[str]:
    return [name for name in COMPARED if _value(old, name) != _value(new, name)]


def _value(profile: _Profile, name: str) -> object:
    raw = profile.get(name)
    value = None if raw is None else msgspec.json.decode(raw)
    return None if value in ([], {}, {"min": None, "max": None}) else value
