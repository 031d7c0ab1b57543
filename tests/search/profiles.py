"""Public profiles for tests of the index, made without a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from api.directory.catalogue import Catalogue
from api.directory.schemas import (
    Address,
    AgeRange,
    ClinicProfile,
    Hours,
    Location,
    MedicalDirector,
    Offering,
    Registration,
    Source,
)
from db.rows import CatalogueRow
from db.states import Accepting, Drug, PointPrecision, Route, Setting
from seeds.catalogue.load import entries, load_catalogue

MOMENT = datetime(2026, 11, 22, 12, tzinfo=UTC)


def shipped_catalogue() -> Catalogue:
    return Catalogue(
        CatalogueRow(kind=kind, code=code, document=document.decode())
        for kind, code, document in entries(load_catalogue())
    )


def offering(
    route: Route = Route.IV,
    setting: Setting = Setting.CLINIC,
    conditions: tuple[str, ...] = (),
    coverage: tuple[str, ...] = (),
) -> Offering:
    return Offering(
        drug=Drug.KETAMINE,
        route=route,
        setting=setting,
        conditions=list(conditions),
        coverage=list(coverage),
        protocol=None,
        price=None,
    )


def profile(
    number: int,
    lat: float | None = None,
    lon: float | None = None,
    *,
    name: str = "",
    offerings: tuple[Offering, ...] = (),
    director: str | None = None,
    registration: str | None = None,
    hours: tuple[Hours, ...] = (),
    **fields: Any,
) -> ClinicProfile:
    """The profile of clinic `number`; what is not given is unknown."""
    defaults: dict[str, Any] = {
        "organization": None, "city": "Phoenix", "state": "US-AZ", "postal_code": None,
        "country": "US", "phone": None, "website": None, "accepting": Accepting.UNKNOWN,
        "wait_days": None, "payers": [], "languages": [], "telehealth": None, "verified_at": None,
        "time_zone": "America/Phoenix",
    }  # fmt: skip
    known = defaults | fields
    location = None
    if lat is not None and lon is not None:
        location = Location(
            lat=lat, lon=lon, source="given", precision=PointPrecision.EXACT,
            uncertainty_m=None, flags=[],
        )  # fmt: skip
    medical_director = None
    if director is not None:
        known_as = None if registration is None else Registration(system="npi", value=registration)
        medical_director = MedicalDirector(
            name=director, credential=None, specialty=None, registration=known_as
        )
    return ClinicProfile(
        id=UUID(int=number),
        slug=f"clinic-{number}",
        name=name or f"Clinic {number}",
        lat=lat,
        lon=lon,
        precision=None if lat is None else PointPrecision.EXACT,
        uncertainty_m=None,
        routes=sorted({o.route for o in offerings}),
        settings=sorted({o.setting for o in offerings}),
        conditions=sorted({code for o in offerings for code in o.conditions}),
        source_name="Test",
        address=Address(
            line1=None, line2=None, city=known["city"], state=known["state"],
            postal_code=known["postal_code"], country=known["country"],
        ),
        location=location,
        email=None,
        medical_director=medical_director,
        offerings=list(offerings),
        weekly_capacity=None,
        age=AgeRange(min=None, max=None),
        assesses=[],
        hours=list(hours),
        rems_certified=None,
        programmes=[],
        responsiveness=None,
        source=Source(name="Test", url=None, retrieved_on=None, licence=None),
        unverified=[],
        provenance={},
        version=1,
        created_at=MOMENT,
        updated_at=MOMENT,
        **known,
    )  # fmt: skip


def encoded(clinic: ClinicProfile) -> bytes:
    return msgspec.json.encode(clinic)
