"""Who is calling: what the cache, the clock and a missing database do to the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from api.auth import CACHE_SECONDS, Authenticator, Caller
from api.errors import Forbidden, Unauthenticated
from api.keyring import Keyring
from db.connection import value
from db.errors import DatabaseUnavailable
from db.pool import Limits, Pool
from tests.conftest import execute
from tests.keys.conftest import House, bearer

CLINIC = UUID("0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b")
OTHER = UUID("0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2c")


def authenticator(house: House, pool: Pool) -> Authenticator:
    return Authenticator(
        database=pool,
        keyring=Keyring.load_or_create(house.settings.keyring_path, house.clock),
        clock=house.clock,
        environment=house.settings.environment,
    )


@pytest.fixture
async def auth(house: House, pool: Pool) -> AsyncIterator[Authenticator]:
    made = authenticator(house, pool)
    yield made
    await made.aclose()


async def test_the_caller_is_the_key_and_its_scopes(house: House, auth: Authenticator) -> None:
    key = await house.key("directory:write", f"clinic:{CLINIC}")
    caller = await auth.authenticate(f"bearer {key}")
    assert caller.scopes == {"directory:write", f"clinic:{CLINIC}"}
    assert caller.actor == f"key:{caller.key_id}"
    assert caller.key_id in key


@pytest.mark.parametrize(
    ("scopes", "clinic", "may"),
    [
        ({"directory:write"}, CLINIC, True),
        ({f"clinic:{CLINIC}"}, CLINIC, True),
        ({f"clinic:{CLINIC}"}, OTHER, False),
        ({"admin", "referrals:write"}, CLINIC, False),
        (set[str](), CLINIC, False),
    ],
)
def test_who_may_edit_a_clinic(scopes: set[str], clinic: UUID, *, may: bool) -> None:
    caller = Caller(key_id="k", scopes=frozenset(scopes), principal="k")
    assert caller.may_edit(clinic) is may
    if not may:
        with pytest.raises(Forbidden):
            caller.require_edit(clinic)


async def test_a_key_is_looked_up_once_for_as_long_as_the_cache_says(
    house: House, auth: Authenticator, dsn: str
) -> None:
    key = await house.key("admin")
    await auth.authenticate(f"Bearer {key}")
    await execute(dsn, "update api_key set scopes = '{referrals:write}'")
    house.clock.pass_time(CACHE_SECONDS - 0.1)
    assert (await auth.authenticate(f"Bearer {key}")).scopes == {"admin"}
    house.clock.pass_time(0.1)
    assert (await auth.authenticate(f"Bearer {key}")).scopes == {"referrals:write"}


async def test_a_cached_key_still_ends_at_its_moment(
    house: House, auth: Authenticator, dsn: str
) -> None:
    key = await house.key("admin")
    end = house.clock.now() + timedelta(seconds=5)
    await execute(dsn, f"update api_key set expires_at = '{end.isoformat()}'")
    await auth.authenticate(f"Bearer {key}")
    house.clock.pass_time(5)
    with pytest.raises(Unauthenticated):
        await auth.authenticate(f"Bearer {key}")


async def test_a_key_of_another_keyring_is_no_key(
    house: House, pool: Pool, dsn: str, auth: Authenticator
) -> None:
    key = await house.key("admin")
    await execute(dsn, "update api_key set keyring_id = 'lost'")
    with pytest.raises(Unauthenticated):
        await auth.authenticate(f"Bearer {key}")


async def last_used(pool: Pool) -> datetime | None:
    async with pool.acquire() as conn:
        return await value(conn, datetime | None, "select max(last_used_at) from api_key")  # type: ignore[arg-type] (a union is no type to pyright)


async def test_the_last_use_is_written_at_most_once_a_minute(
    house: House, pool: Pool, auth: Authenticator
) -> None:
    key = f"Bearer {await house.key('admin')}"
    start = house.clock.now()
    await auth.authenticate(key)
    await auth.aclose()
    assert await last_used(pool) == start
    house.clock.pass_time(59)
    await auth.authenticate(key)
    await auth.aclose()
    assert await last_used(pool) == start
    house.clock.pass_time(2)
    await auth.authenticate(key)
    await auth.aclose()
    assert await last_used(pool) == start + timedelta(seconds=61)


async def test_another_process_does_not_write_the_same_minute_again(
    house: House, pool: Pool, auth: Authenticator
) -> None:
    key = f"Bearer {await house.key('admin')}"
    start = house.clock.now()
    await auth.authenticate(key)
    await auth.aclose()
    house.clock.pass_time(30)
    other = authenticator(house, pool)
    await other.authenticate(key)
    await other.aclose()
    assert await last_used(pool) == start


async def test_a_request_does_not_wait_for_the_note_of_its_use(
    house: House, dsn: str, auth: Authenticator, pool: Pool
) -> None:
    key = f"Bearer {await house.key('admin')}"
    async with pool.transaction() as conn:
        # The row is locked: were the note part of the request, this would not return.
        await conn.execute("select from api_key for update")
        caller = await asyncio.wait_for(auth.authenticate(key), timeout=10)
        assert caller.scopes == {"admin"}


async def test_without_a_database_nobody_is_told_that_a_key_is_bad(house: House) -> None:
    key = await house.key("admin")
    away = Pool(
        "postgresql://nobody@127.0.0.1:1/none", size=1, limits=Limits(acquire=0.5, statement=1.0)
    )
    with pytest.raises(DatabaseUnavailable):
        await authenticator(house, away).authenticate(f"Bearer {key}")


async def test_an_authenticated_call_is_a_503_while_the_database_is_away(
    house: House, dsn: str
) -> None:
    admin = bearer(await house.key("admin"))
    async with house.open() as client:
        assert (await client.get("/v1/keys", headers=admin)).status_code == 200
        house.clock.pass_time(CACHE_SECONDS)
        name = dsn.partition("@/")[2].partition("?")[0]
        server = dsn.replace(f"@/{name}?", "@/clinicway?")
        await execute(
            server,
            f"alter database {name} allow_connections false",
            f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'",
        )
        try:
            answer = await client.get("/v1/keys", headers=admin)
            bad = await client.get("/v1/keys", headers=bearer("cw_live_nonsense"))
        finally:
            await execute(server, f"alter database {name} allow_connections true")
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert bad.status_code == 401
