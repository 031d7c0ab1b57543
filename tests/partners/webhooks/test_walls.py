"""Row-level security alone, without a line of the service's own checks."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from db.asking import ask_as
from db.connection import Connection, values
from db.errors import ConstraintViolated, StatementFailed
from tests.partners.webhooks.conftest import World

URL = "http://127.0.0.1:9/"
TABLES = ("webhook_subscription", "webhook_delivery")


class Pair:
    """Two keys with a webhook and a message each."""

    def __init__(self, mine: str, hook: UUID, theirs: str, other: UUID) -> None:
        self.mine, self.hook, self.theirs, self.other = mine, hook, theirs, other


@pytest.fixture
async def pair(world: World) -> Pair:
    made: list[tuple[str, UUID]] = []
    for _ in range(2):
        caller = await world.caller("referrals:write")
        hook, _ = await world.webhook(caller, URL)
        await world.happens(principal=caller.principal)
        made.append((caller.principal, hook))
    return Pair(*made[0], *made[1])


async def principals(conn: Connection, table: str) -> list[str]:
    return await values(conn, str, f"select principal from {table}")


async def test_everybody_sees_their_own_and_nobody_without_a_name_anything(
    world: World, pair: Pair
) -> None:
    for table in TABLES:
        async with world.pool.transaction() as conn:
            assert await principals(conn, table) == []
            await ask_as(conn, principal="")
            assert await principals(conn, table) == []
            await ask_as(conn, clinics=[uuid4()])
            assert await principals(conn, table) == []
            await ask_as(conn, principal=pair.mine)
            assert await principals(conn, table) == [pair.mine]
            await ask_as(conn, principal="somebody")
            assert await principals(conn, table) == []
            await conn.become_worker()
            assert sorted(await principals(conn, table)) == sorted([pair.mine, pair.theirs])


async def test_nothing_of_others_is_changed_deleted_or_locked(world: World, pair: Pair) -> None:
    async with world.pool.transaction() as conn:
        await ask_as(conn, principal=pair.mine)
        for sql in (
            "update webhook_subscription set disabled_at = now() where id = $1",
            "update webhook_subscription set secret = '' where id = $1",
            "update webhook_delivery set tries = 0 where subscription_id = $1",
            "delete from webhook_subscription where id = $1",
            "select from webhook_subscription where id = $1 for update",
        ):
            assert await conn.execute(sql, pair.other) == 0, sql
        assert await conn.execute("delete from webhook_subscription where id = $1", pair.hook) == 1
    async with world.pool.transaction() as conn:
        await conn.become_worker()
        # Its messages went with it, those of the other stayed.
        assert await principals(conn, "webhook_delivery") == [pair.theirs]


A_WEBHOOK = """
insert into webhook_subscription (id, principal, url, secret, secret_keyring_id)
values (gen_random_uuid(), '{theirs}', 'https://x.example.com/', '', '')
"""
A_MESSAGE = """
insert into webhook_delivery
    (id, subscription_id, principal, event_type, subject_kind, subject_id, payload)
values (gen_random_uuid(), '{hook}', '{mine}', 'x', 'x', gen_random_uuid(), 'x')
"""


@pytest.mark.parametrize(
    "sql",
    [
        # in somebody else's name
        A_WEBHOOK,
        # made over to somebody else, led elsewhere, made to speak for another clinic
        "update webhook_subscription set principal = '{theirs}'",
        "update webhook_subscription set url = 'https://x.example.com/'",
        "update webhook_subscription set clinics = array[gen_random_uuid()]",
        # messages are written by the worker alone
        A_MESSAGE,
        "update webhook_delivery set payload = 'x'",
        "update webhook_delivery set principal = '{theirs}'",
        "delete from webhook_delivery",
        # the tables are nobody's who asks
        "truncate webhook_delivery",
        "alter table webhook_delivery disable row level security",
        "drop policy own on webhook_delivery",
    ],
)
async def test_what_a_request_may_not_do_at_all(world: World, pair: Pair, sql: str) -> None:
    written = sql.format(mine=pair.mine, theirs=pair.theirs, hook=pair.hook)
    async with world.pool.acquire() as conn:
        with pytest.raises(StatementFailed) as refused:
            await asked(conn, pair.mine, written)
    assert refused.value.sqlstate == "42501"


async def asked(conn: Connection, principal: str, sql: str) -> None:
    async with conn.transaction():
        await ask_as(conn, principal=principal)
        await conn.execute(sql)


async def test_not_even_the_worker_queues_for_one_webhook_in_the_name_of_another(
    world: World, pair: Pair
) -> None:
    with pytest.raises(ConstraintViolated) as refused:
        await world.do(
            "insert into webhook_delivery (id, subscription_id, principal, event_type, "
            "subject_kind, subject_id, payload) "
            "values (gen_random_uuid(), $1, $2, 'x', 'x', gen_random_uuid(), 'x')",
            pair.hook,
            pair.theirs,
        )
    assert refused.value.sqlstate == "23503"
