"""Checked profiles into the database, with their changes, in batches of any size.

`write_batch` and `append_tombstone` are the only places that write a clinic, so that every write
goes with exactly one change.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from uuid import UUID

import msgspec
from msgspec.structs import replace

from api.directory.composing import (
    Identity,
    PreparedClinic,
    Stored,
    composed,
    identity_of,
    same_content,
)
from api.directory.profile import profile_json
from api.directory.slugs import clinic_slug, free_slugs, organization_slug
from api.directory.step import Step
from db.connection import Connection
from db.queries.changes import append_changes, newest_change
from db.queries.clinics import (
    delete_offerings,
    find_clinics,
    insert_offerings,
    offerings_of_clinics,
    save_clinics,
    taken_slugs,
)
from db.queries.organizations import insert_organizations, organizations_by_slug
from db.rows import ClinicRow, OfferingRow, OrganizationRow
from db.states import ChangeKind, ClinicStatus


class Outcome(StrEnum):
    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one item, and the clinic as it is now."""

    outcome: Outcome
    stored: Stored


async def load(
    conn: Connection,
    *,
    ids: Sequence[UUID] | None = None,
    slugs: Sequence[str] | None = None,
    import_keys: Sequence[str] | None = None,
) -> list[Stored]:
    """Clinics of any status that meet every filter given, with their offerings."""
    rows = await find_clinics(conn, ids=ids, slugs=slugs, import_keys=import_keys)
    return await with_offerings(conn, rows)


async def with_offerings(conn: Connection, rows: Sequence[ClinicRow]) -> list[Stored]:
    offerings: dict[UUID, list[OfferingRow]] = {row.id: [] for row in rows}
    for offering in await offerings_of_clinics(conn, list(offerings)):
        offerings[offering.clinic_id].append(offering)
    return [Stored(row=row, offerings=tuple(offerings[row.id])) for row in rows]


async def write_batch(step: Step, items: Sequence[PreparedClinic]) -> list[Written]:
    """Write each profile that differs from what is stored, with one change each, in that order.

    The items are of different clinics; the result has one entry each. A thousand at a time go
    through in well under a second. Raises `AlreadyThere` when an import key is taken.
    """
    organizations = await _organizations(step, items)
    slugs = iter(await _slugs_for_new(step.conn, items))
    # The lock is held, so the numbers after the newest one are ours.
    seq = await newest_change(step.conn)
    results: list[Written] = []
    for item in items:
        name = item.body.organization
        organization = None if name is None else organizations[organization_slug(name)]
        existing = item.existing
        if existing is None:
            identity = Identity(
                id=step.new_id(),
                slug=next(slugs),
                version=1,
                change_seq=seq + 1,
                created_at=step.now,
                updated_at=step.now,
            )
            outcome, stored = Outcome.CREATED, composed(item, identity, organization, step.new_id)
        else:
            assert existing.row.status is ClinicStatus.ACTIVE, "only an active clinic changes"
            stored = composed(item, identity_of(existing.row), organization, step.new_id)
            if same_content(existing, stored):
                results.append(Written(outcome=Outcome.UNCHANGED, stored=existing))
                continue
            outcome, stored = Outcome.CHANGED, _next_version(stored, seq + 1, step)
        seq += 1
        results.append(Written(outcome=outcome, stored=stored))
    await _save(step, results)
    return results


async def append_tombstone(step: Step, row: ClinicRow) -> ClinicRow:
    """Save a row whose status says that the clinic is gone, with the change that says so."""
    kind = ChangeKind.MERGE if row.status is ClinicStatus.MERGED else ChangeKind.DELETE
    row = replace(
        row,
        version=row.version + 1,
        change_seq=await newest_change(step.conn) + 1,
        updated_at=step.now,
    )
    await save_clinics(step.conn, [row])
    step.newest = await append_changes(
        step.conn, [kind], [row.id], [row.merged_into], [None], step.now, step.actor
    )
    return row


def _next_version(stored: Stored, seq: int, step: Step) -> Stored:
    row = stored.row
    return replace(
        stored,
        row=replace(row, version=row.version + 1, change_seq=seq, updated_at=step.now),
    )


async def _save(step: Step, results: Sequence[Written]) -> None:
    fresh = [each.stored for each in results if each.outcome is not Outcome.UNCHANGED]
    if not fresh:
        return
    changed = [each.stored.row.id for each in results if each.outcome is Outcome.CHANGED]
    if changed:
        await delete_offerings(step.conn, changed)
    await save_clinics(step.conn, [stored.row for stored in fresh])
    await insert_offerings(
        step.conn, [offering for stored in fresh for offering in stored.offerings]
    )
    step.newest = await append_changes(
        step.conn,
        [ChangeKind.UPSERT] * len(fresh),
        [stored.row.id for stored in fresh],
        [None] * len(fresh),
        [profile_json(stored.row, stored.offerings) for stored in fresh],
        step.now,
        step.actor,
    )
    assert step.newest == fresh[-1].row.change_seq, "somebody writes to the log without the lock"


async def _organizations(step: Step, items: Sequence[PreparedClinic]) -> dict[str, OrganizationRow]:
    """The organizations that the profiles name, by slug; those that are new are made."""
    names: dict[str, str] = {}
    for item in items:
        if item.body.organization is not None:
            names.setdefault(organization_slug(item.body.organization), item.body.organization)
    if not names:
        return {}
    found = {row.slug: row for row in await organizations_by_slug(step.conn, list(names))}
    made = [
        OrganizationRow(id=step.new_id(), slug=slug, name=name)
        for slug, name in names.items()
        if slug not in found
    ]
    if made:
        await insert_organizations(step.conn, made, step.now)
    return found | {row.slug: row for row in made}


async def _slugs_for_new(conn: Connection, items: Sequence[PreparedClinic]) -> list[str]:
    bases = [
        clinic_slug(item.body.name, item.body.address.city, item.body.address.state)
        for item in items
        if item.existing is None
    ]
    return await free_slugs(bases, partial(taken_slugs, conn)) if bases else []
