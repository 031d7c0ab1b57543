"""Connections have the rights of their role, whatever happened to them before."""

from __future__ import annotations

import asyncio

import pytest

from db.asking import ask_as
from db.connection import Connection, value, values
from db.errors import DatabaseUnavailable, StatementFailed
from db.pool import Pool
from db.roles import SERVICE, WORKER

WHO = "select current_user::text"


async def test_every_connection_of_a_pool_has_its_role(dsn: str) -> None:
    pool = Pool(dsn, size=4, role=SERVICE)

    async def who() -> str:
        async with pool.acquire() as conn:
            await conn.execute("select pg_sleep(0.05)")
            return await value(conn, str, WHO)

    assert await asyncio.gather(*(who() for _ in range(8))) == [SERVICE] * 8
    await pool.close()


async def test_a_connection_comes_back_to_its_role(service: Pool) -> None:
    async def pid(conn: Connection) -> int:
        return await value(conn, int, "select pg_backend_pid()")

    async with service.transaction() as conn:
        first = await pid(conn)
        await conn.become_worker()
        assert await value(conn, str, WHO) == WORKER
    async with service.transaction() as conn:
        assert await pid(conn) == first
        assert await value(conn, str, WHO) == SERVICE
    # What the pool does with a connection that is given back.
    async with service.acquire() as conn:
        await conn.execute("reset all")
        assert await value(conn, str, WHO) == SERVICE


async def test_the_role_ends_with_a_transaction_that_fails(service: Pool) -> None:
    async def failing() -> None:
        async with service.transaction() as conn:
            await conn.become_worker()
            await conn.execute("select 1/0")

    with pytest.raises(Exception, match="refused"):
        await failing()
    async with service.acquire() as conn:
        assert await value(conn, str, WHO) == SERVICE
        with pytest.raises(AssertionError):
            await conn.become_worker()


async def test_a_statement_prepared_before_asks_with_the_rights_of_the_moment(
    service: Pool,
) -> None:
    """The driver keeps prepared statements: their permissions are those of who runs them."""
    secret = "select count(secret_hash) from api_key"
    async with service.transaction() as conn:
        for _ in range(8):
            assert await value(conn, int, secret) == 0
        await conn.become_worker()
        with pytest.raises(StatementFailed) as caught:
            await value(conn, int, secret)
    assert caught.value.sqlstate == "42501"


async def test_who_asks_is_forgotten_with_the_transaction(service: Pool) -> None:
    asking = """
    select coalesce(current_setting(name, true), '')
    from unnest(array['clinicway.principal', 'clinicway.clinics']) as name
    """
    async with service.transaction() as conn:
        await ask_as(conn, principal="desk")
        assert await values(conn, str, asking) == ["desk", "{}"]
        await ask_as(conn)
        assert await values(conn, str, asking) == ["", "{}"]
    async with service.acquire() as conn:
        assert await values(conn, str, asking) == ["", ""]


async def test_a_role_that_is_not_there_is_named(dsn: str) -> None:
    pool = Pool(dsn, role="clinicway_nobody")
    with pytest.raises(DatabaseUnavailable, match="can become clinicway_nobody"):
        async with pool.acquire():
            pytest.fail("there is no such role")
    await pool.close()
