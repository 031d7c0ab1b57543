"""Notifications arrive, and a lost connection is made anew and said."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from db.listen import Listener
from db.pool import Pool


class Heard:
    """What a listener has told so far."""

    def __init__(self) -> None:
        self.payloads: asyncio.Queue[str] = asyncio.Queue()
        self.connected: asyncio.Queue[None] = asyncio.Queue()
        self.lost: asyncio.Queue[None] = asyncio.Queue()

    def listener(self, dsn: str, *, check_every: float = 10.0) -> Listener:
        return Listener(
            dsn,
            "news",
            on_payload=self.payloads.put_nowait,
            on_connected=lambda: self.connected.put_nowait(None),
            on_lost=lambda: self.lost.put_nowait(None),
            check_every=check_every,
        )


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def notify(pool: Pool, payload: str) -> None:
    async with pool.transaction() as connection:
        await connection.execute("select pg_notify('news', $1)", payload)


async def test_payloads_arrive_in_order_once_connected(pool: Pool, dsn: str) -> None:
    heard = Heard()
    task = asyncio.create_task(heard.listener(dsn).run())
    async with asyncio.timeout(30):
        await heard.connected.get()
        for number in range(20):
            await notify(pool, str(number))
        assert [await heard.payloads.get() for _ in range(20)] == [str(n) for n in range(20)]
    await stopped(task)


async def test_a_cut_connection_is_made_anew(pool: Pool, dsn: str) -> None:
    heard = Heard()
    task = asyncio.create_task(heard.listener(dsn).run())
    async with asyncio.timeout(30):
        for round_number in range(3):
            await heard.connected.get()
            await notify(pool, str(round_number))
            assert await heard.payloads.get() == str(round_number)
            async with pool.acquire() as connection:
                await connection.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where application_name = 'clinicway listener'"
                    " and datname = current_database()"
                )
            await heard.lost.get()
    await stopped(task)


async def test_a_quiet_connection_is_asked_whether_it_lives(pool: Pool, dsn: str) -> None:
    heard = Heard()
    task = asyncio.create_task(heard.listener(dsn, check_every=0.05).run())
    async with asyncio.timeout(30):
        await heard.connected.get()
        await asyncio.sleep(0.3)
        await notify(pool, "still here")
        assert await heard.payloads.get() == "still here"
    assert heard.lost.empty()
    await stopped(task)
