"""The parameters of a search, as they are documented and as they are read."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from api.search.ranking import Sort

DEFAULT_RADIUS = "50mi"

Codes = Annotated[str, Meta(min_length=1, max_length=400)]
Words = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)",
        extra={"right": "a text of 1 to 200 characters"},
    ),
]


class SearchParameters(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of `GET /v1/clinics`. Commas mean "any of", repeating means "all of"."""

    near: (
        Annotated[
            Words,
            Meta(
                description="Where the patient is: `lat,lng`, a US ZIP code, a UK postcode "
                "or district, or a place name. Street addresses work when a geocoding service is "
                "set up.",
                examples=["85016"],
            ),
        ]
        | None
    ) = None
    radius: Annotated[
        str,
        Meta(
            pattern=r"^(any|[0-9]{1,6}(\.[0-9]{1,3})? ?(mi|km))$(?!\n)",
            description="How far a clinic may be, in miles or kilometres, or `any`.",
            examples=["25mi"],
            extra={"right": "a distance above 0 such as 25mi or 40km, or any"},
        ),
    ] = DEFAULT_RADIUS
    condition: Annotated[
        list[Codes],
        Meta(
            description="Condition codes or names (`/v1/conditions`). A parent includes its "
            "children. Taken together with route and setting: one offering has to have them all.",
            examples=[["crps"]],
        ),
    ] = []
    route: Annotated[
        list[Codes],
        Meta(description="Routes (`/v1/routes`), or `at_home`.", examples=[["iv"]]),
    ] = []
    setting: Annotated[
        list[Codes], Meta(description="`clinic` or `at_home`.", examples=[["clinic"]])
    ] = []
    state: Annotated[
        list[Codes],
        Meta(description="Where the clinic stands: ISO 3166-2.", examples=[["US-AZ"]]),
    ] = []
    payer: Annotated[list[Codes], Meta(description="Payer codes.", examples=[["medicare"]])] = []
    language: Annotated[
        list[Codes], Meta(description="BCP 47 language tags.", examples=[["es"]])
    ] = []
    accepting: Annotated[
        list[Codes], Meta(description="Whether new patients are taken.", examples=[["yes"]])
    ] = []
    max_wait_days: (
        Annotated[int, Meta(ge=0, le=3650, description="The longest wait, in days.", examples=[14])]
        | None
    ) = None
    open_at: (
        Annotated[
            str,
            Meta(
                max_length=40,
                description="`now`, or a date-time with offset. Clinics whose hours are not known "
                "are left out.",
                examples=["2026-11-23T09:30:00-07:00"],
            ),
        ]
        | None
    ) = None
    verified_since: (
        Annotated[
            str,
            Meta(
                max_length=40,
                description="A date, or a date-time with offset: verified then or later.",
                examples=["2026-06-01"],
            ),
        ]
        | None
    ) = None
    director: (
        Annotated[
            Words,
            Meta(
                description="Name or registration number of the medical director.",
                examples=["Rao"],
            ),
        ]
        | None
    ) = None
    organization: (
        Annotated[Words, Meta(description="Name of the organization.", examples=["Kadelyx"])] | None
    ) = None
    q: (
        Annotated[
            Words,
            Meta(
                description="Words of a name, an organization, a city or a condition; typing "
                "errors are forgiven.",
                examples=["kadelix phoenix"],
            ),
        ]
        | None
    ) = None
    bbox: (
        Annotated[
            str,
            Meta(
                max_length=80,
                description="West, south, east, north in degrees; west > east crosses the "
                "antimeridian.",
                examples=["-113,33,-111,34"],
            ),
        ]
        | None
    ) = None
    sort: (
        Annotated[
            Sort,
            Meta(
                description="The order, ties nearest first. Without it: by distance with `near`, "
                "else by relevance with `q`, else by name.",
                examples=["distance"],
                extra={"right": "one of distance, wait, name, relevance"},
            ),
        ]
        | None
    ) = None
    limit: Annotated[
        int, Meta(ge=1, le=100, description="How many clinics on a page.", examples=[20])
    ] = 20
    cursor: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=1000,
                description="`next` of the page before.",
                examples=["kX0w5mWcVqkZJtEXcnxQ5ZLLQLzAqVg4A"],
            ),
        ]
        | None
    ) = None
    facets: Annotated[
        str,
        Meta(
            max_length=100,
            description="What to count among the answers: any of route, setting, condition, "
            "state, payer, language, accepting; `none` for nothing.",
            examples=["route,payer"],
        ),
    ] = "route"
