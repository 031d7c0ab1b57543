"""SAMHSA's rows and codes, on the real files."""

from __future__ import annotations

from collections import Counter
from datetime import date
from importlib.resources import files
from pathlib import Path

import msgspec
import pytest

from db.states import Drug, Route, Setting
from seeds.catalogue.load import load_catalogue
from seeds.importers.mapped import Mapped, PassedOver, Unreadable, read_rows
from seeds.importers.report import ImportOptions, Refused
from seeds.importers.samhsa import (
    NAMED,
    REQUIRED,
    SamhsaReader,
    code_book,
    source_name,
)
from seeds.importers.table import Row, Table

KETAMINE = Path(str(files("seeds"))) / "clinics" / "us_samhsa_ketamine_kit_2022.csv"
EVERYTHING = Path(__file__).parent.parent / "data" / "us_samhsa_mh_2022.csv.gz"
COLUMNS = (*REQUIRED, "latitude", "longitude", "geo_precision")


def mapped(path: Path, options: ImportOptions | None = None) -> list[Mapped]:
    reader = SamhsaReader(source_name(path), options or ImportOptions())
    with Table(path, named=NAMED, required=REQUIRED) as table:
        rows = list(read_rows(table, reader.read))
    assert not [row for row in rows if isinstance(row, Unreadable)]
    return [row for row in rows if isinstance(row, Mapped)]


def one(**cells: str) -> Mapped:
    given = {
        "name1": "Quiet Clinic",
        "street1": "1 Main Street",
        "city": "Phoenix",
        "state": "AZ",
        "zip": "85016",
        "phone": "602-555-0100",
    } | cells
    row = Row(
        2,
        [given.get(column, "") for column in COLUMNS],
        {column: at for at, column in enumerate(COLUMNS)},
    )
    read = SamhsaReader("SAMHSA 2022", ImportOptions()).read(row)
    assert isinstance(read, Mapped)
    return read


def test_the_counts_that_the_data_set_is_known_for() -> None:
    rows = mapped(KETAMINE)
    profiles = [row.profile for row in rows]
    payers = Counter(payer for profile in profiles for payer in profile.payers)
    assert len(rows) == 104
    assert {code: payers[code] for code in ("private_insurance", "medicare", "medicaid", "va")} == {
        "private_insurance": 85,
        "medicare": 69,
        "medicaid": 54,
        "va": 52,
    }
    assert payers["self_pay"] == 81
    assert sum(profile.telehealth is True for profile in profiles) == 90
    assert sum("es" in profile.languages for profile in profiles) == 39


def test_ketamine_infusion_is_an_offering_without_conditions() -> None:
    for row in mapped(KETAMINE):
        (offering,) = row.profile.offerings
        assert (offering.drug, offering.route, offering.setting) == (
            Drug.KETAMINE,
            Route.IV,
            Setting.CLINIC,
        )
        assert offering.conditions == []


def test_the_whole_directory_goes_in_and_only_those_104_give_ketamine() -> None:
    rows = mapped(EVERYTHING)
    assert len(rows) == 9037
    assert sum(bool(row.profile.offerings) for row in rows) == 104
    assert not [row.line for row in rows if row.doubts]


def test_both_files_give_a_facility_the_same_key_and_the_same_profile() -> None:
    in_all = {row.key: row.digest() for row in mapped(EVERYTHING)}
    for row in mapped(KETAMINE):
        assert in_all[row.key] == row.digest()


def test_every_row_has_a_key_of_its_own_also_where_name_and_address_are_shared() -> None:
    rows = mapped(EVERYTHING)
    assert len({row.key for row in rows}) == len(rows)
    by_phone = [row for row in rows if row.key.count("|") == 3]
    assert [(row.line, row.key.rpartition("|")[2]) for row in by_phone] == [
        (3983, "616-258-7467"),
        (4864, "402-292-9105"),
    ]


def test_services_choose_rows_and_the_others_are_passed_over_with_their_key() -> None:
    options = ImportOptions(services=("KIT",))
    reader = SamhsaReader(source_name(EVERYTHING), options)
    with Table(EVERYTHING, named=NAMED, required=REQUIRED) as table:
        rows = list(read_rows(table, reader.read))
    assert sum(isinstance(row, Mapped) for row in rows) == 104
    assert all(row.key for row in rows if isinstance(row, PassedOver))


