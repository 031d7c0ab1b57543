"""docs/webhooks.md: its example verifies, its tables are those of the code."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.partners.webhooks.events import EventType, Message
from api.partners.webhooks.schedule import LONGEST_PAUSE, RETRY_DELAYS
from api.partners.webhooks.sending import KEEP_SECONDS, LEASE_SECONDS, Sender
from api.partners.webhooks.service import MOST_WEBHOOKS, OVERLAP_SECONDS
from db.states import DeliveryFault
from tests.partners.webhooks.conftest import World
from tests.partners.webhooks.receiver import Receiver

PAGE = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text("utf-8")
UNITS = {"second": 1, "minute": 60, "hour": 3600}


def example(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def test_the_table_of_attempts_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (at once|(\d+) (second|minute|hour)s) \|$", PAGE, re.MULTILINE)
    assert [int(number) for number, *_ in rows] == list(range(1, len(RETRY_DELAYS) + 2))
    assert rows[0][1] == "at once"
    assert [int(count) * UNITS[unit] for _, _, count, unit in rows[1:]] == list(RETRY_DELAYS)


def test_the_limits_that_are_named_are_those_of_the_code() -> None:
    assert LONGEST_PAUSE == OVERLAP_SECONDS == 24 * 3600
    assert KEEP_SECONDS == 30 * 24 * 3600
    assert LEASE_SECONDS == 60
    assert f"One key may have {MOST_WEBHOOKS} webhooks." in PAGE


def test_every_fault_and_every_type_is_told() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(DeliveryFault)
    for event_type in EventType:
        group, _, event = event_type.partition(".")
        assert f"`{event}`" in PAGE if group == "referral" else f"`{event_type}`" in PAGE


def test_the_message_that_is_shown_is_one() -> None:
    message = msgspec.json.decode(example("json"))
    assert EventType(message["type"]) is EventType.REFERRAL_ACCEPTED
    assert set(message) == set(Message.__struct_fields__)


async def test_the_receiver_that_is_shown_takes_what_is_sent_and_nothing_else(
    world: World, sender: Sender, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    me = await world.caller("referrals:write")
    _, secret = await world.webhook(me, receiver.url)
    await world.happens(principal=me.principal)
    await sender.send_due()
    (taken,) = receiver.taken
    names: dict[str, Any] = {}
    exec(example("python"), names)
    receive: Callable[[str, dict[str, str], bytes], int] = names["receive"]
    body = taken.body.encode()
    assert receive(secret, taken.headers, body) == 204
    assert receive(secret, taken.headers, body) == 204
    # Once, although it came twice.
    assert capsys.readouterr().out.count("referral.offered") == 1
    assert receive(secret, taken.headers, body.replace(b"offered", b"expired")) == 401
    old = {**taken.headers, "webhook-timestamp": "1700000000"}
    assert receive(secret, old, body) == 401
    assert receive("whsec_" + "A" * 43 + "=", taken.headers, body) == 401
