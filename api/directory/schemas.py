"""A clinic's profile as it is written and as it is served."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.directory.fields import (
    Age,
    Amount,
    Count,
    Country,
    Currency,
    Days,
    LanguageTag,
    Latitude,
    Longitude,
    Minutes,
    Per,
    RegistrationSystem,
    RegistrationValue,
    Slug,
    StateCode,
    Text,
    TimeOfDay,
    Weekday,
)
from db.states import Accepting, DeclineReason, Drug, PointPrecision, Route, Setting


class _Written(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Part of a body: a field that is not known is an error, since it would be lost."""


class AddressWrite(_Written):
    city: Text
    state: StateCode
    country: Country
    line1: Text | None = None
    line2: Text | None = None
    postal_code: Annotated[str, Meta(min_length=2, max_length=12)] | None = None


class LocationWrite(_Written):
    lat: Latitude
    lon: Longitude


class RegistrationWrite(_Written):
    system: RegistrationSystem
    value: RegistrationValue


class DirectorWrite(_Written):
    name: Text
    credential: Text | None = None
    specialty: Text | None = None
    registration: RegistrationWrite | None = None


class ProtocolWrite(_Written):
    initial_sessions: Annotated[int, Meta(ge=1, le=100)] | None = None
    initial_days: Annotated[int, Meta(ge=1, le=365)] | None = None
    session_minutes: Minutes | None = None
    monitoring_minutes: Annotated[int, Meta(ge=0, le=1440)] | None = None
    maintenance_days: Annotated[int, Meta(ge=1, le=3650)] | None = None


class PriceWrite(_Written):
    amount: Amount
    currency: Currency
    per: Per = "session"


class OfferingWrite(_Written):
    drug: Drug
    route: Route
    setting: Setting
    conditions: Annotated[list[Slug], Meta(max_length=128)] = []
    coverage: Annotated[list[StateCode], Meta(max_length=64)] = []
    protocol: ProtocolWrite | None = None
    price: PriceWrite | None = None


class AgeWrite(_Written):
    min: Age | None = None
    max: Age | None = None


class HoursWrite(_Written):
    """Opening hours on some days of the week in the clinic's own zone; `closes` at or before
    `opens` means the next day."""

    days: Annotated[list[Weekday], Meta(min_length=1, max_length=7)]
    opens: TimeOfDay
    closes: TimeOfDay


class SourceWrite(_Written):
    name: Text
    url: Annotated[str, Meta(max_length=500)] | None = None
    retrieved_on: date | None = None
    licence: Text | None = None


class ClinicWrite(_Written):
    """A clinic profile as written by `POST` and `PUT`."""

    name: Text
    address: AddressWrite
    source: SourceWrite
    organization: Text | None = None
    location: LocationWrite | None = None
    phone: (
        Annotated[str, Meta(max_length=20, description="E.164", examples=["+16025550100"])] | None
    ) = None
    email: Annotated[str, Meta(max_length=254)] | None = None
    website: Annotated[str, Meta(max_length=500, description="http or https URL")] | None = None
    medical_director: DirectorWrite | None = None
    offerings: Annotated[list[OfferingWrite], Meta(max_length=50)] = []
    accepting: Accepting = Accepting.UNKNOWN
    wait_days: Days | None = None
    weekly_capacity: Count | None = None
    payers: Annotated[list[Slug], Meta(max_length=32)] = []
    languages: Annotated[list[LanguageTag], Meta(max_length=64)] = []
    age: AgeWrite | None = None
    assesses: Annotated[list[Slug], Meta(max_length=32)] = []
    hours: Annotated[list[HoursWrite], Meta(max_length=50)] = []
    telehealth: bool | None = None
    rems_certified: bool | None = None
    programmes: Annotated[list[Slug], Meta(max_length=64)] = []
    unverified: Annotated[list[Text], Meta(max_length=64)] = []
    verified_at: datetime | None = None


