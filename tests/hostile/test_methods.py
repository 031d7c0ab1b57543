"""What holds for every route and every answer: methods, HEAD, OPTIONS, and the headers."""

from __future__ import annotations

import httpx
import pytest

from tests.faults.deployment import Deployment
from tests.hostile.operations import (
    CANARY,
    DOCUMENT,
    OPERATIONS,
    PATHS,
    Operation,
    call,
    each_operation,
    methods_of,
    problem_of,
)
from tests.hostile.stage import Stage
from tests.services import Service

EXISTING = {
    "/problems/{slug}": "not-found",
    "/v1/conditions/{code}": "crps",
    "/v1/regions/{code}": "US-AZ",
}
# Answers that are made from the directory, as opposed to the catalogues and the gazetteer.
OF_THE_DIRECTORY = {
    "/v1/clinics",
    "/v1/clinics/{key}",
    "/v1/clinics/{key}/history",
    "/v1/clinics/{key}/merge",
    "/v1/duplicates",
    "/v1/offers",
    "/v1/offers/{offer}",
    "/v1/offers/{offer}/accept",
    "/v1/offers/{offer}/ask",
    "/v1/offers/{offer}/decline",
    "/v1/referrals",
    "/v1/referrals/matches",
    "/v1/referrals/{referral}",
    "/v1/referrals/{referral}/answer",
    "/v1/referrals/{referral}/cancel",
    "/v1/referrals/{referral}/complete",
    "/v1/referrals/{referral}/confirm-screening",
    "/v1/referrals/{referral}/history",
    "/v1/referrals/{referral}/no-show",
    "/v1/referrals/{referral}/return",
    "/v1/referrals/{referral}/route",
    "/v1/referrals/{referral}/schedule",
    "/v1/referrals/{referral}/start",
    "/v1/regions",
    "/v1/regions/{code}",
    "/v1/stale",
}


@pytest.fixture(scope="module")
def existing(hostile: Deployment, stage: Stage) -> dict[str, str]:
    """For each path one that is there."""
    key = hostile.key("admin").split("_")[2]
    parts = {**EXISTING, **{path: stage.another_clinic for path in PATHS if "{key}" in path}}
    parts |= {path: key for path in PATHS if "{key_id}" in path}
    parts |= {path: stage.id_for(path) for path in stage.paths}
    return {path: path.replace(path[path.find("{") :].partition("}")[0] + "}", parts[path])
            if path in parts else path for path in PATHS}  # fmt: skip


def readable(operation: Operation) -> bool:
    return operation.method == "GET"


@pytest.mark.parametrize("path", PATHS)
def test_methods_that_the_route_does_not_take(
    anybody: httpx.Client, path: str, existing: dict[str, str]
) -> None:
    allowed = methods_of(path)
    for method in (
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "TRACE",
        "PROPFIND",
        CANARY.upper(),
    ):
        if method in allowed:
            continue
        answer = anybody.request(method, existing[path], content=CANARY.encode())
        if method == "HEAD":
            assert (answer.status_code, answer.content) == (405, b"")
        else:
            problem_of(answer, 405)
        assert answer.headers["allow"].split(", ") == allowed, method


