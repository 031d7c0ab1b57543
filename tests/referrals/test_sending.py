"""Sending a referral: what is refused, what waits, and what a repetition does."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.referrals.practice import CANARY, Json, Practice, flags, referral

UNKNOWN_CLINIC = "019ab3c0-5f00-7000-8000-00000000dead"


async def rows(practice: Practice) -> int:
    [(count,)] = await practice.fetch("select count(*) from referral")
    return int(count)


def pointers(problem: Json) -> list[str]:
    return [error["pointer"] for error in problem["errors"]]


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"consent__given": False}, "/consent/given"),
        ({"consent": {}}, "/consent/given"),
        ({"consent__at": "2027-01-01T00:00:00Z"}, "/consent/at"),
        ({"consent__at": "2026-11-22T09:00:00"}, "/consent/at"),
        ({"patient__birth_date": "2027-01-01"}, "/patient/birth_date"),
        ({"patient__birth_date": "1850-01-01"}, "/patient/birth_date"),
        ({"patient__birth_date": "1980-02-30"}, "/patient/birth_date"),
        ({"patient__phone": "602"}, "/patient/phone"),
        ({"patient__phone": "+1999"}, "/patient/phone"),
        ({"patient__email": "not an address"}, "/patient/email"),
        ({"patient__phone": None, "patient__email": None}, "/patient/phone"),
        ({"patient__email": None, "consent__notify": True}, "/patient/email"),
        ({"patient__near": "00000"}, "/patient/near"),
        ({"patient__near": "Springfield"}, "/patient/near"),
        ({"patient__near": "-112.03,33.51"}, "/patient/near"),
        ({"patient__state": "US-XX"}, "/patient/state"),
        ({"patient__given_name": "\u202ereversed"}, "/patient/given_name"),
        ({"conditions": []}, "/conditions"),
        ({"conditions": ["no-such-condition"]}, "/conditions/0"),
        ({"conditions": ["crps", "crps"]}, "/conditions/1"),
        ({"icd10": ["zzz"]}, "/icd10/0"),
        ({"screening": {}}, "/screening/pregnancy"),
        ({"screening__pregnancy": None}, "/screening/pregnancy"),
        ({"preferences__routes": ["by-post"]}, "/preferences/routes/0"),
        ({"preferences__payer": "no-such-payer"}, "/preferences/payer"),
        ({"preferences__language": "English!"}, "/preferences/language"),
        ({"preferences__max_distance": "50"}, "/preferences/max_distance"),
        ({"preferences__max_distance": "0mi"}, "/preferences/max_distance"),
        ({"preferences__clinics": [UNKNOWN_CLINIC]}, "/preferences/clinics/0"),
        ({"preferences__exclude": ["one"]}, "/preferences/exclude/0"),
        ({"urgency": "now"}, "/urgency"),
        ({"mode": "lottery"}, "/mode"),
        ({"state": "accepted"}, "/state"),
        ({"owner": UNKNOWN_CLINIC}, "/owner"),
        ({"clinic_id": UNKNOWN_CLINIC}, "/clinic_id"),
        ({"referrer": {"name": "Dr", "registration": {"system": "npi", "value": "1"}}},
         "/referrer/registration/value"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_pointed_at(
    practice: Practice, changes: dict[str, Any], pointer: str
) -> None:
    answer = await practice.post(**changes)
    assert answer.status_code == 400, answer.text
    assert pointer in pointers(answer.json())
    assert CANARY not in answer.text
    assert await rows(practice) == 0


async def test_an_ambiguous_place_names_its_candidates(practice: Practice) -> None:
    problem = (await practice.post(patient__near="Springfield")).json()
    assert problem["type"] == "/problems/ambiguous-place"
    assert len(problem["candidates"]) > 1


@pytest.mark.parametrize(
    ("changes", "phones"),
    [
        ({}, ["988"]),
        ({"patient__state": "GB-ENG"}, ["999", "116 123"]),
        ({"patient__state": None, "patient__near": "SW1A"}, ["999", "116 123"]),
        ({"patient__state": None, "patient__near": "nowhere at all"}, ["988", "999", "116 123"]),
        # Nothing else that is wrong stands in the way of the numbers.
        ({"consent__given": False, "conditions": ["no-such"]}, ["988"]),
    ],
)
async def test_an_immediate_risk_is_answered_with_people_who_help(
    practice: Practice, changes: dict[str, Any], phones: list[str]
) -> None:
    answer = await practice.post(screening=flags("immediate_suicide_risk"), **changes)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "/problems/immediate-risk"
    assert [line["phone"] for line in problem["crisis_lines"]] == phones
    assert CANARY not in answer.text
    assert await rows(practice) == 0


async def test_a_flag_waits_for_the_referrer(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    sent = await practice.sent(screening=flags("pregnancy", "active_psychosis"))
    assert sent["state"] == "screening"
    assert sent["version"] == 1
    assert sent["flags"] == ["active_psychosis", "pregnancy"]
    assert sent["actions"] == ["confirm-screening", "cancel"]
    assert sent["offers"] == []
    empty = await practice.do(sent["id"], "confirm-screening", {"reason": ""})
    assert empty.status_code == 400
    done = await practice.do(sent["id"], "confirm-screening", {"reason": f"Why {CANARY}"})
    assert done.status_code == 200, done.text
    assert done.json()["state"] == "offered"
    assert done.json()["version"] == 3
    offer = await clinic.offer(sent["id"])
    assert offer["referral"]["flags"] == ["active_psychosis", "pregnancy"]
    # Why the referrer is sure is for whoever takes the patient.
    assert CANARY not in str(offer)
    taken = (await clinic.act(offer, "accept")).json()
    assert f"Why {CANARY}" in str(taken)


async def test_substance_use_goes_only_where_it_is_assessed(practice: Practice) -> None:
    await practice.clinic("A Clinic", assesses=[])
    await practice.clinic("B Clinic", assesses=["substance_use_history"])
    sent = await practice.sent(screening=flags("substance_use_history"))
    assert [offer["clinic"]["name"] for offer in sent["offers"]] == ["B Clinic"]


async def test_nobody_can_take_it(practice: Practice) -> None:
    await practice.clinic("A Clinic", accepting="no")
    sent = await practice.sent(preferences__max_distance="1mi")
    assert sent["state"] == "unrouted"
    assert sent["actions"] == ["cancel", "route"]
    assert {"reason": "accepting", "clinics": 1} in sent["unable"]["reasons"]
    assert sent["unable"]["considered"] >= 1
    read = await practice.read(sent["id"])
    assert read["unable"] == sent["unable"]
    await practice.clinic("B Clinic", location={"lat": 33.7, "lon": -112.03})
    asked = {"preferences": {"max_distance": "60mi"}}
    done = await practice.do(sent["id"], "route", asked)
    assert done.json()["state"] == "offered", done.text
    assert done.json()["preferences"]["max_distance"] == "60mi"
    assert done.json()["preferences"]["payer"] == "medicare"
    assert done.json()["unable"] is None


async def test_a_route_without_a_body(practice: Practice) -> None:
    sent = await practice.sent()
    assert sent["state"] == "unrouted"
    again = await practice.do(sent["id"], "route")
    assert again.status_code == 200, again.text
    wrong = await practice.do(sent["id"], "route", {"preferences": {"payer": "no-such"}})
    assert pointers(wrong.json()) == ["/preferences/payer"]
    assert (await practice.read(sent["id"]))["version"] == again.json()["version"]


async def test_a_dry_run_says_what_sending_would_do(practice: Practice) -> None:
    await practice.clinic("A Clinic", payers=["self_pay"])
    await practice.clinic("B Clinic")
    await practice.clinic("C Clinic")
    answer = await practice.call("POST", "/v1/referrals/matches", referral())
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert answer.headers["directory-version"] == str(found["directory_version"])
    assert [each["clinic"]["name"] for each in found["ranked"]] == ["B Clinic", "C Clinic"]
    assert [each["reasons"] for each in found["excluded"]] == [["payer"]]
    assert found["would_stop"] == []
    assert await rows(practice) == 0
    # Who the patient is makes no difference.
    less = {
        "patient": {"near": "85016", "birth_date": "1980-02-03", "state": "US-AZ"},
        **{name: referral()[name] for name in ("conditions", "screening", "preferences")},
    }
    assert (await practice.call("POST", "/v1/referrals/matches", less)).json() == found
    sent = await practice.sent()
    assert sent["offers"][0]["clinic"] == found["ranked"][0]["clinic"]


async def test_a_dry_run_names_what_would_stop_it(practice: Practice) -> None:
    stopped = referral(screening=flags("pregnancy", "substance_use_history"))
    answer = await practice.call("POST", "/v1/referrals/matches", stopped)
    assert answer.json()["would_stop"] == ["pregnancy"]
    risk = referral(screening=flags("immediate_suicide_risk"))
    answer = await practice.call("POST", "/v1/referrals/matches", risk)
    assert answer.status_code == 422
    assert answer.json()["crisis_lines"]


# Idempotency


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        (None, "idempotency-key-missing"),
        ("", "invalid-parameter"),
        ("x" * 256, "invalid-parameter"),
        ("tab\there", "invalid-parameter"),
    ],
)
async def test_a_referral_needs_a_name_of_its_own(
    practice: Practice, name: str | None, problem: str
) -> None:
    answer = await practice.call("POST", "/v1/referrals", referral(), idempotency=name)
    assert answer.status_code == 400
    assert answer.json()["type"] == f"/problems/{problem}"
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert await rows(practice) == 0


async def test_a_repetition_gets_the_same_answer(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    first = await practice.post(idempotency="one")
    await clinic.act(await clinic.offer(first.json()["id"]), "accept")
    # Members in another order, and what is the default anyway.
    same = {name: referral()[name] for name in sorted(referral(), reverse=True)}
    same["consent"]["notify"] = False
    again = await practice.post(same, idempotency="one")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    for header in ("etag", "location", "directory-version"):
        assert again.headers[header] == first.headers[header]
    assert await rows(practice) == 1
    other = await practice.post(idempotency="one", urgency="urgent")
    assert other.status_code == 422
    assert other.json()["type"] == "/problems/idempotency-key-reused"


async def test_a_repetition_stands_when_it_would_now_be_refused(practice: Practice) -> None:
    clinic = await practice.clinic("A Clinic")
    asked: dict[str, Any] = {"preferences__clinics": [clinic.id]}
    first = await practice.post(idempotency="one", **asked)
    assert first.status_code == 201
    gone = await practice.call(
        "DELETE", f"/v1/clinics/{clinic.id}", key=practice.operator, match="*"
    )
    assert gone.status_code == 204
    assert (await practice.post(**asked)).status_code == 400
    again = await practice.post(idempotency="one", **asked)
    assert again.content == first.content


async def test_another_key_never_replays(practice: Practice) -> None:
    first = (await practice.post(idempotency="one")).json()
    other = await practice.post(idempotency="one", key=await practice.new_key("referrals:write"))
    assert other.status_code == 201
    assert other.json()["id"] != first["id"]


async def test_a_refusal_uses_no_name_up(practice: Practice) -> None:
    assert (await practice.post(idempotency="one", conditions=[])).status_code == 400
    assert (await practice.post(idempotency="one")).status_code == 201


async def test_a_hundred_at_once_make_one(practice: Practice) -> None:
    await practice.clinic("A Clinic")
    answers = await asyncio.gather(*(practice.post(idempotency="one") for _ in range(100)))
    counted = Counter(answer.status_code for answer in answers)
    assert set(counted) <= {201, 409, 503}
    made = [answer.content for answer in answers if answer.status_code == 201]
    assert made
    assert len(set(made)) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["type"] == "/problems/request-in-flight"
            assert int(answer.headers["retry-after"]) >= 1
    assert await rows(practice) == 1
    [(offers,)] = await practice.fetch("select count(*) from offer")
    assert offers == 1


# Duplicates


async def test_a_second_open_referral_needs_a_reason(practice: Practice) -> None:
    first = await practice.sent()
    second = await practice.post(patient__given_name=f"GIVEN-{CANARY.upper()}")
    assert second.status_code == 409, second.text
    assert second.json()["type"] == "/problems/duplicate-referral"
    assert second.json()["existing"] == first["id"]
    assert CANARY not in second.text
    third = await practice.sent(duplicate_reason="A second opinion")
    assert third["duplicate_reason"] == "A second opinion"
    assert (await practice.post(conditions=["fibromyalgia"])).status_code == 201
    assert (await practice.post(patient__birth_date="1980-02-04")).status_code == 201


async def test_a_closed_one_stands_in_nobodys_way(practice: Practice) -> None:
    first = await practice.sent()
    assert (await practice.do(first["id"], "cancel")).status_code == 200
    assert (await practice.post()).status_code == 201


async def test_nobody_learns_of_the_referrals_of_others(practice: Practice) -> None:
    await practice.sent()
    other = await practice.post(key=await practice.new_key("referrals:write"))
    assert other.status_code == 201


async def test_of_two_at_once_one_is_the_first(practice: Practice) -> None:
    answers = await asyncio.gather(*(practice.post() for _ in range(10)))
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: 1, 409: 9}
    [first] = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    existing = {a.json()["existing"] for a in answers if a.status_code == 409}
    assert existing == {first}
