"""The OpenAPI 3.1 document, made from the routes as they are wired.

Litestar's own generator loses limits that msgspec enforces (a Meta inside a union) and knows
nothing of parameters that a handler reads by hand, so the operations are written here and the
schemas come from msgspec itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from inspect import cleandoc
from typing import Any, Final, cast

import msgspec
from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import ParameterKwarg
from litestar.response import Response
from litestar.routes import HTTPRoute
from litestar.types.internal_types import PathParameterDefinition

from api.app import route_handlers
from api.auth import SECURITY_SCHEMES, caller
from api.operations import PROBLEM_JSON, Documented, answers, documentation
from api.parameters import parameters_of
from api.problems import problem_types
from api.rates.gate import UNCOUNTED
from openapi.headers import REQUEST_HEADERS, REQUIRED_HEADERS, RESPONSE_HEADERS, Header
from openapi.problems import Problem
from openapi.schemas import Schema, Schemas, without_null

VERSION: Final = "0.1.0"
TAGS: Final = {
    "Directory": "Which clinics near me treat this, this way; their profiles; places to start from",
    "Directory upkeep": "Writing profiles, and finding those that are doubled or stale",
    "Catalogues": "Conditions, routes, screening flags and the sources they come from",
    "Referrals": "One referral sent, routed to a clinic that can take it, and never lost sight of",
    "Offers": "What is offered to a clinic, and its answer",
    "Keys": "API keys and what they may do",
    "Audit": "Who read or changed a patient's data or a key, and whether that record is whole",
    "Webhooks": "Signed messages to an address of yours when something happens",
    "Service": "The service itself: health, metrics, problems, this document",
}
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_BODY: Final = {400, 408, 413, 415}
_KEY: Final = {401, 403}
# A request that came twice is told when to come again.
_IN_FLIGHT: Final = "Problem409InFlight"
# Where several types share a status, the one that says least in particular.
_TYPICAL: Final = {400: "bad-request", 404: "not-found", 409: "conflict", 500: "internal-error"}
_LIMITS: Final = ("RateLimit-Policy", "RateLimit")
_HEADERS_OF_STATUS: Final = {
    308: ("Location",),
    401: ("WWW-Authenticate",),
    405: ("Allow",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}


def written() -> bytes:
    """The document as it stands in openapi.json: the same bytes for the same code."""
    text = json.dumps(build(), indent=2, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def build() -> Schema:
    app = Litestar(
        route_handlers(),
        dependencies={"caller": Provide(caller)},
        openapi_config=None,
        logging_config=None,
    )
    schemas = Schemas()
    operations = list(_operations(app))
    paths: dict[str, Schema] = {}
    for path, method, handler, parameters in sorted(
        operations, key=lambda each: (each[0], _METHODS.index(each[1]))
    ):
        writer = _Writer(schemas, path, handler, parameters)
        paths.setdefault(path, {})[method.lower()] = writer.operation()
    used = _problems_used(paths)
    responses = {name: _problem_response(name, status, schemas) for name, status in used.items()}
    components = schemas.resolve()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Clinicway",
            "version": VERSION,
            "summary": "A directory of ketamine therapy clinics that answers near me",
            "description": (
                "JSON in UTF-8, names in snake_case, times as RFC 3339 with an offset. "
                "Every failure is a problem document (RFC 9457) whose `type` leads to what it "
                "means. HEAD works wherever GET does. The service informs; it gives no medical "
                "advice."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": responses,
            "headers": {name: _header(header) for name, header in sorted(RESPONSE_HEADERS.items())},
            "securitySchemes": {
                name: scheme.to_schema() for name, scheme in SECURITY_SCHEMES.items()
            },
        },
    }


def _operations(
    app: Litestar,
) -> Iterator[tuple[str, str, HTTPRouteHandler, dict[str, PathParameterDefinition]]]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS" and handler.resolve_include_in_schema():
                yield route.path_format or "/", method, handler, route.path_parameters


class _Writer:
    """Writes one operation."""

    def __init__(
        self,
        schemas: Schemas,
        route: str,
        handler: HTTPRouteHandler,
        path: dict[str, PathParameterDefinition],
    ) -> None:
        self._schemas = schemas
        self._route = route
        self._handler = handler
        self._path = path
        self._said: Documented = documentation(handler.opt)
        self._fields = handler.parsed_fn_signature.parameters
        self._is_counted = route not in UNCOUNTED

    def operation(self) -> Schema:
        handler = self._handler
        written: Schema = {
            "operationId": handler.operation_id,
            "summary": handler.summary,
            "description": handler.description or cleandoc(handler.fn.__doc__ or ""),
            "tags": handler.resolve_tags(),
            "parameters": [*self._path_parameters(), *self._query(), *self._headers()],
        }
        if "data" in self._fields:
            written["requestBody"] = self._body()
        written["responses"] = self._responses()
        if security := handler.resolve_security():
            written["security"] = security
        return {name: value for name, value in written.items() if value not in ("", [], None)}

    def _path_parameters(self) -> Iterator[Schema]:
        for name, definition in self._path.items():
            field = self._fields.get(name)
            annotation: Any = definition.type if field is None else field.raw
            written: Schema = {"name": name, "in": "path", "required": True}
            if field is not None and isinstance(field.kwarg_definition, ParameterKwarg):
                written["description"] = field.kwarg_definition.description
                if field.kwarg_definition.examples:
                    written["example"] = field.kwarg_definition.examples[0].value
            yield self._parameter(written, annotation)

    def _query(self) -> Iterator[Schema]:
        if self._said.query is None:
            return
        fields = {field.encode_name: field for field in msgspec.structs.fields(self._said.query)}
        for name, parameter in parameters_of(self._said.query).items():
            written: Schema = {"name": name, "in": "query", "required": parameter.required}
            if parameter.repeatable:
                written |= {"style": "form", "explode": True}
            yield self._parameter(written, fields[name].type, default=parameter.default)

    def _parameter(self, written: Schema, annotation: Any, *, default: object = None) -> Schema:
        def place(schema: Schema) -> None:
            schema = without_null(schema)
            if "description" in schema:
                written["description"] = schema.pop("description")
            if "examples" in schema:
                written["example"] = schema.pop("examples")[0]
            if isinstance(default, str | int | float):
                schema["default"] = msgspec.to_builtins(default)
            written["schema"] = schema

        self._schemas.put(annotation, place)
        return written

    def _headers(self) -> Iterator[Schema]:
        for name in self._said.request_headers:
            header = _header(REQUEST_HEADERS[name])
            yield {"name": name, "in": "header", "required": name in REQUIRED_HEADERS} | header

    def _body(self) -> Schema:
        media: Schema = {}
        self._schemas.put(self._fields["data"].raw, lambda schema: media.update(schema=schema))
        if self._said.body_example is not None:
            media["example"] = self._said.body_example
        required = not self._fields["data"].is_optional
        return {"required": required, "content": {"application/json": media}}

    def _responses(self) -> Schema:
        handler = self._handler
        specs: dict[int, ResponseSpec] = dict(handler.responses or {})
        written: dict[int, Schema] = {}
        if not any(status < 400 for status in specs):
            specs[handler.status_code] = ResponseSpec(
                _return_type(handler), generate_examples=False, description="Done"
            )
        if "If-None-Match" in self._said.request_headers:
            specs |= answers(None, status=304, description="It is as the caller knows it")
        for status, spec in specs.items():
            if spec.media_type != PROBLEM_JSON:
                written[status] = self._answer(status, spec)
        statuses = {s for s, spec in specs.items() if spec.media_type == PROBLEM_JSON}
        # Every route refuses what it does not know, so every route has a 400.
        statuses |= {400} | (_BODY if "data" in self._fields else set())
        # The directory may still be loading.
        statuses |= {503} if self._route.startswith("/v1/") else set()
        statuses |= _KEY if handler.resolve_security() else set()
        statuses |= {429} if self._is_counted else set()
        for status in statuses - written.keys():
            written[status] = {
                "$ref": f"#/components/responses/{_problem_name(status, self._said)}"
            }
        return {str(status): written[status] for status in sorted(written)}

    def _answer(self, status: int, spec: ResponseSpec) -> Schema:
        names = ["X-Request-Id", *(self._said.response_headers if status < 400 else ())]
        # An address has no version: what is there now has one.
        names = [name for name in names if status != 308 or name != "ETag"]
        names += _LIMITS if self._is_counted else ()
        names += [n for n in _HEADERS_OF_STATUS.get(status, ()) if n not in names]
        answer: Schema = {
            "description": spec.description,
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        }
        kind = cast("object", spec.data_container)  # pyright: ignore[reportUnknownMemberType] (Litestar's union of model types)
        if kind is not None and kind is not type(None):
            media: Schema = {}
            self._schemas.put(kind, lambda schema: media.update(schema=schema))
            for example in spec.examples or []:
                media["example"] = example.value
            answer["content"] = {str(spec.media_type): media}
        return answer


def _return_type(handler: HTTPRouteHandler) -> Any:
    returned = handler.parsed_fn_signature.return_type
    if returned.is_subclass_of(Response):
        return returned.inner_types[0].raw if returned.inner_types else None
    return returned.raw


def _header(header: Header) -> Schema:
    return {
        "description": header.description,
        "schema": header.schema,
        "example": header.example,
    }


def _problems_used(paths: dict[str, Schema]) -> dict[str, int]:
    """The status of each, by the name of the component."""
    used: dict[str, int] = {}
    for item in paths.values():
        for operation in item.values():
            for status, answer in cast("Schema", operation["responses"]).items():
                if "$ref" in answer:
                    used[cast("str", answer["$ref"]).rpartition("/")[2]] = int(status)
    return dict(sorted(used.items()))


def _problem_name(status: int, said: Documented) -> str:
    if status == 409 and "Idempotency-Key" in said.request_headers:
        return _IN_FLIGHT
    return f"Problem{status}"


def _problem_response(name: str, status: int, schemas: Schemas) -> Schema:
    """One for each status, with the types that come under it."""
    types = [kind for kind in problem_types().values() if kind.status == status]
    typical = next((k for k in types if k.type.endswith(_TYPICAL.get(status, ""))), types[0])
    media: Schema = {}
    schemas.put(Problem, lambda schema: media.update(schema=schema))
    media["example"] = {
        "type": typical.type,
        "title": typical.title,
        "status": status,
        "detail": typical.description.split("\n\n")[0],
        "request_id": str(RESPONSE_HEADERS["X-Request-Id"].example),
    }
    names = ["X-Request-Id", *_LIMITS, *_HEADERS_OF_STATUS.get(status, ())]
    names += ["Retry-After"] if name == _IN_FLIGHT else []
    return {
        "description": ". ".join(kind.title for kind in types),
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {PROBLEM_JSON: media},
    }
