"""The OpenAPI document: committed, valid, and true of the routes as they behave."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any, cast

import httpx
import jsonschema_rs
import msgspec
import pytest
from litestar import Litestar
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.clock import SystemClock
from api.keyring import Keyring
from api.keys.service import KeyMaker
from api.operations import ProblemDocument
from api.settings import Settings
from db.pool import Pool
from openapi.__main__ import COMMITTED, check, write
from openapi.document import TAGS, build, written
from openapi.schemas import Schemas

Client = httpx.AsyncClient
Json = dict[str, Any]

DOCUMENT: Json = json.loads(COMMITTED.read_bytes())
OPERATIONS: dict[str, tuple[str, str, Json]] = {
    f"{method.upper()} {path}": (method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}


def validator(schema: Json) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": DOCUMENT["components"]}, validate_formats=True
    )


def resolved(found: Json) -> Json:
    while "$ref" in found:
        kind, name = found["$ref"].split("/")[-2:]
        found = DOCUMENT["components"][kind][name]
    return found


def test_what_is_committed_is_what_the_code_says() -> None:
    assert COMMITTED.read_bytes() == written()


def test_it_is_valid_openapi() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


async def test_what_is_served_is_what_is_committed(edge: Client) -> None:
    answer = await edge.get("/openapi.json")
    assert answer.content == COMMITTED.read_bytes()
    again = await edge.get("/openapi.json", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_told_in_full(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    assert re.fullmatch(r"[a-z]+([A-Z][a-z]*)+", operation["operationId"])
    assert operation["summary"]
    assert operation["tags"]
    assert set(operation["tags"]) <= set(TAGS)
    for parameter in operation.get("parameters", []):
        assert parameter.get("description"), parameter["name"]
        if parameter["required"]:
            assert "example" in parameter, parameter["name"]
    for media in operation.get("requestBody", {}).get("content", {}).values():
        assert "example" in media
    for status, answer in operation["responses"].items():
        found = resolved(answer)
        assert found["description"], status
        assert "X-Request-Id" in found["headers"], status
        for media in found.get("content", {}).values():
            assert "example" in media, status


def test_operation_ids_are_unique_and_every_tag_is_used() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS.values()]
    assert sorted(ids) == sorted(set(ids))
    assert {tag for _, _, each in OPERATIONS.values() for tag in each["tags"]} == set(TAGS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_names_the_problems_it_can_meet(name: str) -> None:
    _, path, operation = OPERATIONS[name]
    statuses = set(operation["responses"])
    assert "400" in statuses
    if "security" in operation:
        assert statuses >= {"401", "403"}
    if "requestBody" in operation:
        assert statuses >= {"408", "413", "415"}
    if "{" in path:
        assert "404" in statuses
    if any(each["name"] == "If-Match" for each in operation.get("parameters", [])):
        assert statuses >= {"412", "428"}
    if path.startswith("/v1/"):
        # The directory may still be loading, or the database away.
        assert "503" in statuses


def places(found: Any, where: str = "") -> Iterator[tuple[str, Json]]:
    """Every part of the document that carries an example and its schema."""
    if isinstance(found, dict):
        part = cast("Json", found)
        if "schema" in part and "example" in part:
            yield where, part
        for name, inner in part.items():
            yield from places(inner, f"{where}/{name}")
    elif isinstance(found, list):
        for position, inner in enumerate(cast("list[Any]", found)):
            yield from places(inner, f"{where}/{position}")


EXAMPLES = dict(places({k: v for k, v in DOCUMENT.items() if k != "info"}))


@pytest.mark.parametrize("where", EXAMPLES)
def test_each_example_is_valid(where: str) -> None:
    part = EXAMPLES[where]
    schema = validator(part["schema"])
    assert [error.message for error in schema.iter_errors(part["example"])] == []


def schemas(found: Any) -> Iterator[Json]:
    if isinstance(found, dict):
        part = cast("Json", found)
        if "schema" in part:
            yield part["schema"]
        for inner in part.values():
            yield from schemas(inner)
    elif isinstance(found, list):
        for inner in cast("list[Any]", found):
            yield from schemas(inner)


def test_every_object_has_a_name() -> None:
    inline = [each for each in schemas(DOCUMENT["paths"]) if "properties" in json.dumps(each)]
    assert inline == []


def test_names_of_schemas_are_plain_words() -> None:
    odd = [n for n in DOCUMENT["components"]["schemas"] if not re.fullmatch(r"[A-Z][A-Za-z]+", n)]
    assert odd == []


def test_two_types_of_one_name_are_given_names_before_they_are_written() -> None:
    kinds = [msgspec.defstruct("Twin", [(name, int)], module=f"api.{name}") for name in "ab"]
    schemas = Schemas()
    for kind in kinds:
        schemas.put(kind, lambda _: None)
    with pytest.raises(ValueError, match=r"api\.a\.Twin"):
        schemas.resolve()


def test_references_lead_somewhere() -> None:
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)))
    assert named <= set(DOCUMENT["components"]["schemas"])


def extra_members() -> Iterator[str]:
    """What any part of the code gives a problem beside the members of all."""
    for path in sorted((COMMITTED.parents[1] / "api").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") != "Meta":
                for keyword in call.keywords:
                    if keyword.arg == "extra":
                        yield from (
                            key.value
                            for each in ast.walk(keyword.value)
                            if isinstance(each, ast.Dict)
                            for key in each.keys
                            if isinstance(key, ast.Constant) and isinstance(key.value, str)
                        )


def test_what_problems_carry_is_described() -> None:
    problem = DOCUMENT["components"]["schemas"]["Problem"]
    extra = set(extra_members())
    assert extra >= {"existing", "state", "merged_into", "suggestions", "rules"}
    assert problem["properties"].keys() == extra | {
        field.encode_name for field in msgspec.structs.fields(ProblemDocument)
    }
    assert not extra & set(problem["required"])
    assert all(problem["properties"][name]["description"] for name in extra)


def test_a_clinic_may_have_moved_or_be_known_already() -> None:
    _, _, operation = OPERATIONS["GET /v1/clinics/{key}"]
    moved, known = operation["responses"]["308"], operation["responses"]["304"]
    assert "Location" in moved["headers"]
    assert "ETag" not in moved["headers"]
    assert "ETag" in known["headers"]
    assert "content" not in moved
    assert "content" not in known


def test_whoever_repeats_a_request_too_early_is_told_when_to() -> None:
    _, _, operation = OPERATIONS["POST /v1/referrals"]
    assert "Retry-After" in resolved(operation["responses"]["409"])["headers"]
    _, _, other = OPERATIONS["POST /v1/keys/{key_id}/rotate"]
    assert "Retry-After" not in resolved(other["responses"]["409"])["headers"]


def test_single_resources_carry_their_etag() -> None:
    """Those that can be read at an address of their own; what a patient's link shows is a view."""
    without = {
        name
        for name, (method, path, operation) in OPERATIONS.items()
        if method == "GET"
        and path.startswith("/v1/")
        and path.endswith("}")
        and not path.startswith("/v1/track/")
        and "ETag" not in operation["responses"]["200"]["headers"]
    }
    made = {
        name
        for name, (_, _, operation) in OPERATIONS.items()
        if "Location" in operation["responses"].get("201", {}).get("headers", {})
        and "ETag" not in operation["responses"]["201"]["headers"]
    }
    assert without | made == set()


