"""Query strings and paths that nobody should send, on every route."""

from __future__ import annotations

from typing import Final

import httpx
import pytest

from tests.hostile.operations import (
    CANARY,
    OPERATIONS,
    Operation,
    call,
    each_operation,
    parameters_in,
    problem_of,
)
from tests.hostile.stage import Stage

# Not text at all: refused wherever they stand.
UNREADABLE: Final = {
    "NUL": "%00",
    "NUL in a text": f"{CANARY}%00{CANARY}",
    "not UTF-8": f"{CANARY}%ff",
    "overlong": "%c0%ae",
    "lone surrogate": "%ed%a0%80",
    "broken escape": f"{CANARY}%zz",
    "escape cut off": f"{CANARY}%",
}
LONG: Final = CANARY + "9" * 10_000
# Text, and no number, date, code, cursor or place.
UNUSABLE: Final = {
    "canary": CANARY,
    "10,000 characters": LONG,
    "emoji": f"{CANARY}%F0%9F%98%80",
    "line break": f"{CANARY}%0d%0aX-Injected:%20{CANARY}",
    "markup": f"%3Cscript%3E{CANARY}%3C/script%3E",
    "SQL": f"%27;drop%20table%20clinic;--{CANARY}",
    "file": f"..%2f..%2f..%2fetc%2fpasswd{CANARY}",
    "template": "%7B%7B7*7%7D%7D",
    "nan": "nan",
    "inf": "inf",
    "-inf": "-inf",
    "1e999999": "1e999999",
    "-5": "-5",
    "5.0": "5.0",
    "beyond int4": "2147483648",
    "beyond int8": "9223372036854775808",
    "beyond any": "9" * 400,
    "other digits": "%D9%A1%D9%A2",
    "naive date-time": "2026-11-22T09:00:00",
    "before the calendar": "0001-01-01T00:00%2B14:00",
    "after the calendar": "9999-12-31T23:59-14:00",
    "nothing": "",
}  # fmt: skip
# Words that a search, or the audit trail, takes as they are, whatever they say.
FREE_TEXT: Final = {"q", "director", "organization", "object", "actor"}
PARAMETERS: Final = [(each, name) for each in OPERATIONS for name in each.query]


def names(pairs: list[tuple[Operation, str]]) -> list[str]:
    return [f"{operation.id}-{name}" for operation, name in pairs]


@each_operation()
def test_a_parameter_that_the_route_does_not_know(
    operator: httpx.Client, operation: Operation
) -> None:
    for raw in (
        f"unexpected={CANARY}",
        f"unexpected={LONG}",
        "unexpected",
        "Limit=5",
        "limit%5B%5D=5",
    ):
        found = problem_of(call(operator, operation, raw_query=raw), 400)
        assert found["type"] == "/problems/unknown-parameter"
        assert parameters_in(found) == [raw.partition("=")[0] if "%" not in raw else "(name)"]


@each_operation()
def test_names_that_cannot_be_repeated(operator: httpx.Client, operation: Operation) -> None:
    for raw in UNREADABLE.values():
        assert parameters_in(problem_of(call(operator, operation, raw_query=raw), 400)) == [
            "(query string)"
        ]
    for raw in (f"%0d%0aX-Injected:%20{CANARY}=1", f"%F0%9F%98%80{CANARY}=1", f"{LONG}=1"):
        answer = call(operator, operation, raw_query=raw)
        assert parameters_in(problem_of(answer, 400)) == ["(name)"]
        assert "x-injected" not in answer.headers


@pytest.mark.parametrize(("operation", "name"), PARAMETERS, ids=names(PARAMETERS))
def test_values_that_are_not_text(operator: httpx.Client, operation: Operation, name: str) -> None:
    for case, value in UNREADABLE.items():
        found = problem_of(call(operator, operation, raw_query=f"{name}={value}"), 400)
        assert parameters_in(found) == ["(query string)"], case


