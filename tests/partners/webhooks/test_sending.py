"""Messages on their way: signed, tried again, paused, given up, and sent at least once."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from aiohttp import web
from standardwebhooks import WebhookVerificationError
from structlog.testing import capture_logs

from api.partners.webhooks.posting import Answer, Poster
from api.partners.webhooks.schedule import LONGEST_PAUSE, RETRY_DELAYS
from api.partners.webhooks.sending import PER_WEBHOOK, Sender
from api.partners.webhooks.signing import shown
from db.asking import ask_as
from db.queries.webhooks import delivery_by_id
from db.states import DeliveryFault, DeliveryState
from tests.partners.webhooks.conftest import World
from tests.partners.webhooks.receiver import Receiver, receiving, status


async def test_a_message_arrives_signed_and_says_ids_and_steps_only(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    webhook, secret = await world.webhook(me, receiver.url)
    assert await world.happens(principal=me.principal) == 1
    assert await sender.send_due() == 1
    (taken,) = receiver.taken
    message = taken.verified(secret)
    row = await world.delivery(webhook)
    assert message == {
        "type": "referral.offered",
        "timestamp": "2026-11-22T16:00:00Z",
        "data": {
            "referral": str(row.subject_id),
            "offer": None,
            "clinic": None,
            "state": "offered",
            "version": 2,
        },
    }
    assert taken.id == str(row.id)
    assert (row.state, row.attempts, row.last_status) == (DeliveryState.DELIVERED, 1, 204)
    assert await sender.send_due() == 0
    with pytest.raises(WebhookVerificationError):
        taken.verified("whsec_" + "A" * 43 + "=")


async def test_a_message_is_tried_again_under_the_same_id_until_it_is_dead(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    webhook, secret = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    receiver.then(*[500] * 20)
    for delay in (*RETRY_DELAYS, None):
        assert await sender.send_due() == 1
        assert await sender.send_due() == 0
        row = await world.delivery(webhook)
        assert row.last_fault is DeliveryFault.BAD_STATUS
        if delay is not None:
            assert row.state is DeliveryState.PENDING
            assert row.next_attempt_at is not None
            assert row.last_attempt_at is not None
            waits = (row.next_attempt_at - row.last_attempt_at).total_seconds()
            assert waits >= delay * 1.05
        await world.time_passes()
    row = await world.delivery(webhook)
    assert row.state is DeliveryState.DEAD
    assert row.attempts == len(receiver.taken) == len(RETRY_DELAYS) + 1
    assert len({taken.id for taken in receiver.taken}) == 1
    assert len({taken.body for taken in receiver.taken}) == 1
    receiver.taken[-1].verified(secret)
    assert await sender.send_due() == 0


@pytest.mark.parametrize("number", [429, 503])
async def test_a_receiver_that_asks_for_time_is_left_alone(
    world: World, sender: Sender, receiver: Receiver, number: int
) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    receiver.then(status(number, Retry_After="7200"))
    assert await sender.send_due() == 1
    row = await world.delivery(webhook)
    assert row.next_attempt_at is not None
    assert row.last_attempt_at is not None
    assert row.next_attempt_at - row.last_attempt_at >= timedelta(hours=2)
    # What else there is for it waits, too.
    await world.happens(principal=me.principal)
    assert await sender.send_due() == 0
    await world.time_passes()
    assert await sender.send_due() == 2
    assert {row.state for row in await world.deliveries(webhook)} == {DeliveryState.DELIVERED}


async def test_a_receiver_cannot_ask_for_ever(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    receiver.then(status(429, Retry_After="9" * 300))
    await sender.send_due()
    within = await world.find(
        "select bool_and(next_attempt_at - last_attempt_at <= make_interval(secs => $1) "
        "and quiet_until <= now() + make_interval(secs => $1)) "
        "from webhook_delivery, webhook_subscription",
        LONGEST_PAUSE + 60,
    )
    assert within is True


async def test_retry_after_counts_for_429_and_503_only(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    receiver.then(status(500, Retry_After="7200"))
    await sender.send_due()
    row = await world.delivery(webhook)
    assert row.next_attempt_at is not None
    assert row.last_attempt_at is not None
    assert row.next_attempt_at - row.last_attempt_at < timedelta(hours=1)


async def test_410_disables_the_webhook_and_ends_what_waits(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, receiver.url)
    other, _ = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    await world.do(
        "update webhook_delivery set next_attempt_at = now() + interval '1 hour' "
        "where subscription_id = $1",
        webhook,
    )
    await sender.send_due()
    await world.happens(principal=me.principal)
    await world.do(
        "update webhook_delivery set next_attempt_at = now() + interval '1 hour' "
        "where subscription_id = $1 and state = 'pending'",
        other,
    )
    receiver.then(410)
    assert await sender.send_due() == 1
    newest, waiting = await world.deliveries(webhook)
    assert (newest.state, newest.last_fault) == (DeliveryState.DEAD, DeliveryFault.GONE)
    assert waiting.state is DeliveryState.DEAD
    assert waiting.last_fault is DeliveryFault.WEBHOOK_DISABLED
    # Nothing more for it; the other one of the same key goes on.
    assert await world.happens(principal=me.principal) == 1
    assert (
        await world.find("select count(*) from webhook_subscription where disabled_at is null") == 1
    )


async def test_one_that_cannot_be_reached_rests_and_the_others_go_on(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    dead, _ = await world.webhook(me, "http://127.0.0.1:1/")
    well, _ = await world.webhook(me, receiver.url)
    for _ in range(PER_WEBHOOK + 2):
        await world.happens(principal=me.principal)
    while await sender.send_due():
        pass
    assert len(receiver.taken) == PER_WEBHOOK + 2
    states = [row.state for row in await world.deliveries(well)]
    assert set(states) == {DeliveryState.DELIVERED}
    tried = [row for row in await world.deliveries(dead) if row.attempts]
    assert len(tried) == PER_WEBHOOK
    assert {row.last_fault for row in tried} == {DeliveryFault.NOT_REACHED}


async def test_rotation_signs_with_both_secrets_until_the_overlap_ends(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    webhook, old = await world.webhook(me, receiver.url)
    async with world.pool.transaction() as conn:
        await ask_as(conn, principal=me.principal)
        row, raw = await world.webhooks.rotate(conn, me, webhook)
    new = shown(raw)
    assert row.previous_until is not None
    await world.happens(principal=me.principal)
    await sender.send_due()
    both = receiver.taken[0]
    assert both.headers["webhook-signature"].count("v1,") == 2
    assert both.verified(old) == both.verified(new)
    await world.do("update webhook_subscription set previous_until = now()")
    await world.happens(principal=me.principal)
    await sender.send_due()
    alone = receiver.taken[1]
    alone.verified(new)
    with pytest.raises(WebhookVerificationError):
        alone.verified(old)


async def test_a_secret_opens_in_its_own_row_only(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    mine, _ = await world.webhook(me, receiver.url)
    other, _ = await world.webhook(me, receiver.url)
    await world.do(
        "update webhook_subscription set secret = "
        "(select secret from webhook_subscription where id = $2) where id = $1",
        mine,
        other,
    )
    await world.happens(principal=me.principal)
    await sender.send_due()
    assert (await world.delivery(mine)).last_fault is DeliveryFault.SECRET_UNREADABLE
    assert (await world.delivery(other)).state is DeliveryState.DELIVERED
    assert len(receiver.taken) == 1


async def test_the_secret_is_nowhere_in_the_database(world: World, receiver: Receiver) -> None:
    me = await world.caller("referrals:write")
    _, secret = await world.webhook(me, receiver.url)
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    stored = await world.find("select s::text from webhook_subscription s")
    assert isinstance(stored, str)
    assert raw.hex() not in stored
    assert secret.removeprefix("whsec_") not in stored


async def test_who_stood_still_writes_down_nothing_and_nothing_is_lost(
    world: World, receiver: Receiver
) -> None:
    """The first sender is stuck in its attempt until the lease is over and another one has had its
    own; what it then reports is of an attempt that no longer counts."""
    me = await world.caller("referrals:write")
    webhook, secret = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    arrived, thawed = asyncio.Event(), asyncio.Event()

    async def stuck(_: web.Request) -> web.StreamResponse:
        arrived.set()
        await thawed.wait()
        return web.Response(status=200)

    receiver.then(stuck, 500)
    async with Poster(allow_private=True) as first, Poster(allow_private=True) as second:
        frozen = asyncio.create_task(world.sender(first).send_due())
        await arrived.wait()
        assert await world.sender(second).send_due() == 0
        await world.time_passes()
        assert await world.sender(second).send_due() == 1
        thawed.set()
        await frozen
        row = await world.delivery(webhook)
        assert (row.state, row.attempts, row.last_status) == (DeliveryState.PENDING, 2, 500)
        await world.time_passes()
        assert await world.sender(second).send_due() == 1
    assert (await world.delivery(webhook)).state is DeliveryState.DELIVERED
    assert len({taken.id for taken in receiver.taken}) == 1
    for taken in receiver.taken:
        taken.verified(secret)


async def test_who_wakes_up_after_the_lease_does_not_even_send(
    world: World, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    moments = iter([0.0, 3600.0])
    world.clock.monotonic = lambda: next(moments)  # a process that stood still for an hour
    async with Poster(allow_private=True) as poster:
        assert await world.sender(poster).send_due() == 1
    assert receiver.taken == []
    assert (await world.delivery(webhook)).state is DeliveryState.PENDING


async def test_many_senders_at_once_send_each_message_once(
    world: World, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    async with receiving() as another:
        await world.webhook(me, receiver.url)
        await world.webhook(me, another.url)
        for _ in range(20):
            await world.happens(principal=me.principal)
        async with Poster(allow_private=True) as poster:
            senders = [world.sender(poster) for _ in range(3)]
            while sum(await asyncio.gather(*(each.send_due() for each in senders))):
                pass
        ids = [taken.id for taken in (*receiver.taken, *another.taken)]
    assert len(ids) == len(set(ids)) == 40


async def test_the_log_does_not_reach_back_for_ever(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, receiver.url)
    for _ in range(3):
        await world.happens(principal=me.principal)
    await sender.send_due()
    await world.happens(principal=me.principal)
    ids = sorted(row.id for row in await world.deliveries(webhook))
    await world.do(
        "update webhook_delivery set created_at = now() - interval '31 days' where id <> $1", ids[0]
    )
    assert await sender.forget_old() == 2
    # The young one, and the one that was not delivered yet.
    assert sorted(row.id for row in await world.deliveries(webhook)) == [ids[0], ids[3]]


async def test_the_log_names_ids_and_never_the_address(world: World, receiver: Receiver) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    receiver.then(500)
    with capture_logs() as lines:
        async with Poster(allow_private=True) as poster:
            await world.sender(poster).send_due()
    warned, failed, began = lines
    assert (warned["log_level"], warned["setting"]) == ("warning", "webhook_allow_private")
    assert failed["log_level"] == "debug"
    assert (began["log_level"], began["webhook"]) == ("info", str(webhook))
    assert failed["webhook"] == str(webhook)
    assert (failed["fault"], failed["status"], failed["attempt"]) == ("bad_status", 500, 1)
    assert "127.0.0.1" not in str(lines)
    assert "token" not in str(lines)


async def test_the_log_says_once_that_a_webhook_fails_and_once_that_it_works_again(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, receiver.url)
    for _ in range(3):
        await world.happens(principal=me.principal)
    receiver.then(*[500] * 6)
    with capture_logs() as lines:
        for _ in range(4):
            await sender.send_due()
            await world.time_passes()
        await world.happens(principal=me.principal)
        await sender.send_due()
    assert [(line["event"], line["webhook"]) for line in lines if line["log_level"] != "debug"] == [
        ("webhook fails", str(webhook)),
        ("webhook works again", str(webhook)),
    ]
    assert [line["log_level"] for line in lines].count("debug") == 6


async def test_an_attempt_that_breaks_as_nobody_thought_of_is_a_failed_one(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = await world.caller("referrals:write")
    broken, _ = await world.webhook(me, "http://127.0.0.1:9/broken")
    other, _ = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    post = Poster.post

    async def breaks(self: Poster, url: str, headers: Mapping[str, str], body: str) -> Answer:
        if url.endswith("/broken"):
            raise ValueError("said by a library, of a token")
        return await post(self, url, headers, body)

    monkeypatch.setattr(Poster, "post", breaks)
    with capture_logs() as lines:
        async with Poster(allow_private=True) as poster:
            assert await world.sender(poster).send_due() == 2
            assert await world.sender(poster).send_due() == 0
    row = await world.delivery(broken)
    assert (row.state, row.attempts) == (DeliveryState.PENDING, 1)
    assert row.last_fault is DeliveryFault.NOT_REACHED
    assert (await world.delivery(other)).state is DeliveryState.DELIVERED
    (error,) = [line for line in lines if line["log_level"] == "error"]
    assert (error["delivery"], error["error"]) == (str(row.id), "ValueError")
    assert "token" not in str(lines)


async def test_an_outcome_that_cannot_be_written_stops_nobody(
    world: World, receiver: Receiver
) -> None:
    """A status that no column holds stands for a fault of ours while it is written down."""
    me = await world.caller("referrals:write")
    broken, _ = await world.webhook(me, "http://127.0.0.1:9/broken")
    other, _ = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)

    class Odd(Poster):
        async def post(self, url: str, headers: Mapping[str, str], body: str) -> Answer:
            if url.endswith("/broken"):
                return Answer(status=10**9)
            return await super().post(url, headers, body)

    with capture_logs() as lines:
        async with Odd(allow_private=True) as poster:
            assert await world.sender(poster).send_due() == 2
    assert (await world.delivery(broken)).state is DeliveryState.PENDING
    assert (await world.delivery(other)).state is DeliveryState.DELIVERED
    assert [line["event"] for line in lines if line["log_level"] in ("warning", "error")][1:] == [
        "outcome of a webhook not noted"
    ]


async def test_what_is_held_back_says_when_it_is_really_tried(
    world: World, sender: Sender, receiver: Receiver
) -> None:
    me = await world.caller("referrals:write")
    webhook, _ = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    receiver.then(status(429, Retry_After="7200"))
    await sender.send_due()
    await world.happens(principal=me.principal)
    quiet = await world.find("select quiet_until from webhook_subscription")
    assert isinstance(quiet, datetime)
    waiting, put_off = await world.deliveries(webhook)
    assert waiting.next_attempt_at == quiet
    assert put_off.next_attempt_at is not None
    assert put_off.next_attempt_at >= quiet
    async with world.pool.transaction() as conn:
        await ask_as(conn, principal=me.principal)
        shown_alone = await delivery_by_id(conn, waiting.id, webhook)
    assert shown_alone == waiting
    await world.time_passes()
    await sender.send_due()
    await world.do("update webhook_subscription set quiet_until = now() + interval '1 hour'")
    assert {row.next_attempt_at for row in await world.deliveries(webhook)} == {None}
