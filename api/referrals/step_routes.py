"""What a referrer, and the clinic that has it, do with a referral."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from litestar import Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body
from litestar.types import ControllerRouterHandler
from msgspec import UNSET
from msgspec.structs import replace

from api.auth import Caller, needs
from api.directory.versions import expected_version
from api.operations import NEEDS_KEY, answers, documented, problems
from api.referrals import checking, examples, service
from api.referrals.access import (
    ANSWER_HEADERS,
    SEND,
    PlainRequest,
    ReferralId,
    acting,
    clinics_only,
    referral_answer,
    referral_id_of,
    services_of,
)
from api.referrals.details import Detail, said_with
from api.referrals.lifecycle.events import (
    Answered,
    Cancelled,
    Completed,
    NoShow,
    Returned,
    RouteRequested,
    Scheduled,
    ScreeningConfirmed,
    Started,
)
from api.referrals.schemas import (
    AnswerWrite,
    CancelWrite,
    CompleteWrite,
    ConfirmScreeningWrite,
    NoteWrite,
    ReturnWrite,
    RouteWrite,
    ScheduleWrite,
)
from api.referrals.sending import Knows
from api.referrals.service import Doing
from api.referrals.step import Case
from api.referrals.views import ReferralView
from db.states import AuditAction

_TAGS: Final = ["Referrals"]
_RESPONSES: Final[Mapping[int, ResponseSpec]] = answers(
    ReferralView, example=examples.VIEW
) | problems(404, 409, 412, 428, 503)
_AND_GONE: Final = dict(_RESPONSES) | problems(410)


def _documented(body: object = None) -> dict[str, object]:
    return documented(
        body_example=body, request_headers=["If-Match"], response_headers=ANSWER_HEADERS
    )


@post(
    "/v1/referrals/{referral:str}/cancel",
    operation_id="cancelReferral",
    summary="End a referral, at any time before it is completed",
    tags=_TAGS,
    status_code=200,
    guards=[needs(SEND)],
    security=NEEDS_KEY,
    opt=_documented({"reason": "The patient has moved away."}),
    responses=_AND_GONE,
)
async def cancel_referral(
    referral: ReferralId,
    request: PlainRequest,
    caller: NamedDependency[Caller],
    data: Annotated[CancelWrite | None, Body(description="Why, if you like")] = None,
) -> Response[ReferralView]:
    doing = Doing(
        event=Cancelled(),
        action=AuditAction.REFERRAL_CANCELLED,
        detail=said_with(data and data.reason),
    )
    return await _by_referrer(referral, request, caller, doing)


@post(
    "/v1/referrals/{referral:str}/confirm-screening",
    operation_id="confirmScreening",
    summary="Have it routed although a screening flag is raised, and say why",
    tags=_TAGS,
    status_code=200,
    guards=[needs(SEND)],
    security=NEEDS_KEY,
    opt=_documented({"reason": "Blood pressure has been well controlled since May."}),
    responses=_AND_GONE,
)
async def confirm_screening(
    referral: ReferralId,
    data: Annotated[ConfirmScreeningWrite, Body(description="Why")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
) -> Response[ReferralView]:
    doing = Doing(
        event=ScreeningConfirmed(),
        action=AuditAction.SCREENING_CONFIRMED,
        detail=Detail(text=data.reason),
    )
    return await _by_referrer(referral, request, caller, doing)


@post(
    "/v1/referrals/{referral:str}/answer",
    operation_id="answerQuestion",
    summary="Answer the clinic's question; its clock goes on",
    tags=_TAGS,
    status_code=200,
    guards=[needs(SEND)],
    security=NEEDS_KEY,
    opt=_documented({"answer": "Yes, an electrocardiogram of this year is at hand."}),
    responses=_AND_GONE,
)
async def answer_question(
    referral: ReferralId,
    data: Annotated[AnswerWrite, Body(description="The answer")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
) -> Response[ReferralView]:
    doing = Doing(
        event=Answered(), action=AuditAction.QUESTION_ANSWERED, detail=Detail(text=data.answer)
    )
    return await _by_referrer(referral, request, caller, doing)


@post(
    "/v1/referrals/{referral:str}/route",
    operation_id="routeReferral",
    summary="Have it routed again, with other preferences if you like",
    description="For a referral that nobody could take, or that waits for a clinic's next week. "
    "The body may be left out. Clinics that let it lapse before may be asked again; those that "
    "said no are not.",
    tags=_TAGS,
    status_code=200,
    guards=[needs(SEND)],
    security=NEEDS_KEY,
    opt=_documented({"preferences": {"max_distance": "100mi", "routes": []}}),
    responses=_AND_GONE,
)
async def route_referral(
    referral: ReferralId,
    request: PlainRequest,
    caller: NamedDependency[Caller],
    state: State,
    data: Annotated[RouteWrite | None, Body(description="What is to change")] = None,
) -> Response[ReferralView]:
    services = services_of(state)

    def changed(case: Case) -> None:
        if data is None or data.preferences is UNSET:
            return
        preferences = checking.merged(
            case.document.preferences,
            data.preferences,
            services.catalogue,
            Knows(services),
            case.now,
        )
        case.reseal(replace(case.document, preferences=preferences))

    doing = Doing(event=RouteRequested(), action=AuditAction.REFERRAL_ROUTED, also=changed)
    return await _by_referrer(referral, request, caller, doing)


@post(
    "/v1/referrals/{referral:str}/schedule",
    operation_id="scheduleVisit",
    summary="Book the first visit, or book it anew",
    tags=_TAGS,
    status_code=200,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=_documented({"at": "2026-12-01T09:30:00-07:00"}),
    responses=_AND_GONE,
)
async def schedule_visit(
    referral: ReferralId,
    data: Annotated[ScheduleWrite, Body(description="When")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
    state: State,
) -> Response[ReferralView]:
    at = checking.visit(data, services_of(state).clock.now())
    doing = Doing(event=Scheduled(), action=AuditAction.VISIT_SCHEDULED, detail=Detail(visit_at=at))
    return await _by_owner(referral, request, caller, doing)


@post(
    "/v1/referrals/{referral:str}/no-show",
    operation_id="reportNoShow",
    summary="Say that the patient did not come; the visit is to be booked anew",
    tags=_TAGS,
    status_code=200,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=_documented({"note": "We could not reach the patient by telephone."}),
    responses=_AND_GONE,
)
async def report_no_show(
    referral: ReferralId,
    request: PlainRequest,
    caller: NamedDependency[Caller],
    data: Annotated[NoteWrite | None, Body(description="A word to go with it")] = None,
) -> Response[ReferralView]:
    doing = Doing(
        event=NoShow(), action=AuditAction.VISIT_MISSED, detail=said_with(data and data.note)
    )
    return await _by_owner(referral, request, caller, doing)


@post(
    "/v1/referrals/{referral:str}/start",
    operation_id="startTreatment",
    summary="Say that treatment has begun",
    tags=_TAGS,
    status_code=200,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=_documented({"note": "Six sessions are planned."}),
    responses=_AND_GONE,
)
async def start_treatment(
    referral: ReferralId,
    request: PlainRequest,
    caller: NamedDependency[Caller],
    data: Annotated[NoteWrite | None, Body(description="A word to go with it")] = None,
) -> Response[ReferralView]:
    doing = Doing(
        event=Started(), action=AuditAction.TREATMENT_STARTED, detail=said_with(data and data.note)
    )
    return await _by_owner(referral, request, caller, doing)


@post(
    "/v1/referrals/{referral:str}/complete",
    operation_id="completeReferral",
    summary="Report the outcome to the referrer",
    tags=_TAGS,
    status_code=200,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=_documented({"outcome": "Six sessions; pain went from 8 to 3. Follow-up in a month."}),
    responses=_AND_GONE,
)
async def complete_referral(
    referral: ReferralId,
    data: Annotated[CompleteWrite, Body(description="The outcome")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
) -> Response[ReferralView]:
    doing = Doing(
        event=Completed(),
        action=AuditAction.REFERRAL_COMPLETED,
        detail=Detail(text=data.outcome),
    )
    return await _by_owner(referral, request, caller, doing)


@post(
    "/v1/referrals/{referral:str}/return",
    operation_id="returnReferral",
    summary="Give a referral back; the next clinic is asked",
    description="The clinic's place is free again, and the answer says nothing more of who the "
    "patient is.",
    tags=_TAGS,
    status_code=200,
    guards=[clinics_only],
    security=NEEDS_KEY,
    opt=_documented({"reason": "clinical", "note": "Needs a cardiology opinion first."}),
    responses=_AND_GONE,
)
async def return_referral(
    referral: ReferralId,
    data: Annotated[ReturnWrite, Body(description="Why")],
    request: PlainRequest,
    caller: NamedDependency[Caller],
) -> Response[ReferralView]:
    doing = Doing(
        event=Returned(reason=data.reason),
        action=AuditAction.REFERRAL_RETURNED,
        detail=said_with(data.note),
        reason=data.reason,
    )
    return await _by_owner(referral, request, caller, doing)


async def _by_referrer(
    referral: str, request: PlainRequest, caller: Caller, doing: Doing
) -> Response[ReferralView]:
    expected = expected_version(request.headers.get("if-match"))
    async with acting(request, caller) as act:
        shown = await service.by_referrer(act, referral_id_of(referral), expected, doing)
    return referral_answer(shown)


async def _by_owner(
    referral: str, request: PlainRequest, caller: Caller, doing: Doing
) -> Response[ReferralView]:
    expected = expected_version(request.headers.get("if-match"))
    async with acting(request, caller) as act:
        shown = await service.by_owner(act, referral_id_of(referral), expected, doing)
    return referral_answer(shown)


handlers: Sequence[ControllerRouterHandler] = [
    cancel_referral,
    confirm_screening,
    answer_question,
    route_referral,
    schedule_visit,
    report_no_show,
    start_treatment,
    complete_referral,
    return_referral,
]
