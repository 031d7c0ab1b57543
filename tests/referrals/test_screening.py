"""The screening flags in the code are those of the catalogue, handled as it says."""

from __future__ import annotations

import msgspec
import pytest

from api.referrals import screening
from api.referrals.matching.eligibility import ASSESSED_ONLY
from api.referrals.schemas import ScreeningWrite
from seeds.catalogue.load import entries, load_catalogue


class Flag(msgspec.Struct):
    handling: str
    stops_routing: bool


FLAGS = {
    code: msgspec.json.decode(document, type=Flag)
    for kind, code, document in entries(load_catalogue())
    if kind == "screening_flag"
}


def test_the_form_asks_for_each_flag_of_the_catalogue() -> None:
    assert list(ScreeningWrite.__struct_fields__) == list(FLAGS)


def test_each_flag_is_handled_as_the_catalogue_says() -> None:
    by_handling = {
        "confirm": screening.CONFIRMED,
        "assessing_clinics": screening.ASSESSED,
        "refuse": frozenset({screening.IMMEDIATE_RISK}),
    }
    for handling, codes in by_handling.items():
        assert codes == {code for code, flag in FLAGS.items() if flag.handling == handling}
    assert screening.ASSESSED == ASSESSED_ONLY
    for code, flag in FLAGS.items():
        assert flag.stops_routing == (code not in screening.ASSESSED)


def test_what_stops_is_named_in_the_order_of_the_form() -> None:
    answers = dict.fromkeys(FLAGS, True)
    flags = screening.raised(answers)
    assert list(flags) == list(FLAGS)
    assert screening.stops(flags) == tuple(code for code in FLAGS if code in screening.CONFIRMED)
    assert screening.stops(screening.raised(dict.fromkeys(FLAGS, False))) == ()


@pytest.mark.parametrize(
    ("country", "phones"),
    [
        ("US", ["988"]),
        ("GB", ["999", "116 123"]),
        (None, ["988", "999", "116 123"]),
        ("FR", ["988", "999", "116 123"]),
    ],
)
def test_whom_to_call(country: str | None, phones: list[str]) -> None:
    assert [line.phone for line in screening.crisis_lines(country)] == phones
