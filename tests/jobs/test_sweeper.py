"""Whatever is due is found by the database's clock, by one of the processes, and done once."""

from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

from msgspec.structs import replace
from structlog.testing import capture_logs

from api.directory.composing import PreparedClinic
from api.directory.points import stored_point
from api.directory.profile import read_provenance, written
from api.directory.step import locked_step
from api.directory.writing import Outcome, append_tombstone, load, write_batch
from api.referrals.jobs.workers import Reach
from api.referrals.unattended import strike
from db.errors import DatabaseUnavailable
from db.queries.sweeps import begin_duty, claim_due_referrals
from db.states import Accepting, ClinicStatus
from tests.jobs.practice import CANARY, Practice, send


async def state_of(here: Practice, referral: UUID) -> str:
    found = await here.ask("select state::text from referral where id = $1", referral)
    assert isinstance(found, str)
    return found


async def history(here: Practice, referral: UUID) -> list[str]:
    return await here.column(
        "select event::text from referral_history where referral_id = $1 order by version", referral
    )


async def clinic_of(here: Practice, referral: UUID) -> UUID:
    found = await here.ask(
        "select clinic_id from offer where referral_id = $1 and state = 'open'", referral
    )
    assert isinstance(found, UUID)
    return found


async def change(here: Practice, clinic: UUID, accepting: Accepting) -> None:
    """A write of the directory, as any other."""
    async with locked_step(here.services.database, here.services.clock, "test") as step:
        (stored,) = await load(step.conn, ids=[clinic])
        prepared = PreparedClinic(
            body=replace(written(stored.row, stored.offerings), accepting=accepting),
            point=stored_point(stored.row),
            provenance=read_provenance(stored.row.provenance),
            existing=stored,
        )
        (result,) = await write_batch(step, [prepared])
    assert result.outcome is Outcome.CHANGED


async def delete(here: Practice, clinic: UUID) -> None:
    async with locked_step(here.services.database, here.services.clock, "test") as step:
        (stored,) = await load(step.conn, ids=[clinic])
        await append_tombstone(step, replace(stored.row, status=ClinicStatus.DELETED))


async def read_log(here: Practice) -> None:
    sweeper = here.sweeper()
    while await sweeper.directory():
        pass


async def test_an_offer_past_its_deadline_goes_on(here: Practice) -> None:
    referral = await send(here)
    await here.let_time_pass(referral, hours=73)
    await here.sweeper().deadlines()
    assert await history(here, referral) == ["created", "offered", "expired", "unrouted"]


async def test_what_is_not_due_is_left_alone(here: Practice) -> None:
    referral = await send(here)
    await here.let_time_pass(referral, hours=35)
    assert not await here.sweeper().deadlines()
    assert await history(here, referral) == ["created", "offered"]


async def test_a_reminder_comes_once(here: Practice) -> None:
    referral = await send(here)
    await here.let_time_pass(referral, hours=37)
    for _ in range(3):
        await here.sweeper().deadlines()
    assert await history(here, referral) == ["created", "offered"]
    assert await here.ask("select count(*) from notice where event = 'reminded'") == 1


async def test_what_one_process_has_claimed_the_other_leaves(here: Practice) -> None:
    referrals = {await send(here) for _ in range(6)}
    for each in referrals:
        await here.let_time_pass(each, hours=73)
    async with here.worker.transaction() as one, here.worker.transaction() as two:
        first = await claim_due_referrals(one, [], limit=4, among=100)
        second = await claim_due_referrals(two, [], limit=4, among=100)
        assert (len(first), len(second)) == (4, 2)
        assert {*first, *second} == referrals
    async with here.worker.transaction() as again:
        assert set(await claim_due_referrals(again, [], limit=9, among=100)) == referrals


async def test_processes_side_by_side_do_each_once(here: Practice) -> None:
    referrals = [await send(here) for _ in range(12)]
    for each in referrals:
        await here.let_time_pass(each, hours=73)
    await asyncio.gather(*(here.sweeper().deadlines() for _ in range(3)))
    for each in referrals:
        assert await history(here, each) == ["created", "offered", "expired", "unrouted"]


async def test_one_that_fails_keeps_nobody_waiting(here: Practice) -> None:
    broken, sound = await send(here), await send(here)
    for each in (broken, sound):
        await here.let_time_pass(each, hours=73)

    async def fails_for_one(referral: UUID) -> None:
        if referral == broken:
            raise ValueError(CANARY)
        await strike(here.at_work(), referral)

    striker = here.striker(fails_for_one)
    sweeper = here.sweeper(striker=striker)
    with capture_logs() as said:
        for _ in range(3):
            await sweeper.deadlines()
    assert (await state_of(here, sound), await state_of(here, broken)) == ("unrouted", "offered")
    assert striker.waiting() == [broken]
    assert striker.failures == 1
    (line,) = said
    assert line["referral"] == str(broken)
    assert CANARY not in str(line)


