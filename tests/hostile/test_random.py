"""Any query string at all: an answer or a problem, and never a fault."""

from __future__ import annotations

from urllib.parse import quote_from_bytes

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.operations import CANARY, OPERATIONS, Operation, assert_silent, call, problem_of

READING = [each for each in OPERATIONS if each.method == "GET" and each.path != "/metrics"]
NAMES = sorted({name for each in OPERATIONS for name in each.query})
GOOD = [
    "85016", "33.45,-112.07", "90,0", "-90,180", "Phoenix, AZ", "SW1A 1AA", "25mi", "any",
    "0.001km",
    "19000km", "crps", "crps,fibromyalgia", "iv", "at_home", "US-AZ", "medicare", "es", "yes",
    "now", "2026-11-22T09:00:00Z", "2026-06-01", "179,-90,-179,90", "distance", "wait", "name",
    "relevance",
    "1", "20", "100", "none", "route,payer", "true", "phoe", "kadelix phoenix",
]  # fmt: skip
BAD = [
    "", "0", "-5", "5.0", "nan", "inf", "1e999999", "2147483648", "9223372036854775808", "9" * 300,
    "\0", "\r\nX-Injected: a", "\U0001f600", "\u202e", "Springfield", "51.5,-0.12,", "-0.12,51.5",
    "0mi", "-5mi", "1e9km", "2026-11-22T09:00:00", "0001-01-01T00:00+14:00",
    "9999-12-31T23:59:59-14:00", CANARY, CANARY * 100, "%", "&", "=", "+", ",", "*", "'", '"',
    "<b>",
]  # fmt: skip

values = st.one_of(
    st.sampled_from(GOOD),
    st.sampled_from(BAD),
    st.text(max_size=20),
    st.integers().map(str),
    st.floats().map(str),
    st.tuples(st.floats(-91, 91), st.floats(-181, 181)).map("{0[0]:.6f},{0[1]:.6f}".format),
    st.datetimes(timezones=st.none() | st.timezones()).map(lambda moment: moment.isoformat()),
)
encoded = values.map(lambda text: quote_from_bytes(text.encode("utf-8", "surrogatepass"))) | (
    st.binary(max_size=8).map(quote_from_bytes)
)


def pair(names: list[str]) -> st.SearchStrategy[str]:
    known = st.sampled_from(names) if names else st.nothing()
    name = known | known | known | st.sampled_from([*NAMES, "unexpected", "", "%00"])
    return st.tuples(name, encoded).map("=".join)


def queries(operation: Operation) -> st.SearchStrategy[tuple[Operation, str]]:
    pairs = st.lists(pair(list(operation.query)), max_size=6).map("&".join)
    raw = st.text("abq=&%+0fnear,.-:;?/", max_size=30)
    return st.tuples(st.just(operation), pairs | pairs | pairs | raw)


def checked(answer: httpx.Response) -> None:
    assert "x-injected" not in answer.headers
    assert answer.headers["x-request-id"]
    if answer.status_code == 200:
        assert answer.headers["content-type"].partition(";")[0] in ("application/json", "text/html")
    else:
        problem_of(answer, 400, 404)


@settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=st.sampled_from(READING).flatmap(queries))
def test_any_query_on_any_route(operator: httpx.Client, asked: tuple[Operation, str]) -> None:
    operation, raw = asked
    checked(call(operator, operation, target=operation.at("crps"), raw_query=raw))


SEARCH = next(each for each in OPERATIONS if each.id == "searchClinics")


@settings(
    max_examples=800, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(asked=queries(SEARCH))
def test_any_search(anybody: httpx.Client, asked: tuple[Operation, str]) -> None:
    answer = call(anybody, SEARCH, raw_query=asked[1])
    checked(answer)
    if answer.status_code == 200:
        found = answer.json()
        assert len(found["items"]) <= min(found["total"], 100)
        assert int(answer.headers["directory-version"]) == found["directory_version"]
        # Asked again it is the same, from the cache or not.
        assert call(anybody, SEARCH, raw_query=asked[1]).status_code == 200


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(part=st.text(min_size=1, max_size=30) | st.sampled_from(BAD).filter(bool))
def test_any_path(operator: httpx.Client, part: str) -> None:
    segment = quote_from_bytes(part.encode("utf-8", "surrogatepass"), safe="")
    if part in (".", ".."):
        return
    for path in ("/v1/clinics/", "/v1/conditions/", "/v1/regions/", "/problems/", "/v1/keys/", "/"):
        answer = operator.get(path + segment)
        if answer.status_code not in (200, 308):
            problem_of(answer, 404)
        elif path == "/v1/clinics/" and answer.status_code == 200:
            # One of the clinics that other tests have made, under a name that is no secret.
            assert part in (answer.json()["id"], answer.json()["slug"])
        else:
            assert_silent(answer)
