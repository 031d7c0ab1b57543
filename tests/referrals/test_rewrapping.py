"""Rewrapping after a rotation: beside a running service, stopped anywhere, done again."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from api.keyring import Keyring, UnknownKey
from api.referrals.sealing.rewrapping import Rewrapped, rewrap_data_keys
from api.referrals.sealing.sealing import Sealer, SealErased
from db.pool import Pool
from db.queries.sealed_keys import erase_sealed_key, replace_wrapped
from tests.keyrings import MADE, fixed_keyring
from tests.referrals.sealed import key_row, read, send

OLD, BOTH, NEW = fixed_keyring("old"), fixed_keyring("old", "new"), fixed_keyring("new")
WORDS = b"what it says"


class Stop(Exception):
    """As good as a kill: the transaction under way is rolled back, those before it are not."""


def stop(_done: int, _total: int) -> None:
    raise Stop


def silent(_done: int, _total: int) -> None:
    pass


async def rewrapped(pool: Pool, keyring: Keyring = BOTH, batch: int = 3) -> Rewrapped:
    return await rewrap_data_keys(pool, keyring, Sealer(keyring), silent, batch=batch)


async def sent(pool: Pool, count: int) -> list[UUID]:
    return [await send(pool, OLD, WORDS + bytes([n])) for n in range(count)]


async def test_afterwards_the_old_key_is_needed_by_nothing(pool: Pool) -> None:
    referrals = await sent(pool, 7)
    newer = await send(pool, BOTH, WORDS)
    before = await key_row(pool, newer)
    seen: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        seen.append((done, total))

    done = await rewrap_data_keys(pool, BOTH, Sealer(BOTH), report, batch=3)
    assert done == Rewrapped(done=7, left=0, unreadable=[])
    assert seen == [(3, 7), (6, 7), (7, 7)]
    for number, referral in enumerate(referrals):
        assert await read(pool, NEW, referral) == WORDS + bytes([number])
        with pytest.raises(UnknownKey):
            await read(pool, OLD, referral)
    assert await key_row(pool, newer) == before
    assert (await rewrapped(pool)).done == 0


@pytest.mark.parametrize("stops", [1, 2, 3])
async def test_stopped_in_the_middle_it_goes_on_where_it_was(pool: Pool, stops: int) -> None:
    referrals = await sent(pool, 7)
    for _ in range(stops):
        with pytest.raises(Stop):
            await rewrap_data_keys(pool, BOTH, Sealer(BOTH), stop, batch=2)
        # In between everything opens, with the keyring that has both.
        for number, referral in enumerate(referrals):
            assert await read(pool, BOTH, referral) == WORDS + bytes([number])
    assert (await rewrapped(pool)).done == 7 - 2 * stops
    for number, referral in enumerate(referrals):
        assert await read(pool, NEW, referral) == WORDS + bytes([number])


async def test_two_at_once_do_it_once(pool: Pool) -> None:
    referrals = await sent(pool, 20)
    one, other = await asyncio.gather(rewrapped(pool), rewrapped(pool))
    assert one.done + other.done == 20
    assert one.left == other.left == 0
    for referral in referrals:
        assert (await read(pool, NEW, referral)).startswith(WORDS)


async def test_reading_goes_on_all_the_while(pool: Pool) -> None:
    referrals = await sent(pool, 30)
    working = asyncio.create_task(rewrapped(pool, batch=1))
    reads = 0
    while not working.done():
        for referral in referrals[::7]:
            assert (await read(pool, BOTH, referral)).startswith(WORDS)
            reads += 1
    assert (await working).done == 30
    assert reads > 0


async def test_what_somebody_holds_is_waited_for_at_the_end_only(pool: Pool) -> None:
    held, *others = await sent(pool, 5)
    let_go = asyncio.Event()

    async def hold() -> None:
        async with pool.transaction() as conn:
            await conn.become_worker()
            await conn.fetch("select from sealed_key where referral_id = $1 for update", held)
            holding.set()
            await let_go.wait()

    holding = asyncio.Event()
    holder = asyncio.create_task(hold())
    await holding.wait()
    reports: list[int] = []

    def report(done: int, _total: int) -> None:
        reports.append(done)
        if done == len(others):
            let_go.set()

    found = await rewrap_data_keys(pool, BOTH, Sealer(BOTH), report, batch=2)
    await holder
    assert found == Rewrapped(done=5, left=0, unreadable=[])
    assert reports == [2, 4, 5]


async def test_an_erasure_that_came_first_stands(pool: Pool) -> None:
    (referral,) = await sent(pool, 1)
    row = await key_row(pool, referral)
    assert row.wrapped is not None
    wrapped = Sealer(BOTH).rewrapped(row, "new")
    async with pool.transaction() as conn:
        await conn.become_worker()
        assert await erase_sealed_key(conn, referral, MADE)
        assert not await erase_sealed_key(conn, referral, MADE)
        assert await replace_wrapped(conn, "new", [referral], [wrapped], [row.wrapped]) == 0
    assert (await key_row(pool, referral)).wrapped is None
    assert (await rewrapped(pool)) == Rewrapped(done=0, left=0, unreadable=[])
    with pytest.raises(SealErased):
        await read(pool, BOTH, referral)


async def test_what_cannot_be_read_is_named_and_left_as_it_is(pool: Pool) -> None:
    good, damaged, foreign, moved = await sent(pool, 4)
    lost = await send(pool, fixed_keyring("lost"), WORDS)
    async with pool.transaction() as conn:
        await conn.become_worker()
        for referral, wrapped in (
            (damaged, b"\x01damaged"),
            (foreign, (await key_row(pool, lost)).wrapped),
            (moved, (await key_row(pool, good)).wrapped),
        ):
            await conn.execute(
                "update sealed_key set wrapped = $2 where referral_id = $1", referral, wrapped
            )
    before = {each: await key_row(pool, each) for each in (damaged, foreign, moved, lost)}
    found = await rewrapped(pool)
    assert found == Rewrapped(done=1, left=0, unreadable=sorted(before))
    assert {each: await key_row(pool, each) for each in before} == before
    assert await read(pool, NEW, good) == WORDS + b"\0"
