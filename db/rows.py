"""What the statements give back: one frozen Struct a shape. No handler returns one of these."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from db.states import (
    Accepting,
    ChangeKind,
    ClinicStatus,
    Drug,
    PointPrecision,
    Route,
    Setting,
)


class ClinicRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    slug: str
    status: ClinicStatus
    merged_into: UUID | None
    version: int
    change_seq: int
    name: str
    organization_id: UUID | None
    organization_name: str | None
    line1: str | None
    line2: str | None
    city: str
    state: str
    postal_code: str | None
    country: str
    lat: float | None
    lon: float | None
    point_source: str | None
    point_precision: PointPrecision | None
    uncertainty_m: int | None
    point_flags: list[str]
    time_zone: str | None
    phone: str | None
    email: str | None
    website: str | None
    director_name: str | None
    director_credential: str | None
    director_specialty: str | None
    director_registration_system: str | None
    director_registration_value: str | None
    accepting: Accepting
    wait_days: int | None
    weekly_capacity: int | None
    payers: list[str]
    languages: list[str]
    age_min: int | None
    age_max: int | None
    assesses: list[str]
    telehealth: bool | None
    rems_certified: bool | None
    hours: str
    """JSON text, as the column holds it."""
    programmes: list[str]
    source_name: str
    source_url: str | None
    source_retrieved_on: date | None
    source_licence: str | None
    unverified: list[str]
    provenance: str
    """JSON text, as the column holds it."""
    responsiveness: str | None
    """JSON text, as the column holds it; written from what was measured, never by an author."""
    verified_at: datetime | None
    import_key: str | None
    import_hash: bytes | None
    created_at: datetime
    updated_at: datetime


class OfferingRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    clinic_id: UUID
    position: int
    drug: Drug
    route: Route
    setting: Setting
    conditions: list[str]
    coverage: list[str]
    initial_sessions: int | None
    initial_days: int | None
    session_minutes: int | None
    monitoring_minutes: int | None
    maintenance_days: int | None
    price_amount: Decimal | None
    price_currency: str | None
    price_per: str | None


class OrganizationRow(msgspec.Struct, frozen=True, kw_only=True):
    id: UUID
    slug: str
    name: str


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the log; `profile` is the public profile as JSON text, null on a tombstone."""

    seq: int
    kind: ChangeKind
    clinic_id: UUID
    merged_into: UUID | None
    at: datetime
    actor: str
    profile: str | None


class ProfileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A live clinic's public profile as JSON text."""

    clinic_id: UUID
    profile: str


class RedirectRow(msgspec.Struct, frozen=True, kw_only=True):
    """A merged clinic's id and slug, and the clinic it was merged into."""

    clinic_id: UUID
    slug: str
    merged_into: UUID


class CatalogueRow(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    code: str
    document: str
    """JSON text."""


class ApiKeyRow(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    scopes: list[str]
    secret_hash: bytes
    keyring_id: str
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    replaced_by: str | None
    principal: str
    """The id of the first key of its line: what a caller is known by after a rotation."""
    email: str | None


class StaleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A clinic that nobody has verified lately."""

    id: UUID
    slug: str
    name: str
    city: str
    state: str
    verified_at: datetime | None
    updated_at: datetime
    source_name: str
    source_retrieved_on: date | None


class SiteRow(msgspec.Struct, frozen=True, kw_only=True):
    """What tells whether two records are of the same clinic."""

    id: UUID
    slug: str
    name: str
    line1: str | None
    city: str
    state: str
    postal_code: str | None
    lat: float | None
    lon: float | None
    point_precision: PointPrecision | None
    phone: str | None
    website: str | None
    director_registration_system: str | None
    director_registration_value: str | None


class ImportedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Which row of an import a clinic came from, and a hash of what was read then."""

    id: UUID
    status: ClinicStatus
    merged_into: UUID | None
    import_key: str
    import_hash: bytes | None
