"""Who stands behind each field of a profile, and until when. Pure.

A profile's fields stand on the record's own source unless its provenance says otherwise. What a
person wrote stands on that person; what changes from week to week stands only for some weeks.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

import msgspec

from api.directory.profile import Provenance, read_provenance, written
from api.directory.schemas import ClinicWrite, FieldProvenance
from db.rows import ClinicRow, OfferingRow
from db.states import Accepting

OPERATOR: Final = "operator"
CLINIC: Final = "clinic"
PEOPLE: Final = frozenset({OPERATOR, CLINIC})

CLAIMS: Final[Mapping[str, object]] = {
    "accepting": Accepting.UNKNOWN,
    "wait_days": None,
    "weekly_capacity": None,
}
"""The fields that are true for a while only, each with what it says once nobody knows."""

FIELDS: Final = tuple(
    name for name in ClinicWrite.__struct_fields__ if name not in ("source", "verified_at")
)
"""The fields of a profile that say something of the clinic, and not of the record."""


def stated_by(
    before: Provenance, body: ClinicWrite, fields: Set[str], by: str, now: datetime, days: int
) -> Provenance:
    """Provenance after somebody (`OPERATOR` or `CLINIC`) wrote those fields of the profile.

    A claim stands for `days` from now; one that was withdrawn has no provenance.
    """
    after = dict(before)
    for name in fields:
        if name in CLAIMS and getattr(body, name) == CLAIMS[name]:
            after.pop(name, None)
        else:
            after[name] = FieldProvenance(
                source=by,
                verified_at=now,
                expires_at=now + timedelta(days=days) if name in CLAIMS else None,
            )
    return _in_order(after)


def stated_by_source(
    before: Provenance, body: ClinicWrite, now: datetime, days: int
) -> tuple[ClinicWrite, Provenance]:
    """The same for a list that is imported: its claims count from the day it was fetched.

    A claim that would have run out by now is left out of the profile. Claims of a person, in
    `before`, stay what they are.
    """
    body = msgspec.structs.replace(body)
    after = dict(before)
    since = _start_of(body.source.retrieved_on) or now
    until = since + timedelta(days=days)
    for name, unknown in CLAIMS.items():
        if name in before and before[name].source in PEOPLE:
            continue
        after.pop(name, None)
        if getattr(body, name) == unknown:
            continue
        if until <= now:
            setattr(body, name, unknown)
        else:
            after[name] = FieldProvenance(source=body.source.name, expires_at=until)
    return body, _in_order(after)


def _start_of(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def verified_fields(row: ClinicRow) -> set[str]:
    """The fields that a person has verified: an import must leave them alone.

    A profile that was verified as a whole has verified every field that it fills.
    """
    found = {
        name
        for name, stands in read_provenance(row.provenance).items()
        if stands.source in PEOPLE and stands.verified_at is not None
    }
    if row.verified_at is not None:
        filled = written(row, ())
        found |= {name for name in FIELDS if getattr(filled, name) not in _EMPTY}
        found.add("offerings")
        if row.lat is not None:
            found.add("location")
    return found


_EMPTY: Final[tuple[object, ...]] = (None, [], Accepting.UNKNOWN)


def keeping_verified(
    body: ClinicWrite, row: ClinicRow, offerings: tuple[OfferingRow, ...]
) -> tuple[ClinicWrite, tuple[str, ...]]:
    """What a list says of a clinic, with what a person has verified put in its place.

    Gives the profile and the names of the fields in which the list says something else.
    """
    stored = written(row, offerings)
    fields = sorted(verified_fields(row) - {"location"})
    kept = tuple(name for name in fields if getattr(stored, name) != getattr(body, name))
    verified_at = stored.verified_at if stored.verified_at is not None else body.verified_at
    return (
        msgspec.structs.replace(
            body, verified_at=verified_at, **{name: getattr(stored, name) for name in fields}
        ),
        kept,
    )


def changed_fields(before: ClinicWrite, after: ClinicWrite) -> set[str]:
    return {name for name in FIELDS if getattr(before, name) != getattr(after, name)}


def _in_order(provenance: Provenance) -> Provenance:
    """One order for one content: the stored text is compared."""
    return {name: provenance[name] for name in FIELDS if name in provenance}
