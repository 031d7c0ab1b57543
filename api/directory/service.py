"""Creating, replacing, amending and deleting profiles. Transactions are opened by the routes."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from api.directory.checking import Codes, checked
from api.directory.composing import PreparedClinic, Stored
from api.directory.errors import ClinicMerged, NoSuchClinic
from api.directory.points import Places, Point, point_of, stored_point
from api.directory.profile import GIVEN, Provenance, etag, read_provenance, written
from api.directory.provenance import CLAIMS, CLINIC, FIELDS, changed_fields, stated_by
from api.directory.schemas import AddressWrite, ClinicPatch, ClinicWrite, LocationWrite
from api.directory.step import Step
from api.directory.versions import Expected, stale
from api.directory.writing import append_tombstone, load, write_batch
from api.errors import Forbidden
from db.connection import Connection
from db.rows import ClinicRow
from db.states import ClinicStatus


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes: `provenance.OPERATOR` or `CLINIC`, and for how many days their claims stand."""

    source: str
    claim_days: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A checked profile with the fields that its author stands behind."""

    body: ClinicWrite
    fields: frozenset[str]
    needs_point: bool
    """Whether the point is found or checked anew; else the stored one still holds."""


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """The point for an address, found before the transaction."""

    address: AddressWrite
    location: LocationWrite | None
    point: Point | None


class Edit(Protocol):
    """What is to become of a profile. Pure: it is asked before the transaction and inside it."""

    def __call__(self, stored: Stored, now: datetime) -> Draft: ...


async def current(conn: Connection, clinic_id: UUID, pointer: str | None = None) -> Stored:
    """An active clinic. Raises NoSuchClinic, or ClinicMerged (with `pointer` into the body)."""
    found = await load(conn, ids=[clinic_id])
    if not found or found[0].row.status is ClinicStatus.DELETED:
        raise NoSuchClinic
    if found[0].row.merged_into is not None:
        raise ClinicMerged(found[0].row.merged_into, pointer)
    return found[0]


def drafted(body: ClinicWrite, codes: Codes, now: datetime) -> Draft:
    """A new profile. Raises InvalidBody, RuleViolation.

    Its fields stand on its own source; only claims need somebody who makes them.
    """
    body = checked(body, codes, now)
    return Draft(body=body, fields=_claims_in(body), needs_point=True)


def replacing(body: ClinicWrite, codes: Codes, author: Author) -> Edit:
    """A whole new profile for a clinic. Without `location`, or with the found point that was read,
    the stored point stays for as long as the address does. A clinic that states its whole profile
    has verified it."""

    def edit(stored: Stored, now: datetime) -> Draft:
        before = written(stored.row, stored.offerings)
        after = checked(body, codes, now)
        if _is_found_point(body.location, stored.row):
            after = replace(after, location=None)
        if author.source == CLINIC and after.verified_at is None:
            after = replace(after, verified_at=now)
        _refuse_foreign(author, before, after)
        keeps = (
            after.address == before.address
            and stored.row.lat is not None
            and after.location in (None, before.location)
        )
        if keeps:
            after = replace(after, location=before.location)
        fields = changed_fields(before, after) | _claims_in(after)
        return Draft(body=after, fields=frozenset(fields), needs_point=not keeps)

    return edit


def amending(patch: ClinicPatch, codes: Codes, author: Author) -> Edit:
    """Some fields of a profile; what is sent is stood behind even where it says the same.

    With a new address and no location the point is found anew. A found point that is sent as it
    was read counts as none.
    """
    everything = {
        name: value
        for name in ClinicPatch.__struct_fields__
        if (value := getattr(patch, name)) is not UNSET
    }

    def edit(stored: Stored, now: datetime) -> Draft:
        sent = dict(everything)
        if _is_found_point(sent.get("location"), stored.row):
            del sent["location"]
        before = written(stored.row, stored.offerings)
        after = checked(replace(before, **sent), codes, now, sent.keys())
        _refuse_foreign(author, before, after)
        needs_point = "location" in sent or after.address != before.address
        if needs_point and "location" not in sent:
            after = replace(after, location=None)
        if "unverified" not in sent:
            # Somebody stands behind these now.
            after = replace(after, unverified=[n for n in after.unverified if n not in sent])
        return Draft(body=after, fields=frozenset(sent) & set(FIELDS), needs_point=needs_point)

    return edit


def _is_found_point(location: object, row: ClinicRow) -> bool:
    """Whether it only repeats the point that was computed: nobody says that the clinic is there."""
    return (
        isinstance(location, LocationWrite)
        and row.point_source != GIVEN
        and (location.lat, location.lon) == (row.lat, row.lon)
    )


def _claims_in(body: ClinicWrite) -> frozenset[str]:
    return frozenset(name for name, unknown in CLAIMS.items() if getattr(body, name) != unknown)


def _refuse_foreign(author: Author, before: ClinicWrite, after: ClinicWrite) -> None:
    if author.source == CLINIC and after.source != before.source:
        raise Forbidden("Only a key with the scope directory:write may change 'source'.")


async def place(places: Places, draft: Draft) -> Placed | None:
    """The point that a draft needs, if it needs one. Raises InvalidBody. May ask over the network,
    so no transaction is open."""
    if not draft.needs_point:
        return None
    body = draft.body
    point = await point_of(places, body.address, body.location)
    return Placed(address=body.address, location=body.location, point=point)


async def create(step: Step, draft: Draft, placed: Placed | None, author: Author) -> Stored:
    point = placed.point if placed else None
    item = PreparedClinic(
        body=draft.body, point=point, provenance=_provenance({}, draft, point, author, step.now)
    )
    return (await write_batch(step, [item]))[0].stored


async def change(
    step: Step,
    clinic_id: UUID,
    expected: Expected,
    edit: Edit,
    placed: Placed | None,
    author: Author,
) -> Stored:
    """Apply an edit to the clinic as it is under the lock.

    Raises NoSuchClinic, ClinicMerged, PreconditionFailed, and what the edit raises.
    """
    stored = await current(step.conn, clinic_id)
    expected.require(etag(stored.row.version))
    draft = edit(stored, step.now)
    point = _point_for(draft, stored, placed)
    before = read_provenance(stored.row.provenance)
    item = PreparedClinic(
        body=draft.body,
        point=point,
        provenance=_provenance(before, draft, point, author, step.now),
        existing=stored,
    )
    return (await write_batch(step, [item]))[0].stored


async def delete(step: Step, clinic_id: UUID, expected: Expected) -> None:
    """Leave a tombstone. The slug stays taken: links to it must not lead to another clinic.

    Raises NoSuchClinic, ClinicMerged, PreconditionFailed.
    """
    stored = await current(step.conn, clinic_id)
    expected.require(etag(stored.row.version))
    await append_tombstone(step, replace(stored.row, status=ClinicStatus.DELETED))


def _point_for(draft: Draft, stored: Stored, placed: Placed | None) -> Point | None:
    if not draft.needs_point:
        return stored_point(stored.row)
    body = draft.body
    if placed is None or (placed.address, placed.location) != (body.address, body.location):
        # Written with If-Match: * while somebody else moved the clinic.
        raise stale()
    return placed.point


def _provenance(
    before: Provenance, draft: Draft, point: Point | None, author: Author, now: datetime
) -> Provenance:
    after = stated_by(before, draft.body, draft.fields, author.source, now, author.claim_days)
    if point is None or point.source != GIVEN:
        # Nobody stands behind a point that was computed.
        after.pop("location", None)
    return after
