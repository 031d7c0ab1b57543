"""Every failure is a problem document that repeats nothing of what was sent."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bodies import decode_body
from api.directory.schemas import ClinicPatch, ClinicWrite
from api.errors import InvalidBody, Problem, Unavailable
from api.operations import ProblemDocument
from api.parameters import decode_query
from api.problems import document, meaning, problem_from, problem_types
from db.errors import AlreadyThere, DatabaseUnavailable, TransactionConflict, ValueRefused
from tests.serving import CANARY, Thing, ThingsQuery

Client = httpx.AsyncClient
JSON = {"Content-Type": "application/json"}


def problem_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    msgspec.convert(body, ProblemDocument)
    assert body["status"] == status
    assert body["request_id"] == response.headers["x-request-id"]
    assert CANARY not in response.text
    assert CANARY not in str(response.headers)
    return body


def refused(work: Callable[[], object]) -> Problem | None:
    try:
        work()
    except Problem as problem:
        return problem
    return None


def pointers(body: dict[str, Any]) -> list[str]:
    return sorted(error["pointer"] for error in body["errors"])


DEEP = 40_000
BAD_BODIES: dict[str, tuple[bytes, list[str]]] = {
    "nothing": (b"", [""]),
    "not JSON": (b"name=x", [""]),
    "cut off": (b'{"name": "x"', [""]),
    "two documents": (b'{"name": "x"} {}', [""]),
    "byte order mark": (b'\xef\xbb\xbf{"name": "x"}', [""]),
    "UTF-16": ('{"name": "x"}'.encode("utf-16"), [""]),
    "not UTF-8": (b'{"name": "\xff"}', [""]),
    "UTF-8 of a surrogate": (b'{"name": "\xed\xa0\x80"}', [""]),
    "lone surrogate": (b'{"name": "\\ud800"}', [""]),
    "lone surrogate as a key": (b'{"name": "x", "\\udfff": 1}', [""]),
    "NUL": (b'{"name": "a\\u0000b"}', ["/name"]),
    "NUL in a key": (b'{"name": "x", "notes": {"a\\u0000": "b"}}', ["/notes"]),
    "NUL deep inside": (b'{"name": "x", "notes": {"a": "\\u0000"}}', ["/notes/a"]),
    "raw NUL": (b'{"name": "\x00"}', [""]),
    "NaN": (b'{"name": "x", "whole": {"colour": "red", "weight": NaN}}', [""]),
    "Infinity": (b'{"name": "x", "whole": {"colour": "red", "weight": -Infinity}}', [""]),
    "1e999999": (
        b'{"name": "x", "whole": {"colour": "red", "weight": 1e999999}}',
        ["/whole/weight"],
    ),
    "beyond int8": (b'{"name": "x", "count": 9223372036854775808}', ["/count"]),
    "beyond int4": (b'{"name": "x", "small": 2147483648}', ["/small"]),
    "5,000 digits": (b'{"name": "x", "count": ' + b"9" * 3900 + b"}", ["/count"]),
    "fraction for a count": (b'{"name": "x", "count": 1.5}', ["/count"]),
    "text for a count": (b'{"name": "x", "count": "1"}', ["/count"]),
    "truth for a count": (b'{"name": "x", "count": true}', ["/count"]),
    "naive date-time": (b'{"name": "x", "at": "2026-11-22T09:00:00"}', ["/at"]),
    "before the calendar": (b'{"name": "x", "at": "0001-01-01T00:00:00+14:00"}', ["/at"]),
    "after the calendar": (b'{"name": "x", "at": "9999-12-31T23:59:59-14:00"}', ["/at"]),
    "no such day": (b'{"name": "x", "on": "2026-02-30"}', ["/on"]),
    "no UUID": (b'{"name": "x", "id": "1234"}', ["/id"]),
    "unknown field": (b'{"name": "x", "state": "open"}', ["/state"]),
    "unknown field, unspeakable": (b'{"name": "x", "\\r\\nSet-Cookie: a": 1}', [""]),
    "field missing": (b"{}", ["/name"]),
    "null for a text": (b'{"name": null}', ["/name"]),
    "empty": (b'{"name": ""}', ["/name"]),
    "too long": (json.dumps({"name": CANARY * 3}).encode(), ["/name"]),
    "list for an object": (b"[]", [""]),
    "no such word": (
        json.dumps({"name": "x", "parts": [{"colour": "red"}, {"colour": CANARY}]}).encode(),
        ["/parts/1/colour"],
    ),
    "too many": (
        b'{"name": "x", "parts": [' + b",".join([b'{"colour":"red"}'] * 4) + b"]}",
        ["/parts"],
    ),
    "same key twice": (b'{"name": "x", "count": 1, "count": 2}', ["/count"]),
    "same key twice, written otherwise": (b'{"name": "x", "nam\\u0065": "y"}', ["/name"]),
    "same key twice inside": (
        b'{"name": "x", "parts": [{"colour": "red"}, {"colour": "red", "colour": "red"}]}',
        ["/parts/1/colour"],
    ),
    "several faults": (
        b'{"count": "1", "parts": [{"colour": 1}], "other": 2}',
        ["/count", "/name", "/other", "/parts/0/colour"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_BODIES)
async def test_bad_body_is_pointed_at(edge: Client, case: str) -> None:
    raw, expected = BAD_BODIES[case]
    response = await edge.post("/probe/things", content=raw, headers=JSON)
    body = problem_of(response, 400)
    assert body["type"] == "/problems/invalid-body"
    assert pointers(body) == expected
    assert all(error["message"] for error in body["errors"])


@pytest.mark.parametrize("raw", [b"[" * DEEP, b'{"a":' * DEEP, b'{"notes":' + b"[" * DEEP])
def test_deep_nesting_is_no_fault_of_ours(raw: bytes) -> None:
    with pytest.raises(InvalidBody):
        decode_body(raw, Thing)
    with pytest.raises(InvalidBody):
        decode_body(raw + b"]" * DEEP + b"}", Thing)


def test_messages_say_what_would_be_right() -> None:
    with pytest.raises(InvalidBody) as caught:
        decode_body(
            b'{"name": "", "parts": [{"colour": "green", "weight": 11}], "at": 1, "on": 1}', Thing
        )
    assert {error.pointer: error.message for error in caught.value.errors} == {
        "/name": "must be text of 1 to 20 characters",
        "/parts/0/colour": "must be one of red, blue",
        "/parts/0/weight": "must be null or a number from 0 to 10",
        "/at": "must be null or a date and time with its offset, such as 2026-11-22T09:00:00-07:00",
        "/on": "must be null or a date such as 2026-11-22",
    }


def test_a_good_body_is_what_was_sent() -> None:
    raw = (
        b'{"name": "x \xf0\x9f\x98\x80", "count": -9223372036854775808, "at": '
        b'"2026-11-22T09:00:00-07:00", "parts": [{"colour": "red", "weight": 1e1}], '
        b'"notes": {"a/b": ""}}'
    )
    thing = decode_body(raw, Thing)
    assert (thing.name, thing.count, thing.parts[0].weight) == ("x 😀", -(2**63), 10.0)
    assert thing.whole is msgspec.UNSET


@given(st.binary(max_size=400))
def test_any_bytes_are_a_thing_or_a_problem(raw: bytes) -> None:
    problem = refused(lambda: decode_body(raw, Thing))
    assert problem is None or problem.errors


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
_fields = st.sampled_from([*ClinicWrite.__struct_fields__, "other"])


@given(st.dictionaries(_fields, _values), st.sampled_from([ClinicWrite, ClinicPatch]))
def test_any_profile_is_taken_or_each_fault_is_found(
    fields: dict[str, object], kind: type[ClinicWrite | ClinicPatch]
) -> None:
    raw = json.dumps(fields).encode("utf-8", "surrogatepass")
    problem = refused(lambda: decode_body(raw, kind))
    if problem is not None:
        assert problem.errors
        whole = [error for error in problem.errors if error.pointer == ""]
        unreadable = any(each in raw for each in (b"NaN", b"Infinity", b"\\ud"))
        # What is JSON is never refused as a whole when the fault lies in a field.
        assert not whole or unreadable, problem.errors


def test_a_field_that_alone_is_wrong_is_the_one_named() -> None:
    good: dict[str, Any] = {
        "name": "Example",
        "address": {"city": "Phoenix", "state": "US-AZ", "country": "US"},
        "source": {"name": "Example"},
    }
    decode_body(json.dumps(good).encode(), ClinicWrite)
    for name in (field.encode_name for field in msgspec.structs.fields(ClinicWrite)):
        with pytest.raises(InvalidBody) as caught:
            decode_body(json.dumps({**good, name: {"\x01": CANARY}}).encode(), ClinicWrite)
        assert {str(e.pointer).split("/")[1] for e in caught.value.errors} == {name}
        assert CANARY not in str(document(caught.value, "x"))


BAD_QUERIES: dict[str, tuple[bytes, str]] = {
    "limit=0": (b"limit=0", "limit"),
    "limit=-5": (b"limit=-5", "limit"),
    "limit=5.0": (b"limit=5.0", "limit"),
    "limit=1e1": (b"limit=1e1", "limit"),
    "limit empty": (b"limit=", "limit"),
    "limit in other digits": ("limit=５".encode(), "limit"),
    "limit of many digits": (b"limit=" + b"1" * 5000, "limit"),
    "limit twice": (b"limit=5&limit=5", "limit"),
    "nan": (b"near=nan", "near"),
    "inf": (b"near=-inf", "near"),
    "1e999999": (b"near=1e999999", "near"),
    "word unknown": (b"colour=red&colour=canary-7c1f0b", "colour"),
    "too long": (b"q=canary-7c1f0b", "q"),
    "truth": (b"strict=1", "strict"),
    "naive": (b"since=2026-11-22T09:00:00", "since"),
    "NUL": (b"q=%00", "(query string)"),
    "broken escape": (b"q=%zz", "(query string)"),
    "escape cut off": (b"q=%", "(query string)"),
    "not UTF-8": (b"q=%ff", "(query string)"),
    "surrogate": (b"q=%ed%a0%80", "(query string)"),
    "unknown": (b"limt=5", "limt"),
    "unknown, unspeakable": (b"%0d%0aSet-Cookie=1", "(name)"),
    "too many": (b"&".join([b"colour=red"] * 1000), "(query string)"),
}


@pytest.mark.parametrize("case", BAD_QUERIES)
async def test_bad_query_is_named(edge: Client, case: str) -> None:
    raw, parameter = BAD_QUERIES[case]
    response = await edge.get("/probe/things?" + raw.decode("latin-1"))
    body = problem_of(response, 400)
    assert [error["parameter"] for error in body["errors"]] == [parameter]


def test_a_good_query_is_what_was_sent() -> None:
    query = decode_query(
        b"&near=-1.50&colour=red&colour=blue&q=a+%C3%A9%26&strict=true", ThingsQuery
    )
    assert (query.near, query.colour, query.q, query.strict) == (
        -1.5,
        ["red", "blue"],
        "a é&",
        True,
    )


def test_a_misspelt_parameter_is_set_right() -> None:
    with pytest.raises(Problem, match="perhaps 'limit' is meant"):
        decode_query(b"limti=5", ThingsQuery)


@given(
    st.binary(max_size=60)
    | st.text(max_size=30).map(lambda text: b"q=" + text.encode("utf-8", "surrogatepass"))
)
def test_any_query_is_taken_or_a_problem(raw: bytes) -> None:
    problem = refused(lambda: decode_query(raw, ThingsQuery))
    assert problem is None or (problem.status == 400 and problem.errors)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("Application/JSON; charset=UTF-8", 201),
        ('application/json; charset="utf-8"', 201),
        ("application/json; charset=latin-1", 415),
        ("application/json; charset=utf-16", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/msgpack", 415),
        ("", 415),
    ],
)
async def test_only_json_in_utf8_is_read(edge: Client, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type}
    response = await edge.post("/probe/things", content=b'{"name": "x"}', headers=headers)
    if status == 201:
        assert response.status_code == 201, response.text
    else:
        assert problem_of(response, 415)["type"] == "/problems/unsupported-media-type"


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
async def test_a_body_that_is_packed_is_refused_by_its_header(edge: Client, coding: str) -> None:
    headers = {**JSON, "Content-Encoding": coding}
    response = await edge.post("/probe/things", content=b'{"name": "x"}', headers=headers)
    body = problem_of(response, 415)
    assert "Content-Encoding" in body["detail"]
    assert body["errors"][0]["parameter"] == "Content-Encoding"
    assert coding == "x" or coding not in response.text


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
async def test_a_body_that_says_that_it_is_not_packed_is_read(edge: Client, coding: str) -> None:
    headers = {**JSON, "Content-Encoding": coding}
    response = await edge.post("/probe/things", content=b'{"name": "x"}', headers=headers)
    assert response.status_code == 201


async def test_a_body_that_is_missing_is_said_to_be(edge: Client) -> None:
    for headers in ({}, {"Content-Type": "text/plain"}, JSON):
        body = problem_of(await edge.post("/probe/things", headers=headers), 400)
        assert body["type"] == "/problems/invalid-body"
        assert body["errors"] == [{"message": "is missing; send JSON", "pointer": ""}]


async def test_a_body_at_the_limit_is_read_and_one_beyond_is_not(edge: Client) -> None:
    body = b'{"name": "x"}'
    filled = body + b" " * (4096 - len(body))
    taken = await edge.post("/probe/things", content=filled, headers=JSON)
    assert taken.status_code == 201
    problem_of(await edge.post("/probe/things", content=filled + b" ", headers=JSON), 413)


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("/nowhere", 404, "not-found"),
        ("/probe/things/canary-7c1f0b", 404, "not-found"),
        ("/probe/things/99999999999999999999", 404, "not-found"),
        ("/probe/things/" + "9" * 5000, 404, "not-found"),
        ("/probe/a%00b", 404, "not-found"),
        ("/probe/%0d%0aSet-Cookie:%20a", 404, "not-found"),
        ("/problems/%2e%2e%2fetc", 404, "not-found"),
        ("/problems/nothing", 404, "not-found"),
        ("/docs/..%2f__init__.py", 404, "not-found"),
        ("/probe/refused", 400, "invalid-body"),
        ("/probe/away", 503, "unavailable"),
        ("/probe/crash", 500, "internal-error"),
    ],
)
async def test_what_cannot_be_answered(edge: Client, path: str, status: int, slug: str) -> None:
    response = await edge.get(path)
    assert problem_of(response, status)["type"] == f"/problems/{slug}"
    assert ("retry-after" in response.headers) == (status == 503)


async def test_a_method_that_a_route_does_not_take(edge: Client) -> None:
    response = await edge.request("PURGE", "/probe/things")
    problem_of(response, 405)
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DatabaseUnavailable(CANARY), 503),
        (TransactionConflict(CANARY), 503),
        (ValueRefused(CANARY), 400),
        (AlreadyThere(CANARY, sqlstate="23505", constraint="clinic_slug_key"), 409),
        (UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY), 500),
        (RecursionError(CANARY), 500),
        (OverflowError(CANARY), 500),
    ],
)
def test_no_exception_speaks_for_itself(error: Exception, status: int) -> None:
    problem = problem_from(error)
    assert problem.status == status
    assert CANARY.encode() not in document(problem, "id")
    assert ("Retry-After" in problem.headers) == (status == 503)


def test_extra_members_stand_beside_the_standard_ones() -> None:
    problem = InvalidBody("Not valid.", extra={"rules": ["esketamine-at-home"], "status": 200})
    body = json.loads(document(problem, "id"))
    assert (body["rules"], body["status"]) == (["esketamine-at-home"], 400)


def test_every_problem_type_says_what_it_means() -> None:
    def loaded(kind: type[Problem]) -> list[type[Problem]]:
        return [kind, *(each for child in kind.__subclasses__() for each in loaded(child))]

    kinds = [
        kind
        for kind in loaded(Problem)[1:]
        if kind.__module__.startswith("api.") and "slug" in kind.__dict__
    ]
    assert [kind for kind in kinds if not meaning(kind)] == []
    slugs = [kind.slug for kind in kinds]
    assert sorted(slugs) == sorted(set(slugs))
    assert Unavailable.slug in slugs


async def test_each_problem_type_has_a_page(edge: Client) -> None:
    listed = (await edge.get("/problems")).json()["items"]
    assert [each["type"] for each in listed] == [t.type for t in problem_types().values()]
    for each in listed:
        assert (await edge.get(each["type"])).json() == each
        page = await edge.get(each["type"], headers={"Accept": "text/html"})
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert f"<h1>{each['title']}</h1>".replace("'", "&#x27;") in page.text
