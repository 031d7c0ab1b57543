"""A word that stands in every field of a patient: it is nowhere but where the patient may be seen.

The whole way is walked, every call that is refused included; then the database is read as plain
text, and so are the logs and everything that was refused.
"""

from __future__ import annotations

import pytest

from tests.referrals.practice import CANARY, Json, Practice, flags, referral

WORD = CANARY.lower()


def canaries() -> Json:
    """A referral with the word in every field that takes free text."""
    said = referral(
        mode="broadcast",
        screening=flags("pregnancy", "substance_use_history"),
        consent__notify=True,
        duplicate_reason=f"Duplicate {CANARY}",
        patient__email=f"patient.{WORD}@mail.example",
        referrer={
            "name": f"Doctor {CANARY}",
            "registration": {"system": "npi", "value": "1234567893"},
            "organization": f"Practice {CANARY}",
            "email": f"doctor.{WORD}@mail.example",
        },
    )
    assert str(said).lower().count(WORD) == 10
    return said


async def dump(practice: Practice) -> dict[str, str]:
    tables = await practice.fetch(
        "select table_name from information_schema.tables"
        " where table_schema = 'public' and table_type = 'BASE TABLE'"
    )
    found: dict[str, str] = {}
    for (table,) in tables:
        # bytea is shown in hexadecimal: as text and as it would be read.
        rows = await practice.fetch(f'select row_to_json(t)::text from "{table}" as t')
        text = "\n".join(row for (row,) in rows)
        found[table] = text
    return found


def hexadecimal(word: str) -> str:
    return word.encode().hex()


async def test_the_word_is_nowhere_in_the_open(
    practice: Practice, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    first, second = await practice.clinic("A Clinic"), await practice.clinic("B Clinic")
    dry = await practice.call("POST", "/v1/referrals/matches", canaries())
    assert dry.status_code == 200
    sent = (await practice.post(canaries(), idempotency=f"key-{CANARY}")).json()
    refused = [
        await practice.post(canaries() | {"state": CANARY}),
        await practice.post(canaries() | {"conditions": [WORD]}),
        await practice.post(canaries() | {"duplicate_reason": None}),
        await practice.post(canaries() | {"urgency": "urgent"}, idempotency=f"key-{CANARY}"),
        await practice.post({**canaries(), "screening": flags("immediate_suicide_risk")}),
        await practice.post({**canaries(), "patient": {**canaries()["patient"], "near": CANARY}}),
        await practice.post({**canaries(), "patient": {**canaries()["patient"], f"{CANARY}!": 1}}),
        await practice.call("GET", f"/v1/referrals?state={CANARY}"),
        await practice.call("GET", f"/v1/referrals/{CANARY}"),
        await practice.call("GET", f"/v1/track/{CANARY}", key=""),
        await practice.do(sent["id"], "answer", {"answer": CANARY}),
        await practice.do(sent["id"], "confirm-screening", {"reason": CANARY}, match='"9"'),
    ]
    await practice.do(sent["id"], "confirm-screening", {"reason": f"Sure {CANARY}"})
    offer = await first.offer(sent["id"])
    await first.act(offer, "ask", {"question": f"Question {CANARY}"})
    await practice.do(sent["id"], "answer", {"answer": f"Answer {CANARY}"})
    offer = await first.offer(sent["id"])
    await first.act(offer, "decline", {"reason": "other", "note": f"Note {CANARY}"})
    offer = await second.offer(sent["id"])
    await second.act(offer, "accept")
    await second.do(sent["id"], "return", {"reason": "other", "note": f"Back {CANARY}"})
    await practice.do(sent["id"], "route", {"preferences": {"max_distance": "any", "exclude": []}})
    third = await practice.clinic("C Clinic")
    again = await practice.do(sent["id"], "route", {})
    assert again.json()["state"] == "offered", again.text
    await third.act(await third.offer(sent["id"]), "accept")
    await third.do(sent["id"], "schedule", {"at": "2026-12-01T09:30:00-07:00"})
    await third.do(sent["id"], "start")
    done = await third.do(sent["id"], "complete", {"outcome": f"Outcome {CANARY}"})
    assert done.status_code == 200, done.text
    # It was said, and is seen by whom it concerns.
    whole = str(await practice.read(sent["id"])) + str(await practice.history(sent["id"]))
    for said in ("Sure", "Question", "Answer", "Note", "Back", "Outcome", "Reason"):
        assert f"{said} {CANARY}" in whole

    for answer in refused:
        assert answer.status_code >= 400
        assert WORD not in answer.text.lower(), answer.request.url.path
        assert WORD not in str(answer.headers).lower()
    tables = await dump(practice)
    assert {"referral", "referral_history", "notice", "pgqueuer", "audit_entry"} <= set(tables)
    assert tables["referral"]
    # The directory's own tables name conditions and places of clinics.
    directory = {"catalogue_entry", "clinic", "offering", "directory_change"}
    for table, text in tables.items():
        lower = text.lower()
        assert WORD not in lower, table
        assert hexadecimal(CANARY) not in lower, table
        assert hexadecimal(WORD) not in lower, table
        for private in ("1980-02-03", "+16025550123", "g90.50", "crps", "85016", "substance"):
            assert table in directory or private not in lower, (table, private)
    shown = capfd.readouterr()
    # The client's own log holds the addresses that the test asked for.
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("httpx")]
    logs = shown.out + shown.err + "".join(ours)
    assert WORD not in logs.lower()
    metrics = await practice.call("GET", "/metrics", key="")
    assert WORD not in metrics.text.lower()
    assert sent["id"] not in metrics.text


async def test_the_flags_of_a_patient_are_sealed(practice: Practice) -> None:
    """The same referral with and without flags differs in nothing that is plain but its state."""
    one = await practice.another(1)
    two = await practice.another(2, screening=flags("substance_use_history"))
    columns = (
        "state, urgency, mode, owner_clinic_id, asked_by, answer_by, retry_at, capacity_week,"
        " cardinality(fingerprints), length(history_hash)"
    )
    found = await practice.fetch(
        f"select {columns} from referral where id::text = any($1)", [one["id"], two["id"]]
    )
    assert found[0] == found[1]
