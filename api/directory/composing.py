"""A checked profile as the rows that the database keeps of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from api.directory.points import ADDRESS_NOT_FOUND, Point
from api.directory.profile import Provenance
from api.directory.schemas import (
    AgeWrite,
    ClinicWrite,
    DirectorWrite,
    OfferingWrite,
    ProtocolWrite,
)
from db.rows import ClinicRow, OfferingRow, OrganizationRow
from db.states import ClinicStatus

Text = TypeVar("Text", str, str | None)

_NO_DIRECTOR: Final = DirectorWrite(name="")
_NO_PROTOCOL: Final = ProtocolWrite()
_ANY_AGE: Final = AgeWrite()


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic as the database holds it."""

    row: ClinicRow
    offerings: tuple[OfferingRow, ...]


class PreparedClinic(msgspec.Struct, frozen=True, kw_only=True):
    """A profile that was checked (`checking.checked`) and placed (`points`), ready to be written.

    `existing` is the active clinic that it replaces, read in the same step; None makes a new one.
    Without an import key or hash the ones that the clinic has are kept.
    """

    body: ClinicWrite
    point: Point | None
    provenance: Provenance
    existing: Stored | None = None
    import_key: str | None = None
    import_hash: bytes | None = None
    responsiveness: str | UnsetType | None = UNSET
    """What was measured, as JSON text. Left unset, what the clinic has is kept."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What stays of a clinic when all of its profile is written anew."""

    id: UUID
    slug: str
    version: int
    change_seq: int
    created_at: datetime
    updated_at: datetime


def identity_of(row: ClinicRow) -> Identity:
    return Identity(
        id=row.id,
        slug=row.slug,
        version=row.version,
        change_seq=row.change_seq,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def composed(
    item: PreparedClinic,
    identity: Identity,
    organization: OrganizationRow | None,
    new_id: Callable[[], UUID],
) -> Stored:
    """The rows of an active clinic with that profile; its offerings get new ids."""
    return Stored(
        row=_clinic_row(item, identity, organization),
        offerings=_offering_rows(item.body.offerings, identity.id, new_id),
    )


def same_content(one: Stored, other: Stored) -> bool:
    """Whether they are equal but for what every write makes new."""
    return (
        replace(
            other.row,
            version=one.row.version,
            change_seq=one.row.change_seq,
            updated_at=one.row.updated_at,
            # PostgreSQL spells a jsonb document its own way.
            hours=_same_json(one.row.hours, other.row.hours),
            provenance=_same_json(one.row.provenance, other.row.provenance),
            responsiveness=_same_json(one.row.responsiveness, other.row.responsiveness),
        )
        == one.row
        and len(one.offerings) == len(other.offerings)
        and all(
            replace(second, id=first.id) == first
            for first, second in zip(one.offerings, other.offerings, strict=True)
        )
    )


def _same_json(one: Text, other: Text) -> Text:
    if one is None or other is None:
        return other
    return one if msgspec.json.decode(one) == msgspec.json.decode(other) else other


def _clinic_row(
    item: PreparedClinic, identity: Identity, organization: OrganizationRow | None
) -> ClinicRow:
    body, point = item.body, item.point
    director = body.medical_director or _NO_DIRECTOR
    registration = director.registration
    age = body.age or _ANY_AGE
    before = item.existing.row if item.existing else None
    return ClinicRow(
        id=identity.id,
        slug=identity.slug,
        status=ClinicStatus.ACTIVE,
        merged_into=None,
        version=identity.version,
        change_seq=identity.change_seq,
        name=body.name,
        organization_id=organization.id if organization else None,
        organization_name=organization.name if organization else None,
        line1=body.address.line1,
        line2=body.address.line2,
        city=body.address.city,
        state=body.address.state,
        postal_code=body.address.postal_code,
        country=body.address.country,
        lat=point.lat if point else None,
        lon=point.lon if point else None,
        point_source=point.source if point else None,
        point_precision=point.precision if point else None,
        uncertainty_m=point.uncertainty_m if point else None,
        point_flags=list(point.flags) if point else [ADDRESS_NOT_FOUND],
        time_zone=point.time_zone if point else None,
        phone=body.phone,
        email=body.email,
        website=body.website,
        director_name=director.name or None,
        director_credential=director.credential,
        director_specialty=director.specialty,
        director_registration_system=registration.system if registration else None,
        director_registration_value=registration.value if registration else None,
        accepting=body.accepting,
        wait_days=body.wait_days,
        weekly_capacity=body.weekly_capacity,
        payers=body.payers,
        languages=body.languages,
        age_min=age.min,
        age_max=age.max,
        assesses=body.assesses,
        telehealth=body.telehealth,
        rems_certified=body.rems_certified,
        hours=msgspec.json.encode(body.hours).decode(),
        programmes=body.programmes,
        source_name=body.source.name,
        source_url=body.source.url,
        source_retrieved_on=body.source.retrieved_on,
        source_licence=body.source.licence,
        unverified=body.unverified,
        provenance=msgspec.json.encode(item.provenance).decode(),
        responsiveness=_responsiveness(item),
        verified_at=body.verified_at,
        import_key=item.import_key or (before.import_key if before else None),
        import_hash=item.import_hash or (before.import_hash if before else None),
        created_at=identity.created_at,
        updated_at=identity.updated_at,
    )


def _responsiveness(item: PreparedClinic) -> str | None:
    if isinstance(item.responsiveness, UnsetType):
        return item.existing.row.responsiveness if item.existing else None
    return item.responsiveness


def _offering_rows(
    offerings: Sequence[OfferingWrite], clinic_id: UUID, new_id: Callable[[], UUID]
) -> tuple[OfferingRow, ...]:
    return tuple(
        _offering_row(offering, position, clinic_id, new_id())
        for position, offering in enumerate(offerings)
    )


def _offering_row(
    offering: OfferingWrite, position: int, clinic_id: UUID, offering_id: UUID
) -> OfferingRow:
    protocol, price = offering.protocol or _NO_PROTOCOL, offering.price
    return OfferingRow(
        id=offering_id,
        clinic_id=clinic_id,
        position=position,
        drug=offering.drug,
        route=offering.route,
        setting=offering.setting,
        conditions=offering.conditions,
        coverage=offering.coverage,
        initial_sessions=protocol.initial_sessions,
        initial_days=protocol.initial_days,
        session_minutes=protocol.session_minutes,
        monitoring_minutes=protocol.monitoring_minutes,
        maintenance_days=protocol.maintenance_days,
        price_amount=Decimal(price.amount) if price else None,
        price_currency=price.currency if price else None,
        price_per=price.per if price else None,
    )
