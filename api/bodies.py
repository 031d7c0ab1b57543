"""Bodies: read within limits, decoded strictly, and told exactly where they are wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

import msgspec
from litestar import Request
from litestar.datastructures import State

from api.errors import (
    BodyTooLarge,
    BodyTooSlow,
    FieldError,
    InvalidBody,
    UnsupportedMediaType,
)
from api.expected import expected

T = TypeVar("T")
_INT8 = range(-(2**63), 2**63)
_MOST_ERRORS = 50
_SECONDS_TO_SEND = 30.0
_MISSING = FieldError(pointer="", message="is missing; send JSON")
_MALFORMED = "The body must be one JSON document in UTF-8."


class ServiceRequest(Request[Any, Any, State]):
    """Litestar's request, with `data` of a handler decoded by `decode_body`.

    Litestar's own way decodes to plain values first and converts those laxly: it takes "5" for a
    number, the last of two equal keys, and any content type.
    """

    async def body(self) -> bytes:
        """The body, of at most the route's limit, sent within half a minute.

        Raises UnsupportedMediaType, BodyTooLarge, BodyTooSlow, InvalidBody.
        """
        state = self._connection_state
        if not isinstance(state.body, bytes):
            field = self.route_handler.parsed_data_field
            if field is not None and _sends_nothing(self):
                if not field.is_optional:
                    raise _invalid([_MISSING])
                state.body = b""
                return state.body
            _require_plain(self.headers.getall("content-encoding", []))
            _require_json(self.headers.getall("content-type", []))
            state.body = await _within_limits(self)
            if not state.body and field is not None and not field.is_optional:
                # Litestar would speak of a missing argument.
                raise _invalid([_MISSING])
        return state.body

    async def json(self) -> Any:
        field = self.route_handler.parsed_data_field
        assert field is not None, "only a handler with a `data` parameter reads JSON"
        # A Struct is found in the cache of decoders by far sooner than its annotation is, whose
        # hash is that of everything said about it.
        bare = field.annotation
        kind = bare if isinstance(bare, type) and issubclass(bare, msgspec.Struct) else field.raw
        return decode_body(await self.body(), kind)


def decode_body(raw: bytes, kind: type[T]) -> T:
    """A body as a request Struct, strictly. Raises InvalidBody with every fault found."""
    try:
        twice = _first_repeated_key(raw)
        if twice is not None:
            raise _invalid([FieldError(pointer=twice, message="stands twice; send it once")])
        value = _decoder(kind).decode(raw)
    except msgspec.ValidationError:
        raise _invalid(list(_faults_of(_plain_values(raw), kind))) from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        # ValueError covers UnicodeDecodeError and JSONDecodeError, which msgspec does not raise
        # as its own. The texts of all of them can quote the body.
        raise _invalid([FieldError(pointer="", message=_MALFORMED)]) from None
    if unusable := list(_unusable(value, "")):
        raise _invalid(unusable)
    return cast("T", value)


def _invalid(errors: Sequence[FieldError]) -> InvalidBody:
    # A converter that refuses a whole Struct leaves no field to point at.
    found = errors or [FieldError(pointer="", message="must be as the documentation says")]
    first = found[0]
    where = f"The field '{first.pointer}'" if first.pointer else "The body"
    return InvalidBody(
        f"{where} is not valid: {first.message}"
        + (f" ({len(found)} faults in all)" if len(found) > 1 else ""),
        errors=found[:_MOST_ERRORS],
    )


@lru_cache(256)
def _decoder(kind: object) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(cast("type[Any]", kind), strict=True)


async def _within_limits(request: ServiceRequest) -> bytes:
    limit = request.route_handler.resolve_request_max_body_size() or 0
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced[:20]) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_SECONDS_TO_SEND):
            while True:
                event = await request.receive()
                if event["type"] != "http.request":
                    raise BodyTooSlow("The connection was closed before the body had arrived.")
                size += len(event["body"])
                if size > limit:
                    raise _too_large(limit)
                chunks.append(event["body"])
                if not event.get("more_body", False):
                    return b"".join(chunks)
    except TimeoutError:
        raise BodyTooSlow(f"The body must arrive within {_SECONDS_TO_SEND:.0f} seconds.") from None


def _sends_nothing(request: ServiceRequest) -> bool:
    """Whether a body that may be left out was: there is nothing to say the type of then."""
    headers = request.headers
    return headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers


def _too_large(limit: int) -> BodyTooLarge:
    # What is left of the body is not read: the connection cannot carry another request.
    return BodyTooLarge(f"A body may have {limit} bytes at most.", headers={"Connection": "close"})


def _require_plain(codings: Sequence[str]) -> None:
    said = {each.strip().lower() for value in codings for each in value.split(",")}
    if not said <= {"", "identity"}:
        raise UnsupportedMediaType(
            "Send the body as it is, without the header Content-Encoding: none is unpacked.",
            errors=[
                FieldError(parameter="Content-Encoding", message="must be identity, or left out")
            ],
            headers={"Accept-Encoding": "identity"},
        )


def _require_json(content_types: Sequence[str]) -> None:
    media, _, rest = content_types[0].partition(";") if content_types else ("", "", "")
    media = media.strip().lower()
    charset = ""
    for parameter in rest.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    if (
        len(content_types) != 1
        or media not in ("application/json", "application/merge-patch+json")
        or charset not in ("", "utf-8", "utf8")
    ):
        raise UnsupportedMediaType(
            "Send JSON in UTF-8 and say so: Content-Type: application/json",
            headers={"Accept": "application/json"},
        )


class _Pairs(list[tuple[str, object]]):
    """The members of one JSON object in the order they were sent."""


def _number(_digits: str) -> int:
    # Only the shape is looked at here; reading thousands of digits would take its time.
    return 0


def _no_number(_name: str) -> object:
    raise ValueError("NaN and the infinities are not JSON")


def _plain_values(raw: bytes) -> object:
    """The body as plain values, with numbers out of all bounds still out of all bounds."""
    return json.loads(
        raw,
        parse_int=lambda digits: int(digits[:40]),
        parse_float=lambda digits: value if isfinite(value := float(digits)) else object(),
        parse_constant=_no_number,
    )


def _first_repeated_key(raw: bytes) -> str | None:
    """JSON pointer of the first key that an object holds twice: msgspec would take the last."""
    repeated = False

    def members(pairs: list[tuple[str, object]]) -> None:
        nonlocal repeated
        if len(pairs) > 1 and len({name for name, _ in pairs}) < len(pairs):
            repeated = True

    json.loads(
        raw,
        object_pairs_hook=members,
        parse_int=_number,
        parse_float=_number,
        parse_constant=_no_number,
    )
    if not repeated:
        return None
    return next(_repeated_keys(json.loads(raw, object_pairs_hook=_Pairs, parse_int=_number), ""))


def _repeated_keys(value: object, pointer: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for name, member in value:
            if name in seen:
                yield _step(pointer, name)
            seen.add(name)
            yield from _repeated_keys(member, _step(pointer, name))
    elif isinstance(value, list):
        for position, item in enumerate(cast("list[object]", value)):
            yield from _repeated_keys(item, f"{pointer}/{position}")


def _step(pointer: str, name: str) -> str:
    """RFC 6901. A key that no Struct of ours could have is not repeated: it may be anything."""
    if not (name.isascii() and name.replace("_", "").isalnum() and len(name) <= 64):
        return pointer
    return f"{pointer}/{name}"


def _faults_of(value: object, annotation: object, pointer: str = "") -> Iterator[FieldError]:
    """Everything that keeps plain JSON values from being of that type, each with its place."""
    kind, options = _taken_apart(annotation)
    if value is None and NoneType in options:
        return
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and isinstance(value, dict):
        yield from _faults_of_object(cast("dict[str, object]", value), kind, pointer)
    elif get_origin(kind) is list and isinstance(value, list):
        inside = False
        for position, item in enumerate(cast("list[object]", value)):
            for fault in _faults_of(item, get_args(kind)[0], f"{pointer}/{position}"):
                inside = True
                yield fault
        if not inside and not _converts(cast("object", value), annotation):
            yield FieldError(pointer=pointer, message=f"must be {expected(annotation)}")
    elif not _converts(value, annotation):
        yield FieldError(pointer=pointer, message=f"must be {expected(annotation)}")


def _faults_of_object(
    value: dict[str, object], kind: type[msgspec.Struct], pointer: str
) -> Iterator[FieldError]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        if name in value:
            yield from _faults_of(value[name], field.type, f"{pointer}/{name}")
        elif field.required:
            yield FieldError(pointer=f"{pointer}/{name}", message="is required")
    if kind.__struct_config__.forbid_unknown_fields:
        for name in sorted(value.keys() - fields.keys()):
            yield FieldError(
                pointer=_step(pointer, name),
                message="is not known; known are " + ", ".join(sorted(fields)),
            )


def _taken_apart(annotation: object) -> tuple[object, tuple[object, ...]]:
    """The one type that matters of `Annotated[T, …] | None | UnsetType`, and all the options."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, (annotation,)
    options = get_args(annotation)
    real = [each for each in options if each not in (NoneType, msgspec.UnsetType)]
    return (_taken_apart(real[0])[0] if len(real) == 1 else annotation), options


