"""Steps that nobody calls for: a deadline, a full week, a clinic that is gone.

Each opens its own transactions, as the worker, and doing it again does nothing.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import msgspec

from api.referrals.lifecycle.events import (
    ClinicClosed,
    ClinicFull,
    ClinicGone,
    ClinicMerged,
    ClockStruck,
    Event,
    NotPossible,
)
from api.referrals.lifecycle.lifecycle import next_moment
from api.referrals.matching.weeks import week_of
from api.referrals.routing import route
from api.referrals.saving import save
from api.referrals.service import locked_by_worker
from api.referrals.step import SERVICE, Case, ReferralServices
from db.queries.referrals import held_by_clinic
from db.queries.weeks import place_of_clinic, taken_in_weeks
from db.rows import ChangeRow
from db.states import Accepting, ChangeKind

TURNED_AWAY: Final = frozenset({Accepting.NO, Accepting.EXISTING_ONLY})
"""Matching says of these that they do not accept: see api/referrals/matching/eligibility.py."""


async def strike(services: ReferralServices, referral_id: UUID) -> None:
    """Do what is due for a referral by itself: route it, remind, let an offer expire, go on
    without an answer. Nothing when nothing is due (any more)."""
    async with services.database.transaction() as conn:
        await conn.become_worker()
        case = await locked_by_worker(services, conn, referral_id)
        if case is not None:
            await _work_off(case)


async def clinic_changed(services: ReferralServices, change: ChangeRow) -> None:
    """What a change of the directory means to the referrals that its clinic holds, each in a
    transaction of its own. Doing it again does nothing."""
    event = _event_of(change)
    if event is None:
        return
    names = _names(services, change.merged_into) if change.kind is ChangeKind.MERGE else {}
    await _tell_all(services, change.clinic_id, event, names)


async def clinic_full(services: ReferralServices, clinic_id: UUID) -> None:
    """What a clinic was offered goes elsewhere, or waits for next week, once its week is full:
    nobody waits for an answer that cannot be a yes. Doing it again does nothing."""
    async with services.database.transaction() as conn:
        await conn.become_worker()
        place = await place_of_clinic(conn, clinic_id)
        week, _ = week_of(services.clock.now(), place.time_zone)
        taken = await taken_in_weeks(conn, [clinic_id], [week])
    if place.weekly_capacity is not None and taken and taken[0].taken >= place.weekly_capacity:
        await _tell_all(services, clinic_id, ClinicFull(clinic_id=clinic_id), {})


async def _tell_all(
    services: ReferralServices, clinic_id: UUID, event: Event, names: dict[UUID, str]
) -> None:
    """Every referral that the clinic holds, each in a transaction of its own."""
    async with services.database.transaction() as conn:
        await conn.become_worker()
        held = await held_by_clinic(conn, clinic_id)
    for referral_id in held:
        async with services.database.transaction() as conn:
            await conn.become_worker()
            case = await locked_by_worker(services, conn, referral_id)
            if case is None:
                continue
            try:
                case.advance(event, SERVICE)
            except NotPossible:
                continue
            case.names |= names
            await _work_off(case)


def _event_of(change: ChangeRow) -> Event | None:
    match change.kind:
        case ChangeKind.DELETE:
            return ClinicGone(clinic_id=change.clinic_id)
        case ChangeKind.MERGE:
            assert change.merged_into is not None, "the log's check holds this"
            return ClinicMerged(clinic_id=change.clinic_id, into=change.merged_into)
        case ChangeKind.UPSERT:
            assert change.profile is not None, "the log's check holds this"
            if _accepting(change.profile.encode()).accepting in TURNED_AWAY:
                return ClinicClosed(clinic_id=change.clinic_id)
            return None


class _Profile(msgspec.Struct):
    accepting: Accepting
    name: str = ""


_accepting = msgspec.json.Decoder(_Profile).decode


def _names(services: ReferralServices, clinic_id: UUID | None) -> dict[UUID, str]:
    index = services.follower.index
    row = None if clinic_id is None else index.row_of(str(clinic_id))
    if row is None or clinic_id is None:
        return {}
    return {clinic_id: _accepting(index.summary(row)).name}


async def _work_off(case: Case) -> None:
    """Everything that is due now, and what has been done before, saved."""
    while await route(case) or _struck(case):
        pass
    await save(case)


def _struck(case: Case) -> bool:
    moment = next_moment(case.referral)
    if moment is None or moment > case.now or case.referral.needs_routing(case.now):
        return False
    case.advance(ClockStruck(), SERVICE)
    return True
