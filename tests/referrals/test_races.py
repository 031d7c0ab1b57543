"""Many clients at once: one winner, nothing exceeded, nothing lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from uuid import UUID

import pytest

from tests.referrals.practice import Practice


async def test_fifty_accepts_of_one_offer(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    offer = await clinic.offer(sent["id"])
    answers = await asyncio.gather(*(clinic.act(offer, "accept") for _ in range(50)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 409, 503}
    history = await practice.history(sent["id"])
    assert [line["event"] for line in history["items"]] == ["created", "offered", "accepted"]
    assert history["verified"]


async def test_fifty_accepts_by_the_clinics_of_a_broadcast(practice: Practice) -> None:
    clinics = [await practice.clinic(f"{letter} Clinic") for letter in "ABCDEF"]
    sent = await practice.sent(mode="broadcast")
    assert len(sent["offers"]) == 5
    asked = [each for each in clinics if each.id in {o["clinic"]["id"] for o in sent["offers"]}]
    offers = [await clinic.offer(sent["id"]) for clinic in asked]
    answers = await asyncio.gather(
        *(
            clinic.act(offer, "accept")
            for _ in range(10)
            for clinic, offer in zip(asked, offers, strict=True)
        )
    )
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 409, 503}
    seen = await practice.read(sent["id"])
    states = Counter(offer["state"] for offer in seen["offers"])
    assert states == {"accepted": 1, "withdrawn": 4}
    [winner] = [o["clinic"]["id"] for o in seen["offers"] if o["state"] == "accepted"]
    assert seen["owner"]["id"] == winner
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["type"] == "/problems/not-possible-now"
            assert answer.json()["actions"] in ([], ["schedule", "return"])
    told = await practice.fetch(
        "select audience::text, count(*) from notice where referral_id = $1 and event = 'accepted'"
        " group by audience",
        UUID(sent["id"]),
    )
    assert dict(told) == {"referrer": 1, "clinic": 4}


async def test_one_place_and_fifty_referrals(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic", weekly_capacity=1)
    for number in range(50):
        await practice.another(number)
    offers = (await practice.call("GET", "/v1/offers?state=open&limit=100", key=clinic.key)).json()[
        "items"
    ]
    assert len(offers) == 50
    answers = await asyncio.gather(*(clinic.act(offer, "accept") for offer in offers))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses[200] == 1
    assert set(statuses) <= {200, 409, 503}
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {problem["type"] for problem in refused} == {"/problems/no-capacity"}
    assert refused[0]["actions"] == ["decline", "ask"]
    assert await practice.fetch("select taken from clinic_week") == [(1,)]
    owned = await practice.fetch("select count(*) from referral where state = 'accepted'")
    assert owned == [(1,)]


async def test_a_place_is_free_again(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic", weekly_capacity=1)
    first, second = await practice.another(1), await practice.another(2)
    assert (await clinic.act(await clinic.offer(first["id"]), "accept")).status_code == 200
    offer = await clinic.offer(second["id"])
    assert (await clinic.act(offer, "accept")).status_code == 409
    await practice.do(first["id"], "cancel")
    assert await practice.fetch("select taken from clinic_week") == [(0,)]
    assert (await clinic.act(offer, "accept")).status_code == 200
    await clinic.do(second["id"], "return", {"reason": "clinical"})
    assert await practice.fetch("select taken from clinic_week") == [(0,)]


async def test_no_places_at_all(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic", weekly_capacity=1)
    sent = await practice.sent()
    await practice.run("update clinic set weekly_capacity = 0")
    answer = await clinic.act(await clinic.offer(sent["id"]), "accept")
    assert answer.json()["type"] == "/problems/no-capacity"
    assert await practice.fetch("select * from clinic_week") == []


@pytest.mark.parametrize("round_", range(5))
async def test_accept_against_cancel(practice: Practice, round_: int) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    offer = await clinic.offer(sent["id"])
    accepted, cancelled = await asyncio.gather(
        clinic.act(offer, "accept"), practice.do(sent["id"], "cancel", match='"2"')
    )
    outcome = (accepted.status_code, cancelled.status_code)
    seen = await practice.read(sent["id"])
    if outcome == (200, 412):
        # The cancellation was meant for what it was before.
        assert seen["state"] == "accepted"
    else:
        assert outcome == (409, 200)
        assert seen["state"] == "cancelled"
        assert seen["owner"] is None
    assert seen["version"] == 3


async def test_accept_at_the_deadline(practice: Practice) -> None:
    first, second = await practice.clinic("A Clinic"), await practice.clinic("B Clinic")
    for number in range(5):
        sent = await practice.another(number, preferences__clinics=[first.id])
        offer = await first.offer(sent["id"])
        await practice.let_pass(sent["id"], "71 hours 59 minutes 59.8 seconds")
        await asyncio.sleep(0.04 * number)
        accepted, *_ = await asyncio.gather(
            first.act(offer, "accept"), practice.strike(sent["id"]), practice.strike(sent["id"])
        )
        await asyncio.sleep(0.2)
        await practice.strike(sent["id"])
        seen = await practice.read(sent["id"])
        states = {o["clinic"]["id"]: o["state"] for o in seen["offers"]}
        if accepted.status_code == 200:
            assert states == {first.id: "accepted"}
            assert seen["owner"]["id"] == first.id
        else:
            assert accepted.status_code == 409
            assert states == {first.id: "expired", second.id: "open"}
            assert seen["owner"] is None
        assert (await practice.history(sent["id"]))["verified"]


async def test_strikes_at_once_do_it_once(practice: Practice) -> None:
    await practice.clinic("A Clinic")
    await practice.clinic("B Clinic")
    sent = await practice.sent()
    await practice.let_pass(sent["id"], "80 hours")
    await asyncio.gather(*(practice.strike(sent["id"]) for _ in range(10)))
    history = await practice.history(sent["id"])
    assert [line["event"] for line in history["items"]] == [
        "created", "offered", "expired", "offered",
    ]  # fmt: skip


async def test_steps_and_history_go_together(practice: Practice) -> None:
    """Everything that can happen to one referral at once: each version has its line, and each
    line its version."""
    clinics = [await practice.clinic(f"{letter} Clinic") for letter in "ABCDE"]
    sent = await practice.sent(mode="broadcast")

    async def act(number: int) -> None:
        clinic = clinics[number % 5]
        try:
            offer = await clinic.offer(sent["id"])
        except LookupError:
            return
        action, said = [
            ("decline", {"reason": "other"}),
            ("ask", {"question": "Really?"}),
            ("accept", None),
        ][number % 3]
        await clinic.act(offer, action, said)
        await practice.do(sent["id"], "answer", {"answer": "Yes."})
        await clinic.do(sent["id"], "return", {"reason": "other"})
        await practice.strike(sent["id"])

    await asyncio.gather(*(act(number) for number in range(30)))
    seen = await practice.read(sent["id"])
    history = await practice.history(sent["id"])
    assert history["verified"]
    assert [line["version"] for line in history["items"]] == list(range(1, seen["version"] + 1))
    accepted = sum(line["event"] == "accepted" for line in history["items"])
    returned = sum(line["event"] == "returned" for line in history["items"])
    assert accepted - returned == (seen["owner"] is not None)
    [(versions, notices)] = await practice.fetch(
        "select count(distinct version), count(*) from notice where referral_id = $1",
        UUID(sent["id"]),
    )
    assert versions == seen["version"]
    assert notices >= versions
