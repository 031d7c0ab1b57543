"""What belongs to others is not there, and what is open to everybody says nothing of patients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.faults.deployment import Deployment, caller
from tests.hostile.operations import (
    NOBODY,
    OPERATIONS,
    Json,
    Operation,
    call,
    each_operation,
    parameters_in,
    problem_of,
)
from tests.hostile.stage import Stage
from tests.services import Service

PATIENT: Final = {
    "family_name": "Zanzibarquill",
    "birth_date": "1933-04-05",
    "phone": "+16025550176",
    "email": "zanzibar@mail.example",
}
MOVING: Final = {"date", "x-request-id", "content-length"}


@pytest.fixture(scope="module")
def stranger(
    hostile: Deployment, target: Service, clinics: tuple[str, str]
) -> Iterator[httpx.Client]:
    """Refers, and speaks for the other clinic."""
    with caller(target, hostile.key("referrals:write", f"clinic:{clinics[1]}")) as client:
        yield client


def names_something(operation: Operation) -> bool:
    """A referral, an offer or a webhook."""
    return operation.needs_key and any(
        f"{{{name}}}" in operation.path for name in ("referral", "offer", "webhook")
    )


@each_operation(names_something)
def test_what_is_not_the_callers_is_not_there(
    stranger: httpx.Client, stage: Stage, operation: Operation
) -> None:
    """With a right body and a right version, and not told apart from what nobody has."""
    target = stage.target(operation)
    content = None
    if operation.body is not None:
        content = stage.named(httpx.Request("POST", "/", json=operation.body).read())
    theirs = problem_of(call(stranger, operation, target=target, content=content), 404)
    nobodys = problem_of(call(stranger, operation, content=content), 404)
    assert {**theirs, "request_id": ""} == {**nobodys, "request_id": ""}
    # It still is what it was, for whose it is.
    if operation.method != "DELETE":
        assert stage.id_for(operation.path) in target


@each_operation(lambda each: names_something(each) and each.method == "GET")
def test_head_and_options_tell_nothing_of_it(
    operator: httpx.Client,
    stranger: httpx.Client,
    anybody: httpx.Client,
    stage: Stage,
    operation: Operation,
) -> None:
    there, nowhere = stage.target(operation), operation.at(NOBODY)
    for client, status in ((stranger, 404), (anybody, 401)):
        answers = [client.head(path) for path in (there, nowhere)]
        assert [each.status_code for each in answers] == [status, status]
        assert [each.content for each in answers] == [b"", b""]
        assert headers(answers[0]) == headers(answers[1])
        assert "etag" not in answers[0].headers
    for client in (operator, stranger, anybody):
        answers = [client.options(path) for path in (there, nowhere)]
        assert [each.status_code for each in answers] == [204, 204]
        assert headers(answers[0]) == headers(answers[1])
    mine = operator.head(there)
    assert (mine.status_code, mine.content) == (200, b"")


def headers(answer: httpx.Response) -> Json:
    return {name: value for name, value in answer.headers.items() if name not in MOVING}


def listed(operation: Operation) -> bool:
    return operation.needs_key and "cursor" in operation.query and operation.id != "listKeys"


@each_operation(lambda each: listed(each) and each.path.startswith(("/v1/ref", "/v1/off")))
def test_cursors_are_of_one_key(
    operator: httpx.Client, stranger: httpx.Client, stage: Stage, operation: Operation
) -> None:
    for _ in range(2):
        stage.sent()
    page = call(operator, operation, raw_query="limit=1").json()
    cursor = page["next"]
    assert cursor is not None
    following = call(operator, operation, raw_query=f"limit=1&cursor={cursor}").json()
    assert following["items"][0]["id"] != page["items"][0]["id"]
    answer = call(stranger, operation, raw_query=f"limit=1&cursor={cursor}")
    assert parameters_in(problem_of(answer, 400)) == ["cursor"]


def test_a_name_of_a_request_is_of_one_key(
    operator: httpx.Client, stranger: httpx.Client, stage: Stage
) -> None:
    send = next(each for each in OPERATIONS if each.id == "sendReferral")
    named = {"Idempotency-Key": "of-one-key"}
    mine = stage.call(operator, send, headers=named).json()
    theirs = stage.call(stranger, send, headers=named)
    assert theirs.status_code == 201, theirs.text
    assert theirs.json()["id"] != mine["id"]
    assert theirs.json()["tracking_url"] != mine["tracking_url"]
    # Each again its own.
    assert stage.call(operator, send, headers=named).json() == mine
    assert stage.call(stranger, send, headers=named).json() == theirs.json()


def test_every_letter_of_a_tracking_link_counts(anybody: httpx.Client, stage: Stage) -> None:
    token = stage.token()
    assert anybody.get(f"/v1/track/{token}").status_code == 200
    tampered = {
        token[:at] + other + token[at + 1 :] for at in range(len(token)) for other in "AQgw0-"
    }
    tampered |= {token[:-1], token + "A", token + "=", token.swapcase(), token[::-1], "A" * 43}
    for each in tampered - {token}:
        problem_of(anybody.get(f"/v1/track/{each}"), 404)


@each_operation(lambda each: not each.needs_key and each.method == "GET")
def test_what_is_open_says_nothing_of_patients(
    anybody: httpx.Client, stage: Stage, operation: Operation
) -> None:
    sent = stage.sent(patient=PATIENT, reason=PATIENT["family_name"])
    token = str(sent["tracking_url"]).rpartition("/")[2]
    private = [*PATIENT.values(), sent["id"], sent["offers"][0]["id"], token]
    for part in (NOBODY, sent["id"], stage.clinic, token, "crps"):
        for word in ("", PATIENT["family_name"]) if "q" in operation.query else ("",):
            query = f"q={word}" if word else ""
            answer = call(anybody, operation, target=operation.at(part), raw_query=query)
            assert answer.status_code in (200, 400, 404), answer.text
            assert [each for each in private if each in answer.text + str(answer.headers)] == []


@each_operation(lambda each: each.body is not None and "/referrals" in each.path)
def test_nobody_writes_what_steps_write(
    operator: httpx.Client, stage: Stage, operation: Operation
) -> None:
    assert operation.body is not None
    for name in ("referrer_id", "principal", "owner_clinic_id", "offered_to", "due_at", "actions"):
        body = {**operation.body, name: stage.another_clinic}
        content = httpx.Request("POST", "/", json=body).read()
        answer = stage.call(operator, operation, content=content)
        assert f"/{name}" in [each["pointer"] for each in problem_of(answer, 400)["errors"]]
