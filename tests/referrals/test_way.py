"""The way of a referral from the practice to the clinic that takes it, as both see it."""

from __future__ import annotations

from tests.referrals.practice import CANARY, Practice


async def test_the_whole_way(practice: Practice) -> None:
    first, second = await practice.clinic("A Clinic"), await practice.clinic("B Clinic")
    answer = await practice.post()
    assert answer.status_code == 201, answer.text
    sent = answer.json()
    assert sent["state"] == "offered"
    assert sent["version"] == 2
    assert answer.headers["etag"] == '"2"'
    assert answer.headers["location"] == f"/v1/referrals/{sent['id']}"
    assert sent["actions"] == ["cancel"]
    assert [offer["clinic"]["name"] for offer in sent["offers"]] == ["A Clinic"]
    assert await practice.read(sent["id"]) == sent

    offer = await first.offer(sent["id"])
    assert offer["actions"] == ["accept", "decline", "ask"]
    assert CANARY not in str(offer)
    declined = await first.act(offer, "decline", {"reason": "capacity", "note": "No room"})
    assert declined.status_code == 200, declined.text
    assert declined.json()["state"] == "declined"
    assert declined.json()["referral"] is None

    offer = await second.offer(sent["id"])
    accepted = await second.act(offer, "accept")
    assert accepted.status_code == 200, accepted.text
    assert accepted.json()["referral"]["patient"]["given_name"] == f"Given{CANARY}"
    assert accepted.json()["referral"]["actions"] == ["schedule", "return"]
    for action, said, state in (
        ("schedule", {"at": "2026-12-01T09:30:00-07:00"}, "scheduled"),
        ("no-show", None, "scheduled"),
        ("schedule", {"at": "2026-12-02T09:30:00-07:00"}, "scheduled"),
        ("start", None, "in_treatment"),
        ("complete", {"outcome": "Better"}, "completed"),
    ):
        done = await second.do(sent["id"], action, said)
        assert done.status_code == 200, done.text
        assert done.json()["state"] == state
    seen = await practice.read(sent["id"])
    assert seen["outcome"] == "Better"
    assert seen["visit_at"] == "2026-12-02T09:30:00-07:00"
    assert seen["actions"] == []
    assert [message["text"] for message in seen["messages"]] == ["No room", "Better"]
    history = await practice.history(sent["id"])
    assert history["verified"]
    assert [line["event"] for line in history["items"]] == [
        "created", "offered", "declined", "offered", "accepted", "scheduled", "no_show",
        "scheduled", "started", "completed",
    ]  # fmt: skip
