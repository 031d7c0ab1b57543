"""What the database holds of referrals, compared with what people were told."""

from __future__ import annotations

import httpx

from db.connection import Connection
from tests.faults.deployment import database
from tests.faults.practice import Told

# Each of these must find nothing.
NEVER = {
    "a sequential referral with two open offers": """
        select referral_id from offer
        where sequential and state = 'open' group by referral_id having count(*) > 1
    """,
    "an open offer of a referral that is not being offered": """
        select referral.id from referral join offer on offer.referral_id = referral.id
        where offer.state = 'open' and referral.state not in ('offered', 'info_requested')
    """,
    "a referral that is offered to nobody": """
        select id from referral
        where state in ('offered', 'info_requested') and not exists (
            select from offer where offer.referral_id = referral.id and offer.state = 'open'
        )
    """,
    "a clinic that is said to have an offer and has none, or the reverse": """
        select id from referral
        where (select coalesce(array_agg(clinic_id order by clinic_id), '{}') from offer
               where offer.referral_id = referral.id and offer.state = 'open')
            <> (select coalesce(array_agg(c order by c), '{}') from unnest(offered_to) c)
    """,
    "a referral that waits for nobody": """
        select id from referral
        where state in ('matching', 'offered', 'info_requested') and due_at is null
    """,
    "a version without its line of history, or with two": """
        select id from referral
        where version <> (select count(*) from referral_history
                          where referral_history.referral_id = referral.id)
            or version <> (select max(referral_history.version) from referral_history
                           where referral_history.referral_id = referral.id)
    """,
    "a step that the referrer is not told of": """
        select referral_id from referral_history where not exists (
            select from notice where notice.referral_id = referral_history.referral_id
                and notice.version = referral_history.version and audience = 'referrer'
        )
    """,
    "a referral that two requests made": """
        select referral_id from idempotency group by referral_id having count(*) > 1
    """,
    "a referral without the request that made it": """
        select id from referral
        where not exists (select from idempotency where referral_id = referral.id)
    """,
    "a clinic that took more than it has places": """
        select clinic_id from clinic_week join clinic on clinic.id = clinic_id
        where taken > weekly_capacity
    """,
    "a count of places that is not the number of referrals that hold one": """
        select clinic_week.clinic_id from clinic_week
        where taken <> (
            select count(*) from referral
            where owner_clinic_id = clinic_week.clinic_id and capacity_week = clinic_week.week
        )
    """,
    "two owners at once": """
        select referral_id from (
            select referral_id, event,
                lag(event) over (partition by referral_id order by version) as before
            from referral_history
            where event in ('accepted', 'returned', 'clinic_gone')
        ) as owning where event = 'accepted' and before = 'accepted'
    """,
}
HELD = """
select referral_id::text || ' ' || clinic_id::text
from referral_history where event = 'accepted'
"""
STATES = "select id::text, state::text from referral"


def assert_kept(dsn: str, told: Told) -> None:
    """Nothing that was acknowledged is lost, nothing is doubled, nothing is there by half."""

    async def check(conn: Connection) -> None:
        for name, question in NEVER.items():
            assert [row[0] for row in await conn.fetch(question)] == [], name
        state = {row[0]: row[1] for row in await conn.fetch(STATES)}
        held = {row[0] for row in await conn.fetch(HELD)}
        assert set(told.sent.values()) <= set(state)
        assert len(set(told.sent.values())) == len(told.sent)
        assert {
            f"{r} {clinic}" for r, clinics in told.accepted.items() for clinic in clinics
        } <= held
        assert {state[referral] for referral in told.cancelled} <= {"cancelled"}
        assert {state[referral] for referral in told.completed} <= {"completed"}

    database(dsn, check)


def assert_chains_verify(client: httpx.Client) -> None:
    """All histories of a referrer, by the service's own word."""
    after, seen = "", 0
    while True:
        page = client.get(f"/v1/referrals?limit=100{after}").raise_for_status().json()
        for item in page["items"]:
            history = client.get(f"/v1/referrals/{item['id']}/history").raise_for_status().json()
            assert history["verified"] is True, item["id"]
            seen += 1
        if page["next"] is None:
            break
        after = f"&cursor={page['next']}"
    assert seen > 0
