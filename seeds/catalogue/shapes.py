"""What stands in the catalogue files, in the form in which the public API shows it.

Each entry has a `code`, unique in its kind, and the codes of its `sources`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.directory.schemas import ClinicWrite

Slug = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9]+(_[a-z0-9]+)*$", max_length=64)]
Sentence = Annotated[str, Meta(min_length=1, max_length=400)]
Duration = Annotated[
    str,
    Meta(pattern=r"^P(\d+[YMWD]|T\d+[HM])$", description="ISO 8601", examples=["P30D", "PT48H"]),
]
DurationUnit = Literal["minutes", "hours", "days", "weeks", "months"]
Percent = Annotated[float, Meta(ge=0, le=100)]
Country = Literal["US", "GB"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A misspelt key in a data file is an error, since its fact would be lost."""


class Fact(_Part, frozen=True, kw_only=True):
    """A statement with the source that makes it and, where the source names one, the study."""

    statement: Sentence
    source: Slug
    study: str | None = None


class Relief(_Part, frozen=True, kw_only=True):
    """How long relief lasts. `min` and `max` stand only where the source gives a number."""

    statement: Sentence
    source: Slug
    study: str | None = None
    min: Duration | None = None
    max: Duration | None = None
    min_unit: DurationUnit | None = None
    max_unit: DurationUnit | None = None


class Prevalence(_Part, frozen=True, kw_only=True):
    """A share, in percent, of the group named in `of`."""

    statement: Sentence
    source: Slug
    of: str
    min_percent: Percent | None = None
    max_percent: Percent | None = None
    study: str | None = None


class IcdCode(_Part, frozen=True, kw_only=True):
    """An ICD-10-CM code; `note` says where the code is wider than the entry it stands on."""

    code: Annotated[str, Meta(pattern=r"^[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?$")]
    description: str
    note: str | None = None


class SnomedCode(_Part, frozen=True, kw_only=True):
    code: Annotated[str, Meta(pattern=r"^[1-9]\d{5,17}$")]
    display: str


class Condition(_Part, frozen=True, kw_only=True):
    code: Slug
    label: str
    parent: Slug | None = None
    synonyms: tuple[str, ...] = ()
    icd10cm: tuple[IcdCode, ...] = ()
    snomed: tuple[SnomedCode, ...] = ()
    evidence: tuple[Fact, ...] = ()
    relief: tuple[Relief, ...] = ()
    prevalence: tuple[Prevalence, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class RouteEntry(_Part, frozen=True, kw_only=True):
    code: Name
    label: str
    synonyms: tuple[str, ...] = ()
    snomed: tuple[SnomedCode, ...]
    facts: tuple[Fact, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class SettingEntry(_Part, frozen=True, kw_only=True):
    code: Name
    label: str
    synonyms: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class DrugRule(_Part, frozen=True, kw_only=True):
    """What a profile may not say; `country` is where the regulation in `source` holds."""

    code: Slug
    statement: Sentence
    source: Slug
    country: Country


class DrugEntry(_Part, frozen=True, kw_only=True):
    code: Name
    label: str
    synonyms: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    rules: tuple[DrugRule, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class CrisisLine(_Part, frozen=True, kw_only=True):
    country: Country
    name: str
    number: str
    source: Slug


class ScreeningFlag(_Part, frozen=True, kw_only=True):
    """A reason for care.

    `handling`: `confirm` (routing waits for the referrer), `assessing_clinics` (only clinics that
    assess it), `refuse` (the referral is refused, `crisis_lines` are shown).
    """

    code: Name
    label: str
    question: Sentence
    why: tuple[Fact, ...]
    stops_routing: bool
    handling: Literal["confirm", "assessing_clinics", "refuse"]
    icd10cm: tuple[IcdCode, ...] = ()
    snomed: tuple[SnomedCode, ...] = ()
    crisis_lines: tuple[CrisisLine, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class Measure(_Part, frozen=True, kw_only=True):
    quantity: Literal[
        "sessions", "phase", "interval", "session", "monitoring",
        "fasting_food", "fasting_drink", "recovery",
    ]  # fmt: skip
    unit: Literal["sessions", "minutes", "hours", "weeks", "months"]
    min: int | None = None
    max: int | None = None


class ProtocolFact(_Part, frozen=True, kw_only=True):
    """One source's word on how treatment goes in one phase."""

    code: Slug
    label: str
    phase: Literal[
        "selection", "before", "starting", "middle", "maintenance",
        "session", "monitoring", "after", "follow_up",
    ]  # fmt: skip
    statement: Sentence
    source: Slug
    study: str | None = None
    route: Name | None = None
    setting: Name | None = None
    measures: tuple[Measure, ...] = ()


class Payer(_Part, frozen=True, kw_only=True):
    """A way to pay; `country` where it exists in one country only."""

    code: Name
    label: str
    synonyms: tuple[str, ...] = ()
    country: Country | None = None
    samhsa_codes: tuple[str, ...] = ()
    sources: tuple[Slug, ...]


class Language(_Part, frozen=True, kw_only=True):
    """`code` is a BCP 47 tag, `native` the language's own name for itself."""

    code: Annotated[str, Meta(pattern=r"^[a-z]{2,3}$")]
    label: str
    native: str | None = None
    synonyms: tuple[str, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class Source(_Part, frozen=True, kw_only=True):
    """`file` is the file's name as it was handed over, `attribution` the line NOTICE repeats."""

    code: Slug
    kind: Literal["article", "data_set", "regulation", "rule", "crisis_line"]
    title: str
    publisher: str | None = None
    author: str | None = None
    reviewed_by: str | None = None
    published_on: date | None = None
    file: str | None = None
    rows: int | None = None
    url: str | None = None
    licence: str | None = None
    attribution: str | None = None
    note: str | None = None


class Catalogue(_Part, frozen=True, kw_only=True):
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


class NamedDirector(_Part, frozen=True, kw_only=True):
    name: str
    credential: str | None = None
    specialty: str | None = None


class ArticleClinic(_Part, frozen=True, kw_only=True):
    """A clinic an article names: `profile` is ready to be written, `article` a source's code."""

    article: Slug
    says: tuple[Sentence, ...]
    profile: ClinicWrite


class ArticleOrganization(_Part, frozen=True, kw_only=True):
    """An organization or directory for which no article states a site."""

    name: str
    article: Slug
    says: tuple[Sentence, ...]
    unverified: tuple[str, ...]
    medical_director: NamedDirector | None = None


class ArticleListings(_Part, frozen=True, kw_only=True):
    """Who the articles name; only `clinics` have a place and belong in the directory."""

    clinics: tuple[ArticleClinic, ...] = msgspec.field(name="clinic")
    organizations: tuple[ArticleOrganization, ...] = msgspec.field(name="organization")
    directories: tuple[ArticleOrganization, ...] = msgspec.field(name="directory")
