"""Which refusal comes first, when there are several reasons: docs/referrals.md says it, too.

Whoever may not do something is told so before anything is said of what they sent; what is wrong
with the request itself comes before what it names; and of something that is not the caller's, it
is not said in which state or version it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Final

import httpx
import pytest

from tests.faults.deployment import Deployment, caller
from tests.hostile.conftest import MOST_BYTES
from tests.hostile.operations import OPERATIONS, Operation, problem_of
from tests.hostile.stage import Stage
from tests.services import Service

STEPS: Final = [
    operation
    for operation in OPERATIONS
    if operation.needs_version and operation.path.startswith(("/v1/referrals", "/v1/offers"))
]
SENDING: Final = next(each for each in OPERATIONS if each.id == "sendReferral")
RISK: Final = {"immediate_suicide_risk": True}


class Attempt:
    """A request in which everything is wrong, and is mended one thing after the other."""

    def __init__(self, target: Service, operation: Operation, path: str) -> None:
        self._url = target.url
        self._method = operation.method
        self.path = path
        self.key = ""
        self.query = "?unknown=1"
        self.content: bytes | None = b"{" * (MOST_BYTES + 1)
        self.headers = {"Content-Type": "text/plain"}

    def says(self, status: int, slug: str, at: str | None = None) -> None:
        headers = {**self.headers, **({"Authorization": f"Bearer {self.key}"} if self.key else {})}
        # A connection of its own: the service closes those whose bodies it does not read.
        answer = httpx.request(
            self._method,
            f"{self._url}{self.path}{self.query}",
            headers=headers,
            content=self.content,
            timeout=30,
        )
        found = problem_of(answer, status)
        assert found["type"] == f"/problems/{slug}", found
        if at is not None:
            assert at in [each.get("pointer", each.get("parameter")) for each in found["errors"]]


@pytest.fixture(scope="module")
def useless(hostile: Deployment) -> str:
    return hostile.key("directory:write", "admin")


@pytest.mark.parametrize("operation", STEPS, ids=[each.id for each in STEPS])
def test_of_a_step(
    hostile: Deployment,
    target: Service,
    useless: str,
    key: str,
    operation: Operation,
    stage: Stage,
    elsewhere: Callable[[Operation], str],
    over: Callable[[Operation], str],
) -> None:
    attempt = Attempt(target, operation, elsewhere(operation))
    attempt.says(401, "unauthenticated")
    attempt.key = useless
    attempt.says(403, "forbidden")
    attempt.key = key
    attempt.says(400, "unknown-parameter", "unknown")
    attempt.query = ""
    if operation.body is not None:
        attempt.says(415, "unsupported-media-type")
        attempt.headers["Content-Type"] = "application/json"
        attempt.says(413, "body-too-large")
        attempt.content = b'{"unknown": 1}'
        attempt.says(400, "invalid-body", "/unknown")
        attempt.content = stage.named(json.dumps(operation.body).encode())
    else:
        attempt.content = None
    attempt.says(428, "version-required")
    attempt.headers["If-Match"] = "no version"
    attempt.says(400, "invalid-parameter", "If-Match")
    attempt.headers["If-Match"] = '"999999"'
    # That of somebody else is possible, and in another version.
    attempt.says(404, "not-found")
    attempt.path = over(operation)
    attempt.says(409, "not-possible-now")
    attempt.path = stage.target(operation)
    attempt.says(412, "stale-version")
    attempt.headers["If-Match"] = "*"
    with caller(target, key) as client:
        done = stage.call(client, operation)
    assert done.status_code == 200, done.text


def test_of_sending(target: Service, useless: str, key: str, stage: Stage) -> None:
    assert SENDING.body is not None
    right = json.loads(stage.named(json.dumps(SENDING.body).encode()))
    right["patient"]["given_name"] = "Order"
    first = {**right, "duplicate_reason": None}
    attempt = Attempt(target, SENDING, SENDING.path)
    attempt.says(401, "unauthenticated")
    attempt.key = useless
    attempt.says(403, "forbidden")
    attempt.key = key
    attempt.says(400, "unknown-parameter", "unknown")
    attempt.query = ""
    attempt.says(415, "unsupported-media-type")
    attempt.headers["Content-Type"] = "application/json"
    attempt.says(413, "body-too-large")
    unsafe = {**first, "screening": {**right["screening"], **RISK}, "conditions": ["no-such"]}
    attempt.content = json.dumps({**unsafe, "state": "accepted"}).encode()
    attempt.says(400, "invalid-body", "/state")
    attempt.content = json.dumps(unsafe).encode()
    attempt.says(400, "idempotency-key-missing", "Idempotency-Key")
    attempt.headers["Idempotency-Key"] = "order-1"
    # Help is named although the referral could not be taken for other reasons.
    attempt.says(422, "immediate-risk")
    attempt.content = json.dumps({**first, "conditions": ["no-such"]}).encode()
    attempt.says(400, "invalid-body", "/conditions/0")

    def sends(body: object) -> httpx.Response:
        headers = {**attempt.headers, "Authorization": f"Bearer {key}"}
        return httpx.post(f"{target.url}{SENDING.path}", json=body, headers=headers, timeout=30)

    done = sends(first)
    assert done.status_code == 201, done.text
    again = sends(first)
    assert (again.status_code, again.json()) == (201, done.json())
    # What was sent under that name stands, whatever now is wrong with another request.
    for other in ({**first, "reason": "Other"}, {**first, "conditions": ["no-such"]}):
        attempt.content = json.dumps(other).encode()
        attempt.says(422, "idempotency-key-reused")
    # Nobody at risk is held up by the name of a request.
    attempt.content = json.dumps(unsafe).encode()
    attempt.says(422, "immediate-risk")
    attempt.headers["Idempotency-Key"] = "order-2"
    attempt.content = json.dumps(first).encode()
    attempt.says(409, "duplicate-referral", "/duplicate_reason")


@pytest.fixture(scope="module")
def elsewhere(
    hostile: Deployment, target: Service, stage: Stage
) -> Iterator[Callable[[Operation], str]]:
    """For a step, what somebody else could do it to."""
    key = hostile.key("referrals:write", f"clinic:{stage.another_clinic}")
    with caller(target, key) as client:
        theirs = Stage(client, stage.another_clinic, stage.clinic)
        yield theirs.target


@pytest.fixture(scope="module")
def over(stage: Stage, operator: httpx.Client) -> Callable[[Operation], str]:
    """For a step, one of the caller's own that it is too late for: completed, or its offer."""
    referral = stage.started()
    seen = operator.get(f"/v1/referrals/{referral}").json()
    [offer] = [each["id"] for each in seen["offers"]]
    body = {"outcome": "Better."}
    done = operator.post(f"/v1/referrals/{referral}/complete", json=body, headers={"If-Match": "*"})
    assert done.status_code == 200, done.text
    return lambda operation: operation.at(offer if "{offer}" in operation.path else referral)


def test_every_step_is_tried() -> None:
    assert len(STEPS) == 12
