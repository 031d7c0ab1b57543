"""Webhooks over HTTP: made, shown, rotated, replayed, deleted, each by its own key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from standardwebhooks import WebhookVerificationError

from api.commands.wiring import make_places
from api.partners.webhooks.posting import Poster
from api.partners.webhooks.sending import Sender
from api.partners.webhooks.service import MOST_WEBHOOKS
from api.search.places import Places
from api.settings import Settings
from tests.keys.clocks import HandClock
from tests.keys.conftest import House, bearer
from tests.partners.webhooks.conftest import World
from tests.partners.webhooks.receiver import Receiver

URL = "https://hooks.example.com/in?token=canary"
Headers = dict[str, str]


@pytest.fixture(scope="session")
def places() -> Places:
    return make_places(Settings(), HandClock())


@pytest.fixture
def house(dsn: str, tmp_path: Path, places: Places) -> House:
    # The messages are sent by the test, not by the workers of the service.
    settings = Settings(
        database_url=dsn, keyring=tmp_path / "keyring.json", pool_size=3, jobs=False
    )
    return House(settings, places, HandClock())


@pytest.fixture
async def client(house: House) -> AsyncIterator[httpx.AsyncClient]:
    async with house.open() as client:
        yield client


@pytest.fixture
async def me(house: House) -> Headers:
    return bearer(await house.key("referrals:write"))


@pytest.fixture
async def other(house: House) -> Headers:
    return bearer(await house.key("referrals:write", "admin", "directory:write"))


async def made(client: httpx.AsyncClient, headers: Headers, **body: object) -> dict[str, Any]:
    answer = await client.post("/v1/webhooks", json={"url": URL, **body}, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_webhook_shows_its_secret_once(client: httpx.AsyncClient, me: Headers) -> None:
    body = {
        "url": URL,
        "events": ["referral.offered", "referral.accepted", "referral.offered"],
        "description": "Worklist",
    }
    answer = await client.post("/v1/webhooks", json=body, headers=me)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    webhook = answer.json()
    assert answer.headers["Location"] == f"/v1/webhooks/{webhook['id']}"
    assert webhook["secret"].startswith("whsec_")
    assert webhook["events"] == ["referral.accepted", "referral.offered"]
    read = await client.get(answer.headers["Location"], headers=me)
    assert read.headers["ETag"] == answer.headers["ETag"]
    assert read.json() == {name: each for name, each in webhook.items() if name != "secret"}
    listed = await client.get("/v1/webhooks", headers=me)
    assert listed.json() == {"items": [read.json()], "next": None}


BAD: tuple[tuple[dict[str, object], str], ...] = (
    ({}, "/url"),
    ({"url": ""}, "/url"),
    ({"url": "http://hooks.example.com/canary"}, "/url"),
    ({"url": "https://127.1/canary"}, "/url"),
    ({"url": "https://0x7f000001/canary"}, "/url"),
    ({"url": "https://[::ffff:10.0.0.1]/canary"}, "/url"),
    ({"url": "https://canary@hooks.example.com/"}, "/url"),
    ({"url": "https://169.254.169.254/canary"}, "/url"),
    ({"url": "https://100.64.1.1/canary"}, "/url"),
    ({"url": "https://[fd00::1]/canary"}, "/url"),
    ({"url": "https://localhost/canary"}, "/url"),
    ({"url": "https://hooks.example.com:25/canary"}, "/url"),
    ({"url": URL, "events": []}, "/events"),
    ({"url": URL, "events": ["referral.canary"]}, "/events/0"),
    ({"url": URL, "description": " "}, "/description"),
    ({"url": URL, "description": "canary\n"}, "/description"),
    ({"url": URL, "secret": "whsec_canary"}, "/secret"),
    ({"url": URL, "principal": "canary"}, "/principal"),
    ({"url": URL, "clinics": []}, "/clinics"),
)


async def test_a_webhook_that_cannot_be_is_a_400_with_its_place(
    client: httpx.AsyncClient, me: Headers
) -> None:
    for body, pointer in BAD:
        answer = await client.post("/v1/webhooks", json=body, headers=me)
        assert answer.status_code == 400, body
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
        assert "canary" not in answer.text


async def test_private_addresses_only_where_the_setting_says_so(house: House, me: Headers) -> None:
    allowing = house.with_settings(webhook_allow_private=True)
    async with allowing.open() as client:
        for url in ("http://127.0.0.1:8080/", "https://localhost/"):
            assert (await made(client, me, url=url))["url"] == url
        for url in ("http://127.1/", "http://user@127.0.0.1/"):
            answer = await client.post("/v1/webhooks", json={"url": url}, headers=me)
            assert answer.status_code == 400, url


CALLS = (
    ("GET", ""),
    ("DELETE", ""),
    ("GET", "/deliveries"),
    ("POST", "/rotate-secret"),
    ("POST", "/enable"),
    ("POST", "/test"),
    ("POST", "/replay"),
)


async def test_what_is_anothers_or_nobodys_is_not_there(
    client: httpx.AsyncClient, me: Headers, other: Headers
) -> None:
    mine = await made(client, me)
    for method, part in CALLS:
        body = {"since": "2020-01-01T00:00:00Z"} if part == "/replay" else None
        for webhook in (mine["id"], str(uuid4()), "x", "'; drop table x"):
            path = f"/v1/webhooks/{webhook}{part}"
            answer = await client.request(method, path, headers=other, json=body)
            assert answer.status_code == 404, path
            assert (await client.request(method, path, json=body)).status_code == 401, path
    assert (await client.get("/v1/webhooks", headers=other)).json()["items"] == []
    assert (await client.get(f"/v1/webhooks/{mine['id']}", headers=me)).status_code == 200


async def test_a_rotated_key_looks_after_the_same_webhooks(
    client: httpx.AsyncClient, me: Headers, other: Headers
) -> None:
    mine = await made(client, me)
    key_id = me["Authorization"].split("_")[2]
    new = (await client.post(f"/v1/keys/{key_id}/rotate", headers=other)).json()["key"]
    await client.delete(f"/v1/keys/{key_id}", headers=other)
    assert (await client.get("/v1/webhooks", headers=me)).status_code == 401
    listed = (await client.get("/v1/webhooks", headers=bearer(new))).json()["items"]
    assert [each["id"] for each in listed] == [mine["id"]]


async def test_lists_page_from_the_newest(client: httpx.AsyncClient, me: Headers) -> None:
    ids = [(await made(client, me))["id"] for _ in range(5)]
    found: list[str] = []
    cursor: dict[str, str] = {}
    for size in (2, 2, 1):
        params = {"limit": "2", **cursor}
        page = (await client.get("/v1/webhooks", params=params, headers=me)).json()
        assert len(page["items"]) == size
        found += [each["id"] for each in page["items"]]
        cursor = {"cursor": page["next"]}
    assert page["next"] is None
    assert found == ids[::-1]


async def test_a_list_that_cannot_be_asked_for_is_a_400(
    client: httpx.AsyncClient, me: Headers
) -> None:
    webhook = (await made(client, me))["id"]
    for path in ("/v1/webhooks", f"/v1/webhooks/{webhook}/deliveries"):
        for query in ("limit=0", "limit=101", "limit=x", "cursor=x", "cursor=", "x=1", "state=x"):
            answer = await client.get(f"{path}?{query}", headers=me)
            assert answer.status_code == 400, (path, query)
            assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


async def test_a_cursor_is_good_for_its_own_list_only(
    client: httpx.AsyncClient, me: Headers, other: Headers
) -> None:
    await made(client, me)
    webhook = (await made(client, me))["id"]
    for _ in range(2):
        await made(client, other)
        await client.post(f"/v1/webhooks/{webhook}/test", headers=me)
    page = (await client.get("/v1/webhooks?limit=1", headers=me)).json()["next"]
    log = f"/v1/webhooks/{webhook}/deliveries"
    deliveries = (await client.get(f"{log}?limit=1", headers=me)).json()["next"]
    for path, cursor, headers in (
        ("/v1/webhooks", page, other),
        ("/v1/webhooks", deliveries, me),
        (log, page, me),
    ):
        answer = await client.get(f"{path}?cursor={cursor}", headers=headers)
        assert answer.status_code == 400, path
    answer = await client.get(f"{log}?state=pending&cursor={deliveries}", headers=me)
    assert answer.status_code == 400
    answer = await client.get(f"{log}?limit=5&cursor={deliveries}", headers=me)
    assert len(answer.json()["items"]) == 1


async def test_a_key_has_a_limited_number_of_webhooks(
    client: httpx.AsyncClient, me: Headers, other: Headers
) -> None:
    first = await made(client, me)
    for _ in range(MOST_WEBHOOKS - 1):
        await made(client, me)
    full = await client.post("/v1/webhooks", json={"url": URL}, headers=me)
    assert full.status_code == 409
    assert full.json()["type"].endswith("/problems/too-many-webhooks")
    await made(client, other)
    assert (await client.delete(f"/v1/webhooks/{first['id']}", headers=me)).status_code == 204
    assert (await client.delete(f"/v1/webhooks/{first['id']}", headers=me)).status_code == 404
    await made(client, me)


class Wire:
    """A webhook of the caller's, on a service that may send to this machine, and its sender."""

    def __init__(
        self, client: httpx.AsyncClient, me: Headers, sender: Sender, made: dict[str, Any]
    ) -> None:
        self.client, self.me, self.sender = client, me, sender
        self.secret: str = made["secret"]
        self.path = f"/v1/webhooks/{made['id']}"

    async def post(self, part: str, body: object = None) -> httpx.Response:
        return await self.client.post(self.path + part, json=body, headers=self.me)

    async def deliveries(self, query: str = "") -> list[dict[str, Any]]:
        answer = await self.client.get(f"{self.path}/deliveries{query}", headers=self.me)
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]


