"""Every failure as one document (RFC 9457), and the pages that say what each type means."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from html import escape
from http import HTTPStatus
from typing import Annotated, Any, Final, cast

import msgspec
import structlog
from litestar import Request, Response, get
from litestar.exceptions import HTTPException
from litestar.openapi.spec import Example
from litestar.params import PathParameter
from litestar.types import Scope

import api.errors as known
from api.errors import Problem
from api.logs import described, named
from api.metrics import shown_method
from api.operations import PROBLEM_JSON, ProblemDocument, answers, problems
from db.errors import AlreadyThere, DatabaseUnavailable, TransactionConflict, ValueRefused

UNMATCHED: Final = "(no route)"
_RESERVED: Final = frozenset(ProblemDocument.__struct_fields__)
_PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


class InternalError(Problem):
    """A fault of the service. It is in the log under the `request_id` of the answer: send that to
    the operator. Whether the call took effect is not known; read the resource before repeating."""

    status = 500
    slug = "internal-error"
    title = "Something went wrong on our side"


class BadRequest(Problem):
    """The request cannot be understood as HTTP or breaks a rule that holds for every route."""

    status = 400
    slug = "bad-request"
    title = "The request is not valid"


_BY_STATUS: Final[Mapping[int, tuple[type[Problem], str]]] = {
    400: (BadRequest, "The request is not valid."),
    401: (known.Unauthenticated, "Send a valid API key: Authorization: Bearer cw_…"),
    403: (known.Forbidden, "This key may not do that."),
    404: (known.NotFound, "There is nothing at this address."),
    405: (known.MethodNotAllowed, "The Allow header names the methods that work here."),
    413: (known.BodyTooLarge, "The body is larger than the service takes."),
    415: (known.UnsupportedMediaType, "Send JSON in UTF-8: Content-Type: application/json"),
    429: (known.TooManyRequests, "Wait a moment before the next request."),
}


def problem_from(error: Exception) -> Problem:
    """The problem that an exception is answered with. Never repeats the exception's own text,
    which may carry what was sent."""
    match error:
        case Problem():
            return error
        case DatabaseUnavailable():
            return known.Unavailable("The database cannot be reached right now. Try again soon.")
        case TransactionConflict():
            return known.Unavailable("Too much happened at once. Try again.", retry_after_seconds=1)
        case AlreadyThere():
            return known.Conflict("Something with the same name or number is stored already.")
        case ValueRefused():
            return known.InvalidBody("A value does not fit what can be stored.")
        case HTTPException():
            return _from_framework(error)
        case _:
            return InternalError("The fault has been logged under this request id.")


def _from_framework(error: HTTPException) -> Problem:
    kind, detail = _BY_STATUS.get(error.status_code, (InternalError, ""))
    if kind is InternalError:
        return InternalError("The fault has been logged under this request id.")
    headers: dict[str, str] = {}
    if kind is known.MethodNotAllowed:
        headers["Allow"] = with_head((error.headers or {}).get("allow", ""))
    return kind(detail, headers=headers)


def with_head(allow: str) -> str:
    """An Allow header in order, with HEAD wherever GET is."""
    methods = {method.strip() for method in allow.split(",")} - {""}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def route_of(scope: Scope) -> str:
    """The template of the route that was found, or what stands for none in logs and metrics."""
    return scope["path_template"] if "path_template" in scope else UNMATCHED  # noqa: SIM401 (typed)


def document(problem: Problem, request_id: str) -> bytes:
    body = msgspec.to_builtins(
        ProblemDocument(
            type=f"/problems/{problem.slug}",
            title=problem.title,
            status=problem.status,
            detail=problem.detail,
            request_id=request_id,
            errors=list(problem.errors),
        )
    )
    extra = {name: value for name, value in problem.extra.items() if name not in _RESERVED}
    return msgspec.json.encode(body | extra)


def answer_problem(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's handler for every exception."""
    problem = problem_from(error)
    request_id = str(request.scope["state"].get("request_id", ""))
    if isinstance(error, DatabaseUnavailable | known.Unavailable):
        # Each request meets it while the database is away: the edge says so once a second.
        cast("dict[str, object]", request.scope["state"])["unavailable"] = named(error)
    elif problem.status >= 500 or not isinstance(error, Problem | HTTPException):
        log = structlog.get_logger("api.problems")
        (log.error if problem.status == 500 else log.warning)(
            "request failed",
            request_id=request_id,
            method=shown_method(request.scope["method"]),
            route=route_of(request.scope),
            status=problem.status,
            **described(error),
        )
    return Response(
        document(problem, request_id),
        status_code=problem.status,
        media_type=PROBLEM_JSON,
        headers={"Cache-Control": "no-store", **problem.headers},
    )


