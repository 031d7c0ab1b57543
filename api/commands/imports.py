"""`clinicway import`: a file of clinics into the directory, with progress and a report."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from api.clock import Clock
from api.commands.database import database_address, opened
from api.commands.failures import FAILED, CommandError
from api.commands.prepare import update_schema
from api.commands.wiring import make_places
from api.directory.catalogue import Catalogue
from api.search.places import Places
from api.settings import Settings
from db.pool import Pool
from db.queries.catalogue import catalogue_entries
from seeds.importers.report import (
    ImportOptions,
    ImportReport,
    NotImportable,
    ProgressCallback,
)
from seeds.importers.report import Progress as Reached
from seeds.importers.run import run_import

MOST_REMARKS: Final = 20
"""Doubts and the like that are listed: a file may have one on every row. Refusals all are."""


async def run_file_import(
    arguments: argparse.Namespace,
    settings: Settings,
    clock: Clock,
    console: Console,
    progress: Console,
) -> int:
    """1 when a row was refused, though the rest went in. Raises CommandError when the file cannot
    be used."""
    path = Path(arguments.file)
    _require_readable(path)
    options = ImportOptions(
        source_name=arguments.source_name,
        retrieved_on=arguments.retrieved_on,
        taxonomies=tuple(arguments.taxonomies),
        names=tuple(arguments.names),
        services=tuple(arguments.services),
        geocode=arguments.geocode,
        claim_days=settings.claim_days,
    )
    with database_address(settings) as dsn:
        await update_schema(dsn, progress)
        async with opened(dsn) as pool, _open_places(settings, clock) as places:
            with _bar(progress, path) as bar:
                report = await _imported(
                    arguments.kind, path, pool, clock, places, options, _moving(bar)
                )
    _print(report, console)
    # Whoever imports by a timer hears of rows that did not go in.
    return FAILED if report.refused_count else 0


def _require_readable(path: Path) -> None:
    """Said at once, before a database is started for it."""
    if path.is_dir():
        raise CommandError(f"{path} is a folder. Name the file in it.")
    try:
        path.open("rb").close()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no such name"
        raise CommandError(f"{path} cannot be read ({reason}).") from None


@asynccontextmanager
async def _open_places(settings: Settings, clock: Clock) -> AsyncGenerator[Places]:
    places = make_places(settings, clock)
    try:
        yield places
    finally:
        if places.network is not None:
            await places.network.aclose()


async def _imported(
    kind: str,
    path: Path,
    pool: Pool,
    clock: Clock,
    places: Places,
    options: ImportOptions,
    progress: ProgressCallback,
) -> ImportReport:
    async with pool.acquire() as conn:
        catalogue = Catalogue(await catalogue_entries(conn))
    try:
        return await run_import(
            kind,
            path,
            database=pool,
            clock=clock,
            places=places,
            catalogue=catalogue,
            options=options,
            progress=progress,
        )
    except NotImportable as error:
        raise CommandError(f"{path} cannot be imported: {error}") from error
    except OSError as error:
        raise CommandError(f"{path} cannot be read ({error.strerror}).") from error


def _bar(console: Console, path: Path) -> Progress:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rows]} rows"),
        TimeElapsedColumn(),
        console=console,
    )
    bar.add_task(path.name.replace("[", r"\["), total=None, rows=0)
    return bar


def _moving(bar: Progress) -> ProgressCallback:
    task = bar.task_ids[0]

    def move(reached: Reached) -> None:
        bar.update(task, completed=reached.bytes_done, total=reached.bytes_total, rows=reached.rows)

    return move


def _print(report: ImportReport, console: Console) -> None:
    table = Table("rows", "count", show_edge=False)
    for name, count in (
        ("read", report.read),
        ("created", report.created),
        ("changed", report.changed),
        ("unchanged", report.unchanged),
        ("refused", report.refused_count),
        ("passed over", report.passed_over),
    ):
        table.add_row(name, f"{count:,}")
    console.print(table)
    _list(
        console,
        "Refused",
        [f"line {note.line}: {note.text}" for note in report.refused],
        report.refused_count,
    )
    for title, remarks in (
        ("Taken in without something", [f"line {n.line}: {n.text}" for n in report.doubts]),
        (
            "Left as a person verified it",
            [f"line {k.line}: {', '.join(k.fields)} of {k.import_key}" for k in report.kept],
        ),
        ("In the directory, no longer in this file", report.gone),
    ):
        _list(console, title, remarks[:MOST_REMARKS], len(remarks))
    rate = report.read / report.seconds if report.seconds > 0 else 0.0
    _say(console, f"{report.seconds:.1f} s, {rate:,.0f} rows a second")


def _list(console: Console, title: str, shown: Sequence[str], total: int) -> None:
    if not total:
        return
    _say(console, f"{title}:")
    for line in shown:
        _say(console, f"  {line}")
    if total > len(shown):
        _say(console, f"  … and {total - len(shown):,} more")


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
