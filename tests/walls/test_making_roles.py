"""The roles come about whoever migrates, or a person is told what to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.clock import SystemClock
from api.commands.checkup import DatabaseFacts, look_at_database
from api.commands.doctor import Finding, check_roles
from db.connection import value, values
from db.embedded import EmbeddedPostgres
from db.migrate import MigrationError, migrate, migrations
from db.pool import Pool
from db.roles import SERVICE, WORKER
from tests.conftest import FAST, execute, named, run_apart
from tests.db.servers import answers, eventually

WHO = "select current_user::text"


@pytest.fixture
def bare(open_folder: Path) -> Iterator[str]:
    """The address of a server of this test's own, on which nobody has made the roles."""
    with EmbeddedPostgres(open_folder, supervise=False, settings=FAST) as dsn:
        # Other logins than the service's own; nobody else can reach the socket.
        (open_folder / "postgres" / "pg_hba.conf").write_text("local all all trust\n")
        run_apart(execute(dsn, "select pg_reload_conf()"))
        yield dsn


@pytest.fixture
def owned(bare: str) -> Callable[[str, str], str]:
    """Makes a database that belongs to a login with these rights; its address as that login."""

    def make(database: str, rights: str) -> str:
        run_apart(
            execute(
                bare,
                f"create role {database}_login login {rights}",
                f"create database {database} owner {database}_login",
            )
        )
        address = named(bare, database).replace("clinicway@", f"{database}_login@", 1)
        # The server reads its new rules in its own time.
        eventually(lambda: answers(address))
        return address

    return make


def role_finding(facts: DatabaseFacts) -> Finding:
    return check_roles(facts, SystemClock())


async def answers_as_both(dsn: str) -> None:
    for role in (SERVICE, WORKER):
        pool = Pool(dsn, size=1, role=role)
        async with pool.acquire() as conn:
            assert await value(conn, str, WHO) == role
            assert await value(conn, int, "select count(*) from clinic") == 0
        await pool.close()


async def test_many_databases_at_once_make_them_once(bare: str) -> None:
    names = [f"house_{number}" for number in range(4)]
    await execute(bare, *(f"create database {name}" for name in names))
    known = migrations()[:2]
    done = await asyncio.gather(*(migrate(named(bare, name), known=known) for name in names))
    assert done == [[1, 2]] * len(names)
    for name in names:
        await answers_as_both(named(bare, name))


async def test_logins_that_may_create_roles_share_them(
    bare: str, owned: Callable[[str, str], str]
) -> None:
    dsn = owned("first", "createrole")
    await migrate(dsn, known=migrations()[:2])
    await answers_as_both(dsn)
    # The second login finds them made by the first, whose they are to hand out.
    second = owned("second", "createrole")
    with pytest.raises(MigrationError, match=f"grant {SERVICE}, {WORKER} to"):
        await migrate(second)
    await execute(bare, f"grant {SERVICE}, {WORKER} to second_login")
    assert await migrate(second, known=migrations()[:2]) == [2]
    await answers_as_both(second)


async def test_a_login_that_may_not_create_roles_is_told_how(
    bare: str, owned: Callable[[str, str], str]
) -> None:
    dsn = owned("plain", "nocreaterole")
    with pytest.raises(MigrationError, match=f"create role {SERVICE} nologin"):
        await migrate(dsn)
    await execute(bare, f"create role {SERVICE} nologin", f"create role {WORKER} nologin")
    with pytest.raises(MigrationError, match=f"grant {SERVICE}, {WORKER} to"):
        await migrate(dsn)
    await execute(bare, f"grant {SERVICE}, {WORKER} to plain_login")
    assert (await migrate(dsn))[0] == 2
    await answers_as_both(dsn)


async def test_tables_that_the_roles_would_not_see_are_refused(
    bare: str, owned: Callable[[str, str], str]
) -> None:
    dsn = owned("hidden", "superuser")
    await execute(dsn, "create schema hidden_login")
    with pytest.raises(MigrationError, match="search_path"):
        await migrate(dsn)
    await execute(dsn, "alter role hidden_login set search_path = hidden_login")
    assert (await migrate(dsn, known=migrations()[:2])) == [2]
    await answers_as_both(dsn)


async def test_the_line_of_a_key_is_found_when_the_column_comes(empty_dsn: str) -> None:
    known = migrations()[:2]
    await migrate(empty_dsn, known=known[:1])
    await execute(
        empty_dsn,
        """
        insert into api_key (id, name, scopes, secret_hash, keyring_id, created_at, created_by,
            replaced_by)
        values
            ('a3', 'n', '{}', '', 'k', now(), 'test', null),
            ('a2', 'n', '{}', '', 'k', now(), 'test', 'a3'),
            ('a1', 'n', '{}', '', 'k', now(), 'test', 'a2'),
            ('b1', 'n', '{}', '', 'k', now(), 'test', null)
        """,
    )
    await migrate(empty_dsn, known=known)
    pool = Pool(empty_dsn, size=1)
    async with pool.acquire() as conn:
        found = await values(conn, str, "select id || principal from api_key order by id")
    await pool.close()
    assert found == ["a1a1", "a2a1", "a3a1", "b1b1"]


async def test_the_doctor_sees_that_a_role_is_out_of_reach(
    bare: str, owned: Callable[[str, str], str]
) -> None:
    dsn = owned("ward", "createrole")
    before = await look_at_database(dsn)
    assert (before.applied, before.refused_roles) == (0, [SERVICE, WORKER])
    assert role_finding(before).to_do is None
    await migrate(dsn, known=migrations()[:2])
    fine = await look_at_database(dsn)
    assert fine.refused_roles == []
    assert role_finding(fine).to_do is None
    await execute(bare, f"revoke {WORKER} from ward_login cascade")
    wrong = role_finding(await look_at_database(dsn))
    assert WORKER in wrong.what
    assert SERVICE not in wrong.what
    assert wrong.to_do is not None
    assert f"grant {SERVICE}, {WORKER} to" in wrong.to_do
