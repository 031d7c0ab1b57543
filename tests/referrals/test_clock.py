"""What happens by itself when its time has come."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from api.referrals.unattended import clinic_changed, clinic_full
from db.queries.changes import changes_after
from tests.referrals.practice import Json, Practice, flags


async def events(practice: Practice, referral_id: str) -> list[str]:
    return [line["event"] for line in (await practice.history(referral_id))["items"]]


async def notices(practice: Practice, referral_id: str) -> list[tuple[str, str]]:
    found = await practice.fetch(
        "select event::text, audience::text from notice where referral_id = $1 order by id",
        UUID(referral_id),
    )
    return [(event, audience) for event, audience in found]


async def due_at(practice: Practice, referral_id: str) -> datetime | None:
    [(found,)] = await practice.fetch(
        "select due_at from referral where id = $1", UUID(referral_id)
    )
    return found


async def follow_directory(practice: Practice) -> None:
    """Hands every change of the directory to the referrals, as the workers do."""
    async with practice.pool.acquire() as conn:
        changes = await changes_after(conn, 0, 1000)
    await practice.services.follower.wait_for(changes[-1].seq)
    for change in changes:
        await clinic_changed(practice.services, change)


async def test_nothing_due_is_nothing_done(practice: Practice) -> None:
    await practice.clinic("A Clinic")
    sent = await practice.sent()
    before = await practice.read(sent["id"])
    await practice.strike(sent["id"])
    await practice.strike("019ab3c0-5f00-7000-8000-00000000dead")
    assert await practice.read(sent["id"]) == before


async def test_a_reminder_is_no_step(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    offer = await clinic.offer(sent["id"])
    await practice.let_pass(sent["id"], "37 hours")
    await practice.strike(sent["id"])
    await practice.strike(sent["id"])
    assert await events(practice, sent["id"]) == ["created", "offered"]
    assert (await notices(practice, sent["id"])).count(("reminded", "clinic")) == 1
    # The clinic that was about to answer is not told that it read something old.
    assert (await clinic.act(offer, "accept")).status_code == 200


async def test_each_clinic_in_turn_until_nobody_is_left(practice: Practice) -> None:
    for letter in "ABC":
        await practice.clinic(f"{letter} Clinic")
    sent = await practice.sent()
    for _ in range(3):
        await practice.let_pass(sent["id"], "73 hours")
        await practice.strike(sent["id"])
    seen = await practice.read(sent["id"])
    assert seen["state"] == "unrouted"
    assert [offer["state"] for offer in seen["offers"]] == ["expired"] * 3
    assert [offer["clinic"]["name"][0] for offer in seen["offers"]] == ["A", "B", "C"]
    assert {"reason": "tried", "clinics": 3} in seen["unable"]["reasons"]
    assert await due_at(practice, sent["id"]) is None
    assert ("unrouted", "referrer") in await notices(practice, sent["id"])
    await practice.strike(sent["id"])
    assert (await practice.read(sent["id"]))["version"] == seen["version"]
    # Asked for again, those that only let it lapse are asked again.
    again = await practice.do(sent["id"], "route")
    assert again.json()["state"] == "offered"


async def test_all_decline(practice: Practice) -> None:
    clinics = [await practice.clinic(f"{letter} Clinic") for letter in "AB"]
    sent = await practice.sent()
    for clinic in clinics:
        await clinic.act(await clinic.offer(sent["id"]), "decline", {"reason": "clinical"})
    assert (await practice.read(sent["id"]))["state"] == "unrouted"
    # They said no: asking again finds nobody.
    assert (await practice.do(sent["id"], "route")).json()["state"] == "unrouted"


async def test_a_question_stops_the_clock_up_to_a_limit(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    await practice.let_pass(sent["id"], "60 hours")
    offer = await clinic.offer(sent["id"])
    await clinic.act(offer, "ask", {"question": "Is it?"})
    await practice.let_pass(sent["id"], "100 hours")
    await practice.strike(sent["id"])
    assert (await practice.read(sent["id"]))["state"] == "info_requested"
    await practice.let_pass(sent["id"], "21 hours")
    await practice.strike(sent["id"])
    assert await events(practice, sent["id"]) == ["created", "offered", "asked", "answer_overdue"]
    seen = await practice.read(sent["id"])
    assert seen["state"] == "offered"
    # What was left of its clock when it asked.
    left = datetime.fromisoformat(seen["offers"][0]["due_at"]) - datetime.fromisoformat(
        seen["updated_at"]
    )
    assert 11.9 < left.total_seconds() / 3600 < 12.1


async def test_three_questions_are_enough(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    for _ in range(3):
        asked = await clinic.act(await clinic.offer(sent["id"]), "ask", {"question": "Is it?"})
        assert asked.status_code == 200
        await practice.do(sent["id"], "answer", {"answer": "Yes"})
    offer = await clinic.offer(sent["id"])
    assert offer["actions"] == ["accept", "decline"]
    assert (await clinic.act(offer, "ask", {"question": "Is it?"})).status_code == 409


async def test_a_clinic_that_is_full_this_week_is_waited_for(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic", weekly_capacity=1, wait_days=0)
    first, second = await practice.another(1), await practice.another(2)
    await clinic.act(await clinic.offer(first["id"]), "accept")
    await clinic.act(await clinic.offer(second["id"]), "decline", {"reason": "capacity"})
    third = await practice.another(3)
    assert third["state"] == "matching"
    assert await events(practice, third["id"]) == ["created", "waiting"]
    moment = await due_at(practice, third["id"])
    assert moment is not None
    assert moment.weekday() in (0, 6)
    await practice.strike(third["id"])
    assert (await practice.read(third["id"]))["state"] == "matching"
    # The next week begins.
    await practice.run("update clinic_week set week = week - 7")
    await practice.let_pass(third["id"], "8 days")
    await practice.strike(third["id"])
    assert (await practice.read(third["id"]))["state"] == "offered"


async def test_before_the_directory_is_loaded_it_waits(practice: Practice) -> None:
    await practice.clinic("A Clinic")
    practice.services.follower.loaded.clear()
    sent = await practice.sent()
    assert sent["state"] == "matching"
    assert await due_at(practice, sent["id"]) is not None
    await practice.strike(sent["id"])
    assert (await practice.read(sent["id"]))["state"] == "matching"
    practice.services.follower.loaded.set()
    await practice.strike(sent["id"])
    assert (await practice.read(sent["id"]))["state"] == "offered"


async def changed(practice: Practice, clinic_id: str, **changes: object) -> None:
    answer = await practice.call(
        "PATCH", f"/v1/clinics/{clinic_id}", changes, key=practice.operator, match="*"
    )
    assert answer.status_code == 200, answer.text


async def test_a_clinic_that_closes_loses_its_offer_and_keeps_its_patients(
    practice: Practice,
) -> None:
    first, second = await practice.clinic("A Clinic"), await practice.clinic("B Clinic")
    owned, offered = await practice.another(1), await practice.another(2)
    await first.act(await first.offer(owned["id"]), "accept")
    await changed(practice, first.id, accepting="no")
    await follow_directory(practice)
    await follow_directory(practice)
    assert (await practice.read(owned["id"]))["owner"]["id"] == first.id
    seen = await practice.read(offered["id"])
    assert [o["state"] for o in seen["offers"]] == ["withdrawn", "open"]
    assert seen["offers"][1]["clinic"]["id"] == second.id
    assert (await events(practice, offered["id"])).count("clinic_closed") == 1


async def test_a_deleted_clinic_holds_nothing(practice: Practice) -> None:
    first, second = await practice.clinic("A Clinic"), await practice.clinic("B Clinic")
    owned, offered = await practice.another(1), await practice.another(2)
    await first.act(await first.offer(owned["id"]), "accept")
    gone = await practice.call(
        "DELETE", f"/v1/clinics/{first.id}", key=practice.operator, match="*"
    )
    assert gone.status_code == 204
    await follow_directory(practice)
    for sent in (owned, offered):
        seen = await practice.read(sent["id"])
        assert seen["state"] == "offered"
        assert seen["owner"] is None
        assert seen["offers"][-1]["clinic"]["id"] == second.id
        assert (await practice.history(sent["id"]))["verified"]


async def test_what_a_merged_clinic_held_its_survivor_holds(practice: Practice) -> None:
    first, second = (
        await practice.clinic("A Clinic", weekly_capacity=5),
        await practice.clinic("B Clinic", weekly_capacity=5),
    )
    owned, offered = await practice.another(1), await practice.another(2)
    await first.act(await first.offer(owned["id"]), "accept")
    merged = await practice.call(
        "POST",
        f"/v1/clinics/{first.id}/merge",
        {"into": second.id},
        key=practice.operator,
        match="*",
    )
    assert merged.status_code == 200, merged.text
    await follow_directory(practice)
    seen = await practice.read(owned["id"])
    assert seen["owner"] == {"id": second.id, "name": "B Clinic"}
    offer = await second.offer(offered["id"])
    assert (await second.act(offer, "accept")).status_code == 200
    taken = await practice.fetch("select clinic_id::text, taken from clinic_week order by taken")
    assert taken == [(first.id, 0), (second.id, 2)]
    assert (await second.do(owned["id"], "return", {"reason": "other"})).status_code == 200
    taken = await practice.fetch("select clinic_id::text, taken from clinic_week order by taken")
    assert taken == [(first.id, 0), (second.id, 1)]


async def test_everyone_upstream_hears_of_every_step(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent: Json = await practice.sent(consent__notify=True)
    await clinic.act(await clinic.offer(sent["id"]), "accept")
    await clinic.do(sent["id"], "schedule", {"at": "2026-12-01T09:30:00-07:00"})
    told = await notices(practice, sent["id"])
    steps = ("created", "offered", "accepted", "scheduled")
    assert all((event, "referrer") in told for event in steps)
    assert all((event, "patient") in told for event in ("created", "accepted", "scheduled"))
    silent = await practice.another(1)
    assert not any(audience == "patient" for _, audience in await notices(practice, silent["id"]))


async def test_a_directory_that_has_moved_on_is_not_routed_by(practice: Practice) -> None:
    """This process has not heard yet that the clinic closed, and whoever reads the log for what a
    change means to open offers may have passed it already."""
    clinic = await practice.clinic("A Clinic")
    waiting = await practice.sent()
    await practice.run("update clinic set accepting = 'no' where id = $1", UUID(clinic.id))
    refused = await practice.post(conditions=["fibromyalgia"])
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert await practice.fetch("select count(*) from referral") == [(1,)]
    # What was offered before goes its way: the reminder is not held up.
    await practice.let_pass(waiting["id"], "37 hours")
    await practice.strike(waiting["id"])
    assert ("reminded", "clinic") in await notices(practice, waiting["id"])


async def test_when_a_clinic_is_full_the_others_do_not_wait_for_it(practice: Practice) -> None:
    full = await practice.clinic("A Clinic", weekly_capacity=1)
    first, second = await practice.sent(), await practice.another(2)
    await practice.clinic("B Clinic")
    assert (await full.act(await full.offer(first["id"]), "accept")).status_code == 200
    [(payload,)] = await practice.fetch("select payload from pgqueuer where entrypoint = 'full'")
    await clinic_full(practice.services, UUID(payload.decode()))
    seen = await practice.read(second["id"])
    assert [(o["clinic"]["name"][0], o["state"]) for o in seen["offers"]] == [
        ("A", "withdrawn"),
        ("B", "open"),
    ]
    assert ("clinic_full", "clinic") in await notices(practice, second["id"])
    # What it owns stays, and doing it again does nothing.
    await clinic_full(practice.services, UUID(payload.decode()))
    assert (await practice.read(first["id"]))["state"] == "accepted"
    assert (await practice.read(second["id"]))["version"] == seen["version"]


async def test_without_a_neighbour_they_wait_for_its_next_week(practice: Practice) -> None:
    full = await practice.clinic("A Clinic", weekly_capacity=1)
    first, second = await practice.sent(), await practice.another(2)
    offer = await full.offer(second["id"])
    assert (await full.act(await full.offer(first["id"]), "accept")).status_code == 200
    refused = await full.act(offer, "accept")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/no-capacity")
    assert refused.json()["actions"] == ["decline", "ask"]
    await clinic_full(practice.services, UUID(full.id))
    assert (await events(practice, second["id"]))[-2:] == ["clinic_full", "waiting"]
    # Nothing was its fault: it is asked again when it has room.
    await practice.run("delete from clinic_week")
    await practice.let_pass(second["id"], "8 days")
    await practice.strike(second["id"])
    assert (await events(practice, second["id"]))[-1] == "offered"


async def test_who_has_to_confirm_is_reminded_once(practice: Practice) -> None:
    await practice.clinic("A Clinic")
    sent = await practice.sent(screening=flags("pregnancy"))
    assert sent["state"] == "screening"
    await practice.let_pass(sent["id"], "37 hours")
    for _ in range(3):
        await practice.strike(sent["id"])
    assert (await notices(practice, sent["id"])).count(("reminded", "referrer")) == 1
    assert await due_at(practice, sent["id"]) is None
    assert (await practice.read(sent["id"]))["version"] == 1


async def test_what_was_given_back_is_no_acceptance_any_more(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    await clinic.act(await clinic.offer(sent["id"]), "accept")
    await clinic.do(sent["id"], "return", {"reason": "clinical"})
    [offer] = (await practice.read(sent["id"]))["offers"]
    assert (offer["state"], offer["decline_reason"]) == ("declined", "clinical")


async def test_a_missed_visit_was_booked_before(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    await clinic.act(await clinic.offer(sent["id"]), "accept")
    await clinic.do(sent["id"], "schedule", {"at": "2026-12-01T10:00:00-07:00"})
    assert (await clinic.do(sent["id"], "no-show")).status_code == 200
    again = await clinic.do(sent["id"], "no-show")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/not-possible-now")
    assert "no-show" not in again.json()["actions"]