async def test_one_that_nothing_comes_of_is_put_off(here: Practice) -> None:
    referral = await send(here)
    await here.let_time_pass(referral, hours=73)

    async def does_nothing(_: UUID) -> None:
        pass

    striker = here.striker(does_nothing)
    await here.sweeper(striker=striker).deadlines()
    assert striker.waiting() == [referral]


async def test_a_clinic_that_closed_loses_its_offers(here: Practice) -> None:
    referral = await send(here)
    clinic = await clinic_of(here, referral)
    await change(here, clinic, Accepting.NO)
    await read_log(here)
    assert (await history(here, referral))[2] == "clinic_closed"
    assert await state_of(here, referral) in ("offered", "unrouted")


async def test_a_clinic_that_opened_again_since_keeps_them(here: Practice) -> None:
    """The workers were away: what they read is what has been, and only what is now counts."""
    referral = await send(here)
    clinic = await clinic_of(here, referral)
    await change(here, clinic, Accepting.NO)
    await change(here, clinic, Accepting.YES)
    await read_log(here)
    assert await history(here, referral) == ["created", "offered"]


async def test_a_clinic_that_was_deleted_loses_its_offers(here: Practice) -> None:
    referral = await send(here)
    clinic = await clinic_of(here, referral)
    await delete(here, clinic)
    await read_log(here)
    assert (await history(here, referral))[2] == "clinic_gone"


async def test_the_log_is_read_by_one_and_moved_on_when_it_is_done(here: Practice) -> None:
    referral = await send(here)
    await read_log(here)
    clinic = await clinic_of(here, referral)
    await change(here, clinic, Accepting.NO)
    before = await here.ask("select seq from directory_reader")
    async with here.worker.transaction() as conn:
        await conn.fetch("select seq from directory_reader for update")
        await read_log(here)
        assert await history(here, referral) == ["created", "offered"]
    await read_log(here)
    assert await here.ask("select seq from directory_reader") == before + 1
    assert (await history(here, referral))[2] == "clinic_closed"


async def test_a_duty_of_all_is_begun_by_one(here: Practice) -> None:
    async def begun() -> bool:
        async with here.worker.transaction() as conn:
            return await begin_duty(conn, "test", 3600)

    assert sum(await asyncio.gather(*(begun() for _ in range(5)))) == 1
    await here.run("update duty set begun_at = now() - interval '2 hours' where name = 'test'")
    assert sum(await asyncio.gather(*(begun() for _ in range(5)))) == 1


async def test_what_nobody_needs_any_more_is_forgotten(here: Practice) -> None:
    await send(here)
    await here.run("update pgqueuer_log set created = now() - interval '25 hours'")
    async with here.owner.acquire() as conn:
        await conn.execute("alter table idempotency no force row level security")
        await conn.execute("update idempotency set created_at = now() - interval '8 days'")
    await send(here)
    await here.sweeper().forget()
    assert await here.ask("select count(*) from idempotency") == 1
    oldest = await here.ask("select min(created) from pgqueuer_log")
    assert isinstance(oldest, datetime)
    assert (here.services.clock.now() - oldest).total_seconds() < 3600


async def test_retention_goes_on_until_nothing_is_left(here: Practice) -> None:
    left = [2, 2, 1, 0]
    asked: list[int] = []

    async def erase() -> int:
        asked.append(left[len(asked)])
        return asked[-1]

    (duty,) = [each for each in here.sweeper(erase=erase).duties() if each.name == "retention"]
    await duty.work()
    assert asked == left
    await duty.work()
    assert asked == left, "the next look is a minute later, whoever makes it"


async def test_the_backlog_is_what_is_due(here: Practice) -> None:
    referral = await send(here)
    sweeper = here.sweeper()
    await sweeper.look_at_backlog()
    assert sweeper.backlog is not None
    assert sweeper.backlog.referral_lag == 0
    assert sweeper.backlog.queued == 1
    await here.let_time_pass(referral, hours=73)
    await sweeper.look_at_backlog()
    assert sweeper.backlog.referral_lag > 3500


def test_that_the_database_is_away_is_said_once() -> None:
    reach = Reach()
    with capture_logs() as said:
        for _ in range(3):
            reach.away(DatabaseUnavailable("away"))
        for _ in range(3):
            reach.there()
    assert [line["event"] for line in said] == ["database out of reach", "database back"]
