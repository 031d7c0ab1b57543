"""Real rows of the referrals' tables, put in by a superuser, whom no policy holds."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from api.clock import SystemClock
from db.connection import Connection
from db.pool import connect
from tests.conftest import PATIENT

if TYPE_CHECKING:
    from collections.abc import Mapping

_id = SystemClock().new_id

CLINIC = """
with change as (
    insert into directory_change (seq, kind, clinic_id, at, actor, profile)
    select coalesce(max(seq), 0) + 1, 'upsert', $1::uuid, now(), 'test', '{}' from directory_change
    returning seq
)
insert into clinic (id, slug, change_seq, name, city, state, country, source_name)
select $1::uuid, $1::uuid::text, seq, 'A clinic', 'Phoenix', 'US-AZ', 'US', 'test' from change
"""
REFERRAL = """
insert into referral (id, version, state, urgency, mode, referrer, owner_clinic_id, offered_to,
    sealed, history_hash, created_at, updated_at)
values ($1, 1, $2::referral_state, 'routine', 'sequential', $3, $4, $5, 'sealed', 'hash', now(),
    now())
"""
OFFER = """
insert into offer (id, referral_id, referrer, clinic_id, state, version, sequential, opened_at,
    decided_at, updated_at)
values ($1, $2, $3, $4, $5::offer_state, 1, true, now(),
    case when $5::offer_state = 'open' then null else now() end, now())
"""
KEY = "insert into sealed_key (referral_id, keyring_id, wrapped) values ($1, 'k', 'wrapped')"
HISTORY = """
insert into referral_history (referral_id, version, at, event, role, actor, to_state, keyring_id,
    hash)
values ($1, 1, now(), 'created', 'referrer', 'key:x', 'matching', 'k', 'hash')
"""
IDEMPOTENCY = """
insert into idempotency (principal, key_hash, request_hash, referral_id, sealed, created_at)
values ($2, sha256($1::uuid::text::bytea), 'request', $1::uuid, 'sealed', now())
"""
NOTICE = """
insert into notice (id, referral_id, version, event, audience, principal, at)
values ($1, $2, 1, 'created', 'referrer', $3, now())
"""


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Two referrals of one referrer, one accepted and one on offer, and one of another."""

    referrer: str
    other_referrer: str
    owner: UUID
    """Has accepted the first referral."""
    asked: UUID
    """Has an open offer of the second."""
    lapsed: UUID
    """Had an offer of each of the two, and let them expire."""
    other_clinic: UUID
    accepted: UUID
    offered: UUID
    foreign: UUID
    accepted_offer: UUID
    open_offer: UUID
    lapsed_offers: frozenset[UUID]
    names: Mapping[UUID, str]
    """For the ids of referrals and offers, what they are called in an expectation."""


async def set_scene(dsn: str) -> Scene:
    driver = await connect(dsn, PATIENT, application="tests")
    try:
        conn = Connection(driver)
        async with conn.transaction():
            return await _set_scene(conn)
    finally:
        await driver.close()


async def _set_scene(conn: Connection) -> Scene:
    owner, asked, lapsed, other = clinics = [_id() for _ in range(4)]
    for clinic in clinics:
        await conn.execute(CLINIC, clinic)
    referrer, other_referrer = _id().hex, _id().hex
    accepted, offered, foreign = _id(), _id(), _id()
    accepted_offer, open_offer, lapsed_1, lapsed_2 = (_id() for _ in range(4))
    for referral, state, whose, owned_by, offered_to in (
        (accepted, "accepted", referrer, owner, []),
        (offered, "offered", referrer, None, [asked]),
        (foreign, "matching", other_referrer, None, []),
    ):
        await conn.execute(REFERRAL, referral, state, whose, owned_by, offered_to)
        await conn.execute(KEY, referral)
        await conn.execute(HISTORY, referral)
        await conn.execute(IDEMPOTENCY, referral, whose)
        await conn.execute(NOTICE, _id(), referral, whose)
    for offer, referral, clinic, state in (
        (accepted_offer, accepted, owner, "accepted"),
        (lapsed_1, accepted, lapsed, "expired"),
        (open_offer, offered, asked, "open"),
        (lapsed_2, offered, lapsed, "expired"),
    ):
        await conn.execute(OFFER, offer, referral, referrer, clinic, state)
    return Scene(
        referrer=referrer,
        other_referrer=other_referrer,
        owner=owner,
        asked=asked,
        lapsed=lapsed,
        other_clinic=other,
        accepted=accepted,
        offered=offered,
        foreign=foreign,
        accepted_offer=accepted_offer,
        open_offer=open_offer,
        lapsed_offers=frozenset({lapsed_1, lapsed_2}),
        names={
            accepted: "accepted",
            offered: "offered",
            foreign: "foreign",
            accepted_offer: "accepted offer",
            open_offer: "open offer",
            lapsed_1: "lapsed offer 1",
            lapsed_2: "lapsed offer 2",
        },
    )