@pytest.mark.parametrize("path", PATHS)
def test_options_names_the_methods_and_nothing_else(
    anybody: httpx.Client, path: str, existing: dict[str, str]
) -> None:
    for target in (existing[path], path.replace("{", "").replace("}", "")):
        headers = {"Origin": "https://canary.example", "Access-Control-Request-Method": "DELETE"}
        answer = anybody.options(target, headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["allow"].split(", ") == methods_of(path)
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "etag" not in answer.headers
        assert answer.headers["x-request-id"]


@each_operation(readable)
def test_head_is_get_without_the_body(
    operator: httpx.Client,
    anybody: httpx.Client,
    operation: Operation,
    existing: dict[str, str],
) -> None:
    for client in (operator, anybody):
        for target in (existing[operation.path], operation.target):
            got = call(client, operation, target=target, headers={"X-Request-Id": "same"})
            query = "&".join(f"{name}={value}" for name, value in operation.required().items())
            head = client.head(
                f"{target}?{query}" if query else target, headers={"X-Request-Id": "same"}
            )
            assert (head.status_code, head.content) == (got.status_code, b"")
            # What is counted and timed is not the same a moment later.
            moving = {"date", "content-length"} if operation.path == "/metrics" else {"date"}
            assert without(head.headers, moving) == without(got.headers, moving)


def without(headers: httpx.Headers, names: set[str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


@each_operation()
def test_every_answer_has_a_request_id_and_the_headers_of_safety(
    operator: httpx.Client,
    anybody: httpx.Client,
    operation: Operation,
    existing: dict[str, str],
) -> None:
    answers = [
        call(anybody, operation),
        call(operator, operation),
        call(operator, operation, raw_query=f"unexpected={CANARY}"),
        call(operator, operation, target=existing[operation.path], headers={"If-Match": '"0"'})
        if operation.method != "DELETE"
        else call(anybody, operation, target=existing[operation.path]),
    ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(ids)) == len(ids)
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "content-security-policy" in answer.headers
        assert "server" not in answer.headers or "/" not in answer.headers["server"]


def test_the_document_tells_which_answers_are_of_the_directory() -> None:
    """By its own words: the list above has every operation whose answer names the version."""
    named = {each.path for each in OPERATIONS if "Directory-Version" in each.success["headers"]}
    assert named == OF_THE_DIRECTORY


@each_operation(lambda each: each.path in OF_THE_DIRECTORY and each.method == "GET")
def test_every_answer_of_the_directory_names_its_version(
    operator: httpx.Client, operation: Operation, existing: dict[str, str]
) -> None:
    newest = operator.get("/health/ready").json()["index"]["version"]
    answer = call(operator, operation, target=existing[operation.path])
    assert answer.status_code == 200
    assert int(answer.headers["directory-version"]) >= newest


def test_a_clinic_that_is_not_there_is_not_there_at_a_version(anybody: httpx.Client) -> None:
    """A reader that is ahead of this process has to be able to tell."""
    answer = anybody.get("/v1/clinics/no-such-clinic-anywhere")
    problem_of(answer, 404)
    assert int(answer.headers["directory-version"]) > 0


def test_writes_name_the_version_that_holds_them(operator: httpx.Client) -> None:
    body = next(each.body for each in OPERATIONS if each.id == "createClinic")
    made = operator.post("/v1/clinics", json=body)
    assert made.status_code == 201, made.text
    versions = [int(made.headers["directory-version"])]
    path = made.headers["location"]
    for step in (
        lambda: operator.put(path, json=body, headers={"If-Match": "*"}),
        lambda: operator.patch(path, json={"wait_days": 3}, headers={"If-Match": "*"}),
        lambda: operator.delete(path, headers={"If-Match": "*"}),
    ):
        answer = step()
        assert answer.status_code in (200, 204), answer.text
        versions.append(int(answer.headers["directory-version"]))
    assert versions == sorted(set(versions))
    problem_of(operator.get(path), 404)


def test_addresses_that_a_caller_makes_up_change_nothing(
    target: Service, anybody: httpx.Client
) -> None:
    spoofed = {
        "X-Forwarded-For": f"203.0.113.7, {CANARY}",
        "Forwarded": f"for=203.0.113.7;host={CANARY};proto=https",
        "X-Real-Ip": CANARY,
        "X-Forwarded-Host": f"{CANARY}.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": f"/{CANARY}",
        "X-Original-Url": f"/{CANARY}",
        "X-Rewrite-Url": f"/{CANARY}",
        "X-Http-Method-Override": "DELETE",
    }
    for path in ("/v1/clinics?near=85016", "/nowhere", "/docs", "/v1/keys", "/"):
        same = {"X-Request-Id": "same"}
        plain = anybody.get(path, headers=same)
        answer = anybody.get(path, headers={**same, **spoofed})
        assert answer.status_code == plain.status_code
        assert answer.content == plain.content
        assert without(answer.headers, {"date"}) == without(plain.headers, {"date"})
    assert "canary" not in target.err.lower()
    assert "203.0.113.7" not in target.err


def test_the_document_and_its_page(anybody: httpx.Client) -> None:
    served = anybody.get("/openapi.json")
    assert served.headers["content-type"] == "application/json"
    assert served.json() == DOCUMENT
    page = anybody.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    loaded = [
        part.partition('"')[0] for part in page.text.replace("src=", "href=").split('href="')[1:]
    ]
    assert loaded
    for address in loaded:
        # Nothing comes from elsewhere.
        assert not address.startswith(("http", "//")), address
        answer = anybody.get(httpx.URL(f"{anybody.base_url}/docs").join(address).path)
        assert answer.status_code == 200, address
