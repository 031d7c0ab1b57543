"""All catalogues together, and who the articles name."""

from __future__ import annotations

import msgspec

from api.directory.catalogue_schemas import (
    Condition,
    DrugEntry,
    Entry,
    Language,
    Payer,
    ProtocolFact,
    RouteEntry,
    ScreeningFlag,
    Sentence,
    SettingEntry,
    Slug,
    Source,
)
from api.directory.schemas import ClinicWrite


class Catalogue(Entry, frozen=True, kw_only=True):
    """All kinds, each in the order of its file; `conditions_note` holds for every condition."""

    conditions: tuple[Condition, ...]
    conditions_note: str
    routes: tuple[RouteEntry, ...]
    settings: tuple[SettingEntry, ...]
    drugs: tuple[DrugEntry, ...]
    screening_flags: tuple[ScreeningFlag, ...]
    protocols: tuple[ProtocolFact, ...]
    payers: tuple[Payer, ...]
    languages: tuple[Language, ...]
    sources: tuple[Source, ...]


class NamedDirector(Entry, frozen=True, kw_only=True):
    name: str
    credential: str | None = None
    specialty: str | None = None


class ArticleClinic(Entry, frozen=True, kw_only=True):
    """A clinic an article names: `profile` is ready to be written, `article` a source's code."""

    article: Slug
    says: tuple[Sentence, ...]
    profile: ClinicWrite


class ArticleOrganization(Entry, frozen=True, kw_only=True):
    """An organization or directory for which no article states a site."""

    name: str
    article: Slug
    says: tuple[Sentence, ...]
    unverified: tuple[str, ...]
    medical_director: NamedDirector | None = None


class ArticleListings(Entry, frozen=True, kw_only=True):
    """Who the articles name; only `clinics` have a place and belong in the directory."""

    clinics: tuple[ArticleClinic, ...] = msgspec.field(name="clinic")
    organizations: tuple[ArticleOrganization, ...] = msgspec.field(name="organization")
    directories: tuple[ArticleOrganization, ...] = msgspec.field(name="directory")