@pytest.fixture
async def wire(house: House, world: World, me: Headers, receiver: Receiver) -> AsyncIterator[Wire]:
    allowing = house.with_settings(webhook_allow_private=True)
    async with allowing.open() as client, Poster(allow_private=True) as poster:
        yield Wire(client, me, world.sender(poster), await made(client, me, url=receiver.url))


async def test_a_test_message_arrives_whatever_types_are_asked_for(
    wire: Wire, receiver: Receiver
) -> None:
    answer = await wire.post("/test")
    assert answer.status_code == 202
    queued = answer.json()
    assert (queued["state"], queued["attempts"]) == ("pending", 0)
    assert await wire.deliveries() == [queued]
    await wire.sender.send_due()
    (taken,) = receiver.taken
    assert taken.id == queued["id"]
    message = taken.verified(wire.secret)
    assert message["type"] == "webhook.test"
    assert message["data"] == {"webhook": wire.path.rpartition("/")[2]}
    (row,) = await wire.deliveries("?state=delivered")
    assert (row["attempts"], row["last_status"], row["next_attempt_at"]) == (1, 204, None)
    assert await wire.deliveries("?state=pending") == []


async def test_replay_sends_dead_and_delivered_ones_again_under_their_ids(
    wire: Wire, world: World, receiver: Receiver
) -> None:
    ids = [(await wire.post("/test")).json()["id"] for _ in range(3)]
    await wire.sender.send_due()
    await world.do(
        "update webhook_delivery set state = 'dead', dead_at = now(), delivered_at = null, "
        "tries = 10, last_fault = 'timed_out' where id = $1",
        UUID(ids[0]),
    )
    assert (await wire.post("/replay", {"deliveries": ids[:2]})).json() == {"queued": 2}
    # What is on its way is not counted twice.
    assert (await wire.post("/replay", {"deliveries": ids[:2]})).json() == {"queued": 0}
    receiver.then(500)
    assert await wire.sender.send_due() == 2
    # The schedule begins anew: the dead one would not be tried again otherwise.
    assert len(await wire.deliveries("?state=pending")) == 1
    await world.time_passes()
    assert await wire.sender.send_due() == 1
    assert {each["state"] for each in await wire.deliveries()} == {"delivered"}
    sent = [taken.id for taken in receiver.taken]
    assert sorted(set(sent[3:])) == sorted(ids[:2])


