"""What a route says of itself beyond what Litestar takes: for the OpenAPI document and the edge.

@get("/v1/places", operation_id="findPlaces", summary="…", tags=["Places"],
     opt=documented(query=PlacesQuery), responses=answers(PlaceList, example=…) | problems(400))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from api.errors import FieldError

PROBLEM_JSON: Final = "application/problem+json"
NEEDS_KEY: Final[list[dict[str, list[str]]]] = [{"apiKey": []}]
"""For `security=`: the call needs `Authorization: Bearer cw_…`. Brings 401 and 403 along."""


class ProblemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong, as RFC 9457 lays it out. Some types carry further members."""

    type: str
    """A link to what this type means and what to do; stable, made to be compared."""
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[FieldError] = []
    """For bad input: each thing that is wrong."""


class Documented(msgspec.Struct, frozen=True, kw_only=True):
    """The part of an operation's documentation that stands in the handler's `opt`."""

    query: type[msgspec.Struct] | None = None
    body_example: object = None
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()


NOTHING_MORE: Final = Documented()


def documented(
    *,
    query: type[msgspec.Struct] | None = None,
    body_example: object = None,
    request_headers: Sequence[str] = (),
    response_headers: Sequence[str] = (),
) -> dict[str, object]:
    """For `opt=`. `query` is the Struct that the handler gives to `read_query`, or, when it reads
    the query string itself, one with a field for each name that it takes. Headers are names from
    the tables in `openapi.headers`; an example is plain JSON values."""
    return {
        "documented": Documented(
            query=query,
            body_example=body_example,
            request_headers=tuple(request_headers),
            response_headers=tuple(response_headers),
        )
    }


def documentation(opt: Mapping[str, Any]) -> Documented:
    """What `documented` left in a handler's `opt`."""
    found = opt.get("documented", NOTHING_MORE)
    assert isinstance(found, Documented), "opt={'documented': …} is made by documented()"
    return found


def answers(
    kind: Any,
    *,
    example: object = None,
    status: int = 200,
    media_type: str = "application/json",
    description: str = "As asked",
) -> dict[int, ResponseSpec]:
    """For `responses=`: what success looks like, where the handler's return type does not say."""
    return {
        status: ResponseSpec(
            kind,
            generate_examples=False,
            description=description,
            media_type=media_type,
            examples=[] if example is None else [Example(value=example)],
        )
    }


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """For `responses=`: the problems that a caller must be ready for.

    What follows from the operation itself is added to the document without being named here:
    400 with parameters or a body; 408, 413, 415 with a body; 401 and 403 with a key.
    """
    return {
        status: ResponseSpec(
            ProblemDocument, generate_examples=False, media_type=PROBLEM_JSON, description=""
        )
        for status in statuses
    }
