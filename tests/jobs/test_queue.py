"""The queue is a hint: lost, it is not missed; doubled, it does nothing twice; and it knows nothing
of anybody."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import pytest

from api.referrals.jobs.jobs import handlers
from api.referrals.jobs.workers import Workers
from db.connection import value, values
from db.errors import StatementFailed
from db.migrate import migrate
from db.pool import Pool
from db.queue import NOTIFY, QUEUE, WAKE, Job, enqueue
from db.queue_runner import QueueRunner
from db.roles import SERVICE, WORKER
from tests.jobs.practice import CANARY, Practice, send

ONE = UUID("019ab3c0-5f00-7000-8000-000000000001")
TWO = UUID("019ab3c0-5f00-7000-8000-000000000002")
LATER = datetime(2999, 1, 1, tzinfo=UTC)
QUEUED = "select entrypoint || ':' || coalesce(convert_from(payload, 'utf8'), '') from pgqueuer"

CUT = """
select count(pg_terminate_backend(pid)) from pg_stat_activity
where
    datname = current_database() and pid <> pg_backend_pid()
    and application_name in ('clinicway queue', 'clinicway')
"""


async def queue(pool: Pool, *jobs: Job) -> None:
    async with pool.transaction() as conn:
        await conn.become_worker()
        await enqueue(conn, jobs)


async def queued(pool: Pool) -> list[str]:
    async with pool.transaction() as conn:
        return await values(conn, str, f"{QUEUED} order by id")


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.02)


async def test_the_same_job_is_queued_once(pool: Pool) -> None:
    await queue(pool, Job(WAKE, ONE), Job(WAKE, ONE), Job(NOTIFY, ONE), Job(WAKE, TWO))
    await queue(pool, Job(WAKE, TWO), Job(NOTIFY, ONE))
    assert await queued(pool) == [f"wake:{ONE}", f"notify:{ONE}", f"wake:{TWO}"]


async def test_what_is_for_later_is_left_to_the_due_columns(pool: Pool) -> None:
    await queue(pool, Job(WAKE, ONE, LATER))
    await queue(pool)
    assert await queued(pool) == []


async def test_a_job_comes_and_goes_with_its_transaction(pool: Pool) -> None:
    async def failing() -> None:
        async with pool.transaction() as conn:
            await conn.become_worker()
            await enqueue(conn, [Job(WAKE, ONE)])
            await conn.execute("select 1/0")

    with pytest.raises(Exception, match="refused"):
        await failing()
    assert await queued(pool) == []


async def test_a_request_cannot_queue_anything(dsn: str) -> None:
    pool = Pool(dsn, role=SERVICE)
    with pytest.raises(StatementFailed) as caught:
        async with pool.transaction() as conn:
            await enqueue(conn, [Job(WAKE, ONE)])
    assert caught.value.sqlstate == "42501"
    await pool.close()


async def test_whoever_queues_waits_for_nobody_else(pool: Pool) -> None:
    """Jobs about different referrals, and jobs about none, in two open transactions."""
    async with pool.transaction() as first, pool.transaction() as second:
        for conn, referral in ((first, ONE), (second, TWO)):
            await conn.become_worker()
            await conn.execute("set local lock_timeout = '1s'")
            await enqueue(conn, [Job(WAKE, referral), Job(NOTIFY)])
    assert len(await queued(pool)) == 4


async def test_queueing_notifies_nobody(pool: Pool) -> None:
    """A commit that notifies waits for every other one: see decision 17."""
    async with pool.acquire() as conn:
        assert await values(
            conn, str, "select tgenabled::text from pg_trigger where tgname like 'tg_pgqueuer%'"
        ) == ["D"]


async def test_what_is_missing_of_the_tables_is_mended(pool: Pool, dsn: str) -> None:
    queue_index = "select to_regclass('pgqueuer_ep_ea_idx') is not null"
    await queue(pool, Job(WAKE, ONE))
    async with pool.acquire() as conn:
        await conn.execute("drop index pgqueuer_ep_ea_idx")
        # As if an earlier release of the library had been here.
        await conn.execute("comment on table pgqueuer is 'pgqueuer 1.5.0'")
        await conn.execute(f"revoke all on pgqueuer from {WORKER}")
    assert await migrate(dsn) == []
    async with pool.acquire() as conn:
        assert await value(conn, bool, queue_index)
    await queue(pool, Job(WAKE, TWO))
    assert await queued(pool) == [f"wake:{ONE}", f"wake:{TWO}"]
    await test_queueing_notifies_nobody(pool)


async def test_a_variable_of_the_environment_names_no_table(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reads some, and CHANNEL is one of them."""
    for name in ("PGQUEUER_PREFIX", "PGQUEUER_SCHEMA", "CHANNEL", "QUEUE_TABLE"):
        monkeypatch.setenv(name, "elsewhere")
    fresh = type(QUEUE)(**QUEUE.model_dump())
    assert fresh == QUEUE
    assert QUEUE.queue_table == "pgqueuer"
    assert QUEUE.db_schema is None


