"""What those who look after the directory are shown: duplicates, stale profiles, histories."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

import msgspec
from msgspec import Meta

from db.rows import SiteRow, StaleRow
from db.states import ChangeKind

Limit = Annotated[int, Meta(ge=1, le=100, description="How many to give")]
Cursor = Annotated[str, Meta(max_length=500, description="`next` of the page before")]
Next = Annotated[str | None, Meta(description="The `cursor` of the next page; null on the last")]


class DuplicateReason(StrEnum):
    """Why two clinics may be one."""

    SAME_ADDRESS = "same-address"
    NEAR = "near"
    SAME_POSTAL_CODE = "same-postal-code"
    SAME_CITY = "same-city"
    SIMILAR_NAME = "similar-name"
    SAME_PHONE = "same-phone"
    SAME_REGISTRATION = "same-registration"
    SAME_WEBSITE = "same-website"


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One reason and how much it adds to the score. The same phone, registration or website at
    two addresses adds little: chains and doctors have several sites."""

    reason: DuplicateReason
    points: int


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """Enough of a clinic to tell it from another."""

    id: UUID
    slug: str
    name: str
    line1: str | None
    city: str
    state: str
    postal_code: str | None
    phone: str | None

    @classmethod
    def from_row(cls, row: SiteRow) -> Self:
        return cls(
            id=row.id,
            slug=row.slug,
            name=row.name,
            line1=row.line1,
            city=row.city,
            state=row.state,
            postal_code=row.postal_code,
            phone=row.phone,
        )


class DuplicatePair(msgspec.Struct, frozen=True, kw_only=True):
    """Two clinics that may be one. From 0 to 100; from 50 on it is likely."""

    score: int
    reasons: list[Evidence]
    clinics: tuple[Site, Site]


class DuplicatePage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[DuplicatePair]
    total: Annotated[int, Meta(description="Pairs with at least `min_score`, on all pages")]
    next: Next


class DuplicatesQuery(msgspec.Struct, frozen=True, kw_only=True):
    min_score: Annotated[
        int, Meta(ge=1, le=100, description="Leave out pairs with a lower score")
    ] = 50
    limit: Limit = 50
    cursor: Cursor | None = None


class StaleReason(StrEnum):
    NEVER_VERIFIED = "never-verified"
    NOT_VERIFIED_LATELY = "not-verified-lately"
    OLD_SOURCE = "old-source"


class StaleClinic(msgspec.Struct, frozen=True, kw_only=True):
    """A profile that somebody should look at. `old-source` is a source as old as that itself."""

    id: UUID
    slug: str
    name: str
    city: str
    state: str
    reasons: list[StaleReason]
    verified_at: datetime | None
    updated_at: datetime
    source_name: str
    source_retrieved_on: date | None

    @classmethod
    def from_row(cls, row: StaleRow, limit: datetime) -> Self:
        never = row.verified_at is None
        reasons = [StaleReason.NEVER_VERIFIED if never else StaleReason.NOT_VERIFIED_LATELY]
        if row.source_retrieved_on is not None and row.source_retrieved_on < limit.date():
            reasons.append(StaleReason.OLD_SOURCE)
        return cls(
            id=row.id,
            slug=row.slug,
            name=row.name,
            city=row.city,
            state=row.state,
            reasons=reasons,
            verified_at=row.verified_at,
            updated_at=row.updated_at,
            source_name=row.source_name,
            source_retrieved_on=row.source_retrieved_on,
        )


class StalePage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[StaleClinic]
    next: Next


class StaleQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: Limit = 50
    cursor: Cursor | None = None


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `fields` are those that differ from the version before; all that are filled for
    the first one, none for a deletion or merge."""

    seq: int
    kind: ChangeKind
    at: datetime
    actor: Annotated[
        str, Meta(description="Who did it: `key:<id>`, `import:<kind>`, `claims` when they lapse")
    ]
    merged_into: UUID | None
    fields: list[str]


class HistoryPage(msgspec.Struct, frozen=True, kw_only=True):
    items: list[HistoryEntry]
    next: Next


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    limit: Limit = 50
    cursor: Cursor | None = None
