"""Profiles that tests write. The clinics are made up, and say so by name and domain."""

from __future__ import annotations

import copy
from typing import Any
from uuid import UUID

import msgspec

from api.directory.composing import PreparedClinic, Stored
from api.directory.points import Point
from api.directory.schemas import ClinicWrite
from db.states import PointPrecision
from seeds.catalogue.load import entries, load_catalogue

PHOENIX = (33.51, -112.03)

# The profile of the contract, with every field filled.
FULL: dict[str, Any] = {
    "name": "Example Pain Clinic",
    "organization": "Example Pain Group",
    "address": {
        "line1": "100 Example Street",
        "line2": None,
        "city": "Phoenix",
        "state": "US-AZ",
        "postal_code": "85016",
        "country": "US",
    },
    "location": {"lat": 33.51, "lon": -112.03},
    "phone": "+16025550100",
    "email": "intake@clinic.example",
    "website": "https://clinic.example",
    "medical_director": {
        "name": "Example Physician",
        "credential": "MD",
        "specialty": "Pain medicine",
        "registration": {"system": "npi", "value": "1234567893"},
    },
    "offerings": [
        {
            "drug": "ketamine",
            "route": "iv",
            "setting": "clinic",
            "conditions": ["crps", "fibromyalgia"],
            "coverage": [],
            "protocol": {
                "initial_sessions": 6,
                "initial_days": 21,
                "session_minutes": 40,
                "monitoring_minutes": 30,
                "maintenance_days": 30,
            },
            "price": {"amount": "450.00", "currency": "USD", "per": "session"},
        }
    ],
    "accepting": "yes",
    "wait_days": 7,
    "weekly_capacity": 10,
    "payers": ["private_insurance", "medicare", "medicaid", "va", "self_pay", "nhs"],
    "languages": ["en", "es"],
    "age": {"min": 18, "max": None},
    "assesses": ["substance_use_history"],
    "hours": [{"days": ["mon", "tue"], "opens": "09:00", "closes": "17:00"}],
    "source": {
        "name": "Example source",
        "url": "https://source.example/list",
        "retrieved_on": "2026-11-22",
        "licence": "CC BY 4.0",
    },
    "verified_at": None,
}

SMALL: dict[str, Any] = {
    "name": "Example Infusions",
    "address": {"city": "Phoenix", "state": "US-AZ", "postal_code": "85016", "country": "US"},
    "source": {"name": "Example source"},
}


def body(base: dict[str, Any] = FULL, /, **changes: Any) -> dict[str, Any]:
    """A copy of a profile with other values at `a__b__0` (for /a/b/0)."""
    made = copy.deepcopy(base)
    for path, value in changes.items():
        place: Any = made
        *parents, last = path.split("__")
        for part in parents:
            place = place[int(part)] if part.isdigit() else place[part]
        place[last] = value
    return made


def clinic(base: dict[str, Any] = SMALL, /, **changes: Any) -> ClinicWrite:
    return msgspec.convert(body(base, **changes), ClinicWrite)


def point(lat: float = PHOENIX[0], lon: float = PHOENIX[1]) -> Point:
    return Point(
        lat=lat,
        lon=lon,
        source="given",
        precision=PointPrecision.EXACT,
        uncertainty_m=None,
        time_zone="America/Phoenix",
    )


def prepared(profile: ClinicWrite, existing: Stored | None = None) -> PreparedClinic:
    return PreparedClinic(body=profile, point=point(), provenance={}, existing=existing)


class ShippedCodes:
    """The shipped catalogues, straight from their files."""

    def __init__(self) -> None:
        self._codes: dict[str, set[str]] = {}
        for kind, code, _ in entries(load_catalogue()):
            self._codes.setdefault(kind, set()).add(code)

    def codes(self, kind: str) -> set[str]:
        return self._codes[kind]


def id_of(profile: dict[str, Any]) -> UUID:
    return UUID(profile["id"])
