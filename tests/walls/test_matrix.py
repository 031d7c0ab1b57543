"""Row-level security alone: who × table × verb, in plain SQL, with the rights of a request.

Nothing of the application stands between these statements and the rows: what comes back is what
the policies and grants let through, and nothing else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec
import pytest

from api.auth import Authenticator
from api.keyring import Keyring
from api.keys.service import KeyMaker
from db.asking import ask_as
from db.connection import Connection, values
from db.errors import StatementFailed
from db.pool import Pool
from db.roles import SERVICE
from tests.conftest import execute, run_apart
from tests.conftest import named as named_database
from tests.keys.conftest import House
from tests.walls.referral_rows import Scene, set_scene

REFUSED: Final = "42501"
"""insufficient_privilege: of a grant that is not there, and of a policy's check."""


class Asker(msgspec.Struct, frozen=True):
    principal: str | None = None
    clinics: Sequence[UUID] = ()


ASKERS: Final[dict[str, Callable[[Scene], Asker]]] = {
    "referrer": lambda s: Asker(s.referrer),
    "another referrer": lambda s: Asker(s.other_referrer),
    "owner": lambda s: Asker(None, [s.owner]),
    "asked": lambda s: Asker(None, [s.asked]),
    "lapsed": lambda s: Asker(None, [s.lapsed]),
    "another clinic": lambda s: Asker(None, [s.other_clinic]),
    "stranger": lambda _: Asker("nobody known"),
    "nobody": lambda _: Asker(),
    # A key may be both. It sees both, and no more.
    "referrer and asked": lambda s: Asker(s.other_referrer, [s.other_clinic, s.asked]),
    # An empty name or a list in the wrong place names nobody.
    "id of a clinic as principal": lambda s: Asker(str(s.owner)),
}

NONE: Final = frozenset[str]()
BOTH: Final = frozenset({"accepted", "offered"})
REFERRALS_SEEN: Final[dict[str, frozenset[str]]] = {
    "referrer": BOTH,
    "another referrer": frozenset({"foreign"}),
    "owner": frozenset({"accepted"}),
    "asked": frozenset({"offered"}),
    "lapsed": NONE,
    "another clinic": NONE,
    "stranger": NONE,
    "nobody": NONE,
    "referrer and asked": frozenset({"foreign", "offered"}),
    "id of a clinic as principal": NONE,
}
# To be asked is no right to take a step: that is the offer's.
REFERRALS_LOCKED: Final = {
    **REFERRALS_SEEN,
    "asked": NONE,
    "referrer and asked": frozenset({"foreign"}),
}
LAPSED: Final = frozenset({"lapsed offer 1", "lapsed offer 2"})
OFFERS_SEEN: Final[dict[str, frozenset[str]]] = {
    "referrer": LAPSED | {"accepted offer", "open offer"},
    "another referrer": NONE,
    "owner": frozenset({"accepted offer"}),
    "asked": frozenset({"open offer"}),
    "lapsed": LAPSED,
    "another clinic": NONE,
    "stranger": NONE,
    "nobody": NONE,
    "referrer and asked": frozenset({"open offer"}),
    "id of a clinic as principal": NONE,
}
OFFERS_LOCKED: Final = {**OFFERS_SEEN, "referrer": NONE}
OWN_REQUESTS: Final = {
    **dict.fromkeys(ASKERS, NONE),
    "referrer": BOTH,
    "another referrer": frozenset({"foreign"}),
    "referrer and asked": frozenset({"foreign"}),
}

# Table: the column that names its rows, which of them each asker sees, and which it can lock.
# None stands for a table, or a lock, that is refused altogether.
TABLES: Final[dict[str, tuple[str, dict[str, frozenset[str]] | None]]] = {
    "referral": ("id", REFERRALS_SEEN),
    "offer": ("id", OFFERS_SEEN),
    "sealed_key": ("referral_id", REFERRALS_SEEN),
    "referral_history": ("referral_id", REFERRALS_SEEN),
    "idempotency": ("referral_id", OWN_REQUESTS),
    "notice": ("referral_id", None),
}
LOCKS: Final[dict[str, dict[str, frozenset[str]]]] = {
    "referral": REFERRALS_LOCKED,
    "offer": OFFERS_LOCKED,
}


@pytest.fixture(scope="module")
def stage(server: str, template: str) -> Iterator[tuple[str, Scene]]:
    """A database in which nothing changes any more, and what was put into it."""
    run_apart(execute(server, f"create database matrix template {template}"))
    scenes: list[Scene] = []

    async def fill() -> None:
        scenes.append(await set_scene(named_database(server, "matrix")))

    run_apart(fill())
    yield named_database(server, "matrix"), scenes[0]
    run_apart(execute(server, "drop database matrix with (force)"))


@pytest.fixture
def scene(stage: tuple[str, Scene]) -> Scene:
    return stage[1]


@pytest.fixture
async def own_scene(dsn: str) -> Scene:
    """In a database of the test's own."""
    return await set_scene(dsn)


