"""The entries of the catalogues, as their files hold them and as they are served.

Each has a `code`, unique in its kind, and the codes of its `sources`.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

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


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A misspelt key in a data file is an error, since its fact would be lost."""


class Fact(Entry, frozen=True, kw_only=True):
    """A statement with the source that makes it and, where the source names one, the study."""

    statement: Sentence
    source: Slug
    study: str | None = None


class Relief(Entry, frozen=True, kw_only=True):
    """How long relief lasts. `min` and `max` stand only where the source gives a number."""

    statement: Sentence
    source: Slug
    study: str | None = None
    min: Duration | None = None
    max: Duration | None = None
    min_unit: DurationUnit | None = None
    max_unit: DurationUnit | None = None


class Prevalence(Entry, frozen=True, kw_only=True):
    """A share, in percent, of the group named in `of`."""

    statement: Sentence
    source: Slug
    of: str
    min_percent: Percent | None = None
    max_percent: Percent | None = None
    study: str | None = None


class IcdCode(Entry, frozen=True, kw_only=True):
    """An ICD-10-CM code; `note` says where the code is wider than the entry it stands on."""

    code: Annotated[str, Meta(pattern=r"^[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?$")]
    description: str
    note: str | None = None


class SnomedCode(Entry, frozen=True, kw_only=True):
    code: Annotated[str, Meta(pattern=r"^[1-9]\d{5,17}$")]
    display: str


class Condition(Entry, frozen=True, kw_only=True):
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


class RouteEntry(Entry, frozen=True, kw_only=True):
    code: Name
    label: str
    synonyms: tuple[str, ...] = ()
    snomed: tuple[SnomedCode, ...]
    facts: tuple[Fact, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class SettingEntry(Entry, frozen=True, kw_only=True):
    code: Name
    label: str
    synonyms: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class DrugRule(Entry, frozen=True, kw_only=True):
    """What a profile may not say; `country` is where the regulation in `source` holds."""

    code: Slug
    statement: Sentence
    source: Slug
    country: Country


class DrugEntry(Entry, frozen=True, kw_only=True):
    code: Name
    label: str
    synonyms: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    rules: tuple[DrugRule, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class CrisisLine(Entry, frozen=True, kw_only=True):
    country: Country
    name: str
    number: str
    source: Slug


class ScreeningFlag(Entry, frozen=True, kw_only=True):
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


class Measure(Entry, frozen=True, kw_only=True):
    quantity: Literal[
        "sessions", "phase", "interval", "session", "monitoring",
        "fasting_food", "fasting_drink", "recovery",
    ]  # fmt: skip
    unit: Literal["sessions", "minutes", "hours", "weeks", "months"]
    min: int | None = None
    max: int | None = None


class ProtocolFact(Entry, frozen=True, kw_only=True):
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


class Payer(Entry, frozen=True, kw_only=True):
    """A way to pay; `country` where it exists in one country only."""

    code: Name
    label: str
    synonyms: tuple[str, ...] = ()
    country: Country | None = None
    samhsa_codes: tuple[str, ...] = ()
    sources: tuple[Slug, ...]


class Language(Entry, frozen=True, kw_only=True):
    """`code` is a BCP 47 tag, `native` the language's own name for itself."""

    code: Annotated[str, Meta(pattern=r"^[a-z]{2,3}$")]
    label: str
    native: str | None = None
    synonyms: tuple[str, ...] = ()
    note: str | None = None
    sources: tuple[Slug, ...]


class Source(Entry, frozen=True, kw_only=True):
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


class ServedCondition(Condition, frozen=True, kw_only=True):
    """A condition with the codes of those right below it."""

    children: list[str]


class ConditionList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ServedCondition]
    next: None = None


class RouteList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[RouteEntry]
    next: None = None


class SettingList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[SettingEntry]
    next: None = None


class DrugList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[DrugEntry]
    next: None = None


class ScreeningFlagList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ScreeningFlag]
    next: None = None


class ProtocolFactList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ProtocolFact]
    next: None = None


class PayerList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Payer]
    next: None = None


class LanguageList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Language]
    next: None = None


class SourceList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Source]
    next: None = None
