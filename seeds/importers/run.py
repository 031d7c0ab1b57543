"""One import, from the name of a file to the report."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal, get_args

from msgspec.structs import replace

from api.clock import Clock
from api.directory.checking import Codes
from api.search.places import Places
from db.pool import Pool
from seeds.importers import csv_file, nppes, samhsa
from seeds.importers.loading import Loader, Reading
from seeds.importers.mapped import read_rows
from seeds.importers.report import (
    ImportOptions,
    ImportReport,
    NotImportable,
    ProgressCallback,
    no_progress,
)
from seeds.importers.table import Table

Kind = Literal["samhsa", "csv", "nppes"]
KINDS: tuple[str, ...] = get_args(Kind)


async def run_import(
    kind: str,
    path: Path,
    *,
    database: Pool,
    clock: Clock,
    places: Places,
    catalogue: Codes,
    options: ImportOptions | None = None,
    progress: ProgressCallback = no_progress,
) -> ImportReport:
    """Load a file of one of `KINDS`, plain or gzip, and say what became of its rows.

    Raises `NotImportable` when the file cannot be used, and what the database raises. Up to
    `options.rows_a_transaction` rows go in whole or not at all; after any interruption the same
    import can be run again.
    """
    began = clock.monotonic()
    chosen = options or ImportOptions()
    if chosen.retrieved_on is None:
        chosen = replace(chosen, retrieved_on=_date_of(path))
    report = ImportReport(kind=kind)
    with _opened(kind, path) as table:
        rows, columns = _reading(kind, table, path, chosen)
        loader = Loader(
            database,
            clock=clock,
            # Thousands of addresses one by one over the network take hours: only when asked for.
            places=places if chosen.geocode else Places(places.gazetteer),
            codes=catalogue,
            report=report,
            columns=columns,
            prefix_of=prefix_of,
            options=chosen,
        )
        with closing(rows):
            await loader.load(rows, lambda count: progress(table.progress(count)))
    report.seconds = clock.monotonic() - began
    return report


def _opened(kind: str, path: Path) -> Table:
    match kind:
        case "samhsa":
            return Table(path, named=samhsa.NAMED, required=samhsa.REQUIRED)
        case "nppes":
            return Table(path, named=nppes.NAMED, required=nppes.REQUIRED)
        case "csv":
            known = tuple(csv_file.COLUMNS.values())
            return Table(path, named=csv_file.NAMED, required=csv_file.REQUIRED, known=known)
        case _:
            raise NotImportable(f"There are imports of {', '.join(KINDS)}.")


def _reading(
    kind: str, table: Table, path: Path, options: ImportOptions
) -> tuple[Generator[Reading], Mapping[str, str]]:
    """The rows of the table, mapped, and its columns by the path in a profile that they fill."""
    match kind:
        case "samhsa":
            called = options.source_name or samhsa.source_name(path)
            return read_rows(table, samhsa.SamhsaReader(called, options).read), samhsa.COLUMNS
        case "nppes":
            return read_rows(table, nppes.NppesReader(table, options).read), nppes.COLUMNS
        case _:
            return read_rows(table, csv_file.CsvReader(options).read), csv_file.COLUMNS


def prefix_of(key: str) -> str:
    """What the keys of the same source begin with: `csv:` is followed by the source's name."""
    parts = key.split(":")
    return ":".join(parts[:2] if parts[0] in ("csv", "article") else parts[:1]) + ":"


def _date_of(path: Path) -> date | None:
    """The day on which the file was last written, which for a download is the day it was made."""
    try:
        written = path.stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(written, UTC).date()
