"""Our own table of clinics: every field of a profile, and every kind of wrong cell."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.directory.schemas import ClinicWrite
from seeds.importers.csv_file import COLUMNS, CsvReader
from seeds.importers.mapped import Mapped
from seeds.importers.report import ImportOptions, Refused
from seeds.importers.table import Row

NAMES = tuple(COLUMNS.values())
FULL: Mapping[str, str] = {
    "id": "A-1",
    "name": "Quiet Clinic",
    "organization": "Quiet Group",
    "line1": "1 Main Street",
    "line2": "Suite 2",
    "city": "Phoenix",
    "state": "US-AZ",
    "postal_code": "85016",
    "country": "US",
    "lat": "33.51",
    "lon": "-112.03",
    "phone": "602-555-0100",
    "email": "intake@quiet.example",
    "website": "quiet.example/care",
    "director_name": "Ann Example",
    "director_credential": "MD",
    "director_specialty": "Anesthesiology",
    "director_registration_system": "npi",
    "director_registration": "1234567893",
    "offerings": (
        "iv/clinic: crps + fibromyalgia, sessions 6, days 21, minutes 40, monitoring 30, "
        "maintenance 30, price 450.00 USD/session | sublingual/at_home: depression, "
        "in US-AZ + US-NM | esketamine nasal/clinic"
    ),
    "accepting": "yes",
    "wait_days": "7",
    "weekly_capacity": "10",
    "payers": "medicare; self_pay",
    "languages": "en;es",
    "age_min": "18",
    "age_max": "80",
    "assesses": "substance_use_history",
    "hours": "mon-wed,fri 09:00-17:00; sat 10:00-02:00",
    "telehealth": "yes",
    "rems_certified": "no",
    "programmes": "veterans",
    "source_name": "A list",
    "source_url": "https://list.example/",
    "source_retrieved_on": "2026-11-01",
    "source_licence": "CC0",
    "unverified": "phone; hours",
    "verified_at": "2026-11-02T09:00:00Z",
}


def read(cells: Mapping[str, str], options: ImportOptions | None = None) -> Mapped:
    row = Row(
        2, [cells.get(name, "") for name in NAMES], {name: at for at, name in enumerate(NAMES)}
    )
    mapped = CsvReader(options or ImportOptions()).read(row)
    assert isinstance(mapped, Mapped)
    return mapped


def test_every_field_of_a_profile_has_a_column() -> None:
    profile = read(FULL).profile
    empty = [
        field.name
        for field in msgspec.structs.fields(ClinicWrite)
        if getattr(profile, field.name) == field.default
        or getattr(profile, field.name) in (None, [])
    ]
    assert empty == []


def test_what_a_full_row_says() -> None:
    profile = read(FULL).profile
    assert msgspec.to_builtins(profile.offerings) == [
        {
            "drug": "ketamine",
            "route": "iv",
            "setting": "clinic",
            "conditions": ["crps", "fibromyalgia"],
            "coverage": [],
            "protocol": {
                "initial_sessions": 6,
                "initial_days": 21,
                "session_minutes": 40,
                "monitoring_minutes": 30,
                "maintenance_days": 30,
            },
            "price": {"amount": "450.00", "currency": "USD", "per": "session"},
        },
        {
            "drug": "ketamine",
            "route": "sublingual",
            "setting": "at_home",
            "conditions": ["depression"],
            "coverage": ["US-AZ", "US-NM"],
            "protocol": None,
            "price": None,
        },
        {
            "drug": "esketamine",
            "route": "nasal",
            "setting": "clinic",
            "conditions": [],
            "coverage": [],
            "protocol": None,
            "price": None,
        },
    ]
    assert msgspec.to_builtins(profile.hours) == [
        {"days": ["mon", "tue", "wed", "fri"], "opens": "09:00", "closes": "17:00"},
        {"days": ["sat"], "opens": "10:00", "closes": "02:00"},
    ]
    assert (profile.phone, profile.website) == ("+16025550100", "http://quiet.example/care")
    assert (profile.telehealth, profile.rems_certified) == (True, False)
    assert profile.languages == ["en", "es"]


def test_the_least_that_a_row_must_say() -> None:
    row = read({"name": "X", "city": "Leeds", "state": "gb-eng", "source_name": "List"})
    assert (row.profile.address.state, row.profile.address.country) == ("GB-ENG", "GB")
    assert row.key == "csv:list:x||leeds"
    with_country = read(
        {"name": "X", "city": "Y", "state": "az", "country": "us"},
        ImportOptions(source_name="Given"),
    )
    assert with_country.profile.address.state == "US-AZ"
    assert with_country.profile.source.name == "Given"


def test_the_key_is_the_id_if_there_is_one_and_belongs_to_the_source() -> None:
    assert read(FULL).key == "csv:a-list:a-1"
    assert read({**FULL, "source_name": "Another list"}).key == "csv:another-list:a-1"
    assert read({**FULL, "name": "Renamed"}).key == read(FULL).key


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "a\x07b"),
        ("city", ""),
        ("state", ""),
        ("state", "Arizona"),
        ("state", "GB-ENG"),
        ("country", "FR"),
        ("lat", "ninety"),
        ("lat", "91"),
        ("lat", "nan"),
        ("lat", "1e400"),
        ("lat", ""),
        ("lon", "-181"),
        ("director_name", ""),
        ("director_registration", ""),
        ("director_registration_system", "abc"),
        ("offerings", "iv"),
        ("offerings", "iv/clinic/home"),
        ("offerings", "cannula/clinic"),
        ("offerings", "iv/garden"),
        ("offerings", "aspirin oral/clinic"),
        ("offerings", "iv/clinic, sessions many"),
        ("offerings", "iv/clinic, sessions 0"),
        ("offerings", "iv/clinic, colour blue"),
        ("offerings", "iv/clinic, price lots"),
        ("offerings", "iv/clinic, price 4.555 USD"),
        ("offerings", "iv/clinic, price 4 CHF"),
        ("offerings", "iv/clinic: CRPS type 1"),
        ("offerings", "oral/at_home, in Arizona"),
        ("accepting", "perhaps"),
        ("wait_days", "-1"),
        ("wait_days", "4.5"),
        ("wait_days", "٣"),
        ("wait_days", "99999"),
        ("weekly_capacity", "many"),
        ("age_min", "131"),
        ("hours", "mon 9-5"),
        ("hours", "monday 09:00-17:00"),
        ("hours", "mon,mon 09:00-17:00"),
        ("hours", "mon 09:00-25:00"),
        ("telehealth", "maybe"),
        ("rems_certified", "1"),
        ("source_name", ""),
        ("source_retrieved_on", "01/11/2026"),
        ("source_retrieved_on", "2026-13-01"),
        ("verified_at", "yesterday"),
        ("verified_at", "1234"),
        ("payers", "Medicare Advantage!"),
    ],
)
def test_a_wrong_cell_refuses_the_row_and_names_the_column(column: str, cell: str) -> None:
    with pytest.raises(Refused) as caught:
        read({**FULL, column: cell})
    reason = str(caught.value)
    named = reason.split(":")[0]
    assert column in named or (column, named) == ("country", "state")
    assert len(cell) < 4 or cell not in reason


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ("iv/garden", "the setting must be clinic or at_home ('garden' in offering 2)"),
        (
            "iv/clinic: crps + \x1b[2Jx",
            "has characters or a form that the field cannot have ('\ufffd[2jx' in offering 2)",
        ),
        (
            "iv",
            "offering 2: an offering must begin with route/setting, such as iv/clinic",
        ),
    ],
)
def test_of_several_offerings_the_wrong_one_is_named(second: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        read({**FULL, "offerings": f"iv/clinic | {second} | im/clinic"})
    assert str(caught.value) == f"offerings: {reason}"


@pytest.mark.parametrize(
    ("column", "cell"),
    [("phone", "call us"), ("email", "x" * 255), ("website", "https://" + "x" * 500)],
)
def test_a_way_to_reach_them_that_has_not_even_the_form_is_left_out_and_noted(
    column: str, cell: str
) -> None:
    row = read({**FULL, column: cell})
    assert getattr(row.profile, column) is None
    assert [doubt.split(":")[0] for doubt in row.doubts] == [column]
    assert cell not in row.doubts[0]


CELLS = st.dictionaries(st.sampled_from(NAMES), st.text(max_size=30), max_size=6)


@given(CELLS)
def test_any_cells_are_a_profile_or_a_reason(cells: dict[str, str]) -> None:
    try:
        row = read({**FULL, **cells})
    except Refused:
        return
    assert row.key.startswith("csv:")
    assert len(row.digest()) == 16
