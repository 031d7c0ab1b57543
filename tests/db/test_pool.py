"""What a request sees when the database is slow, full, or gone."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db.connection import value
from db.embedded import EmbeddedPostgres
from db.errors import (
    AlreadyThere,
    ConstraintViolated,
    DatabaseUnavailable,
    StatementFailed,
    TransactionConflict,
    ValueRefused,
)
from db.pool import Limits, Pool
from tests.conftest import named
from tests.db.servers import kill_server, turns_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from db.connection import Connection

ITEM_TABLE = "create table item (id int primary key, name text not null check (name <> ''))"
SLEEPING = """
select exists (
    select from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep'
)
"""


@pytest.fixture
async def items(empty_dsn: str) -> AsyncIterator[Pool]:
    """A pool of two connections on a database with one table."""
    pool = Pool(empty_dsn, size=2, limits=Limits(acquire=0.3, statement=2.0, lock=0.3))
    async with pool.transaction() as connection:
        await connection.execute(ITEM_TABLE)
    yield pool
    await pool.close()


@pytest.fixture
def killable(open_folder: Path) -> Iterator[tuple[Path, str]]:
    """A supervised server of this test's own: its folder and address."""
    with EmbeddedPostgres(open_folder, settings={"fsync": "off"}) as dsn:
        yield open_folder, dsn


async def count(pool: Pool) -> int:
    async with pool.transaction(readonly=True) as connection:
        return await value(connection, int, "select count(*) from item")


async def test_a_transaction_is_committed_at_its_end(items: Pool) -> None:
    async with items.transaction() as connection:
        assert await connection.execute("insert into item values (1, 'a'), (2, 'b')") == 2
    assert await count(items) == 2


async def test_a_raise_rolls_back(items: Pool) -> None:
    async def request() -> None:
        async with items.transaction() as connection:
            await connection.execute("insert into item values (1, 'a')")
            raise LookupError

    with pytest.raises(LookupError):
        await request()
    assert await count(items) == 0


async def test_a_cancelled_request_rolls_back_and_gives_its_connection_back(items: Pool) -> None:
    inserted = asyncio.Event()

    async def request() -> None:
        async with items.transaction() as connection:
            await connection.execute("insert into item values (1, 'a')")
            inserted.set()
            await connection.execute("select pg_sleep(60)")

    tasks = [asyncio.create_task(request())]
    await inserted.wait()
    async with items.acquire() as connection:
        # A cancellation that overtakes its statement would miss it.
        await turns_true(connection, SLEEPING)
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with items.acquire(), items.acquire():
        pass
    assert await count(items) == 0


async def test_an_inner_transaction_is_a_savepoint(items: Pool) -> None:
    async def step(connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute("insert into item values (2, 'b')")
            await connection.execute("insert into item values (1, 'again')")

    async with items.transaction() as connection:
        await connection.execute("insert into item values (1, 'a')")
        with pytest.raises(AlreadyThere) as caught:
            await step(connection)
        assert caught.value.constraint == "item_pkey"
    assert await count(items) == 1


async def test_an_exhausted_pool_is_unavailable_and_recovers(items: Pool) -> None:
    async with items.acquire(), items.acquire():
        with pytest.raises(DatabaseUnavailable):
            async with items.acquire():
                pytest.fail("a third connection of two")
    assert await count(items) == 0


async def test_a_held_lock_is_unavailable(items: Pool) -> None:
    async with items.transaction() as holder:
        await holder.execute("lock table item")
        with pytest.raises(DatabaseUnavailable) as caught:
            await count(items)
    assert caught.value.sqlstate == "55P03"
    assert await count(items) == 0


async def test_a_statement_without_end_is_unavailable(empty_dsn: str) -> None:
    pool = Pool(empty_dsn, size=1, limits=Limits(statement=0.2))
    with pytest.raises(DatabaseUnavailable) as caught:
        async with pool.transaction() as connection:
            await connection.execute("select pg_sleep(60)")
    assert caught.value.sqlstate == "57014"
    await pool.close()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("disk_full", DatabaseUnavailable),
        ("too_many_connections", DatabaseUnavailable),
        ("out_of_memory", DatabaseUnavailable),
        ("admin_shutdown", DatabaseUnavailable),
        ("crash_shutdown", DatabaseUnavailable),
        ("cannot_connect_now", DatabaseUnavailable),
        ("io_error", DatabaseUnavailable),
        ("connection_failure", DatabaseUnavailable),
        ("read_only_sql_transaction", DatabaseUnavailable),
        ("lock_not_available", DatabaseUnavailable),
        ("serialization_failure", TransactionConflict),
        ("deadlock_detected", TransactionConflict),
        ("foreign_key_violation", ConstraintViolated),
        ("unique_violation", AlreadyThere),
        ("exclusion_violation", AlreadyThere),
        ("insufficient_privilege", StatementFailed),
        ("numeric_value_out_of_range", ValueRefused),
    ],
)
async def test_each_failure_of_the_server_is_told_apart(
    items: Pool, condition: str, expected: type[Exception]
) -> None:
    async with items.acquire() as connection:
        with pytest.raises(expected) as caught:
            await connection.execute(
                f"do $$ begin raise exception 'secret value' using errcode = '{condition}'; end $$"
            )
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("wrong", [2**40, "no number", -(2**70)])
async def test_a_value_that_does_not_fit_is_refused_and_not_repeated(
    items: Pool, wrong: object
) -> None:
    async with items.acquire() as connection:
        with pytest.raises(ValueRefused) as caught:
            await connection.execute("insert into item values ($1, 'a')", wrong)
    assert str(wrong) not in str(caught.value)
    assert await count(items) == 0


