"""A sender is killed between sending a message and writing down that it was taken."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from api.partners.webhooks.sending import Sender
from db.states import DeliveryState
from tests.partners.webhooks.conftest import World
from tests.partners.webhooks.receiver import Receiver


async def test_it_is_sent_again_under_the_same_id(
    world: World, sender: Sender, receiver: Receiver, dsn: str, tmp_path: Path
) -> None:
    me = await world.caller("referrals:write")
    webhook, secret = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.partners.webhooks.dying_sender",
        dsn,
        str(tmp_path / "keyring.json"),
        cwd=Path(__file__).parents[3],
    )

    async def kill(_: web.Request) -> web.StreamResponse:
        process.kill()
        await process.wait()
        return web.Response(status=200)

    receiver.then(kill)
    assert await process.wait() < 0
    row = await world.delivery(webhook)
    assert (row.state, row.attempts) == (DeliveryState.PENDING, 1)
    # Not before the lease of the dead is over.
    assert await sender.send_due() == 0
    await world.time_passes()
    assert await sender.send_due() == 1
    assert (await world.delivery(webhook)).state is DeliveryState.DELIVERED
    first, second = receiver.taken
    assert first.id == second.id == str(row.id)
    assert first.verified(secret) == second.verified(secret)
