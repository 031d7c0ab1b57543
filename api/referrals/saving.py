"""Writing the steps of a case: one statement for all rows, one for the queue, and the places of
clinics' weeks. The caller's transaction, as the worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import assert_never
from uuid import UUID

from api.referrals import details
from api.referrals.chain import appended
from api.referrals.lifecycle.clocks import Offer
from api.referrals.lifecycle.events import FreePlace, Notify, Step, TakePlace
from api.referrals.lifecycle.lifecycle import next_moment
from api.referrals.matching.weeks import week_of
from api.referrals.step import Case, Line
from db.queries.referrals import insert_referral, save_referral
from db.queries.weeks import free_place, move_place, place_of_clinic, take_place
from db.queue import FULL, NOTIFY, WAKE, Job, enqueue
from db.referral_rows import (
    HistoryRow,
    KeptAnswer,
    NoticeColumns,
    OfferRow,
    ReferralColumns,
)
from db.states import Audience, ReferralEvent, ReferralMode, ReferralState

CLOSED = frozenset({ReferralState.COMPLETED, ReferralState.CANCELLED})


class NoPlaceLeft(Exception):
    """The clinic has taken as many in its week as it can."""


async def save(case: Case) -> None:
    """Every step of the case. Raises NoPlaceLeft, and then nothing must be committed."""
    if not case.lines:
        return
    for line in case.lines:
        await _places(case, line.step)
    before = case.stored_version
    history, offers, notices = _rows(case)
    saved = await save_referral(
        case.conn,
        columns(case),
        before=before,
        sealed=case.sealed if case.resealed else None,
        offers=offers,
        history=history,
        notices=notices,
    )
    assert saved, "whoever saves holds the lock"
    await enqueue(case.conn, _jobs(case, notices))
    _settle(case)


async def insert(case: Case, fingerprints: Sequence[bytes], answer: KeptAnswer) -> None:
    """A new referral with its first steps, and what was answered to who sent it."""
    history, offers, notices = _rows(case)
    await insert_referral(
        case.conn,
        columns(case),
        sealed=case.sealed,
        fingerprints=fingerprints,
        key=case.key_row,
        answer=answer,
        offers=offers,
        history=history,
        notices=notices,
    )
    await enqueue(case.conn, _jobs(case, notices))
    _settle(case)


def prepare(case: Case) -> None:
    """Sets what follows from the state: when it is due, and when it was closed."""
    referral = case.referral
    steps = [line for line in case.lines if not line.step.is_reminder]
    if steps:
        case.updated_at = case.now
    case.due_at = next_moment(referral)
    if referral.needs_routing(case.now) and not case.is_erased:
        # The directory is not here yet: whoever has it next goes on.
        case.due_at = case.now
    if referral.state not in CLOSED:
        case.closed_at = None
    elif case.closed_at is None:
        case.closed_at = case.now


def columns(case: Case) -> ReferralColumns:
    referral = case.referral
    return ReferralColumns(
        id=referral.id,
        version=referral.version,
        state=referral.state,
        urgency=referral.urgency,
        mode=referral.mode,
        referrer=case.referrer,
        owner_clinic_id=referral.owner,
        offered_to=tuple(offer.clinic_id for offer in referral.open_offers),
        asked_by=referral.asked_by,
        answer_by=referral.answer_by,
        visit_booked=referral.visit_booked,
        retry_at=referral.retry_at,
        routed_since=referral.routed_since,
        due_at=case.due_at,
        capacity_week=case.capacity_week,
        history_hash=case.history_hash,
        created_at=case.created_at,
        updated_at=case.updated_at,
        closed_at=case.closed_at,
    )


def _rows(case: Case) -> tuple[list[HistoryRow], list[OfferRow], list[NoticeColumns]]:
    prepare(case)
    history = [_history(case, line) for line in case.lines if not line.step.is_reminder]
    offers = [
        _offer(case, offer)
        for offer in case.referral.offers
        if case.stored_offers.get(offer.id) != offer
    ]
    # A changed offer first: the index on the open one would not have two at once.
    offers.sort(key=lambda offer: offer.id not in case.stored_offers)
    notices = [notice for line in case.lines for notice in _notices(case, line.step)]
    return history, offers, notices


def _history(case: Case, line: Line) -> HistoryRow:
    step = line.step
    sealed = None
    if line.detail is not None:
        row = details.place_of(case.id, step.referral.version)
        sealed = case.key.seal(details.TABLE, details.COLUMN, row, details.encoded(line.detail))
    made = appended(
        case.services.keyring,
        case.history_hash,
        HistoryRow(
            referral_id=case.id,
            version=step.referral.version,
            at=case.now,
            event=step.event,
            role=line.who.role,
            actor=line.who.actor,
            from_state=line.before,
            to_state=step.referral.state,
            offer_id=step.offer_id,
            clinic_id=step.clinic_id,
            clinic_name=None,
            reason=step.reason,
            sealed=sealed,
            keyring_id="",
            hash=b"",
        ),
    )
    case.history_hash = made.hash
    return made


def _offer(case: Case, offer: Offer) -> OfferRow:
    return OfferRow(
        id=offer.id,
        referral_id=case.id,
        referrer=case.referrer,
        clinic_id=offer.clinic_id,
        clinic_name=case.names.get(offer.clinic_id, ""),
        state=offer.state,
        version=offer.version,
        sequential=case.referral.mode is ReferralMode.SEQUENTIAL,
        opened_at=offer.opened_at,
        due_at=offer.due_at,
        remind_at=offer.remind_at,
        reminded_at=offer.reminded_at,
        remaining=offer.remaining,
        questions=offer.questions,
        first_answer_at=offer.first_answer_at,
        decided_at=offer.decided_at,
        decline_reason=offer.decline_reason,
        updated_at=case.now,
    )


def _notices(case: Case, step: Step) -> Iterator[NoticeColumns]:
    for effect in step.effects:
        if not isinstance(effect, Notify) or not _is_told(case, effect.audience):
            continue
        yield NoticeColumns(
            id=case.services.clock.new_id(),
            referral_id=case.id,
            version=step.referral.version,
            event=step.event,
            audience=effect.audience,
            principal=case.referrer if effect.audience is Audience.REFERRER else None,
            clinic_id=effect.clinic_id,
            offer_id=effect.offer_id,
            at=case.now,
        )


def _is_told(case: Case, audience: Audience) -> bool:
    """The patient only if that was agreed to, and as long as it is known who the patient is."""
    if audience is not Audience.PATIENT:
        return True
    return not case.is_erased and case.document.consent.notify


def _jobs(case: Case, notices: Sequence[NoticeColumns]) -> list[Job]:
    jobs: list[Job] = []
    if notices:
        jobs.append(Job(NOTIFY, case.id))
    if case.filled is not None:
        jobs.append(Job(FULL, case.filled))
    if case.due_at is not None:
        jobs.append(Job(WAKE, case.id, None if case.due_at <= case.now else case.due_at))
    return jobs


def _settle(case: Case) -> None:
    """What was written is now what is stored."""
    case.lines = []
    case.resealed = False
    case.filled = None
    case.stored_version = case.referral.version
    case.stored_owner = case.referral.owner
    case.stored_offers = {offer.id: offer for offer in case.referral.offers}


async def _places(case: Case, step: Step) -> None:
    for effect in step.effects:
        match effect:
            case TakePlace():
                await _take(case, effect.clinic_id)
            case FreePlace():
                await _free(case, effect.clinic_id)
            case Notify():
                pass
            case _:
                assert_never(effect)
    if step.event is ReferralEvent.CLINIC_MERGED and step.referral.owner == step.clinic_id:
        await _move(case, step.clinic_id)


async def _take(case: Case, clinic_id: UUID) -> None:
    place = await place_of_clinic(case.conn, clinic_id)
    week, _ = week_of(case.now, place.time_zone)
    taken = await take_place(case.conn, clinic_id, week)
    if taken is None:
        raise NoPlaceLeft
    case.capacity_week = week
    if taken == place.weekly_capacity:
        case.filled = clinic_id


async def _free(case: Case, clinic_id: UUID) -> None:
    if case.capacity_week is not None:
        await free_place(case.conn, clinic_id, case.capacity_week)
        case.capacity_week = None


async def _move(case: Case, into: UUID | None) -> None:
    before = case.stored_owner
    if into is None or before is None or before == into or case.capacity_week is None:
        return
    week = await _week_of(case, into, case.now)
    await move_place(case.conn, before, into, case.capacity_week, week)
    case.capacity_week = week


async def _week_of(case: Case, clinic_id: UUID, now: datetime) -> date:
    place = await place_of_clinic(case.conn, clinic_id)
    return week_of(now, place.time_zone)[0]
