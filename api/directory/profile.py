"""Between what is stored and what is served or written. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from api.directory.schemas import (
    Address,
    AddressWrite,
    AgeRange,
    AgeWrite,
    ClinicProfile,
    ClinicWrite,
    DirectorWrite,
    FieldProvenance,
    Hours,
    HoursWrite,
    Location,
    LocationWrite,
    MedicalDirector,
    Offering,
    OfferingWrite,
    Price,
    PriceWrite,
    Protocol,
    ProtocolWrite,
    Registration,
    RegistrationWrite,
    Responsiveness,
    Source,
    SourceWrite,
)
from db.rows import ClinicRow, OfferingRow
from db.states import DeclineReason, PointPrecision, Route, Setting

GIVEN = "given"
"""`point_source` of a point that came with the profile, not from its address."""

Provenance = dict[str, FieldProvenance]
Member = TypeVar("Member", Route, Setting)


def public_profile(row: ClinicRow, offerings: Sequence[OfferingRow]) -> ClinicProfile:
    """The profile as anybody may read it. `offerings` are the clinic's, in order."""
    return ClinicProfile(
        id=row.id,
        slug=row.slug,
        name=row.name,
        organization=row.organization_name,
        city=row.city,
        state=row.state,
        postal_code=row.postal_code,
        country=row.country,
        lat=row.lat,
        lon=row.lon,
        precision=row.point_precision,
        uncertainty_m=row.uncertainty_m,
        phone=row.phone,
        website=row.website,
        routes=_in_order_of(Route, {offering.route for offering in offerings}),
        settings=_in_order_of(Setting, {offering.setting for offering in offerings}),
        conditions=sorted({code for offering in offerings for code in offering.conditions}),
        accepting=row.accepting,
        wait_days=row.wait_days,
        payers=row.payers,
        languages=row.languages,
        telehealth=row.telehealth,
        verified_at=row.verified_at,
        source_name=row.source_name,
        address=Address(
            line1=row.line1,
            line2=row.line2,
            city=row.city,
            state=row.state,
            postal_code=row.postal_code,
            country=row.country,
        ),
        location=_location(row),
        time_zone=row.time_zone,
        email=row.email,
        medical_director=_director(row),
        offerings=[_offering(offering) for offering in offerings],
        weekly_capacity=row.weekly_capacity,
        age=AgeRange(min=row.age_min, max=row.age_max),
        assesses=row.assesses,
        hours=msgspec.json.decode(row.hours, type=list[Hours]),
        rems_certified=row.rems_certified,
        programmes=row.programmes,
        responsiveness=_responsiveness(row),
        source=Source(
            name=row.source_name,
            url=row.source_url,
            retrieved_on=row.source_retrieved_on,
            licence=row.source_licence,
        ),
        unverified=row.unverified,
        provenance=read_provenance(row.provenance),
        version=row.version,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def profile_json(row: ClinicRow, offerings: Sequence[OfferingRow]) -> str:
    """The bytes that are served, as the log keeps them."""
    return msgspec.json.encode(public_profile(row, offerings)).decode()


def etag(version: int) -> str:
    return f'"{version}"'


def read_provenance(text: str) -> Provenance:
    """In the order of the fields, since PostgreSQL keeps an order of its own."""
    found = msgspec.json.decode(text, type=Provenance)
    return {name: found[name] for name in ClinicWrite.__struct_fields__ if name in found}


def written(row: ClinicRow, offerings: Sequence[OfferingRow]) -> ClinicWrite:
    """The profile as its author would write it now: what a PATCH starts from."""
    return ClinicWrite(
        name=row.name,
        organization=row.organization_name,
        address=AddressWrite(
            line1=row.line1,
            line2=row.line2,
            city=row.city,
            state=row.state,
            postal_code=row.postal_code,
            country=row.country,
        ),
        location=(
            LocationWrite(lat=row.lat, lon=row.lon)
            if row.point_source == GIVEN and row.lat is not None and row.lon is not None
            else None
        ),
        phone=row.phone,
        email=row.email,
        website=row.website,
        medical_director=_written_director(row),
        offerings=[_written_offering(offering) for offering in offerings],
        accepting=row.accepting,
        wait_days=row.wait_days,
        weekly_capacity=row.weekly_capacity,
        payers=row.payers,
        languages=row.languages,
        age=(
            None
            if row.age_min is None and row.age_max is None
            else AgeWrite(min=row.age_min, max=row.age_max)
        ),
        assesses=row.assesses,
        hours=msgspec.json.decode(row.hours, type=list[HoursWrite]),
        telehealth=row.telehealth,
        rems_certified=row.rems_certified,
        programmes=row.programmes,
        source=SourceWrite(
            name=row.source_name,
            url=row.source_url,
            retrieved_on=row.source_retrieved_on,
            licence=row.source_licence,
        ),
        unverified=row.unverified,
        verified_at=row.verified_at,
    )


def _in_order_of(kind: type[Member], members: set[Member]) -> list[Member]:
    return [member for member in kind if member in members]


def _location(row: ClinicRow) -> Location | None:
    if row.lat is None or row.lon is None:
        return None
    return Location(
        lat=row.lat,
        lon=row.lon,
        source=row.point_source or GIVEN,
        precision=row.point_precision or PointPrecision.EXACT,
        uncertainty_m=row.uncertainty_m,
        flags=row.point_flags,
    )


def _responsiveness(row: ClinicRow) -> Responsiveness | None:
    """With the reasons in the order of their enum, since PostgreSQL keeps an order of its own."""
    if row.responsiveness is None:
        return None
    found = msgspec.json.decode(row.responsiveness, type=Responsiveness)
    reasons = {
        each: found.decline_reasons[each] for each in DeclineReason if each in found.decline_reasons
    }
    return msgspec.structs.replace(found, decline_reasons=reasons)


def _director(row: ClinicRow) -> MedicalDirector | None:
    if row.director_name is None:
        return None
    return MedicalDirector(
        name=row.director_name,
        credential=row.director_credential,
        specialty=row.director_specialty,
        registration=(
            None
            if row.director_registration_system is None or row.director_registration_value is None
            else Registration(
                system=row.director_registration_system, value=row.director_registration_value
            )
        ),
    )


def _written_director(row: ClinicRow) -> DirectorWrite | None:
    director = _director(row)
    if director is None:
        return None
    found = director.registration
    return DirectorWrite(
        name=director.name,
        credential=director.credential,
        specialty=director.specialty,
        registration=found and RegistrationWrite(system=found.system, value=found.value),
    )


def _protocol(row: OfferingRow) -> Protocol | None:
    protocol = Protocol(
        initial_sessions=row.initial_sessions,
        initial_days=row.initial_days,
        session_minutes=row.session_minutes,
        monitoring_minutes=row.monitoring_minutes,
        maintenance_days=row.maintenance_days,
    )
    return None if not any(_stated(protocol)) else protocol


def _stated(protocol: Protocol) -> list[bool]:
    return [value is not None for value in msgspec.structs.astuple(protocol)]


def _price(row: OfferingRow) -> Price | None:
    if row.price_amount is None or row.price_currency is None:
        return None
    return Price(
        amount=f"{row.price_amount:.2f}",
        currency=row.price_currency,
        per=row.price_per or "session",
    )


def _offering(row: OfferingRow) -> Offering:
    return Offering(
        drug=row.drug,
        route=row.route,
        setting=row.setting,
        conditions=row.conditions,
        coverage=row.coverage,
        protocol=_protocol(row),
        price=_price(row),
    )


def _written_offering(row: OfferingRow) -> OfferingWrite:
    protocol, price = _protocol(row), _price(row)
    return OfferingWrite(
        drug=row.drug,
        route=row.route,
        setting=row.setting,
        conditions=row.conditions,
        coverage=row.coverage,
        protocol=protocol and ProtocolWrite(**msgspec.structs.asdict(protocol)),
        price=price and PriceWrite(**msgspec.structs.asdict(price)),
    )