@pytest.mark.parametrize(("operation", "name"), PARAMETERS, ids=names(PARAMETERS))
def test_values_that_cannot_be_used(
    operator: httpx.Client, operation: Operation, name: str
) -> None:
    for case, value in UNUSABLE.items():
        answer = call(operator, operation, raw_query=f"{name}={value}")
        if answer.status_code == 200 and may_be_taken(operation, name, case):
            continue
        found = problem_of(answer, *((400, 404) if name == "near" else (400,)))
        assert parameters_in(found) == [name], case
        assert "x-injected" not in answer.headers


def may_be_taken(operation: Operation, name: str, case: str) -> bool:
    """Free words are free, though not of any length; a language is any tag of the form."""
    if name == "language":
        return case in ("canary", "nan", "inf")
    return name in FREE_TEXT and case != "10,000 characters"


SINGLE: Final = [
    (each, name) for each, name in PARAMETERS if each.query[name].get("type") != "array"
]


@pytest.mark.parametrize(("operation", "name"), SINGLE, ids=names(SINGLE))
def test_a_single_parameter_sent_twice(
    operator: httpx.Client, operation: Operation, name: str
) -> None:
    schema = operation.query[name]
    value = next(
        str(each)
        for each in (schema.get("default"), schema.get("minimum"), "85016")
        if each is not None
    )
    value = {"accepting": "yes", "sort": "name", "ended": "true"}.get(name, value)
    found = problem_of(call(operator, operation, raw_query=f"{name}={value}&{name}={value}"), 400)
    assert name in parameters_in(found)


@each_operation(lambda each: "limit" in each.query)
def test_limits(operator: httpx.Client, operation: Operation) -> None:
    for value in ("0", "-1", "-5", "5.0", "1e1", "%2B5", "0x5", "5,", "101", "1000000", "", "%205"):
        found = problem_of(call(operator, operation, raw_query=f"limit={value}"), 400)
        assert parameters_in(found) == ["limit"]


@each_operation()
def test_a_thousand_parameters(operator: httpx.Client, operation: Operation) -> None:
    raw = "&".join(["condition=crps"] * 1000)
    assert parameters_in(problem_of(call(operator, operation, raw_query=raw), 400)) == [
        "(query string)"
    ]


BAD_PARTS: Final = [
    *UNREADABLE.values(),
    *(value for value in UNUSABLE.values() if value),
    "00000000-0000-0000-0000-000000000000",
    "%20",
]


@each_operation(lambda each: "{" in each.path)
def test_path_parts_that_are_nobody(operator: httpx.Client, operation: Operation) -> None:
    for part in BAD_PARTS:
        answer = call(operator, operation, target=operation.at(part))
        found = problem_of(answer, 404)
        assert "errors" not in found
        assert "x-injected" not in answer.headers


@each_operation(lambda each: "cursor" in each.query)
def test_cursors_of_others(operator: httpx.Client, stage: Stage, operation: Operation) -> None:
    """Taken from another list, or changed by a letter."""
    for _ in range(2):
        stage.sent()
    given: dict[str, str] = {}
    for other in OPERATIONS:
        if "cursor" in other.query:
            of_a_clinic = other.path.startswith("/v1/clinics/")
            target = other.at(stage.clinic) if of_a_clinic else stage.target(other)
            page = call(operator, other, target=target, raw_query="limit=1").json()
            if page.get("next") is not None:
                given[other.id] = page["next"]
    assert {"listReferrals", "listOffers", "listAudit", "listKeys"} <= set(given)
    for other_id, cursor in given.items():
        for changed in (
            cursor,
            cursor[:-1],
            cursor + "A",
            cursor + "=",
            cursor.swapcase(),
            cursor[::-1],
        ):
            if (changed, other_id) != (cursor, operation.id):
                answer = call(operator, operation, raw_query=f"limit=1&cursor={changed}")
                found = problem_of(answer, 400)
                assert parameters_in(found) == ["cursor"]
