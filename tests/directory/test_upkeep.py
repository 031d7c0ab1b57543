"""Stale profiles and histories."""

from __future__ import annotations

from typing import Any

from tests.directory.clinics import FULL, SMALL, body
from tests.directory.conftest import Service

DAY = 24 * 3600


async def pages(service: Service, path: str) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    cursor = ""
    while True:
        answer = await service.call("GET", f"{path}?limit=2{cursor}")
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["items"])
        if answer.json()["next"] is None:
            return found
        cursor = f"&cursor={answer.json()['next']}"


async def test_stale_profiles_oldest_first(service: Service) -> None:
    now = service.clock.now().isoformat()
    ids: list[str] = []
    for days in range(4):
        verified = service.clock.now().isoformat()
        ids.append((await service.created(body(SMALL, verified_at=verified)))["id"])
        service.clock.pass_time(days * DAY)
    never = [(await service.created(body(SMALL, source__retrieved_on="2026-11-22")))["id"]
             for _ in range(3)]  # fmt: skip
    assert [each["id"] for page in await pages(service, "/v1/stale") for each in page] == never
    service.clock.pass_time(180 * DAY)
    fresh = await service.created(body(SMALL, verified_at=service.clock.now().isoformat()))
    listed = [each for page in await pages(service, "/v1/stale") for each in page]
    assert [each["id"] for each in listed] == never + ids
    assert fresh["id"] not in [each["id"] for each in listed]
    assert listed[0]["reasons"] == ["never-verified", "old-source"]
    assert listed[3]["reasons"] == ["not-verified-lately"]
    assert listed[3]["verified_at"] == now.replace("+00:00", "Z")
    # What is deleted, or verified, is off the list.
    await service.call("DELETE", f"/v1/clinics/{ids[0]}", match="*")
    confirmed = {"verified_at": service.clock.now().isoformat()}
    await service.call("PATCH", f"/v1/clinics/{ids[1]}", confirmed, match="*")
    left = [each["id"] for page in await pages(service, "/v1/stale") for each in page]
    assert left == never + ids[2:]


async def test_a_cursor_belongs_to_its_list(service: Service) -> None:
    for _ in range(3):
        await service.created(SMALL)
    cursor = (await service.call("GET", "/v1/stale?limit=1")).json()["next"]
    changed = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    for path in (f"/v1/duplicates?cursor={cursor}", f"/v1/stale?cursor={changed}",
                 "/v1/stale?cursor=", "/v1/stale?limit=x", "/v1/stale?sort=name"):  # fmt: skip
        assert (await service.call("GET", path)).status_code == 400, path


async def test_a_history_says_what_changed_when_and_by_whom(service: Service) -> None:
    profile = await service.created(FULL)
    path = f"/v1/clinics/{profile['id']}"
    key = await service.key(f"clinic:{profile['id']}")
    service.clock.pass_time(60)
    await service.call("PATCH", path, {"phone": None, "wait_days": 3}, match="*")
    await service.created(SMALL)
    moved = {"address": {**FULL["address"], "line1": "200 Example Street"}}
    await service.call("PATCH", path, moved, key=key, match="*")
    answer = await service.call("GET", f"{path}/history", key=key)
    assert answer.headers["Directory-Version"] == "4"
    newest, middle, first = answer.json()["items"]
    assert [each["seq"] for each in (newest, middle, first)] == [4, 2, 1]
    assert newest["fields"] == ["address", "location", "provenance"]
    assert middle["fields"] == ["phone", "wait_days", "provenance"]
    assert {"name", "address", "offerings", "slug"} <= set(first["fields"])
    assert "unverified" not in first["fields"]
    assert newest["actor"].startswith("key:")
    assert newest["actor"] != middle["actor"] == first["actor"]
    assert newest["at"] > first["at"]
    assert key not in answer.text


async def test_a_history_is_paged(service: Service) -> None:
    profile = await service.created(SMALL)
    path = f"/v1/clinics/{profile['id']}"
    for days in range(4):
        await service.call("PATCH", path, {"wait_days": days}, match="*")
    found = await pages(service, f"{path}/history")
    assert [[each["seq"] for each in page] for page in found] == [[5, 4], [3, 2], [1]]
    assert all("wait_days" in each["fields"] for page in found[:2] for each in page)


async def test_a_history_of_nobody(service: Service) -> None:
    for key in ("0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b", "nobody"):
        assert (await service.call("GET", f"/v1/clinics/{key}/history")).status_code == 404