class AtWork:
    """A runner in a task of its own, and the jobs that it was given."""

    def __init__(self, dsn: str, fail: bool = False) -> None:
        self.seen: list[UUID | None] = []
        self.stop = asyncio.Event()
        self._ready = asyncio.Event()

        async def take(payload: UUID | None) -> None:
            self.seen.append(payload)
            if fail:
                raise RuntimeError(CANARY)

        self._runner = QueueRunner(dsn, {WAKE: take, NOTIFY: take})
        self._task = asyncio.create_task(self._runner.run(self.stop, self._ready.set))

    async def ready(self) -> None:
        await self._ready.wait()

    async def end(self) -> None:
        self.stop.set()
        await self._task


async def test_jobs_are_taken_and_gone(pool: Pool, dsn: str) -> None:
    work = AtWork(dsn)
    await work.ready()
    await queue(pool, Job(WAKE, ONE), Job(NOTIFY), Job(NOTIFY, TWO))

    async def gone() -> bool:
        return await queued(pool) == []

    await until(gone)
    assert sorted(map(str, work.seen)) == sorted(map(str, [ONE, None, TWO]))
    await work.end()


async def test_a_job_whose_worker_died_is_taken_by_another(pool: Pool, dsn: str) -> None:
    await queue(pool, Job(WAKE, ONE))
    async with pool.acquire() as conn:
        await conn.execute(
            "update pgqueuer set status = 'picked', queue_manager_id = gen_random_uuid(), "
            "heartbeat = now() - interval '20 seconds'"
        )
    work = AtWork(dsn)

    async def gone() -> bool:
        return await queued(pool) == []

    await until(gone)
    assert work.seen == [ONE]
    await work.end()


async def test_nothing_of_a_failure_is_kept(
    pool: Pool, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    work = AtWork(dsn, fail=True)
    await queue(pool, Job(WAKE, ONE))

    async def failed() -> bool:
        async with pool.acquire() as conn:
            statuses = await values(conn, str, "select status::text from pgqueuer_log")
        return "exception" in statuses

    await until(failed)
    await work.end()
    async with pool.acquire() as conn:
        kept = await value(conn, str, "select json_agg(pgqueuer_log)::text from pgqueuer_log")
    assert "JobFailed" in kept
    assert CANARY not in kept
    assert CANARY not in caplog.text
    assert await queued(pool) == []


async def test_lost_jobs_are_done_all_the_same(here: Practice) -> None:
    referral = await send(here, routed=False)
    assert await here.ask("select count(*) from pgqueuer") == 2
    await here.run("delete from pgqueuer")
    sweeper = here.sweeper()
    await sweeper.deadlines()
    await sweeper.notices()
    assert await here.ask("select state::text from referral where id = $1", referral) == "offered"
    subjects = [mail["Subject"] for mail in here.mails()]
    assert "Referral received" in subjects
    assert "Referral put to a clinic" in subjects


async def test_doubled_jobs_do_nothing_twice(here: Practice) -> None:
    referral = await send(here)
    await here.let_time_pass(referral, hours=73)
    striker, notices = here.striker(), here.notices()
    found = handlers(striker, notices, here.webhooks(), here.clinic_full)
    await asyncio.gather(
        *(found[WAKE](referral) for _ in range(8)),
        *(found[NOTIFY](referral) for _ in range(8)),
        *(here.sweeper(striker=striker, notices=notices).deadlines() for _ in range(3)),
    )
    while await notices.send_due(referral):
        pass
    events = await here.column(
        "select event::text from referral_history where referral_id = $1 order by version", referral
    )
    assert events == ["created", "offered", "expired", "unrouted"]
    sent = await here.column("select attempts from notice")
    assert set(sent) == {1}
    assert len(here.mails()) == await here.ask("select count(*) from notice where outcome = 'sent'")


async def test_the_workers_come_back_after_their_connections_were_cut(here: Practice) -> None:
    striker, notices = here.striker(), here.notices()
    workers = Workers(
        here.dsn,
        sweeper=here.sweeper(striker=striker, notices=notices),
        striker=striker,
        notices=notices,
        handlers=handlers(striker, notices, here.webhooks(), here.clinic_full),
    )
    ready = asyncio.Event()
    ready.set()
    workers.start(ready)

    async def at_work() -> bool:
        count = "select count(*) from pg_stat_activity where application_name = 'clinicway queue'"
        return bool(await here.ask(f"{count} and datname = current_database()"))

    await until(at_work)
    async with here.owner.acquire() as conn:
        cut = await value(conn, int, CUT)
    assert cut > 1
    referral = await send(here, routed=False)

    async def done() -> bool:
        state = await here.ask("select state::text from referral where id = $1", referral)
        left = await here.ask("select count(*) from pgqueuer")
        return state == "offered" and left == 0

    await until(done)
    await workers.stop(30)
