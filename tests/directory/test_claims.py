"""Claims lapse, and what a person has verified is known to the importers."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

from msgspec.structs import replace

from api.directory.claims import BATCH, expire_all, expire_claims, run_claim_expiry
from api.directory.composing import Stored
from api.directory.profile import read_provenance
from api.directory.provenance import (
    CLAIMS,
    OPERATOR,
    keeping_verified,
    stated_by,
    stated_by_source,
    verified_fields,
)
from api.directory.step import locked_step
from api.directory.writing import load, write_batch
from db.pool import Pool
from db.queries.changes import changes_after
from tests.directory.clinics import FULL, SMALL, body, clinic, prepared
from tests.directory.conftest import Service
from tests.keys.clocks import HandClock

DAY = 24 * 3600
NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


async def written(pool: Pool, clock: HandClock, days: int = 30, count: int = 1) -> list[Stored]:
    profile = clinic(FULL)
    stands = stated_by({}, profile, frozenset(CLAIMS), OPERATOR, clock.now(), days)
    async with locked_step(pool, clock, "test") as step:
        item = replace(prepared(profile), provenance=stands)
        return [each.stored for each in await write_batch(step, [item] * count)]


async def test_claims_lapse_at_their_time_and_not_before(pool: Pool, clock: HandClock) -> None:
    stored = (await written(pool, clock))[0]
    clock.pass_time(30 * DAY - 1)
    async with locked_step(pool, clock, "claims") as step:
        assert await expire_claims(step) == 0
        assert step.newest is None
    clock.pass_time(1)
    async with locked_step(pool, clock, "claims") as step:
        assert await expire_claims(step) == 1
        after = (await load(step.conn, ids=[stored.row.id]))[0]
    assert (after.row.accepting, after.row.wait_days, after.row.weekly_capacity) == (
        "unknown", None, None,
    )  # fmt: skip
    assert read_provenance(after.row.provenance) == {}
    assert after.row.version == 2
    async with pool.acquire() as conn:
        newest = (await changes_after(conn, 1, 10))[0]
    assert (newest.actor, newest.at) == ("claims", clock.now())
    assert newest.profile is not None
    assert '"accepting":"unknown"' in newest.profile
    async with locked_step(pool, clock, "claims") as step:
        assert await expire_claims(step) == 0


async def test_a_claim_that_was_renewed_stays(service: Service) -> None:
    profile = await service.created(FULL)
    path = f"/v1/clinics/{profile['id']}"
    service.clock.pass_time(20 * DAY)
    await service.call("PATCH", path, {"wait_days": 7}, match="*")
    service.clock.pass_time(11 * DAY)
    async with locked_step(service.pool, service.clock, "claims") as step:
        assert await expire_claims(step) == 1
        after = (await load(step.conn))[0]
    assert (after.row.accepting, after.row.wait_days, after.row.weekly_capacity) == (
        "unknown", 7, None,
    )  # fmt: skip


class _Watched:
    """What `expire_all` needs, with an index that keeps up by itself."""

    def __init__(self, pool: Pool, clock: HandClock) -> None:
        self.database = pool
        self.clock = clock
        self.follower = self
        self.waited_for: list[int] = []
        self.asked = asyncio.Event()

    async def wait_for(self, seq: int) -> None:
        self.waited_for.append(seq)
        self.asked.set()


async def test_many_claims_lapse_in_steps(pool: Pool, clock: HandClock) -> None:
    count = BATCH + 5
    await written(pool, clock, count=count)
    clock.pass_time(31 * DAY)
    state = _Watched(pool, clock)
    assert await expire_all(state) == count
    assert state.waited_for == [count + BATCH, 2 * count]
    assert await expire_all(state) == 0
    assert len(state.waited_for) == 2


async def test_claims_lapse_by_themselves_once_the_database_is_back(
    pool: Pool, clock: HandClock
) -> None:
    await written(pool, clock)
    clock.pass_time(31 * DAY)
    state = _Watched(Pool(NO_DATABASE), clock)
    expiry = asyncio.create_task(run_claim_expiry(state, every_seconds=0.01))
    await asyncio.sleep(0.1)
    assert not expiry.done()
    state.database = pool
    await state.asked.wait()
    assert state.waited_for == [2]
    expiry.cancel()
    await asyncio.gather(expiry, return_exceptions=True)


def test_a_lists_claims_count_from_the_day_it_was_fetched(clock: HandClock) -> None:
    sent = clinic(FULL, source__retrieved_on="2026-11-01")
    body_now, stands = stated_by_source({}, sent, clock.now(), 30)
    assert body_now == sent
    expires = {name: each.expires_at for name, each in stands.items()}
    assert {each.date() for each in expires.values() if each} == {date(2026, 12, 1)}
    assert set(expires) == set(CLAIMS)
    old, nothing = stated_by_source({}, clinic(FULL, source__retrieved_on="2022-01-01"),
                                    clock.now(), 30)  # fmt: skip
    assert nothing == {}
    assert (old.accepting, old.wait_days, old.weekly_capacity) == ("unknown", None, None)


def test_a_list_leaves_a_persons_claims_alone(clock: HandClock) -> None:
    sent = clinic(FULL)
    before = stated_by({}, sent, {"accepting"}, OPERATOR, clock.now(), 30)
    _, after = stated_by_source(before, sent, clock.now() + timedelta(days=1), 30)
    assert after["accepting"] == before["accepting"]
    assert after["wait_days"].source == "Example source"


async def test_fields_that_a_person_verified_are_kept_from_imports(service: Service) -> None:
    made = await service.created(FULL)
    await service.call(
        "PATCH", f"/v1/clinics/{made['id']}", {"phone": "+16025550123", "email": None}, match="*"
    )
    async with service.pool.acquire() as conn:
        stored = (await load(conn))[0]
    assert verified_fields(stored.row) == {*CLAIMS, "phone", "email"}
    listed = clinic(FULL, name="Listed name", phone="+16025550177", wait_days=1)
    kept, differing = keeping_verified(listed, stored.row, stored.offerings)
    assert (kept.name, kept.phone, kept.email, kept.wait_days) == (
        "Listed name", "+16025550123", None, 7,
    )  # fmt: skip
    assert differing == ("email", "phone", "wait_days")


async def test_a_profile_verified_as_a_whole_keeps_all_that_it_says(service: Service) -> None:
    verified = service.clock.now().isoformat()
    await service.created(body(SMALL, phone="+16025550123", verified_at=verified))
    async with service.pool.acquire() as conn:
        stored = (await load(conn))[0]
    assert verified_fields(stored.row) == {"name", "address", "phone", "offerings", "location"}
    kept, differing = keeping_verified(clinic(FULL), stored.row, stored.offerings)
    assert (kept.name, kept.phone, kept.offerings) == ("Example Infusions", "+16025550123", [])
    assert kept.email == "intake@clinic.example"
    assert kept.verified_at == service.clock.now()
    assert differing == ("address", "name", "offerings", "phone")
