"""Query strings: a Struct says what a route takes, and nothing else is let through.

The same Struct is what the OpenAPI document shows, so that documented and accepted parameters
cannot differ. Each field is a parameter; a field that is a list may be repeated.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar, cast, get_origin
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request

from api.errors import FieldError, InvalidParameter, Problem, UnknownParameter
from api.expected import NULL, expected

T = TypeVar("T", bound=msgspec.Struct)

_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
_MOST_PARAMETERS = 200


def read_query(request: Request[Any, Any, Any], kind: type[T]) -> T:
    """The query string as that Struct. Raises UnknownParameter, InvalidParameter."""
    return decode_query(request.scope["query_string"], kind)


def decode_query(raw: bytes, kind: type[T]) -> T:
    fields = parameters_of(kind)
    values: dict[str, object] = {}
    errors: list[FieldError] = []
    for name, text in query_pairs(raw):
        field = fields.get(name)
        if field is None:
            raise unknown_parameter(name, fields)
        value = field.read(text)
        if value is msgspec.UNSET:
            errors.append(FieldError(parameter=name, message=f"must be {field.right}"))
        elif field.repeatable:
            cast("list[object]", values.setdefault(name, [])).append(value)
        elif name in values:
            errors.append(FieldError(parameter=name, message="must be given only once"))
        else:
            values[name] = value
    errors += [
        FieldError(parameter=name, message="is required")
        for name, field in fields.items()
        if field.required and name not in values and not any(e.parameter == name for e in errors)
    ]
    if errors:
        raise _invalid(errors)
    return msgspec.convert(values, kind)


def refuse_parameters(raw: bytes) -> None:
    """For routes that take none. Raises UnknownParameter, InvalidParameter."""
    for name, _ in query_pairs(raw):
        raise unknown_parameter(name, {})


def query_pairs(raw: bytes) -> list[tuple[str, str]]:
    """Names and values in the order they were sent, percent-decoded as UTF-8.

    Raises InvalidParameter for what is not UTF-8, a broken escape, or a NUL.
    """
    if not raw:
        return []
    if raw.count(b"&") >= _MOST_PARAMETERS:
        raise _unreadable(f"must hold fewer than {_MOST_PARAMETERS} parameters")
    pairs: list[tuple[str, str]] = []
    for part in raw.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append((_text(name), _text(value)))
    return pairs


def _text(raw: bytes) -> str:
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    if b"%" in raw:
        if _BROKEN_ESCAPE.search(raw):
            raise _unreadable("must have two hexadecimal digits after each percent sign")
        raw = unquote_to_bytes(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _unreadable("must be UTF-8, percent-encoded") from None
    if "\0" in text:
        raise _unreadable("must not contain NUL characters")
    return text


def unknown_parameter(name: str, known: Mapping[str, object]) -> UnknownParameter:
    """Names what the route knows. A name that is not an identifier is not repeated."""
    if not known:
        message = "this route takes no query parameters"
    else:
        near = difflib.get_close_matches(name[:64], known, n=1, cutoff=0.7)
        message = (f"perhaps '{near[0]}' is meant; " if near else "") + (
            "known are " + ", ".join(sorted(known))
        )
    shown = name if _IDENTIFIER.fullmatch(name) else "(name)"
    return UnknownParameter(
        f"A query parameter is not known: {message}.",
        errors=[FieldError(parameter=shown, message=f"is not known; {message}")],
    )


def _unreadable(message: str) -> Problem:
    return InvalidParameter(
        f"The query string {message}.",
        errors=[FieldError(parameter="(query string)", message=message)],
    )


def _invalid(errors: list[FieldError]) -> Problem:
    first = errors[0]
    return InvalidParameter(f"The parameter '{first.parameter}' {first.message}.", errors=errors)


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One query parameter, made from a field of a Struct."""

    name: str
    type: Any
    """The type of one value; of each, when it may be repeated."""
    read: Callable[[str], object]
    """The value of a text, or UNSET when it has none."""
    right: str
    required: bool
    repeatable: bool
    default: object


@lru_cache(256)
def parameters_of(kind: type[msgspec.Struct]) -> Mapping[str, Parameter]:
    found: dict[str, Parameter] = {}
    for field in msgspec.structs.fields(kind):
        info = msgspec.inspect.type_info(field.type)
        bare = _without_none(info)
        repeatable = isinstance(bare, msgspec.inspect.ListType)
        one = _item_of(field.type) if repeatable else field.type
        found[field.encode_name] = Parameter(
            name=field.encode_name,
            type=one,
            read=_reader(one),
            right=_words(one),
            required=field.required,
            repeatable=repeatable,
            default=field.default,
        )
    return found


def _words(annotation: Any) -> str:
    return expected(annotation).removeprefix(f"{NULL} or ").removeprefix(f"{NULL}, ")


def _without_none(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    """The type that a text is read as, without description and without null."""
    while True:
        match info:
            case msgspec.inspect.Metadata(type=inner):
                info = inner
            case msgspec.inspect.UnionType(types=types):
                info = next(t for t in types if not isinstance(t, msgspec.inspect.NoneType))
            case _:
                return info


def _item_of(annotation: Any) -> Any:
    """The X of `list[X]`, also inside `Annotated` and `| None`."""
    if get_origin(annotation) is list:
        return annotation.__args__[0]
    inner = getattr(annotation, "__origin__", None)
    parts = [inner] if inner is not None else list(getattr(annotation, "__args__", ()))
    return next(item for part in parts if (item := _item_of(part)) is not None)


def _reader(annotation: Any) -> Callable[[str], object]:
    """How one text becomes a value. msgspec's lax mode would take 5.0 for 5 and nan for a number,
    so numbers are looked at first."""
    bare = _without_none(msgspec.inspect.type_info(annotation))
    match bare:
        case msgspec.inspect.IntType():
            form = _WHOLE
        case msgspec.inspect.FloatType():
            form = _DECIMAL
        case _:
            form = None
    truth = {"true": True, "false": False} if isinstance(bare, msgspec.inspect.BoolType) else None

    def read(text: str) -> object:
        if form is not None and not form.fullmatch(text):
            return msgspec.UNSET
        try:
            value = text if truth is None else truth.get(text, text)
            return msgspec.convert(value, annotation, strict=form is None)
        except (msgspec.ValidationError, ValueError):
            return msgspec.UNSET

    return read