class ProblemType(msgspec.Struct, frozen=True, kw_only=True):
    """One type of problem: the status it comes with, what it means and what to do about it."""

    type: str
    status: int
    title: str
    description: str


class ProblemTypes(msgspec.Struct, frozen=True, kw_only=True):
    items: list[ProblemType]
    next: str | None = None


def problem_types() -> dict[str, ProblemType]:
    """By slug, in order of slug. Made from the Problem classes that are loaded."""
    return {
        kind.slug: ProblemType(
            type=f"/problems/{kind.slug}",
            status=kind.status,
            title=kind.title,
            description=meaning(kind),
        )
        for kind in sorted(set(_subclasses(Problem)), key=lambda kind: kind.slug)
    }


def meaning(kind: type[Problem]) -> str:
    """The class's own docstring as paragraphs, or nothing: an inherited one says too little."""
    written = inspect.cleandoc(kind.__dict__.get("__doc__") or "")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", written)


def _subclasses(kind: type[Problem]) -> Iterator[type[Problem]]:
    for child in kind.__subclasses__():
        # The clinical and the technical rooms alike define problems; those of tests do not count.
        # One that keeps its parent's slug is the same type with its words ready.
        if child.__module__.startswith("api.") and "slug" in child.__dict__:
            yield child
        yield from _subclasses(child)


_EXAMPLE: Final = {
    "type": "/problems/not-found",
    "status": 404,
    "title": "There is nothing here",
    "description": "No such route, or nothing under that id that the caller may see.",
}


@get(
    "/problems",
    operation_id="listProblemTypes",
    summary="Every type of problem that the service answers with",
    tags=["Service"],
    responses=answers(ProblemTypes, example={"items": [_EXAMPLE], "next": None}),
)
async def list_problem_types() -> ProblemTypes:
    return ProblemTypes(items=list(problem_types().values()))


@get(
    "/problems/{slug:str}",
    operation_id="getProblemType",
    summary="What a type of problem means and what to do about it",
    description="As JSON, or as a page for whoever prefers `text/html`.",
    tags=["Service"],
    responses={**answers(ProblemType, example=_EXAMPLE), **problems(404)},
)
async def get_problem_type(
    request: Request[Any, Any, Any],
    slug: Annotated[
        str,
        PathParameter(
            description="The last part of a problem's `type`", examples=[Example(value="not-found")]
        ),
    ],
) -> Response[bytes]:
    found = problem_types().get(slug)
    if found is None:
        raise known.NotFound("There is no problem type of that name.")
    if "text/html" in request.headers.get("accept", ""):
        return Response(
            _page(found).encode(),
            media_type="text/html",
            headers={"Content-Security-Policy": _PAGE_POLICY, "Vary": "Accept"},
        )
    return Response(
        msgspec.json.encode(found), media_type="application/json", headers={"Vary": "Accept"}
    )


def _page(found: ProblemType) -> str:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in found.description.split("\n\n"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(found.title)}</title>"
        "<style>body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;"
        "padding:0 1rem;color-scheme:light dark}code{font-size:.95em}</style></head><body>"
        f"<main><h1>{escape(found.title)}</h1>"
        f"<p><code>{escape(found.type)}</code>, with status {found.status} "
        f"({escape(_phrase(found.status))})</p>{paragraphs}</main></body></html>"
    )


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


handlers: Final = cast("list[Any]", [list_problem_types, get_problem_type])
