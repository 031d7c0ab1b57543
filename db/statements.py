"""The named statements of `db/sql/<domain>.sql`.

A file is a row of statements, each one headed by its name and, if it needs one, by comments:

    -- name: insert_clinic
    -- The slug is unique: a second clinic of that name gets a number.
    insert into clinic (...) values ($1, ...)
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SQL_FOLDER = Path(__file__).parent / "sql"

_HEAD = re.compile(r"^-- name:[ \t]*(.*?)[ \t]*$", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_COMMENT_LINE = re.compile(r"^[ \t]*--.*\n?", re.MULTILINE)


class StatementFileError(Exception):
    """A file of statements breaks the form above. Found at import, never in front of a user."""


def domains() -> list[str]:
    """The names of all statement files, in order."""
    return sorted(path.stem for path in SQL_FOLDER.glob("*.sql"))


@cache
def statements(domain: str) -> Mapping[str, str]:
    """Every statement of a domain by name. Raises `StatementFileError`."""
    return parsed((SQL_FOLDER / f"{domain}.sql").read_text("utf-8"), domain)


def parsed(text: str, domain: str) -> Mapping[str, str]:
    before, *parts = _HEAD.split(text)
    if _without_comments(before):
        raise StatementFileError(f"{domain}.sql: SQL before the first name")
    found: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if not _NAME.fullmatch(name):
            raise StatementFileError(f"{domain}.sql: {name!r} is not a name in snake_case")
        if name in found:
            raise StatementFileError(f"{domain}.sql: {name} is there twice")
        sql = _without_comments(body)
        if not sql:
            raise StatementFileError(f"{domain}.sql: {name} has no SQL")
        # The name goes along, so that a slow statement in the server's log can be found here.
        found[name] = f"-- {domain}.{name}\n{sql}"
    return MappingProxyType(found)


def _without_comments(sql: str) -> str:
    return _COMMENT_LINE.sub("", sql).strip().removesuffix(";").rstrip()
