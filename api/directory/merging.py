"""Joining a duplicate to the clinic that stays."""

from __future__ import annotations

from uuid import UUID

from msgspec.structs import replace

from api.directory.checking import Codes, checked
from api.directory.composing import PreparedClinic, Stored
from api.directory.errors import MergeIntoItself
from api.directory.points import Point, stored_point
from api.directory.profile import Provenance, etag, read_provenance, written
from api.directory.provenance import CLAIMS
from api.directory.schemas import (
    AddressWrite,
    ClinicWrite,
    FieldProvenance,
    OfferingWrite,
)
from api.directory.service import current
from api.directory.step import Step
from api.directory.versions import Expected
from api.directory.writing import append_tombstone, write_batch
from db.queries.clinics import point_redirects_to
from db.states import ClinicStatus, PointPrecision

FILLED = (
    "organization",
    "phone",
    "email",
    "website",
    "medical_director",
    "accepting",
    "wait_days",
    "weekly_capacity",
    "payers",
    "languages",
    "age",
    "assesses",
    "hours",
    "telehealth",
    "rems_certified",
    "programmes",
)
"""What the survivor takes from the duplicate where it says nothing itself. Its street is taken
too, when the two agree on town and postal code; offerings are united."""

_BEST_FIRST = tuple(PointPrecision)


async def merge(
    step: Step, duplicate_id: UUID, into: UUID, expected: Expected, codes: Codes
) -> Stored:
    """Make the duplicate a redirect to the survivor, and give the survivor as it is then.

    Writes one `upsert` for the survivor if it gains anything, then one `merge` for the duplicate,
    so that no version of the directory lacks what either of them said.
    Raises NoSuchClinic, ClinicMerged, MergeIntoItself, PreconditionFailed, RuleViolation.
    """
    duplicate = await current(step.conn, duplicate_id)
    expected.require(etag(duplicate.row.version))
    if into == duplicate_id:
        raise MergeIntoItself
    survivor = await current(step.conn, into, "/into")
    item = joined(survivor, duplicate)
    # Two profiles that each keep the rules can break one together.
    checked(item.body, codes, step.now, frozenset())
    survivor = (await write_batch(step, [item]))[0].stored
    # No redirect leads to another redirect.
    await point_redirects_to(step.conn, duplicate_id, into)
    await append_tombstone(
        step, replace(duplicate.row, status=ClinicStatus.MERGED, merged_into=into)
    )
    return survivor


def joined(survivor: Stored, duplicate: Stored) -> PreparedClinic:
    """The survivor with what it lacked. Pure."""
    body = written(survivor.row, survivor.offerings)
    other = written(duplicate.row, duplicate.offerings)
    filled = {
        name: getattr(other, name)
        for name in FILLED
        if _says_nothing(body, name) and not _says_nothing(other, name)
    }
    address = _with_street(body.address, other.address)
    if address != body.address:
        filled["address"] = address
    offerings = united(body.offerings, other.offerings)
    if offerings != body.offerings:
        filled["offerings"] = offerings
    doubtful = [n for n in other.unverified if n in filled and n not in body.unverified]
    return PreparedClinic(
        body=replace(body, unverified=[*body.unverified, *doubtful], **filled),
        point=_better_point(survivor, duplicate, same_address="address" in filled),
        provenance=_joined_provenance(survivor, duplicate, filled.keys() - {"offerings"}),
        existing=survivor,
    )


def _says_nothing(body: ClinicWrite, name: str) -> bool:
    value = getattr(body, name)
    return value == CLAIMS[name] if name in CLAIMS else value is None or value == []


def _with_street(kept: AddressWrite, other: AddressWrite) -> AddressWrite:
    same_town = (kept.city.casefold(), kept.state) == (other.city.casefold(), other.state)
    same_code = None in (kept.postal_code, other.postal_code) or (
        kept.postal_code == other.postal_code
    )
    if kept.line1 is not None or not same_town or not same_code:
        return kept
    return replace(
        kept,
        line1=other.line1,
        line2=other.line2,
        postal_code=kept.postal_code or other.postal_code,
    )


def _better_point(survivor: Stored, duplicate: Stored, *, same_address: bool) -> Point | None:
    kept, other = stored_point(survivor.row), stored_point(duplicate.row)
    if kept is None:
        return other
    if other is None or not same_address:
        return kept
    return min(kept, other, key=lambda point: _BEST_FIRST.index(point.precision))


def _joined_provenance(survivor: Stored, duplicate: Stored, filled: set[str]) -> Provenance:
    theirs = read_provenance(duplicate.row.provenance)
    source = FieldProvenance(source=duplicate.row.source_name)
    return read_provenance(survivor.row.provenance) | {
        name: theirs.get(name, source) for name in filled
    }


def united(kept: list[OfferingWrite], other: list[OfferingWrite]) -> list[OfferingWrite]:
    """The survivor's offerings, then the duplicate's own ones. Of two with one drug, route and
    setting the survivor's stays, with the conditions, areas and facts that it lacked."""
    matched = {_kind(offering) for offering in kept}
    more = {_kind(offering): offering for offering in reversed(other)}
    first_of = {_kind(offering): index for index, offering in reversed(list(enumerate(kept)))}
    return [
        _completed(offering, more[_kind(offering)])
        if _kind(offering) in more and first_of[_kind(offering)] == index
        else offering
        for index, offering in enumerate(kept)
    ] + [offering for offering in other if _kind(offering) not in matched]


def _kind(offering: OfferingWrite) -> tuple[str, str, str]:
    return offering.drug, offering.route, offering.setting


def _completed(kept: OfferingWrite, other: OfferingWrite) -> OfferingWrite:
    return replace(
        kept,
        conditions=list(dict.fromkeys([*kept.conditions, *other.conditions])),
        coverage=list(dict.fromkeys([*kept.coverage, *other.coverage])),
        # A protocol is one plan: half of one and half of another would be nobody's.
        protocol=kept.protocol or other.protocol,
        price=kept.price or other.price,
    )
