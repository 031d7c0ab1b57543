"""Search, profiles, places and regions: what anybody may ask."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.openapi.spec import Example
from litestar.params import PathParameter
from litestar.response import Redirect
from litestar.types import ASGIApp
from msgspec import Meta

from api.directory.schemas import ClinicProfile
from api.errors import NotFound
from api.etags import etag_of
from api.operations import answers, documented, problems
from api.parameters import read_query
from api.search.direct import versioned
from api.search.examples import PLACES, PROFILE, REGION, REGIONS, SEARCH
from api.search.parameters import SearchParameters
from api.search.place import Candidate
from api.search.places import Places
from api.search.regions import Region, RegionList, Regions
from api.search.schemas import SearchAnswer
from api.search.service import Moved, SearchService

VERSION_HEADER: Final = "Directory-Version"
ClinicKey = Annotated[
    str,
    PathParameter(
        description="Id or slug of a clinic", examples=[Example(value="kadelyx-phoenix-az")]
    ),
]
RegionCode = Annotated[
    str, PathParameter(description="ISO 3166-2 code", examples=[Example(value="US-AZ")])
]


class PlacesQuery(msgspec.Struct, frozen=True, kw_only=True):
    q: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="The beginning of a postal code or of a place's name.",
            examples=["phoe"],
        ),
    ]
    limit: Annotated[
        int, Meta(ge=1, le=50, description="How many places at most.", examples=[10])
    ] = 10


class PlaceList(msgspec.Struct, frozen=True, kw_only=True):
    items: list[Candidate]
    next: None = None


def _search(state: State) -> SearchService:
    return state.search


def _places(state: State) -> Places:
    return state.places


def _regions(state: State) -> Regions:
    names = {region.code: region.name for region in _places(state).gazetteer.regions}
    return Regions(_search(state).index, names)


def _versioned(state: State) -> dict[str, str]:
    return {VERSION_HEADER: str(_search(state).index.version)}


@get(
    "/v1/clinics",
    operation_id="searchClinics",
    summary="Find clinics near a place that treat a condition the way it is wanted",
    description="Clinics within the radius and those that treat at home where the asker lives, in "
    "one ranked answer. Commas mean any of, a repeated parameter means all of. An answer "
    "without clinics says what would find some.",
    tags=["Directory"],
    opt=documented(query=SearchParameters, response_headers=[VERSION_HEADER]),
    responses=answers(SearchAnswer, example=SEARCH) | problems(404, 503),
)
async def search_clinics(request: Request[Any, Any, State]) -> ASGIApp:
    search = _search(request.app.state)
    return versioned(search, await search.answer(request.scope["query_string"]))


@get(
    "/v1/clinics/{key:str}",
    operation_id="getClinic",
    summary="One clinic's full public profile",
    description="By id or slug. A clinic that was merged into another redirects to it.",
    tags=["Directory"],
    opt=documented(request_headers=["If-None-Match"], response_headers=["ETag", VERSION_HEADER]),
    responses=answers(ClinicProfile, example=PROFILE)
    | answers(None, status=308, description="It was merged into the clinic at that address")
    | problems(404, 503),
)
async def get_clinic(key: ClinicKey, request: Request[Any, Any, State]) -> Response[bytes | None]:
    state = request.app.state
    headers = _versioned(state)
    try:
        profile, version = _search(state).profile(key)
    except Moved as moved:
        return Redirect(moved.path, status_code=308, headers=headers)
    except NotFound as missing:
        # It may be there at a later version: a caller who has seen one can tell.
        missing.headers = headers
        raise
    headers["ETag"] = f'"{version}"'
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(None, status_code=304, headers=headers)
    return Response(profile, media_type=MediaType.JSON, headers=headers)


@get(
    "/v1/places",
    operation_id="findPlaces",
    summary="Complete the name of a place while it is typed",
    tags=["Directory"],
    opt=documented(query=PlacesQuery),
    responses=answers(PlaceList, example=PLACES),
)
async def find_places(request: Request[Any, Any, State]) -> PlaceList:
    asked = read_query(request, PlacesQuery)
    return PlaceList(items=_places(request.app.state).suggest(asked.q, asked.limit))


@get(
    "/v1/regions",
    operation_id="listRegions",
    summary="States and nations with how many clinics each has",
    tags=["Directory"],
    opt=documented(response_headers=[VERSION_HEADER]),
    responses=answers(RegionList, example=REGIONS) | problems(503),
)
async def list_regions(request: Request[Any, Any, State]) -> Response[RegionList]:
    state = request.app.state
    return Response(RegionList(items=_regions(state).all()), headers=_versioned(state))


@get(
    "/v1/regions/{code:str}",
    operation_id="getRegion",
    summary="One state or nation and its cities",
    tags=["Directory"],
    opt=documented(response_headers=["ETag", VERSION_HEADER]),
    responses=answers(Region, example=REGION) | problems(404, 503),
)
async def get_region(code: RegionCode, request: Request[Any, Any, State]) -> Response[Region]:
    state = request.app.state
    region = _regions(state).one(code)
    return Response(region, headers={"ETag": etag_of(region)} | _versioned(state))


handlers: Final = [search_clinics, get_clinic, find_places, list_regions, get_region]
