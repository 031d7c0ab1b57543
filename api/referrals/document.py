"""What a referral says of its patient: the one document that is stored sealed.

It is what was sent, in its checked form, with the point that `near` stands for. Whoever reads one
later must be able to read those of earlier releases: fields are added with a default, never
renamed.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from api.referrals.screening import raised
from db.states import Route, Setting

TABLE: Final = "referral"
COLUMN: Final = "sealed"


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What `near` stands for. Degrees on WGS 84."""

    lat: float
    lon: float
    label: str
    precision: str
    uncertainty_m: int
    country: str | None = None
    state: str | None = None


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    given_name: str
    family_name: str
    birth_date: date
    near: str
    phone: str | None = None
    email: str | None = None
    state: str | None = None


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    routes: list[Route] = []
    settings: list[Setting] = []
    max_distance: str = "50mi"
    payer: str | None = None
    language: str | None = None
    clinics: list[UUID] = []
    exclude: list[UUID] = []


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    given: bool
    at: datetime
    notify: bool = False


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    system: str
    value: str


class Referrer(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    registration: Registration | None = None
    organization: str | None = None
    phone: str | None = None
    email: str | None = None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    patient: Patient
    conditions: list[str]
    screening: dict[str, bool]
    consent: Consent
    point: Point
    icd10: list[str] = []
    reason: str | None = None
    prior_treatments: list[str] = []
    medications: list[str] = []
    preferences: Preferences = Preferences()
    referrer: Referrer | None = None
    duplicate_reason: str | None = None

    @property
    def flags(self) -> tuple[str, ...]:
        return raised(self.screening)

    @property
    def state(self) -> str | None:
        """Where care at home would be (ISO 3166-2)."""
        return self.patient.state or self.point.state


def document_of(checked: msgspec.Struct, point: Point) -> Document:
    """What is kept of a checked body: all of it that is not plain in the referral's columns."""
    said: dict[str, Any] = msgspec.to_builtins(checked)
    return msgspec.convert({**said, "point": point}, Document)


def encoded(document: Document) -> bytes:
    return msgspec.json.encode(document)


decoded = msgspec.json.Decoder(Document).decode


def age_on(birth_date: date, day: date) -> int:
    """In whole years. Who was born on 29 February has the birthday on 1 March in other years."""
    had_it = (day.month, day.day) >= (birth_date.month, birth_date.day)
    return day.year - birth_date.year - (not had_it)