@pytest.fixture(params=list(ASKERS))
async def asking(
    request: pytest.FixtureRequest, stage: tuple[str, Scene]
) -> AsyncIterator[tuple[str, Connection]]:
    """A transaction of somebody, by name."""
    dsn, scene = stage
    who = str(request.param)
    asker = ASKERS[who](scene)
    pool = Pool(dsn, size=1, role=SERVICE)
    async with pool.transaction() as conn:
        await ask_as(conn, principal=asker.principal, clinics=asker.clinics)
        yield who, conn
    await pool.close()


async def refused(conn: Connection, sql: str, *args: object) -> bool:
    try:
        async with conn.transaction():
            await conn.execute(sql, *args)
    except StatementFailed as error:
        if error.sqlstate != REFUSED:
            raise
        return True
    return False


async def named(conn: Connection, scene: Scene, sql: str) -> frozenset[str]:
    return frozenset(scene.names[found] for found in await values(conn, UUID, sql))


async def test_what_is_seen(asking: tuple[str, Connection], scene: Scene) -> None:
    who, conn = asking
    for table, (column, seen) in TABLES.items():
        sql = f"select {column} from {table}"
        if seen is None:
            assert await refused(conn, sql), table
        else:
            assert await named(conn, scene, sql) == seen[who], table
            counted = await values(conn, int, f"select count(distinct {column}) from {table}")
            assert counted == [len(seen[who])], table


async def test_what_can_be_locked(asking: tuple[str, Connection], scene: Scene) -> None:
    who, conn = asking
    for table, (column, _) in TABLES.items():
        sql = f"select {column} from {table} for update"
        if table in LOCKS:
            assert await named(conn, scene, sql) == LOCKS[table][who], table
        else:
            assert await refused(conn, sql), table


async def test_nothing_can_be_changed(asking: tuple[str, Connection]) -> None:
    """Where a row could be locked, the policy's check refuses to write it; where none can, there
    is nothing to write, and for every column but one there is no right either."""
    who, conn = asking
    for table, (column, _) in TABLES.items():
        assert await refused(conn, f"update {table} set {column} = {column}"), table
    for table, locks in LOCKS.items():
        sql = f"update {table} set version = version + 1"
        assert await refused(conn, sql) == bool(locks[who]), table
    for sql in (
        "update referral set state = 'cancelled'",
        "update referral set referrer = 'me', owner_clinic_id = null",
        "update referral set offered_to = '{}'",
        "update offer set state = 'accepted'",
        "update sealed_key set wrapped = null, erased_at = now()",
    ):
        assert await refused(conn, sql), sql


async def test_nothing_can_be_removed(asking: tuple[str, Connection]) -> None:
    _, conn = asking
    for table in TABLES:
        assert await refused(conn, f"delete from {table}"), table
        assert await refused(conn, f"delete from {table} where false"), table
        assert await refused(conn, f"truncate {table}"), table


async def test_nothing_can_be_put_in(asking: tuple[str, Connection]) -> None:
    _, conn = asking
    for table in TABLES:
        assert await refused(conn, f"insert into {table} default values"), table
        assert await refused(conn, f"insert into {table} select * from {table}"), table


async def test_the_worker_sees_all_and_a_request_only_after_becoming_it(
    service: Pool, own_scene: Scene
) -> None:
    async with service.transaction() as conn:
        await ask_as(conn, principal=own_scene.referrer)
        assert await named(conn, own_scene, "select id from referral for update") == BOTH
        await conn.become_worker()
        assert len(await values(conn, UUID, "select id from referral for update")) == 3
        await conn.execute("update referral set version = version + 1")
    async with service.transaction() as conn:
        assert await values(conn, UUID, "select id from referral") == []


async def test_the_owner_of_the_tables_is_held_too(dsn: str, own_scene: Scene) -> None:
    """`force`: whoever owns the tables and is no superuser sees no patient by accident."""
    pool = Pool(dsn, size=1)
    async with pool.acquire() as conn:
        await conn.execute("begin")
        await conn.execute("create role walls_owner nologin")
        await conn.execute("grant usage on schema public to walls_owner")
        for table in TABLES:
            await conn.execute(f"alter table {table} owner to walls_owner")
        await conn.execute("set local role walls_owner")
        for table in TABLES:
            assert await values(conn, int, f"select count(*) from {table}") == [0], table
        await conn.execute("rollback")
    await pool.close()


async def test_rotation_keeps_sight_of_what_was_sent(
    house: House, service: Pool, own_scene: Scene, dsn: str
) -> None:
    old = await house.key("referrals:write")
    sender = old.split("_")[2]
    await execute(
        dsn, f"update referral set referrer = '{sender}' where id = '{own_scene.foreign}'"
    )
    app = house.app()
    authenticator: Authenticator = app.state.authenticator
    keyring: Keyring = app.state.keyring
    maker = KeyMaker(house.settings.environment, keyring, house.clock)
    async with service.transaction() as conn:
        _, new = await maker.rotate(conn, sender, overlap=timedelta(hours=1), created_by="test")
    for key in (old, new.text(), await house.key("referrals:write")):
        caller = await authenticator.authenticate(f"Bearer {key}")
        async with service.transaction() as conn:
            await ask_as(conn, principal=caller.principal, clinics=caller.clinics)
            seen = await named(conn, own_scene, "select id from referral for update")
        same = key in (old, new.text())
        assert seen == (frozenset({"foreign"}) if same else NONE)
    await authenticator.aclose()
    await app.state.database.close()
