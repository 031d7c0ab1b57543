"""Whole imports into a real database: twice, changed, interrupted, with every kind of bad row."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from api.directory.composing import PreparedClinic
from api.directory.points import stored_point
from api.directory.profile import written
from api.directory.provenance import OPERATOR, stated_by
from api.directory.step import locked_step
from api.directory.writing import append_tombstone, write_batch
from db.states import ClinicStatus, PointPrecision
from seeds.importers.report import ImportOptions, NotImportable, Progress
from tests.seeds.importing import Directory, counts
from tests.seeds.test_samhsa import EVERYTHING, KETAMINE

HERE = Path(__file__).parent


def table(rows: Sequence[Mapping[str, str]]) -> bytes:
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def clinic(**cells: str) -> dict[str, str]:
    return {
        "id": "1",
        "name": "Quiet Clinic",
        "line1": "1 Main Street",
        "city": "Phoenix",
        "state": "US-AZ",
        "postal_code": "85016",
        "phone": "602-955-1000",
        "offerings": "iv/clinic: crps",
        "source_name": "A list",
        "source_retrieved_on": "2026-11-01",
    } | cells


async def test_a_second_run_changes_nothing(directory: Directory) -> None:
    first = await directory.load("samhsa", KETAMINE)
    before, version = await directory.profiles(), await directory.version()
    second = await directory.load("samhsa", KETAMINE)
    assert counts(first) == {"created": 104}
    assert counts(second) == {"unchanged": 104}
    assert (await directory.profiles(), await directory.version()) == (before, version)
    assert version == 104


async def test_the_whole_mental_health_directory_goes_in(directory: Directory) -> None:
    await directory.load("samhsa", KETAMINE)
    report = await directory.load("samhsa", EVERYTHING)
    profiles = await directory.profiles()
    assert counts(report) == {"created": 8933, "unchanged": 104}
    assert [doubt.line for doubt in report.doubts] == [789, 3351]
    assert report.gone == []
    assert len(profiles) == 9037
    assert sum(bool(profile.offerings) for profile in profiles.values()) == 104
    assert all(profile.location is not None for profile in profiles.values())
    again = await directory.load("samhsa", EVERYTHING)
    assert counts(again) == {"unchanged": 9037}


async def test_what_a_profile_says_of_where_it_comes_from(directory: Directory) -> None:
    await directory.load("samhsa", KETAMINE)
    profile = (await directory.profiles())[
        "resnick-neuropsychiatric-hospital-at-ucla-los-angeles-ca"
    ]
    assert profile.source.name.endswith("Mental Health Treatment Facilities 2022")
    assert profile.source.licence == "public domain"
    assert profile.source.retrieved_on is not None
    assert any("2022" in said and "nobody has checked" in said for said in profile.unverified)
    assert profile.location is not None
    assert profile.location.precision is PointPrecision.POSTAL_AREA
    assert profile.location.uncertainty_m is not None
    assert profile.location.uncertainty_m >= 10_000
    assert profile.verified_at is None


async def test_a_row_that_changed_is_written_and_no_other(
    directory: Directory, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(table([clinic(id=str(number)) for number in range(5)]))
    await directory.load("csv", path)
    version = await directory.version()
    path.write_bytes(
        table([clinic(id=str(n), **({"name": "Renamed"} if n == 3 else {})) for n in range(5)])
    )
    report = await directory.load("csv", path)
    assert counts(report) == {"changed": 1, "unchanged": 4}
    assert await directory.version() == version + 1
    assert sorted(profile.version for profile in (await directory.profiles()).values()) == [
        1, 1, 1, 1, 2,
    ]  # fmt: skip


async def test_clinics_that_a_newer_file_lacks_are_reported_and_stay(
    directory: Directory, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    other = tmp_path / "other.csv"
    other.write_bytes(table([clinic(source_name="Another list", name="Elsewhere")]))
    await directory.load("csv", other)
    path.write_bytes(table([clinic(id="1", name="Stays"), clinic(id="2", name="Goes")]))
    await directory.load("csv", path)
    path.write_bytes(table([clinic(id="1", name="Stays")]))
    report = await directory.load("csv", path)
    assert report.gone == ["goes-phoenix-az"]
    assert sorted(await directory.profiles()) == [
        "elsewhere-phoenix-az",
        "goes-phoenix-az",
        "stays-phoenix-az",
    ]


async def test_every_kind_of_bad_row_is_refused_by_line_and_the_rest_goes_in(
    directory: Directory, tmp_path: Path
) -> None:
    bad: list[tuple[dict[str, str], str]] = [
        ({"name": ""}, "name: is empty"),
        ({"name": "\x07"}, "name: has characters or a form that the field cannot have"),
        (
            {"state": "US-ZZ"},
            "state: must be the ISO 3166-2 code of a state or territory of the US",
        ),
        ({"state": "FR-IDF"}, "country: must be US or GB"),
        ({"postal_code": "850"}, "postal_code: must be a ZIP code"),
        ({"offerings": "iv/at_home, in US-AZ"}, "offerings: must be clinic: an infusion"),
        ({"offerings": "oral/at_home"}, "offerings: must name at least one state"),
        ({"offerings": "iv/clinic: hiccups"}, "offerings: must be a code of the catalogue"),
        (
            {"offerings": "iv/clinic: crps | im/clinic: crps + hiccups"},
            "offerings: must be a code of the catalogue of conditions ('hiccups' in offering 2)",
        ),
        (
            {"payers": "medicare; gold"},
            "payers: must be a code of the catalogue of payers (value 2)",
        ),
        ({"payers": "medicare", "languages": "english!"}, "languages: must be a BCP 47"),
        ({"age_min": "60", "age_max": "20"}, "age_max: must be at least the lowest age"),
        ({"hours": "mon 09:00-17:00;mon 10:00-11:00"}, "hours: must not start while"),
        ({"verified_at": "2999-01-01T00:00:00Z"}, "verified_at: must not be in the future"),
        (
            {
                "director_name": "A",
                "director_registration_system": "npi",
                "director_registration": "1234567890",
            },
            "director_registration: must be an NPI",
        ),
        ({"id": "1"}, "is the same clinic as line 2"),
    ]
    rows = [clinic(), *(clinic(**{"id": f"bad-{n}"} | cells) for n, (cells, _) in enumerate(bad))]
    content = table([*rows, clinic(id="last", name="Last")])
    path = tmp_path / "list.csv"
    path.write_bytes(content + b"too,few\r\n")
    report = await directory.load("csv", path)
    assert counts(report) == {"created": 2, "refused": len(bad) + 1}
    said = {note.line: note.text for note in report.refused}
    assert list(said) == [*range(3, 3 + len(bad)), len(bad) + 4]
    for line, (cells, reason) in enumerate(bad, start=3):
        assert said[line].startswith(reason)
        assert not any(len(cell) > 3 and cell in said[line] for cell in cells.values())
    assert sorted(await directory.profiles()) == ["last-phoenix-az", "quiet-clinic-phoenix-az"]


@pytest.mark.parametrize(
    ("lat", "lon", "flags"),
    [
        ("33.51", "-112.03", []),
        ("-112.03", "33.51", None),
        ("51.5", "-0.1", ["outside-country", "far-from-postal-code"]),
        ("34.05", "-118.24", ["far-from-postal-code"]),
        ("0", "0", ["outside-country", "far-from-postal-code"]),
    ],
    ids=["right", "swapped", "in London", "in Los Angeles", "null island"],
)
async def test_coordinates_that_do_not_fit_the_address_are_flagged_and_not_trusted(
    directory: Directory, tmp_path: Path, lat: str, lon: str, flags: list[str] | None
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(table([clinic(lat=lat, lon=lon)]))
    report = await directory.load("csv", path)
    if flags is None:
        assert [note.text for note in report.refused] == ["lat: must be >= -90.0"]
        return
    (profile,) = (await directory.profiles()).values()
    assert profile.location is not None
    assert profile.location.flags == flags
    trusted = profile.location.precision is PointPrecision.EXACT
    assert trusted is not bool(flags)
    assert [note.line for note in report.doubts] == ([2] if flags else [])
    # The point is near Phoenix in any case.
    assert abs(profile.location.lat - 33.5) < 0.2
    assert abs(profile.location.lon + 112.0) < 0.2


async def test_without_a_postal_code_a_point_in_another_state_is_not_trusted_either(
    directory: Directory, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(table([clinic(lat="34.05", lon="-118.24", postal_code="")]))
    await directory.load("csv", path)
    (profile,) = (await directory.profiles()).values()
    assert profile.location is not None
    assert profile.location.flags == ["outside-state"]
    assert profile.location.precision is PointPrecision.CITY


async def test_contacts_that_cannot_be_right_are_left_out_and_noted(
    directory: Directory, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(table([clinic(phone="602-555", email="nobody", website="http://127.0.0.1/")]))
    report = await directory.load("csv", path)
    (profile,) = (await directory.profiles()).values()
    assert (profile.phone, profile.email, profile.website) == (None, None, None)
    assert sorted(note.text.split(":")[0] for note in report.doubts) == [
        "email",
        "phone",
        "website",
    ]
    assert counts(await directory.load("csv", path)) == {"unchanged": 1}


async def verify_phone(directory: Directory, slug: str, number: str) -> None:
    """What a person does who calls the clinic and corrects its number."""
    stored = await directory.stored(slug)
    async with locked_step(directory.database, directory.clock, "key:test") as step:
        body = msgspec.structs.replace(written(stored.row, stored.offerings), phone=number)
        provenance = stated_by({}, body, {"phone"}, OPERATOR, step.now, 30)
        await write_batch(
            step,
            [
                PreparedClinic(
                    body=body,
                    point=stored_point(stored.row),
                    provenance=provenance,
                    existing=stored,
                )
            ],
        )


async def test_a_field_that_a_person_verified_is_kept_and_the_rest_is_brought_up_to_date(
    directory: Directory, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(table([clinic()]))
    await directory.load("csv", path)
    await verify_phone(directory, "quiet-clinic-phoenix-az", "+16029551234")
    path.write_bytes(table([clinic(phone="602-955-9999", name="Renamed Clinic")]))
    report = await directory.load("csv", path)
    (profile,) = (await directory.profiles()).values()
    assert (profile.phone, profile.name) == ("+16029551234", "Renamed Clinic")
    assert [(kept.line, kept.fields) for kept in report.kept] == [(2, ("phone",))]
    assert profile.provenance["phone"].source == OPERATOR
    assert counts(await directory.load("csv", path)) == {"unchanged": 1}


async def test_a_clinic_that_somebody_deleted_does_not_come_back(
    directory: Directory, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(table([clinic()]))
    await directory.load("csv", path)
    stored = await directory.stored("quiet-clinic-phoenix-az")
    async with locked_step(directory.database, directory.clock, "key:test") as step:
        await append_tombstone(
            step, msgspec.structs.replace(stored.row, status=ClinicStatus.DELETED)
        )
    path.write_bytes(table([clinic(name="Back again")]))
    report = await directory.load("csv", path)
    assert counts(report) == {"unchanged": 1}
    assert "deleted" in report.doubts[0].text
    assert await directory.profiles() == {}


async def test_a_claim_that_a_newer_file_repeats_counts_from_that_file(
    directory: Directory, tmp_path: Path
) -> None:
    today = directory.clock.now().date()
    path = tmp_path / "list.csv"
    path.write_bytes(table([clinic(accepting="yes", source_retrieved_on="2020-01-01")]))
    await directory.load("csv", path)
    (profile,) = (await directory.profiles()).values()
    assert profile.accepting == "unknown"
    path.write_bytes(table([clinic(accepting="yes", source_retrieved_on=today.isoformat())]))
    assert counts(await directory.load("csv", path)) == {"changed": 1}
    (profile,) = (await directory.profiles()).values()
    assert profile.accepting == "yes"
    assert profile.provenance["accepting"].expires_at is not None


async def test_a_file_that_cannot_be_used_leaves_everything_as_it_was(
    directory: Directory, tmp_path: Path
) -> None:
    packed = EVERYTHING.read_bytes()
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(NotImportable, match="cut off after line"):
        await directory.load("samhsa", path)
    wrong = tmp_path / "wrong.csv"
    wrong.write_bytes(table([clinic()]))
    with pytest.raises(NotImportable, match="This is no SAMHSA facility directory"):
        await directory.load("samhsa", wrong)
    with pytest.raises(NotImportable, match="imports of samhsa, csv, nppes"):
        await directory.load("xml", wrong)
    assert await directory.version() == 0


async def test_progress_goes_forward_to_the_end_of_the_file(directory: Directory) -> None:
    seen: list[Progress] = []
    await directory.load("samhsa", EVERYTHING, progress=seen.append)
    assert [step.rows for step in seen] == sorted(step.rows for step in seen)
    assert [step.bytes_done for step in seen] == sorted(step.bytes_done for step in seen)
    assert (seen[-1].rows, seen[-1].bytes_done) == (9037, EVERYTHING.stat().st_size)
    assert len(seen) > 10


def killed_import(dsn: str, path: Path, ids_until_death: int, rows_a_transaction: int) -> None:
    """An import in a process of its own that dies at once, as if the power failed."""
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / "dying_import.py"),
            dsn,
            str(path),
            str(ids_until_death),
            str(rows_a_transaction),
        ],
        env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
        check=False,
        capture_output=True,
    )
    assert done.returncode == -9, done.stderr.decode()


async def test_two_imports_of_one_file_at_once_make_each_clinic_once(directory: Directory) -> None:
    reports = await asyncio.gather(
        directory.load("samhsa", KETAMINE), directory.load("samhsa", KETAMINE)
    )
    assert sorted(report.created for report in reports) == [0, 104]
    assert sorted(report.unchanged for report in reports) == [0, 104]
    assert await directory.version() == 104


@pytest.mark.parametrize("ids_until_death", [1, 60, 200])
async def test_killed_in_the_middle_nothing_is_half_and_the_next_run_loads_all(
    directory: Directory, dsn: str, ids_until_death: int
) -> None:
    killed_import(dsn, KETAMINE, ids_until_death, 10_000)
    assert (await directory.version(), await directory.profiles()) == (0, {})
    assert counts(await directory.load("samhsa", KETAMINE)) == {"created": 104}


async def test_killed_between_parts_what_is_there_is_whole_and_the_next_run_goes_on(
    directory: Directory, dsn: str
) -> None:
    killed_import(dsn, KETAMINE, 200, 30)
    profiles = await directory.profiles()
    assert len(profiles) in (30, 60, 90)
    assert await directory.version() == len(profiles)
    assert all(len(profile.offerings) == 1 for profile in profiles.values())
    report = await directory.load("samhsa", KETAMINE, ImportOptions(rows_a_transaction=30))
    assert counts(report) == {"created": 104 - len(profiles), "unchanged": len(profiles)}


async def test_a_plain_and_a_packed_file_are_the_same_import(
    directory: Directory, tmp_path: Path
) -> None:
    packed = tmp_path / "us_samhsa_2022.csv.gz"
    packed.write_bytes(gzip.compress(KETAMINE.read_bytes()))
    await directory.load("samhsa", KETAMINE)
    assert counts(await directory.load("samhsa", packed)) == {"unchanged": 104}


async def test_the_day_of_the_file_is_said_unless_another_one_is_given(
    directory: Directory, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(table([clinic(source_retrieved_on="")]))
    moment = datetime(2025, 4, 5, 12, tzinfo=UTC).timestamp()
    os.utime(path, (moment, moment))
    await directory.load("csv", path)
    (profile,) = (await directory.profiles()).values()
    assert str(profile.source.retrieved_on) == "2025-04-05"
