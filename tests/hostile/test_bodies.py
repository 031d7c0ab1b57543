"""Bodies that nobody should send, to every route that takes one."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any, Final, cast

import httpx
import pytest

from tests.hostile.conftest import MOST_BYTES
from tests.hostile.operations import (
    CANARY,
    DOCUMENT,
    OPERATIONS,
    Json,
    Operation,
    call,
    each_operation,
    parameters_in,
    pointers_in,
    problem_of,
)
from tests.hostile.stage import Stage

DEEP: Final = 30_000
WITH_BODY: Final = [each for each in OPERATIONS if each.body is not None]


def takes_body(operation: Operation) -> bool:
    return operation.body is not None


def leaves(value: Any, pointer: str = "") -> Iterator[str]:
    """JSON pointers of everything in a document, the whole first."""
    yield pointer
    if isinstance(value, dict):
        for name, inner in cast("Json", value).items():
            yield from leaves(inner, f"{pointer}/{name}")
    elif isinstance(value, list):
        for position, inner in enumerate(cast("list[Any]", value)):
            yield from leaves(inner, f"{pointer}/{position}")


def put(document: Json, pointer: str, value: object) -> Any:
    """A copy with that in the place of what was there."""
    if pointer == "":
        return value
    made = copy.deepcopy(document)
    place: Any = made
    *parents, last = pointer.split("/")[1:]
    for part in parents:
        place = place[int(part) if part.isdigit() else part]
    place[int(last) if last.isdigit() else last] = value
    return made


PLACES: Final = [(each, pointer) for each in WITH_BODY for pointer in leaves(each.body) if pointer]
IDS: Final = [f"{operation.id}{pointer}" for operation, pointer in PLACES]

MARK: Final = "\ue000"
"""Stands for the raw JSON that is put in its place."""
# JSON that no field of any body takes.
NEVER: Final = {
    "NUL": f'"{CANARY}\\u0000"',
    "lone surrogate": f'"{CANARY}\\ud800"',
    "raw bytes": f'"{CANARY}\udcff"',
    "raw NUL": f'"{CANARY}\0"',
    "raw line break": f'"{CANARY}\r\n"',
    "NaN": "NaN",
    "-Infinity": "-Infinity",
    "1e999999": "1e999999",
    "beyond int8": "9223372036854775808",
    "below int8": "-9223372036854775809",
    "4,000 digits": "9" * 4000,
    "object of its own": f'{{"{CANARY}": 1}}',
    "nested": "[" * 500 + "]" * 500,
    "naive date-time": '"2026-11-22T09:00:00"',
    "before the calendar": '"0001-01-01T00:00:00+14:00"',
}  # fmt: skip
# JSON that some field may take, and that must do no harm where it is taken.
SOMETIMES: Final = {
    "line break": f'"{CANARY}\\r\\nX-Injected: {CANARY}"',
    "emoji": f'"{CANARY} \U0001f600"',
    "10,000 characters": f'"{CANARY}{"x" * 10_000}"',
    "blank": '" "',
    "empty": '""',
    "null": "null",
    "truth": "true",
    "beyond int4": "2147483648",
    "-5": "-5",
    "5.5": "5.5",
    "1e308": "1e308",
    "-0.0": "-0.0",
    "list": "[]",
    "list of a word": f'["{CANARY}"]',
    "list of many": json.dumps([CANARY] * 1000),
    "object": "{}",
    "right to left": f'"\\u202e{CANARY}"',
    "SQL": f'"\'; drop table clinic; -- {CANARY}"',
}  # fmt: skip
# Where a body that is right in itself meets something else.
MORE_THAN_BAD: Final = {
    # No clinic takes patients at immediate risk: they are told whom to call. And without a reason
    # for a duplicate, there is one by then.
    "sendReferral": (409, 422),
    "matchReferral": (422,),
}
FREE_TEXT_TAKES: Final = {"naive date-time", "before the calendar"}


def with_raw(operation: Operation, pointer: str, raw: str) -> bytes:
    assert operation.body is not None
    text = json.dumps(put(operation.body, pointer, MARK), ensure_ascii=False)
    return text.replace(f'"{MARK}"', raw).encode("utf-8", "surrogateescape")


def left_out(schema: Json, value: Any, pointer: str = "") -> Iterator[str]:
    """Pointers of what a schema knows and a document does not have."""
    if "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for option in schema.get("oneOf", schema.get("anyOf", ())):
        if option.get("type") != "null":
            yield from left_out(option, value, pointer)
    for name, inner in schema.get("properties", {}).items():
        if not isinstance(value, dict) or name not in value:
            yield f"{pointer}/{name}"
        else:
            yield from left_out(inner, cast("Json", value)[name], f"{pointer}/{name}")
    if "items" in schema and not value:
        yield f"{pointer}/0"
    elif "items" in schema:
        yield from left_out(schema["items"], value[0], f"{pointer}/0")


@each_operation(lambda each: takes_body(each) and "/clinics" not in each.path)
def test_every_field_is_tried(operation: Operation) -> None:
    """The profile of a clinic has more: what it takes is tested in tests/directory."""
    assert list(left_out(operation.body_schema, operation.body)) in ([], ["/expires_at"])


@pytest.mark.parametrize(("operation", "pointer"), PLACES, ids=IDS)
def test_what_no_field_takes(
    operator: httpx.Client, stage: Stage, operation: Operation, pointer: str
) -> None:
    for case, raw in NEVER.items():
        answer = stage.call(operator, operation, content=with_raw(operation, pointer, raw))
        if case in FREE_TEXT_TAKES and answer.status_code < 300:
            continue
        if answer.status_code == 404:
            # The clinic in the path is not there, and the body was well-formed.
            assert case in FREE_TEXT_TAKES, case
            continue
        found = problem_of(answer, 400)
        assert found["errors"], case
        for at in pointers_in(found):
            assert at == "" or at.startswith(pointer.rsplit("/", 1)[0]), (case, at)


@pytest.mark.parametrize(("operation", "pointer"), PLACES, ids=IDS)
def test_what_some_fields_take(
    operator: httpx.Client, stage: Stage, operation: Operation, pointer: str
) -> None:
    for raw in SOMETIMES.values():
        answer = stage.call(operator, operation, content=with_raw(operation, pointer, raw))
        assert "x-injected" not in answer.headers
        if answer.status_code >= 300:
            found = problem_of(answer, 400, 404, *MORE_THAN_BAD.get(operation.id, ()))
            assert answer.status_code != 404 or operation.path not in stage.paths, found


@each_operation(takes_body)
def test_what_is_not_json(operator: httpx.Client, stage: Stage, operation: Operation) -> None:
    whole = json.dumps(operation.body)
    for raw in (
        *(() if operation.body_is_optional else (b"",)),
        b" ",
        CANARY.encode(),
        f"{{{CANARY}".encode(),
        whole[:-1].encode(),
        (whole + "{}").encode(),
        whole.encode("utf-16"),
        b"\xef\xbb\xbf" + whole.encode(),
        b"\xff\xfe",
        b"\x00",
        f"'{CANARY}'".encode(),
        b"[" * DEEP,
        b"[" * DEEP + b"]" * DEEP,
        b'{"a":' * (DEEP // 3),
        b'{"name":' + b"[" * DEEP,
        b'{"name":' + b"[" * DEEP + b"]" * DEEP + b"}",
    ):
        found = problem_of(stage.call(operator, operation, content=raw), 400)
        assert found["type"] == "/problems/invalid-body"
        assert pointers_in(found)
    null = () if operation.body_is_optional else (b"null",)
    for raw in (b"[]", b"1", *null, f'"{CANARY}"'.encode(), b"1e999999"):
        assert pointers_in(problem_of(stage.call(operator, operation, content=raw), 400))


@each_operation(takes_body)
def test_40_000_deep(operator: httpx.Client, stage: Stage, operation: Operation) -> None:
    problem_of(stage.call(operator, operation, content=b"[" * 40_000), 400)
    problem_of(stage.call(operator, operation, content=b'{"a":' * 13_000), 400)


@each_operation(takes_body)
def test_fields_that_are_the_services_own(
    operator: httpx.Client, stage: Stage, operation: Operation
) -> None:
    assert operation.body is not None
    for name in ("id", "state", "version", "status", "slug", "owner", "clinic_id", "created_at"):
        for value in (CANARY, 1, None):
            body = {**operation.body, name: value}
            answer = stage.call(operator, operation, content=json.dumps(body).encode())
            assert f"/{name}" in pointers_in(problem_of(answer, 400))


@each_operation(takes_body)
def test_keys_that_stand_twice(operator: httpx.Client, stage: Stage, operation: Operation) -> None:
    assert operation.body is not None
    for name, value in operation.body.items():
        again = f'{{"{name}": "{CANARY}", {json.dumps(operation.body)[1:]}'
        found = problem_of(stage.call(operator, operation, content=again.encode()), 400)
        assert pointers_in(found) == [f"/{name}"]
        del value


@each_operation(takes_body)
def test_other_kinds_of_content(operator: httpx.Client, stage: Stage, operation: Operation) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=canary",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        f"application/{CANARY}",
        f"application/json; charset={CANARY}",
        "application/xml",
        "*/*",
        "",
    ):
        answer = stage.call(operator, operation, headers={"Content-Type": kind})
        problem_of(answer, 415)
        assert answer.headers["accept"] == "application/json"


@each_operation(takes_body)
def test_bodies_beyond_the_limit(
    operator: httpx.Client, stage: Stage, key: str, operation: Operation
) -> None:
    body = json.dumps(operation.body).encode()
    fits = body + b" " * (MOST_BYTES - len(body))
    assert stage.call(operator, operation, content=fits).status_code != 413

    def in_pieces() -> Iterator[bytes]:
        for at in range(0, MOST_BYTES + 4096, 4096):
            yield (fits + b" " * 4096)[at : at + 4096]

    def send(content: bytes | Iterator[bytes]) -> httpx.Response:
        # A connection of its own: the service closes it instead of reading on.
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        return httpx.request(
            operation.method,
            f"{operator.base_url}{stage.target(operation)}",
            headers={**headers, "If-Match": "*", "Idempotency-Key": "same"},
            content=content,
            timeout=30,
        )

    for content in (fits + b" ", in_pieces()):
        answer = send(content)
        assert problem_of(answer, 413)["type"] == "/problems/body-too-large"
        assert answer.headers["connection"] == "close"


@each_operation(lambda each: each.needs_version)
def test_versions_that_are_none(operator: httpx.Client, stage: Stage, operation: Operation) -> None:
    is_of_a_clinic = operation.path.startswith("/v1/clinics")
    target = operation.at(stage.another_clinic) if is_of_a_clinic else stage.target(operation)
    content = None
    if operation.body is not None:
        content = stage.named(json.dumps(operation.body).encode())
    missing = operator.request(
        operation.method, target, content=content, headers={"Content-Type": "application/json"}
    )
    assert problem_of(missing, 428)["type"] == "/problems/version-required"
    for given in ("3", CANARY, "\x81", "* *", '"1', "W/", "9" * 10_000, "", '"\xe9"', "*, *"):
        answer = operator.request(
            operation.method,
            target,
            content=content,
            headers=[
                (b"Content-Type", b"application/json"),
                (b"If-Match", given.encode("latin-1")),
            ],
        )
        assert parameters_in(problem_of(answer, 400)) == ["If-Match"], given
    for given in ('"0"', f'"{CANARY}"', 'W/"1"', '""', f'"0", "{CANARY}"'):
        answer = call(
            operator, operation, target=target, headers={"If-Match": given}, content=content
        )
        assert problem_of(answer, 412)["type"] == "/problems/stale-version"


def test_nothing_of_all_this_was_stored(operator: httpx.Client) -> None:
    """What was refused left no trace; what was taken is still plain text."""
    for each in operator.get("/v1/clinics?limit=100").json()["items"]:
        stored = operator.get(f"/v1/clinics/{each['clinic']['id']}").text
        assert "\\u0000" not in stored
        assert "\\r" not in stored
