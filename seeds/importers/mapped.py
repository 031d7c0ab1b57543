"""What every importer makes of a row, before anything is checked against the directory."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import cast

import msgspec
from msgspec.structs import replace

from api.directory.provenance import CLAIMS
from api.directory.schemas import ClinicWrite
from seeds.importers.fields import shown
from seeds.importers.report import Refused
from seeds.importers.table import BadRow, Row, Table


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """A profile read from a row. `key` names the row in every file of its source; `doubts` say
    what was left out of it."""

    line: int
    key: str
    profile: ClinicWrite
    doubts: tuple[str, ...] = ()

    def digest(self) -> bytes:
        """The same for the same facts, whichever day they were fetched on: a file fetched again
        changes nothing. Except that a claim counts from that day. It covers the profile and not
        the row, so that a release that maps rows better writes them anew."""
        profile = self.profile
        if all(getattr(profile, name) == unknown for name, unknown in CLAIMS.items()):
            profile = replace(profile, source=replace(profile.source, retrieved_on=None))
        return hashlib.blake2b(msgspec.json.encode(profile), digest_size=16).digest()


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is refused."""

    line: int
    reason: str


class PassedOver(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is none of the chosen ones. `key` is its key, None when it should count as gone
    should the directory know it (a deactivated provider)."""

    line: int
    key: str | None


def profile_of(fields: Mapping[str, object], columns: Mapping[str, str]) -> ClinicWrite:
    """The fields as a profile. `columns` says for a path in it which column it came from, so that
    the reason names what the person sees in the file. Raises `Refused`."""
    try:
        return msgspec.convert(fields, ClinicWrite)
    except msgspec.ValidationError as error:
        raise Refused(_reason(str(error), fields, columns)) from None


def named_column(path: str, columns: Mapping[str, str]) -> str:
    """The column that a path such as `offerings.conditions` was read from: the one of the longest
    part of it that is known."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        if (column := columns.get(".".join(parts[:end]))) is not None:
            return column
    return parts[0]


def place_in_cell(steps: Sequence[str], fields: Mapping[str, object]) -> str:
    """Which of the several things in a cell is meant, such as " ('hiccups' in offering 2)"; ""
    where a cell holds but one. `steps` lead to it through the fields of a profile."""
    if len(steps) < 2 or not steps[1].isdigit():
        return ""
    number = int(steps[1]) + 1
    if steps[0] != "offerings":
        return f" (value {number})" if steps[0] in _LISTS else ""
    found = _found(fields, steps)
    return (
        f" ({shown(found)} in offering {number})"
        if isinstance(found, str)
        else (f" (offering {number})")
    )


def _found(within: object, steps: Sequence[str]) -> object:
    for step in steps:
        match within:
            case dict():
                within = cast("dict[str, object]", within).get(step)
            case list() if step.isdigit() and int(step) < len(cast("list[object]", within)):
                within = cast("list[object]", within)[int(step)]
            case _:
                return None
    return within


def read_rows(
    table: Table, read: Callable[[Row], Mapped | PassedOver]
) -> Generator[Mapped | PassedOver | Unreadable]:
    """Each row of the table, mapped or refused."""
    for row in table:
        if isinstance(row, BadRow):
            yield Unreadable(line=row.line, reason=row.reason)
            continue
        try:
            yield read(row)
        except Refused as refused:
            yield Unreadable(line=row.line, reason=str(refused))


_PATH = re.compile(r" - at `\$\.?([^`]*)`$")
_STEP = re.compile(r"[^.\[\]]+")
_LISTS = frozenset({"payers", "languages", "assesses", "programmes", "unverified"})
_INDEX = re.compile(r"\[[^]]*\]")

# What would be right, where the type's own words would not say it.
_RIGHT: Mapping[str, str] = {
    "address.state": "must be a state or nation such as US-AZ or GB-ENG",
    "address.country": "must be US or GB",
    "accepting": "must be yes, no, existing_only, existing_and_family or unknown",
    "offerings.drug": "the drug must be ketamine or esketamine",
    "offerings.route": "the route must be iv, im, subcutaneous, nasal, oral or sublingual",
    "offerings.setting": "the setting must be clinic or at_home",
    "offerings.coverage": "an area must be a state or nation such as US-AZ or GB-ENG",
    "offerings.price": "a price is an amount, a currency (USD or GBP) and what it is for",
    "medical_director.registration.system": "must be npi, gmc or state_licence",
    "hours": "must be days with times, such as mon-fri 09:00-17:00",
    "verified_at": "must be a time with its offset, such as 2026-11-22T09:00:00Z",
    "source.retrieved_on": "must be a date, such as 2026-11-22",
}


def _reason(message: str, fields: Mapping[str, object], columns: Mapping[str, str]) -> str:
    found = _PATH.search(message)
    path = _INDEX.sub("", found[1]) if found else ""
    parts = path.split(".")
    said = next(
        (
            _RIGHT[key]
            for end in range(len(parts), 0, -1)
            if (key := ".".join(parts[:end])) in _RIGHT
        ),
        None,
    )
    if said is None:
        said = _plain(message[: found.start()] if found else message)
    where = place_in_cell(_STEP.findall(found[1]), fields) if found else ""
    return f"{named_column(path, columns)}: {said}{where}"


def _plain(expected: str) -> str:
    if expected.endswith("length >= 1"):
        return "is empty"
    if (longest := re.search(r"length <= (\d+)", expected)) is not None:
        return f"is too long, the most is {longest[1]}"
    if (bound := re.search(r"([<>]=?) (-?[\d.]+)$", expected)) is not None:
        return f"must be {bound[1]} {bound[2]}"
    if "regex" in expected:
        return "has characters or a form that the field cannot have"
    return "has a value that the field cannot have"
