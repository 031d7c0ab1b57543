"""NPPES: which rows are chosen, what is made of them, and that a long file takes no memory."""

from __future__ import annotations

import csv
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from seeds.importers import nppes
from seeds.importers.mapped import Mapped, PassedOver, Unreadable, read_rows
from seeds.importers.nppes import NppesReader
from seeds.importers.report import ImportOptions, NotImportable
from seeds.importers.table import Table
from tests.seeds.importing import Directory, counts

PAIN_CLINIC = "261QP3300X"
FIRST_TAXONOMY, *_, LAST_TAXONOMY = nppes.TAXONOMIES
# The columns that are read, among others, in the order of the register's file.
HEADER = (
    nppes.NPI,
    nppes.ENTITY,
    "Replacement NPI",
    "Employer Identification Number (EIN)",
    nppes.LEGAL_NAME,
    nppes.OTHER_NAME,
    nppes.OTHER_NAME_KIND,
    "Provider First Line Business Mailing Address",
    nppes.LINE1,
    nppes.LINE2,
    nppes.CITY,
    nppes.STATE,
    nppes.POSTAL_CODE,
    nppes.COUNTRY,
    nppes.PHONE,
    "Provider Enumeration Date",
    nppes.DEACTIVATED,
    nppes.REACTIVATED,
    *nppes.TAXONOMIES,
)
Written = Callable[[Sequence[Mapping[str, str]]], Path]


def provider(**cells: str) -> dict[str, str]:
    named = {
        "npi": nppes.NPI,
        "entity": nppes.ENTITY,
        "name": nppes.LEGAL_NAME,
        "other": nppes.OTHER_NAME,
        "other_kind": nppes.OTHER_NAME_KIND,
        "state": nppes.STATE,
        "zip": nppes.POSTAL_CODE,
        "country": nppes.COUNTRY,
        "phone": nppes.PHONE,
        "deactivated": nppes.DEACTIVATED,
        "reactivated": nppes.REACTIVATED,
        "taxonomy": FIRST_TAXONOMY,
        "last_taxonomy": LAST_TAXONOMY,
    }
    return {
        nppes.NPI: "1234567893",
        nppes.ENTITY: "2",
        nppes.LEGAL_NAME: "QUIET PAIN CARE OF ARIZONA, LLC",
        nppes.LINE1: "1 MAIN ST",
        nppes.LINE2: "STE 2B",
        nppes.CITY: "PHOENIX",
        nppes.STATE: "AZ",
        nppes.POSTAL_CODE: "850161234",
        nppes.COUNTRY: "US",
        nppes.PHONE: "6029551000",
        FIRST_TAXONOMY: PAIN_CLINIC,
    } | {named[name]: cell for name, cell in cells.items()}


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(rows: Sequence[Mapping[str, str]]) -> Path:
        path = tmp_path / "npidata_pfile.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HEADER, quoting=csv.QUOTE_ALL)
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


def read(
    path: Path, options: ImportOptions | None = None
) -> list[Mapped | PassedOver | Unreadable]:
    with Table(path, named=nppes.NAMED, required=nppes.REQUIRED) as table:
        return list(read_rows(table, NppesReader(table, options or ImportOptions()).read))


def test_an_organization_becomes_a_clinic_without_offerings(written: Written) -> None:
    (row,) = read(written([provider()]))
    assert isinstance(row, Mapped)
    profile = row.profile
    assert row.key == "npi:1234567893"
    assert profile.name == profile.organization == "Quiet Pain Care of Arizona, LLC"
    assert (profile.address.line1, profile.address.line2) == ("1 Main St", "Ste 2B")
    assert (profile.address.city, profile.address.state) == ("Phoenix", "US-AZ")
    assert (profile.address.postal_code, profile.phone) == ("85016", "+16029551000")
    assert (profile.offerings, profile.payers, profile.languages) == ([], [], [])
    assert profile.source.url == "https://npiregistry.cms.hhs.gov/provider-view/1234567893"
    assert any("NPI 1234567893" in said for said in profile.unverified)


