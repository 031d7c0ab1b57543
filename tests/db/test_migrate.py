"""The schema is the sum of the migrations, whoever applies them and however many at once."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

from db.connection import Connection, rows
from db.errors import DatabaseUnavailable, ValueRefused
from db.migrate import Migration, MigrationError, applied, migrate, migrations
from db.pool import Pool, connect
from tests.conftest import PATIENT, execute
from tests.db.servers import turns_true
from tests.db.shapes import ObjectRow

if TYPE_CHECKING:
    from pathlib import Path

# Columns, constraints, indexes, enum labels, functions, triggers and policies, as text.
SCHEMA = """
select 'column' as kind, c.relname || '.' || a.attname as name,
    concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid)) as definition
from pg_attribute a
join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'v', 'm', 'p')
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped and c.relnamespace = 'public'::regnamespace
union all
select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
from pg_constraint where connamespace = 'public'::regnamespace
union all
select 'index', indexname, indexdef from pg_indexes where schemaname = 'public'
union all
select 'enum', t.typname, string_agg(e.enumlabel, ',' order by e.enumsortorder)
from pg_type t join pg_enum e on e.enumtypid = t.oid group by t.typname
union all
select 'function', p.proname, pg_get_functiondef(p.oid)
from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prokind <> 'a'
union all
select 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid)
from pg_trigger where not tgisinternal
union all
select 'policy', tablename || '.' || policyname, concat_ws(' ', cmd, roles, qual, with_check)
from pg_policies
order by 1, 2
"""

LOCK_IS_HELD = """
select exists (
    select from pg_locks l join pg_database d on d.oid = l.database
    where l.locktype = 'advisory' and d.datname = current_database()
)
"""


def numbered(*statements: str) -> list[Migration]:
    return [
        Migration(
            version=version,
            title=f"step_{version}",
            sha256=hashlib.sha256(sql.encode()).hexdigest(),
            sql=sql,
        )
        for version, sql in enumerate(statements, start=1)
    ]


async def schema_of(dsn: str) -> list[ObjectRow]:
    driver = await connect(dsn, PATIENT, application="tests")
    try:
        return await rows(Connection(driver), ObjectRow, SCHEMA)
    finally:
        await driver.close()


async def test_step_by_step_gives_the_same_schema_as_all_at_once(dsn: str, empty_dsn: str) -> None:
    known = migrations()
    for end in range(1, len(known) + 1):
        assert await migrate(empty_dsn, known=known[:end]) == [end]
    # The last run has nothing of ours to do, and brings the tables of the queue.
    assert await migrate(empty_dsn) == []
    step_by_step = await schema_of(empty_dsn)
    assert any(row.name == "clinic.id" for row in step_by_step)
    assert step_by_step == await schema_of(dsn)


async def test_a_second_run_does_nothing(dsn: str) -> None:
    before = await schema_of(dsn)
    assert await migrate(dsn) == []
    assert await schema_of(dsn) == before


async def test_several_processes_at_once_apply_each_step_once(empty_dsn: str) -> None:
    known = numbered("select pg_sleep(0.2); create table one (id int)", "create table two (id int)")
    done = await asyncio.gather(*(migrate(empty_dsn, known=known) for _ in range(6)))
    assert sorted(done) == [[], [], [], [], [], [1, 2]]


async def test_a_failing_step_leaves_nothing_of_itself(empty_dsn: str) -> None:
    known = numbered("create table one (id int)", "create table two (id int); select 1/0")
    with pytest.raises(ValueRefused):
        await migrate(empty_dsn, known=known)
    names = {row.name for row in await schema_of(empty_dsn)}
    assert "one.id" in names
    assert "two.id" not in names
    mended = numbered("create table one (id int)", "create table two (id int)")
    assert await migrate(empty_dsn, known=mended) == [2]


async def test_a_changed_file_is_refused(empty_dsn: str) -> None:
    await migrate(empty_dsn, known=numbered("create table one (id int)"))
    with pytest.raises(MigrationError, match="0001 was changed"):
        await migrate(empty_dsn, known=numbered("create table one (id bigint)"))


async def test_a_database_newer_than_the_code_is_refused(empty_dsn: str) -> None:
    both = numbered("create table one (id int)", "create table two (id int)")
    await migrate(empty_dsn, known=both)
    with pytest.raises(MigrationError, match="newer"):
        await migrate(empty_dsn, known=both[:1])


async def test_a_database_that_lacks_an_earlier_step_is_refused(empty_dsn: str) -> None:
    both = numbered("create table one (id int)", "create table two (id int)")
    await migrate(empty_dsn, known=both)
    await execute(empty_dsn, "delete from schema_migration where version = 1")
    with pytest.raises(MigrationError, match="lacks migration 0001"):
        await migrate(empty_dsn, known=both)


async def test_the_wait_for_another_process_has_an_end(empty_dsn: str) -> None:
    slow = numbered("select pg_sleep(3)")
    first = asyncio.create_task(migrate(empty_dsn, known=slow))
    pool = Pool(empty_dsn, size=1)
    async with pool.acquire() as connection:
        await turns_true(connection, LOCK_IS_HELD)
    await pool.close()
    with pytest.raises(DatabaseUnavailable, match="migrating"):
        await migrate(empty_dsn, known=slow, lock_patience=0.1)
    assert await first == [1]


async def test_a_step_waits_for_a_table_in_use_without_holding_up_requests(empty_dsn: str) -> None:
    steps = numbered("create table one (id int)", "alter table one add column name text")
    await migrate(empty_dsn, known=steps[:1])
    pool = Pool(empty_dsn, size=2)
    async with pool.transaction() as reader:
        await reader.fetch("select * from one")
        second = asyncio.create_task(migrate(empty_dsn, known=steps))
        # More than the migration's own wait for a lock: it has given up at least once by then.
        for _ in range(15):
            async with pool.transaction() as other:
                assert await other.fetch("select * from one") == []
            await asyncio.sleep(0.1)
        assert not second.done()
    assert await second == [2]
    await pool.close()


async def test_the_ledger_tells_what_was_applied(dsn: str, empty_dsn: str) -> None:
    driver = await connect(empty_dsn, PATIENT, application="tests")
    assert await applied(Connection(driver)) == []
    await driver.close()
    driver = await connect(dsn, PATIENT, application="tests")
    found = await applied(Connection(driver))
    await driver.close()
    assert [(m.version, m.title, m.sha256) for m in found] == [
        (m.version, m.title, m.sha256) for m in migrations()
    ]


@pytest.mark.parametrize(
    "names",
    [("0001_one.sql", "0003_three.sql"), ("0001_one.sql", "0001_two.sql"), ("first.sql",)],
)
def test_files_without_a_clear_order_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1")
    with pytest.raises(MigrationError):
        migrations(tmp_path)