def test_the_digest_does_not_depend_on_the_day_the_file_was_fetched() -> None:
    row = one()
    later = msgspec.structs.replace(
        row, profile=msgspec.convert(msgspec.to_builtins(row.profile), type(row.profile))
    )
    later.profile.source.retrieved_on = date(2030, 1, 1)
    assert later.digest() == row.digest()
    later.profile.phone = "+16025550199"
    assert later.digest() != row.digest()


@pytest.mark.parametrize(
    ("first", "second", "name", "organization"),
    [
        ("Care Clinic", "", "Care Clinic", "Care Clinic"),
        ("DAmore Healthcare", "Cheyenne", "DAmore Healthcare, Cheyenne", "DAmore Healthcare"),
        (
            "Resnick Neuropsychiatric Hospital at",
            "UCLA",
            "Resnick Neuropsychiatric Hospital at UCLA",
            "Resnick Neuropsychiatric Hospital at UCLA",
        ),
    ],
)
def test_names_of_site_and_organization(
    first: str, second: str, name: str, organization: str
) -> None:
    profile = one(name1=first, name2=second).profile
    assert (profile.name, profile.organization) == (name, organization)


@pytest.mark.parametrize(
    ("codes", "low", "high", "gap"),
    [
        ("", None, None, False),
        ("CHLD", 0, 17, False),
        ("YAD", 18, 25, False),
        ("ADLT YAD", 18, 64, False),
        ("ADLT CHLD SNR YAD", 0, None, False),
        ("SNR", 65, None, False),
        ("CHLD ADLT", 0, 64, True),
        ("YAD SNR", 18, None, True),
    ],
)
def test_ages_span_the_groups_and_say_so_when_one_is_missing(
    codes: str, low: int | None, high: int | None, gap: bool
) -> None:
    profile = one(service_code_info=codes).profile
    found = profile.age
    assert (None, None) if found is None else (found.min, found.max) == (low, high)
    assert any("age groups" in said for said in profile.unverified) is gap


def test_programmes_stay_programmes() -> None:
    profile = one(service_code_info="SA MH * KIT * PTSD TRMA VET SED SMI").profile
    assert profile.programmes == [
        "veterans",
        "trauma",
        "ptsd",
        "serious-emotional-disturbance",
        "serious-mental-illness",
    ]
    assert profile.offerings[0].conditions == []


def test_what_is_not_reported_is_not_a_no() -> None:
    profile = one(service_code_info="MH").profile
    assert profile.telehealth is None
    assert profile.languages == []


def test_a_text_that_is_no_phone_is_left_out_and_noted_an_extension_is_kept() -> None:
    wrong = one(phone="see website")
    assert wrong.profile.phone is None
    assert wrong.doubts
    extended = one(phone="480-784-1514 x1126")
    assert extended.profile.phone == "+14807841514"
    assert "Phone: ask for extension 1126." in extended.profile.unverified


def test_an_unknown_code_is_noted() -> None:
    assert one(service_code_info="MH ZZZZ").doubts
    assert not one(service_code_info="MH * OP").doubts


@pytest.mark.parametrize(
    "cells",
    [{"name1": ""}, {"zip": "85"}, {"zip": "85O16"}, {"city": ""}, {"state": "Arizona"}],
    ids=["no name", "short ZIP", "letter in ZIP", "no city", "state as a word"],
)
def test_rows_that_cannot_be_used_say_which_column(cells: dict[str, str]) -> None:
    with pytest.raises(Refused) as caught:
        one(**cells)
    column, value = next(iter(cells.items()))
    assert column in str(caught.value)
    assert not value or value not in str(caught.value)


def test_a_zip_code_that_a_spreadsheet_robbed_of_its_zeros() -> None:
    assert one(state="MA", zip="2130").profile.address.postal_code == "02130"


def test_a_point_of_the_zip_area_is_left_to_the_gazetteer_one_of_the_building_is_taken() -> None:
    area = one(latitude="33.5", longitude="-112.0", geo_precision="zip:census_zcta_2021").profile
    building = one(latitude="33.5", longitude="-112.0").profile
    assert area.location is None
    assert building.location is not None
    assert (building.location.lat, building.location.lon) == (33.5, -112.0)


def test_payers_are_those_that_the_catalogue_names_for_the_codes() -> None:
    catalogue = {
        code: payer.code for payer in load_catalogue().payers for code in payer.samhsa_codes
    }
    assert code_book().payers == catalogue


def test_languages_stand_in_the_catalogue() -> None:
    known = {language.code for language in load_catalogue().languages}
    assert set(code_book().languages.values()) - known == {"crp"}
