"""The trail over HTTP: what was done with keys, found by object, by actor and by time."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.audit.chain import lane_of
from db.pool import Pool
from db.roles import SERVICE
from tests.conftest import execute
from tests.keys.conftest import House, bearer

Admin = dict[str, str]


async def trail(client: httpx.AsyncClient, admin: Admin, **query: str | int) -> dict[str, Any]:
    answer = await client.get("/v1/audit", params=query, headers=admin)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def key_with(client: httpx.AsyncClient, admin: Admin, **more: object) -> dict[str, Any]:
    body = {"name": "Booking desk", "scopes": ["referrals:write"], **more}
    answer = await client.post("/v1/keys", json=body, headers=admin)
    assert answer.status_code == 201
    return answer.json()


async def test_what_is_done_with_a_key_is_in_the_trail(
    client: httpx.AsyncClient, admin: Admin
) -> None:
    key = await key_with(client, admin, name="Reception, J. Doe", email="doe@hospital.example")
    made = await client.post(
        f"/v1/keys/{key['id']}/rotate", headers={**admin, "X-Request-Id": "rotation-1"}
    )
    new = made.json()
    await client.delete(f"/v1/keys/{new['id']}", headers=admin)
    # Reading reveals no secret, and what is refused changes nothing.
    await client.get(f"/v1/keys/{key['id']}", headers=admin)
    await client.post(f"/v1/keys/{key['id']}/rotate", headers=admin)

    found = await trail(client, admin)
    me = admin["Authorization"].split("_")[2]
    assert [(e["action"], e["object"]["id"]) for e in found["items"]] == [
        ("key_revoked", new["id"]),
        ("key_rotated", key["id"]),
        ("key_created", key["id"]),
    ]
    assert {(e["actor"], e["principal"], e["intact"]) for e in found["items"]} == {
        (f"key:{me}", me, True)
    }
    rotation = found["items"][1]
    assert rotation["request_id"] == "rotation-1"
    assert rotation["related"] == [new["id"]]
    assert rotation["outcome"]["replaced_by"] == new["id"]
    said = found["verified"]
    assert (said["intact"], said["complete"], said["entries"], said["looked_at"]) == (
        *(True, True),
        *(3, 3),
    )
    assert sum(lane["entries"] for lane in said["lanes"]) == 3
    text = str(found)
    assert "Doe" not in text
    assert new["key"].split("_")[3] not in text


async def test_it_is_searched_by_object_actor_and_time(
    house: House, client: httpx.AsyncClient, admin: Admin
) -> None:
    first = await key_with(client, admin)
    house.clock.pass_time(60)
    moment = house.clock.now().isoformat()
    second = await key_with(client, admin)
    await client.post(f"/v1/keys/{first['id']}/rotate", headers=admin)
    successor = (await client.get(f"/v1/keys/{first['id']}", headers=admin)).json()["replaced_by"]
    me = admin["Authorization"].split("_")[2]

    async def objects(**query: str) -> list[str]:
        return [e["object"]["id"] for e in (await trail(client, admin, **query))["items"]]

    assert await objects(object=first["id"]) == [first["id"], first["id"]]
    assert await objects(object=successor) == [first["id"]]
    assert await objects(since=moment) == [first["id"], second["id"]]
    assert await objects(object=first["id"], since=moment) == [first["id"]]
    assert len(await objects(actor=me)) == len(await objects(actor=f"key:{me}")) == 3
    assert await objects(actor="command line") == []
    assert await objects(object="' or true --") == []


async def test_its_pages_show_each_entry_once(client: httpx.AsyncClient, admin: Admin) -> None:
    keys = [(await key_with(client, admin))["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = await trail(client, admin, limit=2, **cursor)
        seen += [entry["object"]["id"] for entry in page["items"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
        await key_with(client, admin)
    assert seen == keys[::-1]
    answer = await client.get("/v1/audit", params={**cursor, "object": keys[0]}, headers=admin)
    assert answer.status_code == 400


async def test_an_edited_and_a_deleted_entry_are_shown(
    house: House, client: httpx.AsyncClient, admin: Admin, dsn: str
) -> None:
    keys = [(await key_with(client, admin))["id"] for _ in range(40)]
    lane = next(lane_of(key) for key in keys if [lane_of(k) for k in keys].count(lane_of(key)) > 2)
    await execute(
        dsn,
        f"update audit_entry set actor = 'key:other' where lane = {lane} and number = 1",
        f"update audit_entry set outcome = 'no json' where lane = {lane} and number = 2",
    )
    found = await trail(client, admin)
    assert not found["verified"]["intact"]
    assert found["verified"]["faults"] == [
        {"fault": "altered", "lane": lane, "first": number, "last": number} for number in (1, 2)
    ]
    broken = {(e["lane"], e["number"]) for e in found["items"] if not e["intact"]}
    assert broken == {(lane, 1), (lane, 2)}
    await execute(dsn, f"delete from audit_entry where lane = {lane} and number = 1")
    faults = (await trail(client, admin))["verified"]["faults"]
    assert {"fault": "missing", "lane": lane, "first": 1, "last": 1} in faults


async def test_only_admins_see_it(house: House, client: httpx.AsyncClient) -> None:
    key = await house.key("referrals:write", "directory:write")
    assert (await client.get("/v1/audit")).status_code == 401
    assert (await client.get("/v1/audit", headers=bearer(key))).status_code == 403


@pytest.mark.parametrize(
    "query",
    [
        {"since": "2026-11-22T10:00:00"},
        {"since": "1764000000"},
        {"since": "yesterday"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"limit": "0"},
        {"limit": "5.0"},
        {"object": ""},
        {"cursor": "AAAA"},
        {"lane": "3"},
    ],
)
async def test_bad_questions_are_refused(
    client: httpx.AsyncClient, admin: Admin, query: dict[str, str]
) -> None:
    answer = await client.get("/v1/audit", params=query, headers=admin)
    assert answer.status_code == 400, answer.text


async def test_the_service_writes_it_as_its_role(house: House, dsn: str) -> None:
    """With the rights of a request and no more: the keys of the database belong to the login."""
    pool = Pool(dsn, size=1, role=SERVICE)
    async with house.open(pool) as client:
        admin = bearer(await house.key("admin"))
        await key_with(client, admin)
        assert (await trail(client, admin))["verified"]["intact"]