class ClinicPatch(_Written):
    """A part of a profile: what is left out stays, `null` clears."""

    name: Text | UnsetType = UNSET
    address: AddressWrite | UnsetType = UNSET
    source: SourceWrite | UnsetType = UNSET
    organization: Text | UnsetType | None = UNSET
    location: LocationWrite | UnsetType | None = UNSET
    phone: Annotated[str, Meta(max_length=20)] | UnsetType | None = UNSET
    email: Annotated[str, Meta(max_length=254)] | UnsetType | None = UNSET
    website: Annotated[str, Meta(max_length=500)] | UnsetType | None = UNSET
    medical_director: DirectorWrite | UnsetType | None = UNSET
    offerings: Annotated[list[OfferingWrite], Meta(max_length=50)] | UnsetType = UNSET
    accepting: Accepting | UnsetType = UNSET
    wait_days: Days | UnsetType | None = UNSET
    weekly_capacity: Count | UnsetType | None = UNSET
    payers: Annotated[list[Slug], Meta(max_length=32)] | UnsetType = UNSET
    languages: Annotated[list[LanguageTag], Meta(max_length=64)] | UnsetType = UNSET
    age: AgeWrite | UnsetType | None = UNSET
    assesses: Annotated[list[Slug], Meta(max_length=32)] | UnsetType = UNSET
    hours: Annotated[list[HoursWrite], Meta(max_length=50)] | UnsetType = UNSET
    telehealth: bool | UnsetType | None = UNSET
    rems_certified: bool | UnsetType | None = UNSET
    programmes: Annotated[list[Slug], Meta(max_length=64)] | UnsetType = UNSET
    unverified: Annotated[list[Text], Meta(max_length=64)] | UnsetType = UNSET
    verified_at: datetime | UnsetType | None = UNSET


class MergeWrite(_Written):
    into: UUID


# What is served. The field order of the two classes below matters: a stored profile is the
# summary's fields first and `address` next, so that the index can cut the summary out of it.


class Address(msgspec.Struct, frozen=True, kw_only=True):
    line1: str | None
    line2: str | None
    city: str
    state: str
    postal_code: str | None
    country: str


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """Where the clinic is and how that was found; `flags` names doubts, such as
    `far-from-postal-code`, `postal-code-elsewhere` or `outside-country`."""

    lat: float
    lon: float
    source: str
    precision: PointPrecision
    uncertainty_m: int | None
    flags: list[str]


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    system: str
    value: str


class MedicalDirector(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    credential: str | None
    specialty: str | None
    registration: Registration | None


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    initial_sessions: int | None
    initial_days: int | None
    session_minutes: int | None
    monitoring_minutes: int | None
    maintenance_days: int | None


class Price(msgspec.Struct, frozen=True, kw_only=True):
    amount: str
    currency: str
    per: str


class Offering(msgspec.Struct, frozen=True, kw_only=True):
    """One drug by one route in one setting, for a set of conditions. No conditions means that
    none are stated, not that all are treated."""

    drug: Drug
    route: Route
    setting: Setting
    conditions: list[str]
    coverage: list[str]
    protocol: Protocol | None
    price: Price | None


class AgeRange(msgspec.Struct, frozen=True, kw_only=True):
    min: int | None
    max: int | None


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    days: list[str]
    opens: str
    closes: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    url: str | None
    retrieved_on: date | None
    licence: str | None


class Responsiveness(msgspec.Struct, frozen=True, kw_only=True):
    """How a clinic has answered the referrals that were offered to it within the last year. Only
    clinics with at least five answers have one; nobody can write it."""

    answers: Annotated[int, Meta(ge=5, description="offers it has answered")]
    median_hours: Annotated[float, Meta(ge=0, description="from the offer to its first answer")]
    acceptance: (
        Annotated[float, Meta(ge=0, le=1, description="the share it accepted of those it decided")]
        | None
    )
    decline_reasons: Annotated[
        dict[DeclineReason, int], Meta(description="how often it declined for each reason")
    ]


class FieldProvenance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where one field stands on something other than the record's own source."""

    source: str
    verified_at: datetime | None = None
    expires_at: datetime | None = None


class ClinicSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic as it stands in a list."""

    id: UUID
    slug: str
    name: str
    organization: str | None
    city: str
    state: str
    postal_code: str | None
    country: str
    lat: float | None
    lon: float | None
    precision: PointPrecision | None
    uncertainty_m: int | None
    phone: str | None
    website: str | None
    routes: list[Route]
    settings: list[Setting]
    conditions: list[str]
    accepting: Accepting
    wait_days: int | None
    payers: list[str]
    languages: list[str]
    telehealth: bool | None
    verified_at: datetime | None
    source_name: str


class ClinicProfile(ClinicSummary, frozen=True, kw_only=True):
    """The full public profile: the summary's fields, then everything else."""

    address: Address
    location: Location | None
    time_zone: str | None
    email: str | None
    medical_director: MedicalDirector | None
    offerings: list[Offering]
    weekly_capacity: int | None
    age: AgeRange
    assesses: list[str]
    hours: list[Hours]
    rems_certified: bool | None
    programmes: list[str]
    responsiveness: Responsiveness | None
    source: Source
    unverified: list[str]
    provenance: dict[str, FieldProvenance]
    version: int
    created_at: datetime
    updated_at: datetime
