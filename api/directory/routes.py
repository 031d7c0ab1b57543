"""Profiles over HTTP, for those with a key: created, replaced, amended, deleted, merged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from litestar import MediaType, Request, Response, delete, patch, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import Body
from litestar.types import ControllerRouterHandler

from api.auth import Caller, needs
from api.directory import merging, service, upkeep_routes
from api.directory.access import (
    VERSION_HEADER,
    WRITE,
    ClinicId,
    DirectoryServices,
    clinic_id_of,
    may_edit,
)
from api.directory.composing import Stored
from api.directory.examples import CLINIC, PATCH
from api.directory.profile import etag, profile_json
from api.directory.provenance import CLINIC as BY_CLINIC
from api.directory.provenance import OPERATOR
from api.directory.schemas import ClinicPatch, ClinicProfile, ClinicWrite, MergeWrite
from api.directory.service import Author, Edit
from api.directory.step import directory_write
from api.directory.versions import Expected, expected_version
from api.operations import NEEDS_KEY, answers, documented, problems
from api.search.examples import PROFILE

_TAGS: Final = ["Directory upkeep"]
_ANSWER_HEADERS: Final = ["ETag", VERSION_HEADER]

PlainRequest = Request[Any, Any, State]


@post(
    "/v1/clinics",
    operation_id="createClinic",
    summary="Add a clinic",
    description="Without `location` the point is found from the address. `accepting`, `wait_days` "
    "and `weekly_capacity` stand for CLINICWAY_CLAIM_DAYS and are unknown again after that.",
    tags=_TAGS,
    guards=[needs(WRITE)],
    security=NEEDS_KEY,
    opt=documented(body_example=CLINIC, response_headers=["Location", *_ANSWER_HEADERS]),
    responses=answers(ClinicProfile, example=PROFILE, status=201, description="Added")
    | problems(503),
)
async def create_clinic(
    data: Annotated[ClinicWrite, Body(description="The profile")],
    caller: NamedDependency[Caller],
    state: State,
) -> Response[bytes]:
    services = DirectoryServices(state)
    author = _author(caller, services)
    draft = service.drafted(data, services.catalogue, services.clock.now())
    placed = await service.place(services.places, draft)
    async with directory_write(services, caller.actor) as step:
        stored = await service.create(step, draft, placed, author)
    answer = _profile(stored, services, status_code=201)
    answer.headers["Location"] = f"/v1/clinics/{stored.row.id}"
    return answer


@put(
    "/v1/clinics/{key:str}",
    operation_id="replaceClinic",
    summary="Replace a clinic's profile",
    description="What is left out is cleared, except that the point stays for as long as the "
    "address does. A clinic's own key cannot change `source`; with it, the profile counts as "
    "verified now.",
    tags=_TAGS,
    guards=[may_edit],
    security=NEEDS_KEY,
    opt=documented(
        body_example=CLINIC, request_headers=["If-Match"], response_headers=_ANSWER_HEADERS
    ),
    responses=answers(ClinicProfile, example=PROFILE) | problems(404, 409, 412, 428, 503),
)
async def replace_clinic(
    key: ClinicId,
    data: Annotated[ClinicWrite, Body(description="The whole profile")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
    state: State,
) -> Response[bytes]:
    services = DirectoryServices(state)
    expected = expected_version(request.headers.get("if-match"))
    edit = service.replacing(data, services.catalogue, _author(caller, services))
    return await _changed(services, caller, clinic_id_of(key), expected, edit)


@patch(
    "/v1/clinics/{key:str}",
    operation_id="amendClinic",
    summary="Change some fields of a clinic's profile",
    description="What is left out stays, null clears; lists and objects are replaced whole. With "
    "a new address and no location the point is found anew. Repeating a claim renews it.",
    tags=_TAGS,
    guards=[may_edit],
    security=NEEDS_KEY,
    opt=documented(
        body_example=PATCH, request_headers=["If-Match"], response_headers=_ANSWER_HEADERS
    ),
    responses=answers(ClinicProfile, example=PROFILE) | problems(404, 409, 412, 428, 503),
)
async def amend_clinic(
    key: ClinicId,
    data: Annotated[ClinicPatch, Body(description="The fields to change")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
    state: State,
) -> Response[bytes]:
    services = DirectoryServices(state)
    expected = expected_version(request.headers.get("if-match"))
    edit = service.amending(data, services.catalogue, _author(caller, services))
    return await _changed(services, caller, clinic_id_of(key), expected, edit)


@delete(
    "/v1/clinics/{key:str}",
    operation_id="deleteClinic",
    summary="Delete a clinic",
    description="Its history stays, and its slug is not given to another clinic.",
    tags=_TAGS,
    guards=[may_edit],
    security=NEEDS_KEY,
    opt=documented(request_headers=["If-Match"], response_headers=[VERSION_HEADER]),
    responses=problems(404, 409, 412, 428, 503),
)
async def delete_clinic(
    key: ClinicId, request: PlainRequest, caller: NamedDependency[Caller], state: State
) -> Response[None]:
    services = DirectoryServices(state)
    expected = expected_version(request.headers.get("if-match"))
    async with directory_write(services, caller.actor) as step:
        await service.delete(step, clinic_id_of(key), expected)
    return Response(None, status_code=204, headers=_version(services))


@post(
    "/v1/clinics/{key:str}/merge",
    operation_id="mergeClinic",
    summary="Join a duplicate to the clinic that stays",
    description="The clinic in the path becomes a redirect to the one in `into`, which keeps what "
    "it says, takes over what it said nothing of, and offers what either of them offered. "
    "`If-Match` is the duplicate's version; the answer is the survivor.",
    tags=_TAGS,
    status_code=200,
    guards=[needs(WRITE)],
    security=NEEDS_KEY,
    opt=documented(
        body_example={"into": "0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"},
        request_headers=["If-Match"],
        response_headers=_ANSWER_HEADERS,
    ),
    responses=answers(ClinicProfile, example=PROFILE) | problems(404, 409, 412, 428, 503),
)
async def merge_clinic(
    key: ClinicId,
    data: Annotated[MergeWrite, Body(description="The clinic that stays")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
    state: State,
) -> Response[bytes]:
    services = DirectoryServices(state)
    expected = expected_version(request.headers.get("if-match"))
    async with directory_write(services, caller.actor) as step:
        survivor = await merging.merge(
            step, clinic_id_of(key), data.into, expected, services.catalogue
        )
    return _profile(survivor, services)


async def _changed(
    services: DirectoryServices, caller: Caller, clinic_id: UUID, expected: Expected, edit: Edit
) -> Response[bytes]:
    # Looked at before the lock is taken, since a point may have to be found on the network.
    async with services.database.acquire() as conn:
        stored = await service.current(conn, clinic_id)
    expected.require(etag(stored.row.version))
    placed = await service.place(services.places, edit(stored, services.clock.now()))
    author = _author(caller, services)
    async with directory_write(services, caller.actor) as step:
        stored = await service.change(step, clinic_id, expected, edit, placed, author)
    return _profile(stored, services)


def _author(caller: Caller, services: DirectoryServices) -> Author:
    source = OPERATOR if caller.has(WRITE) else BY_CLINIC
    return Author(source=source, claim_days=services.settings.claim_days)


def _profile(
    stored: Stored, services: DirectoryServices, *, status_code: int = 200
) -> Response[bytes]:
    return Response(
        profile_json(stored.row, stored.offerings).encode(),
        status_code=status_code,
        media_type=MediaType.JSON,
        headers={"ETag": etag(stored.row.version)} | _version(services),
    )


def _version(services: DirectoryServices) -> dict[str, str]:
    """The index has the write already, unless it is more than two seconds behind."""
    return {VERSION_HEADER: str(services.follower.index.version)}


handlers: Sequence[ControllerRouterHandler] = [
    create_clinic,
    replace_clinic,
    amend_clinic,
    delete_clinic,
    merge_clinic,
    *upkeep_routes.handlers,
]
