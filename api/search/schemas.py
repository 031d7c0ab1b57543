"""What a search gives back. The answer itself is put together from ready-encoded parts (see
`answer.py`); a test decodes it with these."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from api.directory.schemas import ClinicSummary


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where distances are measured from, and how sure that is."""

    lat: float
    lon: float
    label: str
    source: Annotated[str, Meta(description="`coordinates`, `gazetteer`, or the service's name")]
    precision: str
    uncertainty_m: Annotated[int, Meta(description="metres")]
    state: Annotated[str | None, Meta(description="ISO 3166-2: decides who may treat at home")]


class Distance(msgspec.Struct, frozen=True, kw_only=True):
    """One WGS-84 geodesic, in three units."""

    m: float
    km: float
    mi: float


class SearchItem(msgspec.Struct, frozen=True, kw_only=True):
    """`at_home`: the care asked for comes to where the patient lives. Without `near` there is no
    distance, and no `nearby`."""

    match: Literal["nearby", "at_home"] | None
    distance: Distance | None
    clinic: ClinicSummary


SuggestionKind = Literal["wider_radius", "without_filter", "at_home", "place_only"]


class ParameterChange(msgspec.Struct, frozen=True):
    """A parameter to give another value, or to leave out where `value` is null."""

    parameter: str
    value: str | None


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """How a search without answers could be asked to have some."""

    kind: SuggestionKind
    changes: Annotated[list[ParameterChange], Meta(description="What to ask differently")]
    total: Annotated[int, Meta(description="How many answers there would be")]
    href: Annotated[str, Meta(description="The search that has them")]


class SearchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a search, best first."""

    origin: Origin | None
    total: Annotated[int, Meta(description="All answers, not just this page's")]
    next: Annotated[str | None, Meta(description="Give it as `cursor` for the next page")]
    directory_version: int
    facets: Annotated[
        dict[str, dict[str, int]], Meta(description="How many of all answers have each code")
    ]
    items: list[SearchItem]
    suggestions: Annotated[list[Suggestion], Meta(description="Only when there is no answer")]
