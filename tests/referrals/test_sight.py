"""Who sees what of a referral: by HTTP, in every view there is."""

from __future__ import annotations

from uuid import UUID

from tests.referrals.practice import CANARY, Practice, flags


async def test_a_clinic_that_is_asked_sees_what_it_takes_to_decide(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent(
        screening=flags("substance_use_history"), preferences__clinics=[clinic.id]
    )
    for seen in (
        (await clinic.offer(sent["id"]))["referral"],
        await practice.read(sent["id"], key=clinic.key),
    ):
        assert CANARY.lower() not in str(seen).lower()
        assert seen["patient"]["age"] == 46
        assert seen["patient"]["state"] == "US-AZ"
        assert all(
            seen["patient"][name] is None
            for name in ("given_name", "family_name", "birth_date", "phone", "email", "near")
        )
        assert seen["conditions"] == ["crps"]
        assert seen["flags"] == ["substance_use_history"]
        assert seen["preferences"]["payer"] == "medicare"
        assert seen["preferences"]["clinics"] is None
        assert seen["tracking_url"] is None
        assert seen["owner"] is None
    listed = await practice.call("GET", "/v1/referrals", key=clinic.key)
    assert CANARY.lower() not in listed.text.lower()
    assert [item["id"] for item in listed.json()["items"]] == [sent["id"]]


async def test_the_owner_sees_the_patient_and_no_other_clinic(practice: Practice) -> None:
    first, second = await practice.clinic("A Clinic"), await practice.clinic("B Clinic")
    sent = await practice.sent()
    await first.act(
        await first.offer(sent["id"]), "decline", {"reason": "other", "note": "Secret note"}
    )
    await second.act(await second.offer(sent["id"]), "accept")
    seen = await practice.read(sent["id"], key=second.key)
    patient = dict(sent["patient"])
    assert seen["patient"] == patient
    assert seen["reason"] == f"Reason {CANARY}"
    assert seen["medications"] == [f"Medication {CANARY}"]
    assert "A Clinic" not in str(seen)
    assert "Secret note" not in str(seen)
    history = await practice.history(sent["id"], key=second.key)
    assert history["verified"]
    assert "A Clinic" not in str(history)
    assert "Secret note" not in str(history)
    assert "score" not in str(history)
    redacted = [line["version"] for line in history["items"] if line["redacted"]]
    assert redacted == [2, 3]
    # The referrer sees all of it.
    whole = await practice.history(sent["id"])
    assert "Secret note" in str(whole)
    assert not any(line["redacted"] for line in whole["items"])
    assert whole["items"][1]["detail"]["why"][0]["name"] == "A Clinic"


async def test_an_offer_that_is_over_shows_its_state_and_no_patient(practice: Practice) -> None:
    first, second = await practice.clinic("A Clinic"), await practice.clinic("B Clinic")
    sent = await practice.sent(screening=flags("substance_use_history"))
    offer = await first.offer(sent["id"])
    await practice.let_pass(sent["id"], "73 hours")
    # Nobody has acted on the deadline yet.
    for _ in range(2):
        answer = await practice.call("GET", f"/v1/offers/{offer['id']}", key=first.key)
        assert answer.status_code == 200
        assert answer.json()["state"] == "expired"
        assert answer.json()["referral"] is None
        assert answer.json()["actions"] == []
        gone = await practice.call("GET", f"/v1/referrals/{sent['id']}", key=first.key)
        assert gone.status_code == 404
        listed = await practice.call("GET", "/v1/referrals", key=first.key)
        assert listed.json()["items"] == []
        late = await first.act(offer, "accept", match="*")
        assert late.status_code == 409
        assert late.json()["type"] == "/problems/not-possible-now"
        await practice.strike(sent["id"])
    assert (await second.offer(sent["id"]))["state"] == "open"


async def test_who_gave_it_back_knows_the_patient_no_more(practice: Practice) -> None:
    first, second = await practice.clinic("A Clinic"), await practice.clinic("B Clinic")
    sent = await practice.sent()
    await first.act(await first.offer(sent["id"]), "accept")
    given = await first.do(sent["id"], "return", {"reason": "clinical"})
    assert given.status_code == 200
    assert CANARY not in given.text
    assert (
        await practice.call("GET", f"/v1/referrals/{sent['id']}", key=first.key)
    ).status_code == 404
    [offer] = (await practice.call("GET", "/v1/offers", key=first.key)).json()["items"]
    assert offer["state"] == "declined"
    assert offer["referral"] is None
    assert (await second.offer(sent["id"]))["state"] == "open"
    assert (await practice.read(sent["id"]))["owner"] is None


async def test_questions_are_between_the_clinic_and_the_referrer(practice: Practice) -> None:
    clinics = [await practice.clinic(f"{letter} Clinic") for letter in "AB"]
    sent = await practice.sent(mode="broadcast")
    assert len(sent["offers"]) == 2
    first, second = clinics
    asked = await first.act(await first.offer(sent["id"]), "ask", {"question": "What of it?"})
    assert asked.status_code == 200, asked.text
    assert asked.json()["due_at"] is None
    seen = await practice.read(sent["id"])
    assert seen["state"] == "info_requested"
    assert [message["text"] for message in seen["messages"]] == ["What of it?"]
    answered = await practice.do(sent["id"], "answer", {"answer": "This of it."})
    assert answered.status_code == 200, answered.text
    texts = [m["text"] for m in (await first.offer(sent["id"]))["referral"]["messages"]]
    assert texts == ["What of it?", "This of it."]
    other = await second.offer(sent["id"])
    assert other["referral"]["messages"] == []
    assert "A Clinic" not in str(other)
    assert other["due_at"] is not None


async def test_what_is_not_the_callers_is_not_there(practice: Practice) -> None:
    await practice.clinic("A Clinic")
    other = await practice.clinic("B Clinic")
    sent = await practice.sent()
    stranger = await practice.new_key("referrals:write")
    paths = [
        f"/v1/referrals/{sent['id']}",
        f"/v1/referrals/{sent['id']}/history",
        f"/v1/offers/{sent['offers'][0]['id']}",
        "/v1/referrals/no-id",
        f"/v1/referrals/{2**70}",
        "/v1/offers/no-id",
    ]
    for key in (stranger, other.key):
        for path in paths:
            answer = await practice.call("GET", path, key=key)
            expected = 403 if key == stranger and "/offers/" in path else 404
            assert answer.status_code == expected, path
            assert CANARY not in answer.text
        listed = await practice.call("GET", "/v1/referrals", key=key)
        assert listed.json()["items"] == []
    assert (await practice.call("GET", "/v1/offers", key=other.key)).json()["items"] == []


async def test_a_rotated_key_keeps_its_referrals(practice: Practice) -> None:
    sent = await practice.sent()
    admin = await practice.new_key("admin")
    old = practice.key.split("_")[2]
    made = await practice.call("POST", f"/v1/keys/{old}/rotate", key=admin)
    assert made.status_code == 201, made.text
    seen = await practice.read(sent["id"], key=made.json()["key"])
    assert seen["patient"] == sent["patient"]


async def test_what_was_erased_is_shown_by_nobody(practice: Practice) -> None:
    sent = await practice.sent()
    await practice.do(sent["id"], "cancel")
    await practice.run(
        "update sealed_key set wrapped = null, erased_at = now() where referral_id = $1",
        UUID(sent["id"]),
    )
    seen = await practice.read(sent["id"])
    assert seen["patient"] is None
    assert seen["conditions"] == []
    assert seen["state"] == "cancelled"
    assert CANARY not in str(seen)
    assert (await practice.history(sent["id"]))["verified"]
    tracked = await practice.call("GET", sent["tracking_url"].partition(".example")[2], key="")
    assert tracked.status_code == 404


async def test_a_changed_history_does_not_verify(practice: Practice) -> None:
    await practice.clinic("A Clinic")
    sent = await practice.sent()
    referral_id = UUID(sent["id"])
    for change, back in (
        ("set actor = 'service' where version = 1", "set actor = $2 where version = 1"),
        ("set at = at + interval '1 second' where version = 2", None),
    ):
        [(actor,)] = await practice.fetch(
            "select actor from referral_history where referral_id = $1 and version = 1",
            referral_id,
        )
        await practice.run(f"update referral_history {change} and referral_id = $1", referral_id)
        assert not (await practice.history(sent["id"]))["verified"]
        if back is not None:
            await practice.run(
                f"update referral_history {back} and referral_id = $1", referral_id, actor
            )
            assert (await practice.history(sent["id"]))["verified"]


async def test_a_history_cut_short_does_not_verify(practice: Practice) -> None:
    await practice.clinic("A Clinic")
    sent = await practice.sent()
    await practice.run(
        "delete from referral_history where referral_id = $1 and version = 2", UUID(sent["id"])
    )
    assert not (await practice.history(sent["id"]))["verified"]


async def test_the_tracking_link_speaks_of_no_illness(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    path = sent["tracking_url"].partition(".example")[2]
    assert sent["id"] not in path
    answer = await practice.call("GET", path, key="")
    assert answer.status_code == 200, answer.text
    assert answer.json()["step"] == "offered"
    assert answer.json()["answer_by"] == sent["offers"][0]["due_at"]
    for word in (CANARY, "A Clinic", "crps", "ketamine", "pain", sent["id"]):
        assert word.lower() not in answer.text.lower()
    await clinic.act(await clinic.offer(sent["id"]), "accept")
    answer = await practice.call("GET", path, key="")
    assert answer.json()["step"] == "accepted"
    assert answer.json()["answer_by"] is None
    for wrong in (path[:-1], path[:-1] + "!", path[:-2] + "AA", "/v1/track/x", path + "A"):
        assert (await practice.call("GET", wrong, key="")).status_code == 404
