"""Who hears of what."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

from api.partners.webhooks.events import EventType
from api.partners.webhooks.sending import Sender
from db.asking import ask_as
from db.queries.keys import revoke_key
from db.queries.webhooks import delete_subscription
from db.states import DeliveryFault, DeliveryState, ReferralEvent
from tests.partners.webhooks.conftest import World
from tests.partners.webhooks.receiver import Receiver

URL = "http://127.0.0.1:9/"


def test_every_step_of_a_referral_is_a_type_of_event() -> None:
    types = {str(each) for each in EventType if each.startswith("referral.")}
    assert types == {f"referral.{event}" for event in ReferralEvent}


async def test_each_hears_of_its_own_and_nobody_of_others(world: World) -> None:
    clinic, elsewhere = uuid4(), uuid4()
    referrer = await world.caller("referrals:write")
    desk = await world.caller(f"clinic:{clinic}", f"clinic:{elsewhere}")
    other_desk = await world.caller(f"clinic:{elsewhere}")
    stranger = await world.caller("referrals:write", "admin")
    hooks = {
        name: (await world.webhook(caller, URL))[0]
        for name, caller in (
            ("referrer", referrer),
            ("desk", desk),
            ("other", other_desk),
            ("stranger", stranger),
        )
    }
    assert await world.happens(principal=referrer.principal) == 1
    assert await world.happens(clinic=clinic) == 1
    assert await world.happens(clinic=elsewhere) == 2
    assert await world.happens(clinic=uuid4()) == 0
    assert await world.happens() == 0
    found = {name: len(await world.deliveries(hook)) for name, hook in hooks.items()}
    assert found == {"referrer": 1, "desk": 2, "other": 1, "stranger": 0}
    assert await world.happens(everybody=True) == 4


async def test_a_webhook_hears_once_of_what_it_is_meant_for_twice(world: World) -> None:
    clinic = uuid4()
    both = await world.caller("referrals:write", f"clinic:{clinic}")
    await world.webhook(both, URL)
    assert await world.happens(principal=both.principal, clinic=clinic) == 1


async def test_a_source_is_queued_once(world: World) -> None:
    me = await world.caller("referrals:write")
    await world.webhook(me, URL)
    await world.webhook(me, URL)
    source = uuid4()
    assert await world.happens(principal=me.principal, source=source) == 2
    assert await world.happens(principal=me.principal, source=source) == 0
    assert await world.happens(principal=me.principal, source=uuid4()) == 2
    assert await world.happens(principal=me.principal) == 2


async def test_only_the_types_that_were_asked_for(world: World) -> None:
    me = await world.caller("referrals:write")
    wanted = [EventType.REFERRAL_ACCEPTED, EventType.REFERRAL_UNROUTED]
    await world.webhook(me, URL, wanted)
    for event_type in EventType:
        queued = await world.happens(principal=me.principal, event_type=event_type)
        assert queued == (event_type in wanted), event_type


async def test_after_its_key_was_revoked_a_webhook_gets_nothing_more(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    clinic = uuid4()
    me = await world.caller("referrals:write", f"clinic:{clinic}")
    webhook, _ = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    async with world.pool.transaction() as conn:
        await revoke_key(conn, me.key_id, world.clock.now())
    assert await world.happens(principal=me.principal) == 0
    assert await world.happens(clinic=clinic) == 0
    assert await world.happens(everybody=True) == 0
    # What was queued before is not sent either.
    await sender.send_due()
    row = await world.delivery(webhook)
    assert (row.state, row.last_fault) == (DeliveryState.DEAD, DeliveryFault.KEY_ENDED)
    assert receiver.taken == []


async def test_a_rotated_key_keeps_its_webhooks_also_when_the_old_key_has_ended(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    clinic = uuid4()
    me = await world.caller(f"clinic:{clinic}")
    await world.webhook(me, receiver.url)
    async with world.pool.transaction() as conn:
        await world.maker.rotate(conn, me.key_id, overlap=timedelta(0), created_by="test")
        await revoke_key(conn, me.key_id, world.clock.now())
    assert await world.happens(clinic=clinic) == 1
    assert await sender.send_due() == 1
    assert len(receiver.taken) == 1


async def test_a_step_during_the_deletion_of_a_webhook_goes_through(world: World) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, URL)
    async with world.pool.transaction() as conn:
        await ask_as(conn, principal=me.principal)
        assert await delete_subscription(conn, webhook, me.principal) == 1
        happening = asyncio.create_task(world.happens(principal=me.principal))
        await _somebody_waits(world, happening)
    assert await happening == 0


async def test_a_deletion_during_a_step_waits_for_it_and_leaves_nothing(world: World) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, URL)

    async def delete() -> int:
        async with world.pool.transaction() as conn:
            await ask_as(conn, principal=me.principal)
            return await delete_subscription(conn, webhook, me.principal)

    async with world.pool.transaction() as conn:
        await conn.become_worker()
        assert await world.queue(conn, principal=me.principal) == 1
        deleting = asyncio.create_task(delete())
        await _somebody_waits(world, deleting)
    assert await deleting == 1
    assert await world.find("select count(*) from webhook_delivery") == 0


async def _somebody_waits(world: World, task: asyncio.Task[int]) -> None:
    """Until the task waits for a lock."""
    while not await world.find("select exists (select from pg_locks where not granted)"):
        assert not task.done()
        await asyncio.sleep(0.01)