def _converts(value: object, annotation: object) -> bool:
    try:
        msgspec.convert(value, cast("Any", annotation), strict=True)
    except (msgspec.ValidationError, ValueError):
        return False
    return True


def _unusable(value: object, pointer: str) -> Iterator[FieldError]:
    """Values that JSON and the type allow, and that PostgreSQL or the calendar would not."""
    if (right := _in_place_of(value)) is not None:
        yield FieldError(pointer=pointer, message=f"must be {right}")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _unusable(getattr(value, name), f"{pointer}/{name}")
    elif isinstance(value, list):
        for position, item in enumerate(cast("list[object]", value)):
            yield from _unusable(item, f"{pointer}/{position}")
    elif isinstance(value, dict):
        for name, item in cast("dict[object, object]", value).items():
            yield from _unusable(name, pointer)
            yield from _unusable(item, _step(pointer, str(name)))


def _in_place_of(value: object) -> str | None:
    match value:
        case str() if "\0" in value:
            return "text without NUL characters"
        case int() if value not in _INT8:
            return "a whole number that fits 64 bits"
        case datetime() if not _is_a_moment(value):
            return expected(datetime)
        case _:
            return None


def _is_a_moment(value: datetime) -> bool:
    if value.tzinfo is None:
        return False
    try:
        # At the ends of the calendar an offset can lead out of it.
        value.astimezone(UTC)
    except OverflowError:
        return False
    return True
