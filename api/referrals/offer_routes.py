"""Offers over HTTP, for the clinics that they are made to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import Body
from litestar.types import ControllerRouterHandler

from api.auth import Caller
from api.directory.access import VERSION_HEADER
from api.directory.versions import expected_version
from api.operations import NEEDS_KEY, answers, documented, problems
from api.parameters import read_query
from api.referrals import examples, listing, service
from api.referrals.access import (
    ANSWER_HEADERS,
    OfferId,
    PlainRequest,
    acting,
    clinics_only,
    offer_answer,
    offer_id_of,
    offer_over_answer,
    plain_headers,
    services_of,
)
from api.referrals.details import Detail, said_with
from api.referrals.lifecycle.events import Accepted, Asked, Declined
from api.referrals.listing import OffersQuery
from api.referrals.schemas import AskWrite, DeclineWrite, NoteWrite
from api.referrals.service import Doing
from api.referrals.views import OfferPage, OfferView
from db.referral_rows import OfferRow
from db.states import AuditAction

_TAGS: Final = ["Offers"]
_RESPONSES: Final = answers(OfferView, example=examples.OFFER) | problems(
    404, 409, 410, 412, 428, 503
)


@get(
    "/v1/offers",
    operation_id="listOffers",
    summary="What is, or was, offered to your clinics",
    description="Longest untouched first. An offer that is over says nothing of the patient.",
    tags=_TAGS,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=documented(query=OffersQuery, response_headers=[VERSION_HEADER]),
    responses=answers(OfferPage, example=examples.OFFERS) | problems(503),
)
async def list_offers(
    request: PlainRequest, caller: NamedDependency[Caller], state: State
) -> Response[OfferPage]:
    query = read_query(request, OffersQuery)
    async with acting(request, caller) as act:
        page = await listing.offers(act, query)
    return Response(page, headers=plain_headers(services_of(state)))


@get(
    "/v1/offers/{offer:str}",
    operation_id="readOffer",
    summary="An offer, with the referral behind it while it is open",
    tags=_TAGS,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=documented(response_headers=ANSWER_HEADERS),
    responses=answers(OfferView, example=examples.OFFER) | problems(404, 503),
)
async def read_offer(
    offer: OfferId, request: PlainRequest, caller: NamedDependency[Caller]
) -> Response[OfferView]:
    async with acting(request, caller) as act:
        found = await service.look_at_offer(act, offer_id_of(offer))
    if isinstance(found, OfferRow):
        return offer_over_answer(found, act.services)
    return offer_answer(found)


@post(
    "/v1/offers/{offer:str}/accept",
    operation_id="acceptOffer",
    summary="Take the referral; the answer names the patient",
    description="The first clinic to accept has it. It takes one of the clinic's places of this "
    "week, if its profile states `weekly_capacity`; without one left the answer is 409.",
    tags=_TAGS,
    status_code=200,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=documented(
        body_example={"note": "We call the patient within two days."},
        request_headers=["If-Match"],
        response_headers=ANSWER_HEADERS,
    ),
    responses=_RESPONSES,
)
async def accept_offer(
    offer: OfferId,
    request: PlainRequest,
    caller: NamedDependency[Caller],
    data: Annotated[NoteWrite | None, Body(description="A word to go with it")] = None,
) -> Response[OfferView]:
    offer_id = offer_id_of(offer)
    doing = Doing(
        event=Accepted(offer_id=offer_id),
        action=AuditAction.OFFER_ACCEPTED,
        detail=said_with(data and data.note),
    )
    return await _by_clinic(offer, request, caller, doing)


@post(
    "/v1/offers/{offer:str}/decline",
    operation_id="declineOffer",
    summary="Say no, with a reason; the next clinic is asked",
    tags=_TAGS,
    status_code=200,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=documented(
        body_example={"reason": "capacity", "note": "Nobody free before March."},
        request_headers=["If-Match"],
        response_headers=ANSWER_HEADERS,
    ),
    responses=_RESPONSES,
)
async def decline_offer(
    offer: OfferId,
    data: Annotated[DeclineWrite, Body(description="Why")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
) -> Response[OfferView]:
    offer_id = offer_id_of(offer)
    doing = Doing(
        event=Declined(offer_id=offer_id, reason=data.reason),
        action=AuditAction.OFFER_DECLINED,
        detail=said_with(data.note),
        reason=data.reason,
    )
    return await _by_clinic(offer, request, caller, doing)


@post(
    "/v1/offers/{offer:str}/ask",
    operation_id="askReferrer",
    summary="Ask the referrer something; the clock stands still until the answer",
    tags=_TAGS,
    status_code=200,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=documented(
        body_example={"question": "Is there an electrocardiogram of this year?"},
        request_headers=["If-Match"],
        response_headers=ANSWER_HEADERS,
    ),
    responses=_RESPONSES,
)
async def ask_referrer(
    offer: OfferId,
    data: Annotated[AskWrite, Body(description="The question")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
) -> Response[OfferView]:
    offer_id = offer_id_of(offer)
    doing = Doing(
        event=Asked(offer_id=offer_id),
        action=AuditAction.OFFER_ASKED,
        detail=Detail(text=data.question),
    )
    return await _by_clinic(offer, request, caller, doing)


async def _by_clinic(
    offer: str, request: PlainRequest, caller: Caller, doing: Doing
) -> Response[OfferView]:
    expected = expected_version(request.headers.get("if-match"))
    async with acting(request, caller) as act:
        shown = await service.by_offer(act, offer_id_of(offer), expected, doing)
    return offer_answer(shown)


handlers: Sequence[ControllerRouterHandler] = [
    list_offers,
    read_offer,
    accept_offer,
    decline_offer,
    ask_referrer,
]
