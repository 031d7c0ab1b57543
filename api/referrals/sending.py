"""Sending a referral, and asking beforehand who would get it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from api.audit.service import Outcome
from api.errors import FieldError, InvalidBody, Problem
from api.referrals import idempotency, screening
from api.referrals.checking import checked
from api.referrals.document import Document, Point, Preferences, age_on, document_of
from api.referrals.errors import DuplicateReferral, ImmediateRisk, RequestInFlight
from api.referrals.idempotency import Answer, Request, headers_of, replayed
from api.referrals.matching.candidates import find_candidates
from api.referrals.matching.matching import Matches
from api.referrals.routing import matched, need_for, route
from api.referrals.saving import insert, prepare
from api.referrals.schemas import (
    MatchesWrite,
    MatchPatientWrite,
    PatientWrite,
    ReferralWrite,
    ScreeningWrite,
)
from api.referrals.sealing.fingerprints import Fingerprints, fingerprints_of
from api.referrals.service import Act
from api.referrals.step import Case, Line, ReferralServices
from api.referrals.viewing import Said, Sight, Viewer
from api.referrals.views import view_of
from api.search.index import SearchIndex
from api.search.places import Places
from db.asking import ask_as
from db.queries.referrals import before_sending, begin_sending
from db.states import AuditAction, AuditObject, RoleInReferral

Asked = TypeVar("Asked", ReferralWrite, MatchesWrite)
SEND = "POST /v1/referrals"


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """A referral that can be sent as it is: checked, and its place found."""

    body: ReferralWrite
    document: Document
    fingerprints: Fingerprints


class Knows:
    """The clinics of the directory, for what names them."""

    def __init__(self, services: ReferralServices) -> None:
        self._index: SearchIndex | None = None
        if services.follower.loaded.is_set():
            self._index = services.follower.index

    def current(self, clinic_id: UUID) -> UUID | None:
        """While the directory is not loaded, every clinic is taken for one."""
        if self._index is None:
            return clinic_id
        if self._index.row_of(str(clinic_id)) is not None:
            return clinic_id
        return self._index.survivor_of(str(clinic_id))


async def prepared(services: ReferralServices, body: ReferralWrite) -> Prepared:
    """Everything that needs no transaction. Raises ImmediateRisk, InvalidBody, AmbiguousPlace."""
    body, point = await _understood(services, body)
    patient = body.patient
    return Prepared(
        body=body,
        document=document_of(body, point),
        fingerprints=fingerprints_of(
            services.keyring,
            given_name=patient.given_name,
            family_name=patient.family_name,
            birth_date=patient.birth_date,
            codes=body.conditions,
        ),
    )


async def send(act: Act, request: Request, prepared: Prepared) -> Answer:
    """The referral stored and routed, or the answer that the same request was given before.

    Raises RequestInFlight, IdempotencyKeyReused, DuplicateReferral.
    """
    services, principal = act.services, act.caller.principal
    free = await begin_sending(
        act.conn,
        principal=principal,
        request_lock=request.lock_number,
        patient_locks=prepared.fingerprints.lock_numbers(),
    )
    if not free:
        raise RequestInFlight
    before = await before_sending(
        act.conn, principal, request.key_hash, prepared.fingerprints.sought
    )
    given = replayed(request, before, services.sealer)
    if given is not None:
        return given
    body, document = prepared.body, prepared.document
    if before.duplicate is not None and body.duplicate_reason is None:
        raise DuplicateReferral(before.duplicate)
    case = Case.new(
        services,
        act.conn,
        now=before.now,
        referrer=principal,
        document=document,
        urgency=body.urgency,
        mode=body.mode,
        needs_confirmation=bool(screening.stops(document.flags)),
        who=act.who(RoleInReferral.REFERRER),
    )
    await route(case)
    answer = _answer(case)
    await insert(case, prepared.fingerprints.stored, idempotency.kept(request, case.key, answer))
    await services.auditor.record(
        act.conn,
        author=act.author,
        action=AuditAction.REFERRAL_CREATED,
        kind=AuditObject.REFERRAL,
        object_id=case.id,
        outcome=Outcome(
            version=case.referral.version,
            state=case.referral.state,
            history_hash=case.history_hash.hex(),
        ),
    )
    return answer


async def given_before(act: Act, request: Request) -> Answer | None:
    """What was answered to the same request before. For one that would now be refused: what a
    referral names may be gone by the time it is repeated."""
    await ask_as(act.conn, principal=act.caller.principal)
    before = await before_sending(act.conn, act.caller.principal, request.key_hash, [])
    return replayed(request, before, act.services.sealer)


class WouldBe(msgspec.Struct, frozen=True, kw_only=True):
    """What a dry run found, at a version of the directory."""

    matches: Matches
    point: Point
    stops: tuple[str, ...]
    version: int


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    body: MatchesWrite
    point: Point


async def prepared_run(services: ReferralServices, body: MatchesWrite) -> DryRun:
    """Raises ImmediateRisk, InvalidBody, AmbiguousPlace."""
    body, point = await _understood(services, body)
    return DryRun(body=body, point=point)


async def try_out(services: ReferralServices, run: DryRun, now: datetime) -> WouldBe:
    """The routing of a referral without the referral: nothing about it is stored, and nothing of a
    patient is read. The database is asked for the clinics' weeks alone, if any of them counts."""
    body = run.body
    index = services.follower.index
    answers = _answers(body.screening)
    patient = body.patient
    need = need_for(
        index,
        conditions=body.conditions,
        preferences=Preferences(**msgspec.structs.asdict(body.preferences)),
        answers=answers,
        point=run.point,
        state=patient.state or run.point.state,
        age=None if patient.birth_date is None else age_on(patient.birth_date, now.date()),
        urgency=body.urgency,
    )
    found = find_candidates(index, need, now)
    if found.weeks:
        async with services.database.acquire() as conn:
            matches = await matched(conn, found)
    else:
        matches = found.matches({})
    return WouldBe(
        matches=matches,
        point=run.point,
        stops=screening.stops(screening.raised(answers)),
        version=found.version,
    )


