"""Every call of the table of rules, by everybody, in every state: allowed or refused, as the
table says, and nothing changes when it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from api.referrals.lifecycle.rules import RULES, S
from db.states import ReferralState, RoleInReferral
from tests.referrals.practice import Clinic, Json, Practice, flags

SAID: dict[str, Any] = {
    "cancel": None,
    "confirm-screening": {"reason": "It was looked at."},
    "answer": {"answer": "Yes."},
    "route": {},
    "schedule": {"at": "2026-12-01T09:30:00-07:00"},
    "no-show": None,
    "start": None,
    "complete": {"outcome": "Better."},
    "return": {"reason": "clinical", "note": "Not for us."},
    "accept": None,
    "decline": {"reason": "capacity"},
    "ask": {"question": "Is it?"},
}
CALLS = {rule.action: rule for rule in RULES if rule.action in SAID}


def test_every_call_is_tried() -> None:
    assert set(CALLS) == set(SAID)


class Scene:
    """A referral in one state, and everybody who might want something of it."""

    def __init__(self, practice: Practice, clinic: Clinic, other: Clinic) -> None:
        self.practice = practice
        self.clinic = clinic
        self.other = other
        self.id = ""
        self.offer: Json | None = None

    async def reach(self, state: ReferralState) -> None:
        practice, clinic = self.practice, self.clinic
        nobody = await practice.clinic("Z Clinic", accepting="no")
        match state:
            case S.SCREENING:
                sent = await practice.sent(screening=flags("pregnancy"))
            case S.UNROUTED:
                sent = await practice.sent(preferences__exclude=[clinic.id, self.other.id])
            case S.MATCHING:
                # Full this week: it waits for the next one.
                await practice.run(
                    "update clinic set weekly_capacity = 0 where id = $1", _id(nobody.id)
                )
                sent = await practice.sent(preferences__exclude=[clinic.id, self.other.id])
                await practice.run(
                    "update referral set state = 'matching', retry_at = now() + interval '1 day',"
                    " due_at = now() + interval '1 day' where id = $1",
                    _id(sent["id"]),
                )
            case _:
                sent = await practice.sent(preferences__clinics=[clinic.id])
                self.offer = await clinic.offer(sent["id"])
        self.id = sent["id"]
        for action in _WAY.get(state, ()):
            if action == "cancel":
                done = await practice.do(self.id, action)
            elif CALLS[action].on == "offer":
                assert self.offer is not None
                done = await clinic.act(self.offer, action, SAID[action])
            else:
                done = await clinic.do(self.id, action, SAID[action])
            assert done.status_code == 200, done.text
        [(reached,)] = await practice.fetch(
            "select state::text from referral where id = $1", _id(self.id)
        )
        assert reached == state

    async def trace(self) -> object:
        """What must not change when something is refused."""
        practice, referral_id = self.practice, _id(self.id)
        return (
            await practice.fetch("select r.* from referral r where id = $1", referral_id),
            await practice.fetch(
                "select o.* from offer o where referral_id = $1 order by id", referral_id
            ),
            await practice.fetch(
                "select count(*) from referral_history where referral_id = $1", referral_id
            ),
            await practice.fetch("select count(*) from notice where referral_id = $1", referral_id),
        )


_WAY: dict[ReferralState, tuple[str, ...]] = {
    S.INFO_REQUESTED: ("ask",),
    S.ACCEPTED: ("accept",),
    S.SCHEDULED: ("accept", "schedule"),
    S.IN_TREATMENT: ("accept", "schedule", "start"),
    S.COMPLETED: ("accept", "schedule", "start", "complete"),
    S.CANCELLED: ("cancel",),
}


def _id(text: str) -> object:
    from uuid import UUID

    return UUID(text)


@pytest.fixture
async def scene(practice: Practice) -> Scene:
    return Scene(practice, await practice.clinic("A Clinic"), await practice.clinic("B Clinic"))


async def called(scene: Scene, action: str, key: str, *, match: str | None = "*") -> Any:
    rule = CALLS[action]
    if rule.on == "offer":
        # A call that nothing is known of finds nothing, whatever the state.
        offer = scene.offer["id"] if scene.offer else "019ab3c0-5f00-7000-8000-00000000dead"
        path = f"/v1/offers/{offer}/{action}"
    else:
        path = f"/v1/referrals/{scene.id}/{action}"
    return await scene.practice.call("POST", path, SAID[action], key=key, match=match)


@pytest.mark.parametrize("state", list(ReferralState))
async def test_what_the_table_does_not_allow_is_refused(scene: Scene, state: ReferralState) -> None:
    await scene.reach(state)
    practice = scene.practice
    before = await scene.trace()
    strangers = {
        "another referrer": await practice.new_key("referrals:write"),
        "another clinic": scene.other.key,
    }
    for action, rule in CALLS.items():
        by_clinic = rule.role is RoleInReferral.CLINIC
        for who, key in strangers.items():
            answer = await called(scene, action, key)
            right_scope = by_clinic == (who == "another clinic")
            assert answer.status_code == (404 if right_scope else 403), (action, who)
        # The referrer does not act as a clinic, nor a clinic as the referrer.
        wrong = practice.key if by_clinic else scene.clinic.key
        assert (await called(scene, action, wrong)).status_code == 403, action
        both = await practice.new_key("referrals:write", f"clinic:{scene.other.id}")
        assert (await called(scene, action, both)).status_code == 404, action
        own = scene.clinic.key if by_clinic else practice.key
        if state in rule.sources:
            missing = await called(scene, action, own, match=None)
            assert missing.status_code == 428, action
            stale = await called(scene, action, own, match='"99"')
            assert stale.status_code == 412, (action, stale.text)
            continue
        refused = await called(scene, action, own, match='"99"')
        _is_refusal(refused, scene, rule.on, state, by_clinic)
    assert await scene.trace() == before


def _is_refusal(answer: Any, scene: Scene, on: str, state: str, by_clinic: bool) -> None:
    if by_clinic and on == "offer" and scene.offer is None:
        assert answer.status_code == 404
        return
    if by_clinic and on == "referral" and answer.status_code == 404:
        # Nothing that it owns.
        assert state not in ("accepted", "scheduled", "in_treatment", "completed")
        return
    assert answer.status_code == 409, answer.text
    problem = answer.json()
    assert problem["type"] == "/problems/not-possible-now"
    assert problem["state"] == state
    assert isinstance(problem["actions"], list)


@pytest.mark.parametrize("action", list(CALLS))
async def test_what_the_table_allows_is_done(scene: Scene, action: str) -> None:
    rule = CALLS[action]
    state = rule.sources[0]
    await scene.reach(state)
    own = scene.clinic.key if rule.role is RoleInReferral.CLINIC else scene.practice.key
    answer = await called(scene, action, own)
    assert answer.status_code == 200, answer.text
    events = [line["event"] for line in (await scene.practice.history(scene.id))["items"]]
    assert rule.event in events
    assert (await scene.practice.history(scene.id))["verified"]


@pytest.mark.parametrize("state", list(ReferralState))
async def test_actions_are_what_is_possible(scene: Scene, state: ReferralState) -> None:
    await scene.reach(state)
    seen = await scene.practice.read(scene.id)
    allowed = [
        action
        for action, rule in CALLS.items()
        if rule.role is RoleInReferral.REFERRER and state in rule.sources
    ]
    assert sorted(seen["actions"]) == sorted(allowed)
    answer = await scene.practice.call("GET", f"/v1/referrals/{scene.id}", key=scene.clinic.key)
    holds = state in ("offered", "info_requested", "accepted", "scheduled", "in_treatment")
    assert (answer.status_code == 200) == (holds or state == "completed")
    if holds:
        allowed = [
            action
            for action, rule in CALLS.items()
            if rule.role is RoleInReferral.CLINIC and state in rule.sources
        ]
        assert sorted(answer.json()["actions"]) == sorted(allowed)


async def test_bodies_cannot_write_what_steps_do(scene: Scene) -> None:
    await scene.reach(S.OFFERED)
    assert scene.offer is not None
    for extra in ("state", "owner", "clinic_id", "version"):
        answer = await scene.clinic.act(
            scene.offer, "decline", {"reason": "other", extra: "accepted"}
        )
        assert answer.status_code == 400
        assert [error["pointer"] for error in answer.json()["errors"]] == [f"/{extra}"]


@pytest.mark.parametrize(
    "path", ["/v1/referrals", "/v1/offers", "/v1/referrals/{}", "/v1/offers/{}"]
)
async def test_nobody_without_a_key(scene: Scene, path: str) -> None:
    await scene.reach(S.OFFERED)
    for method in ("GET", "HEAD"):
        answer = await scene.practice.call(method, path.format(scene.id), key="")
        assert answer.status_code == 401
    key = await scene.practice.new_key("directory:write", "admin")
    assert (await scene.practice.call("GET", path.format(scene.id), key=key)).status_code == 403