async def test_nul_in_a_text_is_refused(items: Pool) -> None:
    async with items.acquire() as connection:
        with pytest.raises(ValueRefused):
            await connection.execute("insert into item values (1, $1)", "a\x00b")


async def test_misuse_of_the_driver_is_not_called_unavailable(items: Pool) -> None:
    async with items.acquire() as connection:
        with pytest.raises(StatementFailed):
            await connection.fetch("select $1::int")


async def test_errors_of_the_caller_pass_unchanged(items: Pool, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with items.transaction():
            (tmp_path / "missing").read_text()


async def test_a_pool_comes_up_while_the_database_is_down() -> None:
    pool = Pool("postgresql://clinicway@/clinicway?host=/nonexistent")
    await pool.open()
    with pytest.raises(DatabaseUnavailable):
        async with pool.transaction():
            pytest.fail("there is no database")
    await pool.close()


async def test_a_database_that_is_not_there_is_unavailable(server: str) -> None:
    pool = Pool(named(server, "not_there"))
    with pytest.raises(DatabaseUnavailable) as caught:
        async with pool.acquire():
            pytest.fail("there is no such database")
    assert caught.value.sqlstate == "3D000"
    await pool.close()


async def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    hung_up: list[asyncio.StreamWriter] = []

    def take_and_say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hung_up.append(writer)

    mute = await asyncio.start_unix_server(take_and_say_nothing, tmp_path / ".s.PGSQL.5432")
    pool = Pool(f"postgresql://u@/d?host={tmp_path}", limits=Limits(acquire=0.2))
    with pytest.raises(DatabaseUnavailable):
        async with pool.acquire():
            pytest.fail("nobody answered")
    await pool.close()
    for writer in hung_up:
        writer.close()
    mute.close()
    await mute.wait_closed()


async def test_a_killed_database_is_unavailable_and_comes_back(
    killable: tuple[Path, str],
) -> None:
    folder, dsn = killable
    pool = Pool(dsn, size=2, limits=Limits(acquire=1.0))
    async with pool.transaction() as connection:
        await connection.execute(ITEM_TABLE)

    async def interrupted() -> None:
        async with pool.transaction() as connection:
            await connection.execute("insert into item values (1, 'a')")
            kill_server(folder)
            while True:
                await connection.execute("select 1")
                await asyncio.sleep(0.01)

    with pytest.raises(DatabaseUnavailable):
        await interrupted()
    async with asyncio.timeout(30):
        while True:
            try:
                assert await count(pool) == 0
            except DatabaseUnavailable:
                await asyncio.sleep(0.05)
            else:
                break
    await pool.close()


async def test_a_pool_closes_while_its_database_is_gone(killable: tuple[Path, str]) -> None:
    folder, dsn = killable
    pool = Pool(dsn, size=2)
    async with pool.acquire(), pool.acquire():
        kill_server(folder)
    await pool.close()