def test_a_trade_name_is_the_name_and_the_legal_one_the_organization(written: Written) -> None:
    path = written(
        [provider(other="QUIET CLINIC", other_kind="3"), provider(other="Old Name", other_kind="4")]
    )
    names = [
        (row.profile.name, row.profile.organization)
        for row in read(path)
        if isinstance(row, Mapped)
    ]
    legal = "Quiet Pain Care of Arizona, LLC"
    assert names == [("Quiet Clinic", legal), (legal, legal)]


@pytest.mark.parametrize(
    ("cells", "options", "chosen"),
    [
        ({}, ImportOptions(), True),
        ({"taxonomy": "208VP0014X"}, ImportOptions(), True),
        ({"taxonomy": "", "last_taxonomy": PAIN_CLINIC}, ImportOptions(), True),
        ({"taxonomy": "261QM0801X"}, ImportOptions(), False),
        ({"taxonomy": "261QM0801X"}, ImportOptions(taxonomies=("261qm0801x",)), True),
        ({}, ImportOptions(taxonomies=("261QM0801X",)), False),
        ({"entity": "1"}, ImportOptions(), False),
        ({"taxonomy": "261QM0801X"}, ImportOptions(names=("quiet",)), True),
        ({"other": "Ketamine Centre"}, ImportOptions(names=("KETAMINE",)), True),
        ({}, ImportOptions(names=("ketamine",)), False),
        ({"deactivated": "01/02/2020"}, ImportOptions(), False),
        ({"deactivated": "01/02/2020", "reactivated": "03/04/2021"}, ImportOptions(), True),
    ],
)
def test_rows_are_chosen_by_taxonomy_or_name(
    written: Written, cells: dict[str, str], options: ImportOptions, chosen: bool
) -> None:
    (row,) = read(written([provider(**cells)]), options)
    assert isinstance(row, Mapped if chosen else PassedOver)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"npi": "1234567890"}, "NPI: must be an NPI"),
        ({"npi": ""}, "NPI: must be an NPI"),
        ({"country": "CA"}, f"{nppes.COUNTRY}: the practice is outside the United States"),
        ({"zip": "8501"}, f"{nppes.POSTAL_CODE}: must have five or nine digits"),
        ({"state": "ARIZONA"}, f"{nppes.STATE}: must be a state"),
        ({"name": ""}, f"{nppes.LEGAL_NAME}: is empty"),
    ],
)
def test_a_chosen_row_that_cannot_be_used(
    written: Written, cells: dict[str, str], reason: str
) -> None:
    (row,) = read(written([provider(**cells)]))
    assert isinstance(row, Unreadable)
    assert row.reason.startswith(reason)


def test_a_taxonomy_code_of_the_wrong_form_is_said_at_once(written: Written) -> None:
    with pytest.raises(NotImportable, match="ten letters and digits"):
        read(written([provider()]), ImportOptions(taxonomies=("pain",)))


async def test_an_organization_that_was_deactivated_is_reported_one_not_chosen_is_not(
    directory: Directory, written: Written
) -> None:
    other = {"npi": "1245319599", "name": "OTHER PAIN CENTER"}
    first = await directory.load("nppes", written([provider(), provider(**other)]))
    assert counts(first) == {"created": 2}
    path = written([provider(deactivated="01/02/2026"), provider(**other, taxonomy="261QM0801X")])
    report = await directory.load("nppes", path)
    assert counts(report) == {"passed_over": 2}
    assert report.gone == ["quiet-pain-care-of-arizona-llc-phoenix-az"]
    assert len(await directory.profiles()) == 2


def test_a_long_file_takes_no_more_memory_than_a_short_one(written: Written) -> None:
    path = written([provider(taxonomy="261QM0801X", npi=str(n)) for n in range(20_000)])
    with Table(path, named=nppes.NAMED, required=nppes.REQUIRED) as table:
        reader = NppesReader(table, ImportOptions())
        tracemalloc.start()
        try:
            rows = sum(1 for _ in read_rows(table, reader.read))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert rows == 20_000
    assert peak < path.stat().st_size / 10
