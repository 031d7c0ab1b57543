"""Keys that are none, on every route that needs one."""

from __future__ import annotations

from typing import Final

import httpx

from tests.faults.deployment import Deployment, caller
from tests.hostile.operations import CANARY, Operation, call, each_operation, problem_of
from tests.hostile.stage import Stage
from tests.services import Service


def needs_key(operation: Operation) -> bool:
    return operation.needs_key


@each_operation(needs_key)
def test_without_a_good_key(anybody: httpx.Client, key: str, operation: Operation) -> None:
    secret = key.rpartition("_")[2]
    other = "b" if secret[0] != "b" else "c"
    for given in (
        None,
        "",
        "Bearer",
        f"Bearer {CANARY}",
        f"Basic {CANARY}",
        key,
        f"Basic {key}",
        f"Bearer {key[:-1]}",
        f"Bearer {key}a",
        f"Bearer {key.replace(secret, other + secret[1:])}",
        f"Bearer {key.replace('cw_live', 'cw_test')}",
        f"Bearer {key} {key}",
        f"Bearer cw_live_{'0' * 32}_{secret}",
        f"Bearer cw_live_' or 1=1 --_{secret}",
        "Bearer " + "x" * 10_000,
        "Bearer \xe9\xff",
    ):
        headers = {} if given is None else {"Authorization": given}
        encoded = {name: value.encode("latin-1") for name, value in headers.items()}
        answer = call(anybody, operation, headers=encoded)  # pyright: ignore[reportArgumentType] (httpx takes bytes, too)
        found = problem_of(answer, 401)
        assert found["type"] == "/problems/unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert secret not in answer.text


@each_operation(needs_key)
def test_a_bad_key_is_told_nothing_of_the_body(anybody: httpx.Client, operation: Operation) -> None:
    # Nobody sends a body with GET and reads on: the service does not look whether there is one.
    headers = {"Connection": "close"} if operation.method == "GET" else {}
    for content in (b"", CANARY.encode(), b"[" * 40_000, b"{}"):
        problem_of(call(anybody, operation, headers=headers, content=content), 401)
    problem_of(call(anybody, operation, headers={"Content-Type": "text/plain"}), 401)


def needs_scope(operation: Operation) -> bool:
    """Every key may have webhooks, and sees its own only."""
    return operation.needs_key and not operation.path.startswith("/v1/webhooks")


BY_CLINICS: Final = {"schedule", "no-show", "start", "complete", "return"}


def other_scopes(operation: Operation, clinic: str) -> tuple[str, ...]:
    """All that a key can have and this operation has no use for."""
    if not operation.path.startswith(("/v1/referrals", "/v1/offers")):
        scope = (
            "directory:write" if operation.path.startswith(("/v1/keys", "/v1/audit")) else "admin"
        )
        return (scope, "referrals:write")
    neither = ("directory:write", "admin")
    if operation.path.startswith("/v1/offers"):
        return (*neither, "referrals:write")
    if operation.path.rpartition("/")[2] in BY_CLINICS:
        return (*neither, "referrals:write")
    # Both sides read.
    return neither if operation.method == "GET" else (*neither, f"clinic:{clinic}")


@each_operation(needs_scope)
def test_with_a_key_for_something_else(
    hostile: Deployment, target: Service, stage: Stage, operation: Operation
) -> None:
    key = hostile.key(*other_scopes(operation, stage.clinic))
    with caller(target, key) as client:
        # What it names is there, and is not looked for.
        there = stage.target(operation)
        answer = call(client, operation, target=there)
        assert problem_of(answer, 403)["type"] == "/problems/forbidden"
        nowhere = call(client, operation)
        assert problem_of(nowhere, 403)["detail"] == answer.json()["detail"]
        # Also where there is nothing to be right about.
        problem_of(call(client, operation, target=there, content=CANARY.encode()), 403)
        problem_of(call(client, operation, target=there, raw_query=f"{CANARY}=1"), 403)


def test_a_clinics_own_key_opens_no_other_door(
    hostile: Deployment, target: Service, operator: httpx.Client
) -> None:
    mine, other = (
        item["clinic"]["id"] for item in operator.get("/v1/clinics?limit=2").json()["items"]
    )
    with caller(target, hostile.key(f"clinic:{mine}")) as client:
        stale = {"If-Match": '"0"'}
        assert client.get(f"/v1/clinics/{mine}/history").status_code == 200
        problem_of(client.patch(f"/v1/clinics/{mine}", json={}, headers=stale), 412)
        for answer in (
            client.get(f"/v1/clinics/{other}/history"),
            client.patch(f"/v1/clinics/{other}", json={}, headers=stale),
            client.put(f"/v1/clinics/{other}", json={}, headers=stale),
            client.delete(f"/v1/clinics/{other}", headers=stale),
            client.post(f"/v1/clinics/{mine}/merge", json={"into": other}, headers=stale),
            client.post("/v1/clinics", json={}),
            client.get("/v1/keys"),
            client.get("/v1/stale"),
            client.get("/v1/duplicates"),
        ):
            problem_of(answer, 403)
        # A change of a profile that does not exist is refused without saying so.
        nobody = "0190a7c2-5f0e-7d4b-9a53-2f6f0f3c1a77"
        problem_of(client.patch(f"/v1/clinics/{nobody}", json={}, headers=stale), 403)


def test_reading_needs_no_key_and_minds_no_bad_one(anybody: httpx.Client) -> None:
    for given in (f"Bearer {CANARY}", "Basic x", ""):
        answer = anybody.get("/v1/clinics?near=85016", headers={"Authorization": given})
        assert answer.status_code == 200
