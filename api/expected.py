"""What would be right: a type said in words, for messages that must not repeat what was sent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import inspect

FORM_UNSAID: Final = "of the form that the API reference states"
"""Said of a pattern whose type has no words of its own."""

NULL: Final = "null"


@lru_cache(1024)
def expected(annotation: object) -> str:
    """Words that follow "must be". `Meta(extra={"right": "…"})` on the type replaces ours."""
    return _said(inspect.type_info(annotation))


class _Notes(msgspec.Struct, frozen=True):
    """What a Meta says beyond limits."""

    right: str | None = None
    description: str | None = None
    examples: tuple[object, ...] = ()


def _said(kind: inspect.Type) -> str:
    match kind:
        case inspect.Metadata():
            said = msgspec.structs.asdict(kind)
            notes = msgspec.convert(
                (said["extra_json_schema"] or {}) | (said["extra"] or {}), _Notes
            )
            return notes.right or _with_example(kind.type, notes)
        case inspect.UnionType(types=types):
            # Null comes first: behind an example it would read as part of that.
            said = [_said(each) for each in types if not isinstance(each, inspect.NoneType)]
            text = " or ".join(said)
            if len(said) == len(types):
                return text
            return f"{NULL}, {text}" if text == _FIXED[inspect.BoolType] else f"{NULL} or {text}"
        case _:
            return _plain(kind)


def _with_example(inner: inspect.Type, notes: _Notes) -> str:
    said = _said(inner)
    if isinstance(inner, inspect.StrType) and inner.pattern and notes.examples:
        # The example says more than the pattern does.
        said = _text(inner.min_length, inner.max_length)
    if notes.description:
        said = f"{said} ({notes.description.rstrip('.')})"
    if notes.examples:
        said = f"{said}, such as {notes.examples[0]}"
    return said


def _plain(kind: inspect.Type) -> str:
    match kind:
        case inspect.StrType():
            return _text(kind.min_length, kind.max_length) + _form(kind.pattern)
        case inspect.IntType():
            return "a whole number" + _range(kind)
        case inspect.FloatType():
            return "a number" + _range(kind)
        case inspect.EnumType():
            return _one_of([str(each.value) for each in kind.cls])
        case inspect.LiteralType():
            return _one_of([str(each) for each in kind.values])
        case inspect.ListType():
            return "a list" + _items(kind.min_length, kind.max_length)
        case _:
            return _FIXED.get(type(kind), "a value of another form")


_FIXED: Mapping[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.NoneType: NULL,
    inspect.UUIDType: "a UUID",
    inspect.DateType: "a date such as 2026-11-22",
    inspect.DateTimeType: "a date and time with its offset, such as 2026-11-22T09:00:00-07:00",
    inspect.StructType: "an object",
    inspect.DictType: "an object",
}


def _one_of(values: list[str]) -> str:
    return "one of " + ", ".join(values)


def _text(shortest: int | None, longest: int | None) -> str:
    if shortest and longest:
        return f"text of {shortest} to {longest} characters"
    if longest:
        return f"text of at most {longest} characters"
    return f"text of at least {shortest} characters" if shortest else "text"


def _form(pattern: str | None) -> str:
    if pattern is None:
        return ""
    # Nobody should have to read a regular expression.
    return " without control characters" if r"\x" in pattern else f" {FORM_UNSAID}"


def _items(fewest: int | None, most: int | None) -> str:
    if fewest and most:
        return f" of {fewest} to {most} items"
    return f" of at most {most} items" if most else ""


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    bounds = {"at least": kind.ge, "more than": kind.gt, "at most": kind.le, "less than": kind.lt}
    said = [f"{words} {bound}" for words, bound in bounds.items() if bound is not None]
    return (", " + " and ".join(said)) if said else ""