async def test_replay_since_a_moment_and_of_one_state(wire: Wire, world: World) -> None:
    ids = [(await wire.post("/test")).json()["id"] for _ in range(4)]
    await wire.sender.send_due()
    await world.do(
        "update webhook_delivery set created_at = now() - interval '2 days' where id = $1",
        UUID(ids[0]),
    )
    await world.do(
        "update webhook_delivery set state = 'dead', dead_at = now(), delivered_at = null "
        "where id = $1",
        UUID(ids[1]),
    )
    (moment,) = {each["created_at"] for each in await wire.deliveries() if each["id"] == ids[1]}
    assert (await wire.post("/replay", {"since": moment, "only": "dead"})).json() == {"queued": 1}
    assert (await wire.post("/replay", {"since": moment})).json() == {"queued": 2}
    both = {"since": "2100-01-01T00:00:00Z", "deliveries": [ids[0]]}
    assert (await wire.post("/replay", both)).json() == {"queued": 1}


BAD_REPLAYS: tuple[tuple[dict[str, object], str], ...] = (
    ({}, ""),
    ({"deliveries": []}, ""),
    ({"only": "dead"}, ""),
    ({"since": "2026-11-22T09:00:00"}, "/since"),
    ({"deliveries": ["x"]}, "/deliveries/0"),
    ({"deliveries": [str(uuid4())]}, "/deliveries/0"),
    ({"since": "2026-11-22T09:00:00Z", "only": "pending"}, "/only"),
    ({"since": "2026-11-22T09:00:00Z", "id": "x"}, "/id"),
)


