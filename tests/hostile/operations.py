"""Every operation of the service as the committed OpenAPI document tells it, so that none is
forgotten here, with what it takes to call each of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from uuid import uuid4

import httpx
import msgspec
import pytest

from api.operations import ProblemDocument
from api.referrals.examples import REFERRAL
from openapi.__main__ import COMMITTED

Json = dict[str, Any]

CANARY: Final = "canary-5e2d9a"
DOCUMENT: Final[Json] = json.loads(COMMITTED.read_bytes())
NOBODY: Final = "0190a7c2-5f0e-7d4b-9a53-2f6f0f3c1a77"
"""The id of nothing."""
ONE_CLINIC: Final = "0190a7c2-5f0e-7d4b-9a53-2f6f0f3c1a78"
"""In a body it stands for a clinic that is there; see `stage.Stage.call`."""
ANOTHER_CLINIC: Final = "0190a7c2-5f0e-7d4b-9a53-2f6f0f3c1a79"

_PREFERENCES: Final[Json] = {
    **REFERRAL["preferences"],
    "clinics": [ONE_CLINIC],
    "exclude": [ANOTHER_CLINIC],
}
_REFERRAL: Final[Json] = {
    **REFERRAL,
    "preferences": _PREFERENCES,
    "consent": {**REFERRAL["consent"], "notify": False},
    "referrer": {
        "name": "Example Physician",
        "registration": {"system": "npi", "value": "1234567893"},
        "organization": "Example Surgery",
        "phone": "+16025550101",
        "email": "physician@surgery.example",
    },
    "duplicate_reason": "The other one is for the other hand.",
}
# Where the documented example leaves out what may be left out.
_WITH_EVERYTHING: Final[dict[str, Json]] = {
    "sendReferral": _REFERRAL,
    "matchReferral": _REFERRAL,
    "routeReferral": {"preferences": _PREFERENCES},
    "replayDeliveries": {
        "since": "2026-11-22T00:00:00Z",
        "deliveries": [NOBODY],
        "only": "dead",
    },
}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    method: str
    path: str
    """With the names of its parameters in braces."""
    needs_key: bool
    needs_version: bool
    """Whether it takes If-Match."""
    needs_name: bool
    """Whether it takes an Idempotency-Key."""
    query: Mapping[str, Json]
    """The schema of each query parameter."""
    body: Json | None
    """A right one: the documented example, or one with more in it."""
    body_schema: Json
    body_is_optional: bool
    success: Json

    def at(self, part: str) -> str:
        """The path with that in the place of each parameter."""
        return re.sub(r"\{[^}]*\}", lambda _: part, self.path)

    @property
    def target(self) -> str:
        """A path that finds nothing, or the only one there is."""
        return self.at(NOBODY)

    def required(self) -> dict[str, str]:
        """The query parameters that cannot be left out."""
        return {"q": "phoe"} if self.id == "findPlaces" else {}


def _operation(path: str, method: str, told: Json) -> Operation:
    parameters = cast("list[Json]", told.get("parameters", []))
    contents = cast("list[Json]", list(told.get("requestBody", {}).get("content", {}).values()))
    headers = {each["name"] for each in parameters if each["in"] == "header"}
    example = contents[0]["example"] if contents else None
    return Operation(
        id=told["operationId"],
        method=method.upper(),
        path=path,
        needs_key="security" in told,
        needs_version="If-Match" in headers,
        needs_name="Idempotency-Key" in headers,
        query={each["name"]: each["schema"] for each in parameters if each["in"] == "query"},
        body=_WITH_EVERYTHING.get(told["operationId"], example),
        body_schema=contents[0]["schema"] if contents else {},
        body_is_optional=not told.get("requestBody", {}).get("required", False),
        success=next(told["responses"][each] for each in told["responses"] if each < "400"),
    )


OPERATIONS: Final = [
    _operation(path, method, told)
    for path, item in DOCUMENT["paths"].items()
    for method, told in item.items()
]
PATHS: Final = sorted(DOCUMENT["paths"])


def methods_of(path: str) -> list[str]:
    """As the Allow header names them."""
    methods = {method.upper() for method in DOCUMENT["paths"][path]} | {"OPTIONS"}
    return sorted(methods | ({"HEAD"} if "GET" in methods else set()))


def each_operation(
    which: Callable[[Operation], object] = lambda _: True,
) -> pytest.MarkDecorator:
    chosen = [operation for operation in OPERATIONS if which(operation)]
    assert chosen
    return pytest.mark.parametrize("operation", chosen, ids=[each.id for each in chosen])


def call(
    client: httpx.Client,
    operation: Operation,
    *,
    target: str | None = None,
    raw_query: str = "",
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> httpx.Response:
    """A call in which everything is right that is not given."""
    sent = {"If-Match": "*"} if operation.needs_version else {}
    if operation.needs_name:
        sent["Idempotency-Key"] = uuid4().hex
    if content is None and operation.body is not None:
        content = json.dumps(operation.body).encode()
    if content is not None:
        sent["Content-Type"] = "application/json"
    required = "&".join(
        f"{name}={value}"
        for name, value in operation.required().items()
        if not re.search(rf"(^|&){name}=", raw_query)
    )
    query = "&".join(part for part in (required, raw_query) if part)
    path = operation.target if target is None else target
    return client.request(
        operation.method,
        f"{path}?{query}" if query else path,
        headers={**sent, **(headers or {})},
        content=content,
    )


def problem_of(answer: httpx.Response, *statuses: int) -> Json:
    """The problem document of an answer with one of these statuses, held to its form; nothing of
    the canary is in it."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:2000])
    assert answer.headers["content-type"] == "application/problem+json"
    body: Json = answer.json()
    found = msgspec.convert(body, ProblemDocument)
    assert found.status == answer.status_code
    assert re.fullmatch(r"/problems/[a-z0-9-]+", found.type)
    assert found.title
    assert found.detail
    assert found.request_id == answer.headers["x-request-id"]
    for error in found.errors:
        assert (error.pointer is None) != (error.parameter is None)
        assert error.message
    assert_silent(answer)
    return body


def assert_silent(answer: httpx.Response) -> None:
    """Nothing of what was sent comes back."""
    assert "canary" not in answer.text.lower()
    assert "canary" not in str(answer.headers).lower()


def parameters_in(problem: Json) -> list[str]:
    return [error["parameter"] for error in problem["errors"]]


def pointers_in(problem: Json) -> list[str]:
    return [error["pointer"] for error in problem["errors"]]
