"""The clinics that come with the release: docs/data.md says what they are and what is not known."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from datetime import date
from importlib.resources import as_file, files
from typing import Final

from api.clock import Clock
from api.directory.checking import Codes
from api.search.places import Places
from db.pool import Pool
from seeds.importers import csv_file, samhsa
from seeds.importers.articles import read_articles
from seeds.importers.csv_file import CsvReader
from seeds.importers.loading import Loader, Reading
from seeds.importers.mapped import read_rows
from seeds.importers.report import ImportOptions, ImportReport
from seeds.importers.run import prefix_of
from seeds.importers.samhsa import SamhsaReader
from seeds.importers.table import Table

TAKEN_IN_ON: Final = date(2026, 11, 22)
"""When the data sets were taken into the repository."""

KETAMINE: Final = "us_samhsa_ketamine_kit_2022.csv"
PAIN_SERVICES: Final = "uk_pain_services_2014.csv"


async def load_all(
    database: Pool, *, clock: Clock, places: Places, catalogue: Codes, claim_days: int = 30
) -> ImportReport:
    """Load every clinic of the release, in one transaction, through the importers.

    For a directory in which nothing was ever written. Running it again changes nothing, and a
    clinic that somebody deleted stays deleted. Raises what the database raises.
    """
    began = clock.monotonic()
    options = ImportOptions(retrieved_on=TAKEN_IN_ON, claim_days=claim_days)
    report = ImportReport(kind="seeds")
    loader = Loader(
        database,
        clock=clock,
        # Nobody waits at a first start for a geocoder on the network.
        places=Places(places.gazetteer),
        codes=catalogue,
        report=report,
        columns=csv_file.COLUMNS,
        prefix_of=prefix_of,
        options=options,
    )
    with ExitStack() as open_files:
        await loader.load(_rows(open_files, options), _nobody_listens)
    report.seconds = clock.monotonic() - began
    return report


def _rows(open_files: ExitStack, options: ImportOptions) -> Generator[Reading]:
    folder = files("seeds.clinics")
    path = open_files.enter_context(as_file(folder.joinpath(KETAMINE)))
    table = open_files.enter_context(Table(path, named=samhsa.NAMED, required=samhsa.REQUIRED))
    yield from read_rows(table, SamhsaReader(samhsa.source_name(path), options).read)
    path = open_files.enter_context(as_file(folder.joinpath(PAIN_SERVICES)))
    table = open_files.enter_context(
        Table(
            path,
            named=csv_file.NAMED,
            required=csv_file.REQUIRED,
            known=tuple(csv_file.COLUMNS.values()),
        )
    )
    yield from read_rows(table, CsvReader(options).read)
    yield from read_articles()


def _nobody_listens(rows: int) -> None:
    del rows
