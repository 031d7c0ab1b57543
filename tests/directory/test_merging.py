"""Duplicates joined: what the survivor gains, and where the duplicate leads."""

from __future__ import annotations

from db.queries.changes import redirects
from tests.directory.clinics import FULL, SMALL, body
from tests.directory.conftest import Service

NOBODY = "0193a1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b"
IV = FULL["offerings"][0]
ORAL = {"drug": "ketamine", "route": "oral", "setting": "at_home", "coverage": ["US-AZ"]}


async def test_the_duplicate_redirects_to_the_survivor(service: Service) -> None:
    survivor = await service.created(FULL)
    duplicate = await service.created(SMALL)
    answer = await service.call(
        "POST", f"/v1/clinics/{duplicate['id']}/merge", {"into": survivor["id"]}, match='"1"'
    )
    assert answer.status_code == 200, answer.text
    # It had nothing that the survivor lacked.
    assert answer.json() == survivor
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Directory-Version"] == "3"
    for name in (duplicate["id"], duplicate["slug"]):
        moved = await service.client.get(f"/v1/clinics/{name}", follow_redirects=False)
        assert moved.status_code == 308
        assert moved.headers["Location"] == f"/v1/clinics/{survivor['id']}"
    for method, sent in (("PUT", SMALL), ("PATCH", {}), ("DELETE", None)):
        refused = await service.call(method, f"/v1/clinics/{duplicate['id']}", sent, match="*")
        assert refused.status_code == 409
        assert refused.json()["merged_into"] == survivor["id"]
    history = await service.call("GET", f"/v1/clinics/{duplicate['id']}/history")
    newest = history.json()["items"][0]
    assert (newest["kind"], newest["merged_into"]) == ("merge", survivor["id"])


async def test_the_survivor_fills_what_it_lacked(service: Service) -> None:
    survivor = await service.created(
        body(
            SMALL,
            phone="+16025550199",
            payers=["medicare"],
            offerings=[{**IV, "conditions": ["crps"], "protocol": None, "price": None}],
        )
    )
    duplicate = await service.created(
        body(
            FULL,
            offerings=[IV, ORAL],
            source__name="The other list",
            unverified=["email", "phone"],
        )
    )
    answer = await service.call(
        "POST", f"/v1/clinics/{duplicate['id']}/merge", {"into": survivor["id"]}, match="*"
    )
    joined = answer.json()
    kept = ("id", "slug", "name", "phone", "payers", "source", "verified_at", "created_at")
    assert {name: joined[name] for name in kept} == {name: survivor[name] for name in kept}
    filled = (
        "organization", "email", "website", "medical_director", "accepting", "wait_days",
        "weekly_capacity", "languages", "age", "assesses", "hours", "address", "location",
    )  # fmt: skip
    assert {name: joined[name] for name in filled} == {name: duplicate[name] for name in filled}
    assert joined["unverified"] == ["email"]
    assert [(each["route"], each["conditions"]) for each in joined["offerings"]] == [
        ("iv", ["crps", "fibromyalgia"]),
        ("oral", []),
    ]
    assert joined["offerings"][0]["price"] == IV["price"]
    assert joined["provenance"]["email"] == {"source": "The other list"}
    assert joined["provenance"]["wait_days"] == duplicate["provenance"]["wait_days"]
    assert "phone" not in joined["provenance"]
    assert joined["version"] == 2
    assert answer.headers["Directory-Version"] == "4"


async def test_another_street_is_not_taken_over(service: Service) -> None:
    survivor = await service.created(
        body(SMALL, address={"city": "Tucson", "state": "US-AZ", "country": "US"})
    )
    duplicate = await service.created(FULL)
    answer = await service.call(
        "POST", f"/v1/clinics/{duplicate['id']}/merge", {"into": survivor["id"]}, match="*"
    )
    assert answer.json()["address"] == survivor["address"]
    assert answer.json()["location"] == survivor["location"]


async def test_chains_collapse(service: Service) -> None:
    first, second, third = [await service.created(SMALL) for _ in range(3)]
    for one, into in ((first, second), (second, third)):
        answer = await service.call(
            "POST", f"/v1/clinics/{one['id']}/merge", {"into": into["id"]}, match="*"
        )
        assert answer.status_code == 200
    for name in (first["id"], first["slug"], second["id"], second["slug"]):
        moved = await service.client.get(f"/v1/clinics/{name}", follow_redirects=False)
        assert moved.headers["Location"] == f"/v1/clinics/{third['id']}"
    # A process that starts now is told the same.
    async with service.pool.acquire() as conn:
        leads = {str(row.clinic_id): str(row.merged_into) for row in await redirects(conn)}
    assert leads == {first["id"]: third["id"], second["id"]: third["id"]}


async def test_merges_that_cannot_be(service: Service) -> None:
    clinic, merged, deleted = [await service.created(SMALL) for _ in range(3)]
    path = f"/v1/clinics/{clinic['id']}/merge"
    await service.call(
        "POST", f"/v1/clinics/{merged['id']}/merge", {"into": clinic["id"]}, match="*"
    )
    await service.call("DELETE", f"/v1/clinics/{deleted['id']}", match="*")
    expected = [
        (path, clinic["id"], '"1"', 409, "merge-into-itself"),
        (path, merged["id"], '"1"', 409, "clinic-merged"),
        (path, deleted["id"], '"1"', 404, "no-such-clinic"),
        (path, NOBODY, '"1"', 404, "no-such-clinic"),
        (path, NOBODY, '"9"', 412, "stale-version"),
        (path, NOBODY, None, 428, "version-required"),
        (path, "no id", '"1"', 400, "invalid-body"),
        (f"/v1/clinics/{merged['id']}/merge", clinic["id"], "*", 409, "clinic-merged"),
        (f"/v1/clinics/{deleted['id']}/merge", clinic["id"], "*", 404, "no-such-clinic"),
        (f"/v1/clinics/{NOBODY}/merge", clinic["id"], "*", 404, "no-such-clinic"),
    ]
    version = (await service.call("GET", "/v1/stale")).headers["Directory-Version"]
    for target, into, match, status, slug in expected:
        answer = await service.call("POST", target, {"into": into}, match=match)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, slug)
    assert (await service.call("GET", "/v1/stale")).headers["Directory-Version"] == version


async def test_two_profiles_that_break_a_rule_together(service: Service) -> None:
    spray = {"drug": "esketamine", "route": "nasal", "setting": "clinic"}
    survivor = await service.created(body(SMALL, rems_certified=False))
    duplicate = await service.created(body(SMALL, rems_certified=True, offerings=[spray]))
    answer = await service.call(
        "POST", f"/v1/clinics/{duplicate['id']}/merge", {"into": survivor["id"]}, match="*"
    )
    assert answer.status_code == 400
    assert answer.json()["rules"][0]["rule"] == "esketamine-rems-certified"
    assert (await service.call("GET", f"/v1/clinics/{duplicate['id']}")).status_code == 200
