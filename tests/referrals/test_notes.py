"""What may be said with a step that needs no words."""

from __future__ import annotations

import pytest

from tests.referrals.practice import Json, Practice


async def detail_of(practice: Practice, referral_id: str, event: str) -> Json | None:
    lines = (await practice.history(referral_id))["items"]
    found: Json | None = next(line["detail"] for line in lines if line["event"] == event)
    return found


async def test_a_word_with_a_step_reaches_the_referrer(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    offer = await clinic.offer(sent["id"])
    assert (await clinic.act(offer, "accept", {"note": "We call."})).status_code == 200
    await clinic.do(sent["id"], "schedule", {"at": "2026-12-01T10:00:00-07:00"})
    assert (await clinic.do(sent["id"], "no-show", {"note": "No answer."})).status_code == 200
    assert (await clinic.do(sent["id"], "start", {})).status_code == 200
    assert (await practice.do(sent["id"], "cancel", {"reason": "Moved."})).status_code == 200
    for event, said in (
        ("accepted", "We call."),
        ("no_show", "No answer."),
        ("cancelled", "Moved."),
    ):
        detail = await detail_of(practice, sent["id"], event)
        assert detail is not None
        assert detail["text"] == said
    assert await detail_of(practice, sent["id"], "started") is None


@pytest.mark.parametrize("said", [{"x": 1}, {"reason": 7}, [], "word"])
async def test_what_is_not_understood_is_not_dropped(practice: Practice, said: object) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent()
    refused = await practice.do(sent["id"], "cancel", said)
    assert (refused.status_code, refused.json()["type"]) == (400, "/problems/invalid-body")
    offer = await clinic.offer(sent["id"])
    assert (await clinic.act(offer, "accept", said)).status_code == 400
    assert (await practice.read(sent["id"]))["state"] == "offered"
