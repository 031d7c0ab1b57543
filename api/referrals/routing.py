"""Routing: the same search for clinics whether something is sent or only asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from api.referrals import screening
from api.referrals.checking import metres
from api.referrals.details import Detail, unable
from api.referrals.document import Document, Point, Preferences, age_on
from api.referrals.lifecycle.events import Routed
from api.referrals.lifecycle.lifecycle import BROADCAST
from api.referrals.matching.candidate_rows import asked_condition
from api.referrals.matching.candidates import Found, find_candidates
from api.referrals.matching.matching import Matches
from api.referrals.matching.needs import Need
from api.referrals.step import SERVICE, Case
from api.search.index import SearchIndex
from db.connection import Connection
from db.queries.weeks import taken_in_weeks
from db.states import ReferralMode, Urgency

NEEDLESS: Final = frozenset({screening.IMMEDIATE_RISK})


def need_for(
    index: SearchIndex,
    *,
    conditions: Sequence[str],
    preferences: Preferences,
    answers: Mapping[str, bool],
    point: Point,
    state: str | None,
    age: int | None,
    urgency: Urgency,
    tried: frozenset[UUID] = frozenset(),
) -> Need:
    """What matching is asked for. `state` is where care at home would be, `age` in years."""
    return Need(
        conditions=tuple(asked_condition(index, code) for code in conditions),
        urgency=urgency,
        routes=frozenset(preferences.routes),
        settings=frozenset(preferences.settings),
        near=(point.lat, point.lon),
        state=state,
        max_distance_m=metres(preferences.max_distance),
        age=age,
        payer=preferences.payer,
        language=preferences.language,
        flags=frozenset(screening.raised(answers)) - NEEDLESS,
        preferred=frozenset(preferences.clinics),
        excluded=frozenset(preferences.exclude),
        tried=tried,
    )


def need_of(
    index: SearchIndex,
    document: Document,
    urgency: Urgency,
    tried: frozenset[UUID],
    now: datetime,
) -> Need:
    return need_for(
        index,
        conditions=document.conditions,
        preferences=document.preferences,
        answers=document.screening,
        point=document.point,
        state=document.state,
        age=age_on(document.patient.birth_date, now.date()),
        urgency=urgency,
        tried=tried,
    )


async def matched(conn: Connection, found: Found) -> Matches:
    """What was found, with what each clinic has taken this week. One statement, or none."""
    taken: dict[UUID, int] = {}
    if found.weeks:
        rows = await taken_in_weeks(
            conn, [each.clinic_id for each in found.weeks], [each.week for each in found.weeks]
        )
        taken = {row.clinic_id: row.taken for row in rows}
    return found.matches(taken)


async def route(case: Case) -> bool:
    """Route the referral if that is its turn; whether anything happened.

    While this process has not loaded the directory yet, nothing does: the referral stays due.
    """
    referral, services = case.referral, case.services
    if not referral.needs_routing(case.now) or not services.follower.loaded.is_set():
        return False
    if case.is_erased:
        return False
    index = services.follower.index
    need = need_of(index, case.document, referral.urgency, referral.tried, case.now)
    most = BROADCAST if referral.mode is ReferralMode.BROADCAST else 1
    # Who is not asked is looked for only when nobody can be: to say why.
    found = find_candidates(index, need, case.now, most_ranked=most, most_excluded=0)
    matches = await matched(case.conn, found)
    if not matches.ranked:
        found = find_candidates(index, need, case.now, most_ranked=most)
        matches = await matched(case.conn, found)
    chosen = matches.ranked[:most]
    if chosen:
        event = Routed(offers=tuple((services.clock.new_id(), each.clinic_id) for each in chosen))
        detail = Detail(why=list(chosen), directory_version=found.version)
    elif matches.waiting is not None:
        event = Routed(retry_at=matches.waiting.until)
        detail = Detail(waits_for=list(matches.waiting.clinic_ids), directory_version=found.version)
    else:
        event = Routed()
        detail = Detail(unable=unable(matches), directory_version=found.version)
    case.names |= {each.clinic_id: each.name for each in chosen}
    case.advance(event, SERVICE, detail)
    return True
