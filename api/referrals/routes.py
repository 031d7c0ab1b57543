"""Referrals over HTTP: asked about beforehand, sent, listed and read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from litestar import Response, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import Body
from litestar.types import ControllerRouterHandler

from api.auth import Caller, needs
from api.directory.access import VERSION_HEADER
from api.errors import Problem
from api.operations import NEEDS_KEY, answers, documented, problems
from api.parameters import read_query
from api.referrals import (
    examples,
    listing,
    offer_routes,
    sending,
    service,
    step_routes,
    tracking_routes,
)
from api.referrals.access import (
    ANSWER_HEADERS,
    SEND,
    PlainRequest,
    ReferralId,
    acting,
    headers_for,
    plain_headers,
    raw_answer,
    referral_answer,
    referral_id_of,
    services_of,
    takes_part,
)
from api.referrals.errors import ImmediateRisk
from api.referrals.idempotency import Answer, request_of
from api.referrals.listing import ReferralsQuery
from api.referrals.match_views import MatchesView
from api.referrals.schemas import MatchesWrite, ReferralWrite
from api.referrals.views import HistoryView, ReferralPage, ReferralView, history_view_of
from db.states import AuditAction

_TAGS: Final = ["Referrals"]


@post(
    "/v1/referrals/matches",
    operation_id="matchReferral",
    summary="Who would be asked, if this referral were sent",
    description="A dry run: the same search and the same order as when it is sent, each clinic "
    "with its score by factor or with the reasons against it. Nothing is stored. Who the patient "
    "is may be left out.",
    tags=_TAGS,
    status_code=200,
    guards=[needs(SEND)],
    security=NEEDS_KEY,
    opt=documented(body_example=examples.MATCHES, response_headers=[VERSION_HEADER]),
    responses=answers(MatchesView, example=examples.MATCHED) | problems(422, 503),
)
async def match_referral(
    data: Annotated[MatchesWrite, Body(description="The referral as it would be sent")],
    state: State,
) -> Response[MatchesView]:
    services = services_of(state)
    run = await sending.prepared_run(services, data)
    found = await sending.try_out(services, run, services.clock.now())
    headers = plain_headers(services) | {VERSION_HEADER: str(found.version)}
    return Response(MatchesView.of(found), status_code=200, headers=headers)


@post(
    "/v1/referrals",
    operation_id="sendReferral",
    summary="Send a referral; it is routed at once",
    description="Normally the answer says `offered`: the best clinic is asked already, and its "
    "clock runs. A screening flag other than a history of substance use waits for your word first "
    "(`screening`). Repeat the request with the same Idempotency-Key when no answer came.",
    tags=_TAGS,
    guards=[needs(SEND)],
    security=NEEDS_KEY,
    opt=documented(
        body_example=examples.REFERRAL,
        request_headers=["Idempotency-Key"],
        response_headers=["Location", *ANSWER_HEADERS],
    ),
    responses=answers(ReferralView, example=examples.VIEW, status=201, description="Sent")
    | problems(409, 410, 422, 503),
)
async def send_referral(
    data: Annotated[ReferralWrite, Body(description="The referral")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
    state: State,
) -> Response[bytes]:
    services = services_of(state)
    header = request.headers.get("idempotency-key")
    named = request_of(services.keyring, caller.principal, header, sending.SEND, data)
    try:
        prepared = await sending.prepared(services, data)
    except ImmediateRisk:
        # Whom to call comes before all else. Such a referral was never taken before.
        raise
    except Problem:
        # A clinic that it names may be gone since: the answer to the first request stands.
        async with acting(request, caller) as act:
            given = await sending.given_before(act, named)
        if given is None:
            raise
        return _sent(given)
    async with acting(request, caller) as act:
        answer = await sending.send(act, named, prepared)
    return _sent(answer)


@get(
    "/v1/referrals",
    operation_id="listReferrals",
    summary="Your referrals, and those of your clinics",
    description="Longest untouched first. What changes while you turn pages comes again at the "
    "end; nothing else is repeated, and nothing is skipped.",
    tags=_TAGS,
    guards=[takes_part],
    security=NEEDS_KEY,
    opt=documented(query=ReferralsQuery, response_headers=[VERSION_HEADER]),
    responses=answers(ReferralPage, example=examples.PAGE) | problems(503),
)
async def list_referrals(
    request: PlainRequest, caller: NamedDependency[Caller], state: State
) -> Response[ReferralPage]:
    query = read_query(request, ReferralsQuery)
    async with acting(request, caller) as act:
        page = await listing.referrals(act, query)
    return Response(page, headers=plain_headers(services_of(state)))


@get(
    "/v1/referrals/{referral:str}",
    operation_id="readReferral",
    summary="A referral, as far as you may see it",
    description="Its referrer sees everything. A clinic that has it sees the patient; one that is "
    "asked sees age, conditions, preferences and screening answers.",
    tags=_TAGS,
    guards=[takes_part],
    security=NEEDS_KEY,
    opt=documented(response_headers=ANSWER_HEADERS),
    responses=answers(ReferralView, example=examples.VIEW) | problems(404, 503),
)
async def read_referral(
    referral: ReferralId, request: PlainRequest, caller: NamedDependency[Caller]
) -> Response[ReferralView]:
    async with acting(request, caller) as act:
        shown = await service.look(act, referral_id_of(referral), AuditAction.REFERRAL_READ)
    return referral_answer(shown)


@get(
    "/v1/referrals/{referral:str}/history",
    operation_id="readReferralHistory",
    summary="Every step of a referral: who, what, why and when",
    description="`verified` says whether the chain of hashes holds. For a clinic, lines that "
    "concern other clinics say only that there was a step.",
    tags=_TAGS,
    guards=[takes_part],
    security=NEEDS_KEY,
    opt=documented(response_headers=ANSWER_HEADERS),
    responses=answers(HistoryView, example=examples.HISTORY) | problems(404, 503),
)
async def read_history(
    referral: ReferralId, request: PlainRequest, caller: NamedDependency[Caller]
) -> Response[HistoryView]:
    async with acting(request, caller) as act:
        shown, verified = await service.look_at_history(act, referral_id_of(referral))
    view = history_view_of(shown.case, shown.viewer, shown.lines, verified=verified)
    return Response(view, headers=headers_for(shown, shown.case.stored_version))


def _sent(answer: Answer) -> Response[bytes]:
    return raw_answer(answer.body, status=answer.status, headers=answer.headers)


handlers: Sequence[ControllerRouterHandler] = [
    match_referral,
    send_referral,
    list_referrals,
    read_referral,
    read_history,
    *step_routes.handlers,
    *offer_routes.handlers,
    *tracking_routes.handlers,
]
