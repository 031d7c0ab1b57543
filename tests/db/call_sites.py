"""Reads `db/queries/*.py` and finds each place where a statement is used, and how."""

from __future__ import annotations

import ast
import importlib
from typing import TYPE_CHECKING

import msgspec

from db import queries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = queries.__path__[0]


class CallSite(msgspec.Struct, frozen=True, kw_only=True):
    """`rows(conn, ClinicRow, SQL["find_clinics"], ids)` in a function of a domain."""

    domain: str
    function: str
    helper: str
    """rows, row_or_none, one_row, value, values, stream_rows; execute or executemany."""
    shape: object
    """The type that the result is converted to; None when no result is read."""
    statement: str
    arguments: list[str | None]
    """For each argument the annotation of the parameter it is, or None for an expression."""


def call_sites(path: Path) -> Iterator[CallSite]:
    module = importlib.import_module(f"db.queries.{path.stem}")
    for function in ast.parse(path.read_text("utf-8")).body:
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        annotations = _annotations(function)
        for call in ast.walk(function):
            if not isinstance(call, ast.Call):
                continue
            for place, argument in enumerate(call.args):
                name = _statement_name(argument)
                if name is None:
                    continue
                before = call.args[:place]
                # rows(conn, Row, SQL[...]) reads a result, conn.execute(SQL[...]) does not.
                reads = isinstance(call.func, ast.Name)
                yield CallSite(
                    domain=path.stem,
                    function=function.name,
                    helper=ast.unparse(call.func).rpartition(".")[2],
                    shape=_evaluated(before[-1], vars(module)) if reads else None,
                    statement=name,
                    arguments=[annotations.get(ast.unparse(a)) for a in call.args[place + 1 :]],
                )


def _annotations(function: ast.AsyncFunctionDef) -> dict[str, str]:
    parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return {p.arg: ast.unparse(p.annotation) for p in parameters if p.annotation is not None}


def _statement_name(node: ast.expr) -> str | None:
    match node:
        case ast.Subscript(value=ast.Name(id="SQL"), slice=ast.Constant(value=str() as name)):
            return name
        case _:
            return None


def _evaluated(node: ast.expr, names: dict[str, object]) -> object:
    """A type as it stands in the code (`ClinicRow`, `int | None`), which is ours and a literal."""
    return eval(ast.unparse(node), dict(names))
