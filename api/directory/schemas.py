"""A clinic's profile as it is written and as it is served."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from db.states import Accepting, Drug, PointPrecision, Route, Setting

# Controls, line separators, and formats that are invisible or change the direction: with them a
# name reads otherwise than it is. U+200C and U+200D stay: some scripts need them.
_HIDDEN_BUT_BREAKS = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    # Beyond U+FFFF Python and JSON Schema have no escape in common.
    r"\ufeff\ufff9-\ufffb" + "\U000e0000-\U000e007f"
)
_HIDDEN = r"\t\n" + _HIDDEN_BUT_BREAKS
_BLANK = r"\s\u200c\u200d"
_ENDS = r"$(?!\n)"
_PLAINLY = "without control characters and without marks that are invisible or change the direction"

# What any free text may hold.
Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=rf"^[^{_HIDDEN}]*[^{_BLANK}{_HIDDEN}][^{_HIDDEN}]*{_ENDS}",
        extra={"right": f"text of 1 to 200 characters, some of them visible, {_PLAINLY}"},
    ),
]
LongText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=2000,
        pattern=rf"^[^{_HIDDEN_BUT_BREAKS}]+{_ENDS}",
        extra={"right": f"text of 1 to 2000 characters, {_PLAINLY}"},
    ),
]
Slug = Annotated[
    str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$(?!\n)")
]
StateCode = Annotated[
    str,
    Meta(
        pattern=r"^[A-Z]{2}-[A-Z]{2,3}$(?!\n)",
        description="ISO 3166-2",
        examples=["US-AZ", "GB-ENG"],
    ),
]
LanguageTag = Annotated[
    str, Meta(max_length=35, description="BCP 47 language tag", examples=["en", "es", "ase"])
]
TimeOfDay = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$(?!\n)", examples=["09:00"])]
Weekday = Annotated[str, Meta(pattern=r"^(mon|tue|wed|thu|fri|sat|sun)$(?!\n)", examples=["mon"])]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Minutes = Annotated[int, Meta(ge=1, le=1440, description="minutes")]
Days = Annotated[int, Meta(ge=0, le=3650, description="days")]
Age = Annotated[int, Meta(ge=0, le=130, description="years")]
Latitude = Annotated[float, Meta(ge=-90, le=90, description="degrees, WGS 84")]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="degrees, WGS 84")]
Amount = Annotated[
    str, Meta(pattern=r"^\d{1,8}(\.\d{1,2})?$(?!\n)", description="decimal", examples=["450.00"])
]


class _Written(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Part of a body: a field that is not known is an error, since it would be lost."""


class AddressWrite(_Written):
    city: Text
    state: StateCode
    country: Annotated[
        str, Meta(pattern=r"^(US|GB)$(?!\n)", description="ISO 3166-1", examples=["US"])
    ]
    line1: Text | None = None
    line2: Text | None = None
    postal_code: Annotated[str, Meta(min_length=2, max_length=12)] | None = None


class LocationWrite(_Written):
    lat: Latitude
    lon: Longitude


class RegistrationWrite(_Written):
    system: Annotated[
        str,
        Meta(pattern=r"^(npi|gmc|state_licence)$(?!\n)", description="npi, gmc or state_licence"),
    ]
    value: Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9-]+$(?!\n)")]


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
    currency: Annotated[str, Meta(pattern=r"^(USD|GBP)$(?!\n)", examples=["USD"])]
    per: Annotated[str, Meta(pattern=r"^(session|course|month)$(?!\n)", examples=["session"])] = (
        "session"
    )


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
    source: Source
    unverified: list[str]
    provenance: dict[str, FieldProvenance]
    version: int
    created_at: datetime
    updated_at: datetime
