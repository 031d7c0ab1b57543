"""The OpenAPI document, and a page that shows it. Nothing on the page comes from elsewhere."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.params import FromPath
from litestar.response import Redirect

from api.errors import NotFound
from api.operations import answers, documented, problems

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Files of Swagger UI as its package ships them. The package is read from, never imported: its code
# is for other frameworks.
_SWAGGER: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_OURS: Final = {"docs.css": "text/css", "docs.js": "text/javascript"}


class StoredFile(msgspec.Struct, frozen=True):
    """A file as it is sent, with the ETag of its content."""

    body: bytes
    media_type: str
    etag: str


def _stored(body: bytes, media_type: str) -> StoredFile:
    return StoredFile(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@lru_cache(8)
def _asset(name: str) -> StoredFile:
    if name in _SWAGGER:
        path = str(distribution("swagger-ui-py").locate_file(f"swagger_ui/static/{name}"))
        return _stored(Path(path).read_bytes(), _SWAGGER[name])
    return _stored(files("api").joinpath("static", name).read_bytes(), _OURS[name])


@lru_cache(1)
def _page() -> StoredFile:
    return _stored(files("api").joinpath("static", "docs.html").read_bytes(), "text/html")


@lru_cache(1)
def _document() -> StoredFile:
    # Read as a file: what is served is what was committed, and the check compares that with the
    # code. The package of that name stands above this one and is not imported.
    return _stored(files("openapi").joinpath("openapi.json").read_bytes(), "application/json")


def _sent(
    request: Request[Any, Any, Any], file: StoredFile, *, policy: str | None = None
) -> Response[bytes]:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if policy is not None:
        headers["Content-Security-Policy"] = policy
    known = {
        tag.strip().removeprefix("W/")
        for tag in request.headers.get("if-none-match", "").split(",")
    }
    if file.etag in known:
        return Response(b"", status_code=304, headers=headers, media_type=file.media_type)
    return Response(file.body, headers=headers, media_type=file.media_type)


@get(
    "/openapi.json",
    operation_id="getOpenApiDocument",
    summary="This document: OpenAPI 3.1",
    tags=["Service"],
    opt=documented(response_headers=["ETag"]),
    responses=answers(dict, example={"openapi": "3.1.0"}, description="The OpenAPI document"),
)
async def get_openapi_document(request: Request[Any, Any, Any]) -> Response[bytes]:
    return _sent(request, _document())


@get(
    "/docs",
    operation_id="readDocs",
    summary="The reference as a page, with every call to try",
    tags=["Service"],
    media_type=MediaType.HTML,
    responses=answers(
        str, media_type="text/html", description="The page", example="<!doctype html>…"
    ),
)
async def read_docs(request: Request[Any, Any, Any]) -> Response[bytes]:
    return _sent(request, _page(), policy=_POLICY)


@get("/docs/{name:str}", include_in_schema=False, responses=problems(404))
async def get_docs_asset(request: Request[Any, Any, Any], name: FromPath[str]) -> Response[bytes]:
    if name not in _SWAGGER and name not in _OURS:
        raise NotFound("The reference has no such file.")
    return _sent(request, _asset(name))


@get("/", include_in_schema=False, status_code=302)
async def go_to_docs() -> Redirect:
    return Redirect("/docs", status_code=302)


handlers: Final = cast("list[Any]", [get_openapi_document, read_docs, get_docs_asset, go_to_docs])