async def _understood(services: ReferralServices, body: Asked) -> tuple[Asked, Point]:
    # The patient's place is looked up in this service alone: it is sent to no other.
    places = Places(services.places.gazetteer)
    if body.screening.immediate_suicide_risk:
        raise ImmediateRisk(screening.crisis_lines(await _country(places, body.patient)))
    body = checked(body, services.catalogue, Knows(services), services.clock.now())
    return body, await _point(places, body.patient.near)


def _answers(answers: ScreeningWrite) -> dict[str, bool]:
    return msgspec.structs.asdict(answers)


async def _country(places: Places, patient: PatientWrite | MatchPatientWrite) -> str | None:
    """Where the patient is, if that can be told: nothing else is held against such a referral."""
    if patient.state is not None:
        return patient.state[:2]
    try:
        return (await places.find(patient.near)).country
    except Problem:
        return None


async def _point(places: Places, near: str) -> Point:
    try:
        place = await places.find(near)
    except Problem as problem:
        raise _of_the_body(problem) from None
    return Point(
        lat=place.lat,
        lon=place.lon,
        label=place.label,
        precision=place.precision,
        uncertainty_m=place.uncertainty_m,
        country=place.country,
        state=place.state,
    )


def _of_the_body(problem: Problem) -> Problem:
    """The search speaks of its parameter `near`; here it is a field of the body."""
    errors = [FieldError(pointer="/patient/near", message=each.message) for each in problem.errors]
    if problem.status == InvalidBody.status:
        return type(problem)(problem.detail, errors=errors, extra=problem.extra)
    return InvalidBody(problem.detail, errors=errors, extra=problem.extra)


def _answer(case: Case) -> Answer:
    prepare(case)
    view = view_of(case, Viewer(sight=Sight.ALL), _said(case, case.lines))
    version = case.services.follower.index.version
    return Answer(
        status=201,
        headers=dict(headers_of(case.id, case.referral.version, version)),
        body=msgspec.Raw(msgspec.json.encode(view)),
    )


def _said(case: Case, lines: Sequence[Line]) -> list[Said]:
    return [
        Said(
            version=line.step.referral.version,
            at=case.now,
            event=line.step.event,
            role=line.who.role,
            actor=line.who.actor,
            from_state=line.before,
            to_state=line.step.referral.state,
            offer_id=line.step.offer_id,
            clinic_id=line.step.clinic_id,
            clinic_name=None,
            reason=line.step.reason,
            detail=line.detail,
        )
        for line in lines
    ]