def test_the_same_code_writes_the_same_document() -> None:
    assert json.dumps(build()) == json.dumps(build())


def test_drift_is_shown_and_fails(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "openapi.json"
    assert check(path) == 1
    assert write(path) == 0
    capsys.readouterr()
    assert check(path) == 0
    assert capsys.readouterr().out == ""
    path.write_text(path.read_text().replace("getLiveness", "isAlive"))
    assert check(path) == 1
    shown = capsys.readouterr().out
    assert '-        "operationId": "isAlive",' in shown
    assert '+        "operationId": "getLiveness",' in shown


def url_of(path: str, operation: Json) -> str:
    examples = {each["name"]: each.get("example", "x") for each in operation.get("parameters", [])}
    return re.sub(r"\{(\w+)\}", lambda found: str(examples[found[1]]), path)


async def key_for_everything(app: Litestar) -> dict[str, str]:
    settings: Settings = app.state.settings
    keyring: Keyring = app.state.keyring
    database: Pool = app.state.database
    maker = KeyMaker(settings.environment, keyring, SystemClock())
    async with database.transaction() as conn:
        _, token = await maker.create(
            conn,
            name="tests",
            scopes=[
                "admin",
                "directory:write",
                "referrals:write",
                f"clinic:{SystemClock().new_id()}",
            ],
            created_by="tests",
            expires_at=None,
        )
    return {"Authorization": f"Bearer {token.text()}"}


async def test_parameters_that_are_not_documented_are_refused(
    app: Litestar, service: Client
) -> None:
    headers = await key_for_everything(app)
    taken: list[str] = []
    for name, (method, path, operation) in OPERATIONS.items():
        url = url_of(path, operation) + "?no_such_parameter=1"
        answer = await service.request(method, url, headers=headers)
        if answer.status_code == 404 and "security" in operation:
            # Whether the key may touch that clinic is asked first, and there is no such clinic.
            continue
        if answer.status_code != 400 or answer.json()["type"] != "/problems/unknown-parameter":
            taken.append(f"{name}: {answer.status_code} {answer.text[:200]}")
    assert taken == []


async def test_parameters_that_are_documented_are_known(app: Litestar, service: Client) -> None:
    headers = await key_for_everything(app)
    unknown: list[str] = []
    for name, (method, path, operation) in OPERATIONS.items():
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "query":
                url = f"{url_of(path, operation)}?{parameter['name']}=x"
                answer = await service.request(method, url, headers=headers)
                if answer.status_code == 400 and answer.json()["type"].endswith(
                    "unknown-parameter"
                ):
                    unknown.append(f"{name} {parameter['name']}")
    assert unknown == []


async def test_a_key_is_asked_for_where_the_document_says(service: Client) -> None:
    for name, (method, path, operation) in OPERATIONS.items():
        answer = await service.request(method, url_of(path, operation))
        assert (answer.status_code == 401) is ("security" in operation), name


async def test_head_works_wherever_get_does(app: Litestar, service: Client) -> None:
    headers = {**await key_for_everything(app), "X-Request-Id": "same"}
    for name, (method, path, operation) in OPERATIONS.items():
        # Metrics change from one request to the next.
        if method == "GET" and path != "/metrics":
            url = url_of(path, operation)
            got = await service.get(url, headers=headers)
            head = await service.head(url, headers=headers)
            # When a key was last used is noted behind the answer's back: either may be told.
            later = await service.get(url, headers=headers)
            for answer in (got, head, later):
                answer.headers.pop("ratelimit", None)
            assert head.content == b"", name
            assert head.status_code == got.status_code, name
            assert head.headers in (got.headers, later.headers), name


async def test_options_and_405_name_the_documented_methods(service: Client) -> None:
    for path, item in DOCUMENT["paths"].items():
        methods = {method.upper() for method in item} | {"OPTIONS"}
        allow = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
        url = url_of(path, next(iter(item.values())))
        answers = await service.options(url), await service.request("PURGE", url)
        assert [each.status_code for each in answers] == [204, 405], path
        assert [each.headers["allow"] for each in answers] == [allow, allow], path


async def test_what_is_read_without_a_key_carries_the_documented_etag(service: Client) -> None:
    for name in ("GET /v1/conditions/{code}", "GET /v1/regions/{code}"):
        _, path, operation = OPERATIONS[name]
        first = await service.get(url_of(path, operation))
        again = await service.get(url_of(path, operation))
        assert first.status_code in (200, 404), name
        if first.status_code == 200:
            assert re.fullmatch(r'"[0-9a-f]{32}"', first.headers["etag"]), name
            assert first.headers["etag"] == again.headers["etag"]
