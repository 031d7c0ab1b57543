"""Processes tell each other through a real database; without it each goes by its own count."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from api.rates.counts import Limit
from api.rates.sharing import EVERY_SECONDS, Sharing
from db.connection import value
from db.errors import DatabaseError
from db.pool import Pool
from db.roles import SERVICE
from tests.conftest import execute
from tests.keys.clocks import HandClock

KEY = bytes(32)


class Process:
    def __init__(self, pool: Pool, clock: HandClock, most: int = 10) -> None:
        self.clock = clock
        self.address = Limit("address", most, clock=clock, key=lambda: KEY)
        self.key = Limit("key", most, clock=clock, key=lambda: KEY)
        self.sharing = Sharing([self.address, self.key], pool, clock)

    def count(self, name: str = "203.0.113.9", times: int = 1) -> int:
        """How many are left after so many more."""
        for _ in range(times - 1):
            self.address.count(name, self.clock.monotonic())
        return self.address.count(name, self.clock.monotonic()).left


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


async def rows(pool: Pool) -> int:
    async with pool.acquire() as conn:
        return await value(conn, int, "select count(*) from rate_window")


async def test_two_processes_make_one_limit(pool: Pool, clock: HandClock) -> None:
    one, other = Process(pool, clock), Process(pool, clock)
    assert one.count(times=4) == 6
    await one.sharing.exchange()
    assert other.count(times=3) == 7
    await other.sharing.exchange()
    assert other.count() == 2
    assert one.count() == 5
    await other.sharing.exchange()
    await one.sharing.exchange()
    assert one.count() == 0
    assert one.address.is_over("203.0.113.9", clock.monotonic())


async def test_a_key_and_an_address_of_one_name_are_two(pool: Pool, clock: HandClock) -> None:
    process = Process(pool, clock)
    process.address.count("same", 0.0)
    process.key.count("same", 0.0)
    await process.sharing.exchange()
    assert await rows(pool) == 2
    assert process.address.count("same", 0.0).left == 8


async def test_many_names_and_many_processes_at_once(pool: Pool, clock: HandClock) -> None:
    """In opposite orders, for a deadlock to have its chance."""
    names = [f"name {number}" for number in range(200)]
    processes = [Process(pool, clock, most=1000) for _ in range(4)]
    for _ in range(5):
        for position, process in enumerate(processes):
            for name in names[:: 1 if position % 2 else -1]:
                process.count(name, times=10)
        await asyncio.gather(*(process.sharing.exchange() for process in processes))
    for process in processes:
        process.count(names[0])
        await process.sharing.exchange()
    assert processes[-1].count(names[0]) == 1000 - 4 * 5 * 10 - 4 - 1


async def test_the_role_of_the_service_may_share(dsn: str, clock: HandClock) -> None:
    pool = Pool(dsn, role=SERVICE)
    process = Process(pool, clock)
    process.count()
    await process.sharing.exchange()
    clock.pass_time(300)
    await process.sharing.exchange()
    assert await rows(pool) == 0
    await pool.close()


async def test_windows_that_are_over_are_deleted(pool: Pool, clock: HandClock) -> None:
    process = Process(pool, clock)
    for minutes in range(1, 20):
        process.count()
        await process.sharing.exchange()
        assert await rows(pool) <= 5
        clock.pass_time(60)
        assert minutes == 1 or await rows(pool) > 1
    # The last is gone a few minutes after, although nothing more is told.
    clock.pass_time(300)
    await process.sharing.exchange()
    assert await rows(pool) == 0


async def test_what_a_process_left_behind_the_next_tidies_up(pool: Pool, clock: HandClock) -> None:
    gone = Process(pool, clock)
    gone.count()
    await gone.sharing.exchange()
    clock.pass_time(300)
    assert await rows(pool) == 1
    await Process(pool, clock).sharing.exchange()
    assert await rows(pool) == 0


async def test_without_news_the_database_is_left_alone(dsn: str, clock: HandClock) -> None:
    pool = Pool(dsn)
    process = Process(pool, clock, most=1000)
    await process.sharing.exchange()
    await execute(dsn, "drop table rate_window")
    for _ in range(4):
        process.count()
        await process.sharing.exchange()
    process.count()
    with pytest.raises(DatabaseError):
        await process.sharing.exchange()
    await pool.close()


async def test_what_could_not_be_told_is_told_later(dsn: str, pool: Pool, clock: HandClock) -> None:
    one, other = Process(pool, clock), Process(pool, clock)
    one.count(times=3)
    await execute(dsn, "alter table rate_window rename to away")
    with pytest.raises(DatabaseError):
        await one.sharing.exchange()
    assert one.count() == 6
    await execute(dsn, "alter table away rename to rate_window")
    await one.sharing.exchange()
    other.count()
    await other.sharing.exchange()
    assert other.count() == 4


async def test_a_database_that_forgot_in_a_crash_frees_nobody(
    dsn: str, pool: Pool, clock: HandClock
) -> None:
    process = Process(pool, clock)
    process.count(times=9)
    await process.sharing.exchange()
    await execute(dsn, "truncate rate_window")
    assert process.count() == 0
    await process.sharing.exchange()
    assert process.address.is_over("203.0.113.9", clock.monotonic())


async def test_it_goes_on_through_an_outage(
    dsn: str, pool: Pool, clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = Process(pool, clock), Process(pool, clock)
    running = asyncio.create_task(one.sharing.run())
    await execute(dsn, "alter table rate_window rename to away")
    one.count(times=5)
    await asyncio.sleep(2 * EVERY_SECONDS)
    assert not running.done()
    await execute(dsn, "alter table away rename to rate_window")
    for _ in range(200):
        other.count("203.0.113.10")
        await asyncio.sleep(0.05)
        if await rows(pool):
            break
    assert await rows(pool) == 1
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
