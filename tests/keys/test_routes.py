"""Keys over HTTP: made, shown once, listed, rotated, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from db.connection import value, values
from db.pool import Pool
from tests.keys.conftest import House, bearer

HOUR = 3600.0


async def made(
    client: httpx.AsyncClient, admin: dict[str, str], *scopes: str, **more: object
) -> dict[str, Any]:
    body = {"name": "Booking desk", "scopes": list(scopes or ("referrals:write",)), **more}
    answer = await client.post("/v1/keys", json=body, headers=admin)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_key_is_shown_once_and_stored_as_a_hash(
    client: httpx.AsyncClient, admin: dict[str, str], pool: Pool, house: House
) -> None:
    answer = await client.post(
        "/v1/keys",
        json={"name": "Booking desk", "scopes": ["directory:write", "directory:write", "admin"]},
        headers=admin,
    )
    assert answer.status_code == 201
    key = answer.json()
    assert answer.headers["Location"] == f"/v1/keys/{key['id']}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert key["key"].startswith(f"cw_live_{key['id']}_")
    assert key["scopes"] == ["admin", "directory:write"]
    assert key["state"] == "active"
    secret = key["key"].rpartition("_")[2]
    read = await client.get(answer.headers["Location"], headers=admin)
    assert read.json() == {name: found for name, found in key.items() if name != "key"}
    assert read.headers["ETag"].startswith('"')
    assert read.headers["ETag"] == answer.headers["ETag"]
    async with pool.acquire() as conn:
        stored = await values(conn, str, "select k::text from api_key k")
        assert not any(secret in row for row in stored)
        assert await value(conn, int, "select min(octet_length(secret_hash)) from api_key") == 32


async def test_a_new_key_works_at_once_with_its_scopes_only(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    other = await made(client, admin, "admin")
    plain = await made(client, admin, "directory:write", "referrals:write")
    assert (await client.get("/v1/keys", headers=bearer(other["key"]))).status_code == 200
    refused = await client.get("/v1/keys", headers=bearer(plain["key"]))
    assert refused.status_code == 403
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert "admin" in refused.json()["detail"]


CALLS = (
    ("GET", "/v1/keys"),
    ("POST", "/v1/keys"),
    ("GET", "/v1/keys/" + "0" * 32),
    ("DELETE", "/v1/keys/" + "0" * 32),
    ("POST", "/v1/keys/" + "0" * 32 + "/rotate"),
)
NO_KEYS = (
    None,
    "",
    "Bearer",
    "Bearer ",
    "Basic dXNlcjpwYXNz",
    "Bearer cw_live_x_y",
    "Bearer cw_live_" + "0" * 32 + "_" + "a" * 32,
    "Bearer cw_test_" + "0" * 32 + "_" + "a" * 32,
    "Bearer " + "x" * 5000,
)


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_without_a_good_key_nothing_is_said(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    for header in NO_KEYS:
        headers = {} if header is None else {"Authorization": header}
        answer = await client.request(method, path, headers=headers)
        assert answer.status_code == 401, header
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="clinicway"')
        assert answer.json()["type"].endswith("/problems/unauthenticated")
        if header and len(header) > 20:
            assert header[7:] not in answer.text


async def test_a_right_id_with_a_wrong_secret_is_refused(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    one = await made(client, admin, "admin")
    two = await made(client, admin, "admin")
    mixed = one["key"].rpartition("_")[0] + "_" + two["key"].rpartition("_")[2]
    assert (await client.get("/v1/keys", headers=bearer(mixed))).status_code == 401
    assert (await client.get("/v1/keys", headers=bearer(one["key"]))).status_code == 200


async def test_the_list_pages_from_the_newest_without_secrets(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    ids = [(await made(client, admin))["id"] for _ in range(5)]
    found: list[str] = []
    cursor: dict[str, str] = {}
    for expected_size in (2, 2, 2):
        page = (await client.get("/v1/keys", params={"limit": 2, **cursor}, headers=admin)).json()
        assert len(page["items"]) == expected_size
        assert "key" not in page["items"][0]
        found += [item["id"] for item in page["items"]]
        cursor = {"cursor": page["next"]}
    assert page["next"] is None
    assert found == sorted(found, reverse=True)
    assert set(ids) < set(found)


async def test_a_list_that_cannot_be_asked_for_is_a_400(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    for query in (
        "limit=0", "limit=101", "limit=5.0", "limit=x", "cursor=x", "cursor=", "ended=maybe", "x=1"
    ):  # fmt: skip
        answer = await client.get(f"/v1/keys?{query}", headers=admin)
        assert answer.status_code == 400, query
        assert answer.json()["errors"][0]["parameter"] == query.partition("=")[0]


BAD_BODIES: tuple[tuple[dict[str, object], str], ...] = (
    ({"scopes": ["admin"]}, "/name"),
    ({"name": "", "scopes": ["admin"]}, "/name"),
    ({"name": " ", "scopes": ["admin"]}, "/name"),
    ({"name": "a\nb", "scopes": ["admin"]}, "/name"),
    ({"name": "a\n", "scopes": ["admin"]}, "/name"),
    ({"name": "a\x00b", "scopes": ["admin"]}, "/name"),
    ({"name": "x" * 101, "scopes": ["admin"]}, "/name"),
    ({"name": "x"}, "/scopes"),
    ({"name": "x", "scopes": []}, "/scopes"),
    ({"name": "x", "scopes": ["root"]}, "/scopes/0"),
    ({"name": "x", "scopes": ["admin", "clinic:1"]}, "/scopes/1"),
    ({"name": "x", "scopes": ["admin\n"]}, "/scopes/0"),
    ({"name": "x", "scopes": ["admin"], "expires_at": "2030-01-01T00:00:00"}, "/expires_at"),
    ({"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
    ({"name": "x", "scopes": ["admin"], "created_by": "me"}, "/created_by"),
)


async def test_a_key_that_cannot_be_made_is_a_400_with_its_place(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    for body, pointer in BAD_BODIES:
        answer = await client.post("/v1/keys", json=body, headers=admin)
        assert answer.status_code == 400, body
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_a_revoked_key_stops_here_at_once_and_elsewhere_within_30_seconds(
    house: House, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    doomed = await made(client, admin, "admin")
    headers = bearer(doomed["key"])
    async with house.open() as elsewhere:
        assert (await elsewhere.get("/v1/keys", headers=headers)).status_code == 200
        assert (await client.get("/v1/keys", headers=headers)).status_code == 200
        revoked = await client.delete(f"/v1/keys/{doomed['id']}", headers=admin)
        assert revoked.status_code == 204
        assert (await client.get("/v1/keys", headers=headers)).status_code == 401
        house.clock.pass_time(30.0)
        assert (await elsewhere.get("/v1/keys", headers=headers)).status_code == 401
    again = await client.delete(f"/v1/keys/{doomed['id']}", headers=admin)
    assert again.status_code == 204
    shown = await client.get(f"/v1/keys/{doomed['id']}", headers=admin)
    assert shown.json()["state"] == "revoked"
    assert datetime.fromisoformat(shown.json()["revoked_at"]) == datetime(
        2026, 11, 22, 16, tzinfo=UTC
    )
    listed = (await client.get("/v1/keys", headers=admin)).json()["items"]
    assert doomed["id"] not in [key["id"] for key in listed]
    ended = (await client.get("/v1/keys?ended=true", headers=admin)).json()["items"]
    assert doomed["id"] in [key["id"] for key in ended]


async def test_a_rotated_key_works_beside_its_successor_until_the_overlap_ends(
    house: House, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    old = await made(client, admin, "admin")
    answer = await client.post(f"/v1/keys/{old['id']}/rotate", headers=admin)
    assert answer.status_code == 201
    new = answer.json()
    assert (new["name"], new["scopes"], new["expires_at"]) == (old["name"], old["scopes"], None)
    assert new["id"] != old["id"]

    house.clock.pass_time(house.settings.key_overlap_hours * HOUR - 1)
    for key in (old, new):
        assert (await client.get("/v1/keys", headers=bearer(key["key"]))).status_code == 200
    shown = (await client.get(f"/v1/keys/{old['id']}", headers=admin)).json()
    assert (shown["state"], shown["replaced_by"]) == ("rotated", new["id"])

    house.clock.pass_time(1)
    assert (await client.get("/v1/keys", headers=bearer(old["key"]))).status_code == 401
    assert (await client.get("/v1/keys", headers=bearer(new["key"]))).status_code == 200


async def test_a_rotated_key_is_still_the_same_holder(
    house: House, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    """Whoever asks with the third key is whom the first was made for, also for notices."""
    first = await made(client, admin, email="desk@hospital.example")
    keys = [first]
    for _ in range(2):
        answer = await client.post(f"/v1/keys/{keys[-1]['id']}/rotate", headers=admin)
        keys.append(answer.json())
    assert {key["email"] for key in keys} == {"desk@hospital.example"}
    pool = Pool(house.settings.database_url or "", size=1)
    async with pool.acquire() as conn:
        lines = await values(
            conn, str, "select principal from api_key where email is not null order by id"
        )
    await pool.close()
    assert lines == [first["id"]] * 3


@pytest.mark.parametrize(
    "email", ["desk", "desk@localhost", "a@b.example\r\nBcc: c@d.example", "a b@c.example", ""]
)
async def test_an_address_that_is_none_is_refused(
    client: httpx.AsyncClient, admin: dict[str, str], email: str
) -> None:
    body = {"name": "Booking desk", "scopes": ["referrals:write"], "email": email}
    answer = await client.post("/v1/keys", json=body, headers=admin)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/email"


async def test_rotation_keeps_the_lifetime_and_never_prolongs_the_old_key(
    house: House, client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    start = house.clock.now()
    ends = start + timedelta(hours=2)
    old = await made(client, admin, expires_at=ends.isoformat())
    house.clock.pass_time(HOUR)
    new = (await client.post(f"/v1/keys/{old['id']}/rotate", headers=admin)).json()
    assert datetime.fromisoformat(new["expires_at"]) == start + timedelta(hours=3)
    shown = (await client.get(f"/v1/keys/{old['id']}", headers=admin)).json()
    assert datetime.fromisoformat(shown["expires_at"]) == ends


async def test_only_a_working_key_is_rotated_and_only_once(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    key = await made(client, admin)
    first = await client.post(f"/v1/keys/{key['id']}/rotate", headers=admin)
    second = await client.post(f"/v1/keys/{key['id']}/rotate", headers=admin)
    assert (first.status_code, second.status_code) == (201, 409)
    assert second.json()["replaced_by"] == first.json()["id"]
    await client.delete(f"/v1/keys/{first.json()['id']}", headers=admin)
    ended = await client.post(f"/v1/keys/{first.json()['id']}/rotate", headers=admin)
    assert ended.status_code == 409
    assert ended.json()["type"].endswith("/problems/key-ended")


async def test_a_key_that_does_not_exist_is_a_404(
    client: httpx.AsyncClient, admin: dict[str, str]
) -> None:
    for key_id in ("0" * 32, "x", "%00", "A" * 32, "0" * 33, "'; drop table x", "a%0Ab"):
        path = f"/v1/keys/{key_id}"
        for answer in (
            await client.get(path, headers=admin),
            await client.delete(path, headers=admin),
            await client.post(f"{path}/rotate", headers=admin),
        ):
            assert answer.status_code == 404, path