async def test_a_replay_that_cannot_be_is_a_400(wire: Wire) -> None:
    for body, pointer in BAD_REPLAYS:
        answer = await wire.post("/replay", body)
        assert answer.status_code == 400, body
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_deliveries_of_another_webhook_are_not_replayed(
    wire: Wire, world: World, receiver: Receiver
) -> None:
    theirs = (await wire.post("/test")).json()["id"]
    another = Wire(wire.client, wire.me, wire.sender, await made(wire.client, wire.me))
    answer = await another.post("/replay", {"deliveries": [theirs]})
    assert answer.status_code == 400
    assert theirs not in answer.text


async def test_rotation_over_http_signs_with_both(wire: Wire, receiver: Receiver) -> None:
    answer = await wire.post("/rotate-secret")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    once = answer.json()["secret"]
    assert once != wire.secret
    assert answer.json()["previous_secret_until"] is not None
    await wire.post("/test")
    await wire.sender.send_due()
    receiver.taken[0].verified(wire.secret)
    receiver.taken[0].verified(once)
    twice = (await wire.post("/rotate-secret")).json()["secret"]
    await wire.post("/test")
    await wire.sender.send_due()
    receiver.taken[1].verified(once)
    receiver.taken[1].verified(twice)
    with pytest.raises(WebhookVerificationError):
        receiver.taken[1].verified(wire.secret)


async def test_a_receiver_that_was_gone_can_come_back(wire: Wire, receiver: Receiver) -> None:
    lost = (await wire.post("/test")).json()["id"]
    receiver.then(410)
    await wire.sender.send_due()
    shown = (await wire.client.get(wire.path, headers=wire.me)).json()
    assert shown["disabled_reason"] == "gone"
    for part, body in (("/test", None), ("/replay", {"deliveries": [lost]})):
        refused = await wire.post(part, body)
        assert refused.status_code == 409
        assert refused.json()["type"].endswith("/problems/webhook-disabled")
    enabled = await wire.post("/enable")
    assert (enabled.status_code, enabled.json()["disabled_at"]) == (200, None)
    assert (await wire.post("/replay", {"deliveries": [lost]})).status_code == 202
    assert await wire.sender.send_due() == 1
    assert {taken.id for taken in receiver.taken} == {lost}
