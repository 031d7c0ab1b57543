"""What the referral routes share: who may call them, ids in paths, one transaction a call."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.openapi.spec import Example
from litestar.params import PathParameter

from api.audit.service import Author
from api.auth import CLINIC_SCOPE, Caller, caller
from api.directory.access import VERSION_HEADER
from api.errors import Forbidden
from api.referrals.errors import NoSuchOffer, NoSuchReferral
from api.referrals.service import Act, Shown, etag
from api.referrals.step import ReferralServices
from api.referrals.views import (
    OfferView,
    ReferralView,
    offer_over_view_of,
    offer_view_of,
    view_of,
)
from db.referral_rows import OfferRow

SEND: Final = "referrals:write"
ANSWER_HEADERS: Final = ["ETag", VERSION_HEADER]

PlainRequest = Request[Any, Any, State]
ReferralId = Annotated[
    str,
    PathParameter(
        description="Id of a referral",
        examples=[Example(value="019ab3c0-5f00-7000-8000-0000000000a1")],
    ),
]
OfferId = Annotated[
    str,
    PathParameter(
        description="Id of an offer",
        examples=[Example(value="019ab3c0-5f00-7000-8000-0000000000b1")],
    ),
]


async def clinics_only(
    connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler
) -> None:
    """Litestar guard: only keys that speak for a clinic."""
    if not (await caller(connection)).clinics:
        raise Forbidden(f"This needs a key with a scope {CLINIC_SCOPE}<id>.")


async def takes_part(
    connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler
) -> None:
    """Litestar guard: only keys that send referrals or speak for a clinic."""
    who = await caller(connection)
    if not (who.has(SEND) or who.clinics):
        raise Forbidden(f"This needs a key with the scope {SEND}, or {CLINIC_SCOPE}<id>.")


def referral_id_of(text: str) -> UUID:
    """Raises NoSuchReferral: what cannot be an id is nobody's id."""
    try:
        return UUID(text)
    except ValueError:
        raise NoSuchReferral from None


def offer_id_of(text: str) -> UUID:
    """Raises NoSuchOffer."""
    try:
        return UUID(text)
    except ValueError:
        raise NoSuchOffer from None


@asynccontextmanager
async def acting(request: PlainRequest, who: Caller) -> AsyncGenerator[Act]:
    """One call of somebody: committed at the end, rolled back on any exception."""
    services: ReferralServices = request.app.state.referrals
    async with services.database.transaction() as conn:
        yield Act(services=services, conn=conn, caller=who, author=Author.of(request, who))


def services_of(state: State) -> ReferralServices:
    services: ReferralServices = state.referrals
    return services


def referral_answer(shown: Shown) -> Response[ReferralView]:
    view = view_of(shown.case, shown.viewer, shown.lines)
    return Response(view, status_code=200, headers=headers_for(shown, view.version))


def offer_answer(shown: Shown) -> Response[OfferView]:
    assert shown.offer is not None, "an offer was looked at"
    view = offer_view_of(shown.case, shown.offer, shown.lines)
    return Response(view, status_code=200, headers=headers_for(shown, view.version))


def offer_over_answer(row: OfferRow, services: ReferralServices) -> Response[OfferView]:
    view = offer_over_view_of(row)
    headers = {"ETag": etag(view.version)} | plain_headers(services)
    return Response(view, status_code=200, headers=headers)


def headers_for(shown: Shown, version: int) -> dict[str, str]:
    return {"ETag": etag(version)} | plain_headers(shown.case.services)


def plain_headers(services: ReferralServices) -> dict[str, str]:
    # What is said of a patient is kept by no cache on the way.
    return {
        VERSION_HEADER: str(services.follower.index.version),
        "Cache-Control": "no-store",
    }


def raw_answer(body: msgspec.Raw, *, status: int, headers: dict[str, str]) -> Response[bytes]:
    return Response(
        bytes(body),
        status_code=status,
        media_type=MediaType.JSON,
        headers=headers | {"Cache-Control": "no-store"},
    )
