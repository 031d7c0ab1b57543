"""Worklists of the practice and of clinics, and turning their pages while things change."""

from __future__ import annotations

import pytest

from tests.referrals.practice import CANARY, Json, Practice, flags


async def listed(practice: Practice, query: str, key: str | None = None) -> list[Json]:
    answer = await practice.call("GET", f"/v1/referrals?{query}", key=key)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_by_state(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    waiting = await practice.another(1, screening=flags("pregnancy"))
    offered = await practice.another(2)
    taken = await practice.another(3)
    await clinic.act(await clinic.offer(taken["id"]), "accept")
    assert [r["id"] for r in await listed(practice, "state=screening")] == [waiting["id"]]
    both = await listed(practice, "state=screening,accepted")
    assert {r["id"] for r in both} == {waiting["id"], taken["id"]}
    assert len(await listed(practice, "")) == 3
    [seen] = await listed(practice, "state=offered")
    assert seen["patient"] == offered["patient"]
    # Of the clinic: what it is asked, without names; what it has, with them.
    mine = {r["id"]: r for r in await listed(practice, "", clinic.key)}
    assert set(mine) == {offered["id"], taken["id"]}
    assert mine[offered["id"]]["patient"]["family_name"] is None
    assert mine[taken["id"]]["patient"]["family_name"] == f"Family{CANARY}"


async def test_overdue(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    early, late = await practice.another(1), await practice.another(2)
    await practice.let_pass(late["id"], "37 hours")
    assert [r["id"] for r in await listed(practice, "overdue=true")] == [late["id"]]
    assert [r["id"] for r in await listed(practice, "overdue=false")] == [early["id"]]
    assert [r["id"] for r in await listed(practice, "overdue=true", clinic.key)] == [late["id"]]
    [seen] = await listed(practice, "overdue=true")
    assert seen["overdue"] is True


async def test_updated_since(practice: Practice) -> None:
    old, new = await practice.another(1), await practice.another(2)
    await practice.let_pass(old["id"], "2 days")
    since = new["updated_at"].replace("+", "%2B")
    assert [r["id"] for r in await listed(practice, f"updated_since={since}")] == [new["id"]]


@pytest.mark.parametrize(
    "query",
    ["state=lost", "state=", "overdue=maybe", "updated_since=yesterday", "limit=0", "limit=101",
     "limit=5.0", "cursor=x", "sort=name", "updated_since=2026-11-22T00:00:00"],
)  # fmt: skip
async def test_what_cannot_be_asked(practice: Practice, query: str) -> None:
    assert (await practice.call("GET", f"/v1/referrals?{query}")).status_code == 400


async def test_nothing_stable_is_skipped_or_repeated(practice: Practice) -> None:
    await practice.clinic("A Clinic")
    sent = [(await practice.another(number))["id"] for number in range(12)]
    changing = {sent[1], sent[5], sent[9]}
    gone = iter(sorted(changing))
    seen: list[str] = []
    path = "/v1/referrals?limit=3"
    cursor: str | None = ""
    while cursor is not None:
        page = (await practice.call("GET", path + (f"&cursor={cursor}" if cursor else ""))).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next"]
        # Something new comes, and something seen or not yet seen changes.
        if len(seen) < 12:
            await practice.another(100 + len(seen))
            if (changed := next(gone, None)) is not None:
                await practice.do(changed, "cancel")
    stable = [each for each in seen if each in sent and each not in changing]
    assert stable == [each for each in sent if each not in changing]


async def test_pages_of_offers(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    for number in range(5):
        await practice.another(number)
    seen: list[str] = []
    path = "/v1/offers?state=open&limit=2"
    cursor: str | None = ""
    while cursor is not None:
        answer = await practice.call(
            "GET", path + (f"&cursor={cursor}" if cursor else ""), key=clinic.key
        )
        seen += [item["id"] for item in answer.json()["items"]]
        cursor = answer.json()["next"]
    assert len(seen) == len(set(seen)) == 5
    for query in ("state=lost", "limit=0", "cursor=x", "overdue=true"):
        answer = await practice.call("GET", f"/v1/offers?{query}", key=clinic.key)
        assert answer.status_code == 400


async def test_a_cursor_is_its_callers(practice: Practice) -> None:
    for number in range(3):
        await practice.another(number)
    page = (await practice.call("GET", "/v1/referrals?limit=1")).json()
    other = await practice.new_key("referrals:write")
    path = f"/v1/referrals?limit=1&cursor={page['next']}"
    assert (await practice.call("GET", path, key=other)).status_code == 400
    assert (await practice.call("GET", path)).status_code == 200
