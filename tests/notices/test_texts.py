"""Every notice that the machine can write has a text, and no text says more than it may."""

from __future__ import annotations

import re
from collections import deque
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace

from api.notices.texts import TEXTS, Pair, body_of
from api.referrals.lifecycle.clocks import Clocks
from api.referrals.lifecycle.events import (
    Accepted,
    Answered,
    Asked,
    Cancelled,
    ClinicClosed,
    ClinicFull,
    ClinicGone,
    ClinicMerged,
    ClockStruck,
    Completed,
    Declined,
    Event,
    NoShow,
    Notify,
    NotPossible,
    Referral,
    Returned,
    Routed,
    RouteRequested,
    Scheduled,
    ScreeningConfirmed,
    Started,
    Step,
)
from api.referrals.lifecycle.lifecycle import advance, create, next_moment
from api.referrals.lifecycle.rules import RULES
from db.states import Audience, DeclineReason, ReferralEvent, ReferralMode, Urgency

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
CLOCKS = Clocks()
CLINICS = [UUID(int=number) for number in (1, 2, 3)]
DEPTH = 5
LINK = "https://directory.example/v1/referrals/019ab3c0-5f00-7000-8000-000000000001"
# Steps that the machine does not make: the service notes them itself.
BESIDE_IT = {(ReferralEvent.ERASED, Audience.REFERRER)}


def events(referral: Referral) -> list[Event]:
    found: list[Event] = [
        ScreeningConfirmed(), Answered(), Scheduled(), NoShow(), Started(), Completed(),
        Cancelled(), RouteRequested(), Returned(reason=DeclineReason.OTHER), Routed(),
        Routed(retry_at=NOW + timedelta(days=3)), ClockStruck(),
        Routed(offers=tuple((UUID(int=90 + n), clinic) for n, clinic in enumerate(CLINICS[:2]))),
    ]  # fmt: skip
    for clinic in CLINICS[:2]:
        found += [
            ClinicClosed(clinic_id=clinic),
            ClinicFull(clinic_id=clinic),
            ClinicGone(clinic_id=clinic),
            ClinicMerged(clinic_id=clinic, into=CLINICS[2]),
        ]
    for offer in referral.open_offers:
        found += [
            Accepted(offer_id=offer.id),
            Declined(offer_id=offer.id, reason=DeclineReason.OTHER),
            Asked(offer_id=offer.id),
        ]
    return found


def what_can_be_told() -> tuple[set[Pair], set[ReferralEvent]]:
    """All pairs of event and audience, and all events, within some steps from the beginning."""
    told: set[Pair] = set()
    happened: set[ReferralEvent] = set()
    seen: set[object] = set()
    todo: deque[tuple[Referral, datetime, int]] = deque()

    def take(step: Step, now: datetime, depth: int) -> None:
        happened.add(step.event)
        told.update(
            (step.event, each.audience) for each in step.effects if isinstance(each, Notify)
        )
        key = replace(step.referral, version=0)
        if depth and key not in seen:
            seen.add(key)
            todo.append((step.referral, now, depth - 1))

    for mode in ReferralMode:
        for flagged in (False, True):
            remind_at = NOW if flagged else None
            first = create(UUID(int=9), Urgency.ROUTINE, mode, remind_at=remind_at)
            take(first, NOW, DEPTH)
    while todo:
        referral, now, depth = todo.popleft()
        for event in events(referral):
            moment = next_moment(referral) or now
            at = max(moment, now) if isinstance(event, ClockStruck) else now
            try:
                take(advance(referral, event, at, CLOCKS), at, depth)
            except NotPossible:
                continue
    return told, happened


def test_each_notice_has_a_text_and_each_text_a_notice() -> None:
    told, happened = what_can_be_told()
    assert happened >= {rule.event for rule in RULES}, "the search goes deep enough"
    assert told | BESIDE_IT == set(TEXTS)


@pytest.mark.parametrize("pair", TEXTS, ids=lambda pair: f"{pair[0]}-{pair[1]}")
def test_a_text_says_nothing_of_health_and_advises_nothing(pair: Pair) -> None:
    text = TEXTS[pair]
    body = body_of(text, pair[1], LINK)
    words = set(re.findall(r"[a-z]+", f"{text.subject} {body}".lower().replace(LINK.lower(), "")))
    assert not words & {
        "ketamine", "esketamine", "infusion", "pain", "depression", "diagnosis", "condition",
        "treatment", "therapy", "drug", "medication", "symptom", "symptoms", "mental", "health",
        "should", "recommend", "recommended", "emergency", "doctor", "dose",
    }  # fmt: skip
    assert LINK in body
    assert len(text.subject) <= 60
    assert not text.subject.endswith(".")
    assert text.says.endswith(".")
    assert "{" not in body
    assert body.isascii(), "it is readable in whatever the reader has"
