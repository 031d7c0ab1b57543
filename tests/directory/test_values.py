"""Checks of single values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.directory import values
from api.directory.languages import SHORT_CODES
from api.directory.values import Opening, Unfit, overlapping

NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("check", "sent", "stored"),
    [
        (values.phone, "+16025550100", "+16025550100"),
        (values.phone, "+44 20 7946 0000", "+442079460000"),
        (values.phone, "+1 (602) 555-0100", "+16025550100"),
        (values.email, "A.Person+x@Clinic.Example", "A.Person+x@clinic.example"),
        (values.email, "a@bücher.example", "a@xn--bcher-kva.example"),
        (values.website, "HTTPS://Clinic.Example/Path?q=1#x", "https://clinic.example/Path?q=1#x"),
        (values.website, "http://clinic.example:8080", "http://clinic.example:8080"),
        (values.website, "http://8.8.8.8/", "http://8.8.8.8/"),
        (values.website, "http://[2606:4700::1111]/", "http://[2606:4700::1111]/"),
        (values.npi, "1234567893", "1234567893"),
        (values.npi, "2000000002", "2000000002"),
        (values.gmc, "0123456", "0123456"),
        (values.language, "EN", "en"),
        (values.language, "eng", "en"),
        (values.language, "ase", "ase"),
        (values.language, "ZH-hant-tw", "zh-Hant-TW"),
        (values.language, "sl-ROZAJ-biske-1994", "sl-rozaj-biske-1994"),
        (values.language, "es-419", "es-419"),
        (values.language, "de-DE-u-CO-phonebk-x-Ours", "de-DE-u-co-phonebk-x-ours"),
        (values.amount, "450", "450.00"),
        (values.amount, "0.5", "0.50"),
    ],
)
def test_good_values_have_one_stored_form(
    check: Callable[[str], str], sent: str, stored: str
) -> None:
    assert check(sent) == stored
    assert check(stored) == stored


@pytest.mark.parametrize(
    ("check", "sent"),
    [
        (values.phone, "6025550199"),
        (values.phone, "+1602555019"),
        (values.phone, "+15555550100"),
        (values.phone, "+16025550100;ext=3"),
        (values.phone, "+1602555O100"),
        (values.phone, "+٤٤٢٠٧٩٤٦٠٠٠٠"),
        (values.email, "nobody"),
        (values.email, "a@b"),
        (values.email, "a@@clinic.example"),
        (values.email, ".a@clinic.example"),
        (values.email, "a b@clinic.example"),
        (values.email, "a@localhost"),
        (values.email, "a@-x.example"),
        (values.email, f"{'a' * 65}@clinic.example"),
        (values.website, "www.clinic.example"),
        (values.website, "ftp://clinic.example"),
        (values.website, "javascript:alert(1)"),
        (values.website, "http://"),
        (values.website, "http://user:pw@clinic.example"),
        (values.website, "http://user@clinic.example"),
        (values.website, "http://127.0.0.1"),
        (values.website, "http://127.1"),
        (values.website, "http://0x7f000001"),
        (values.website, "http://2130706433"),
        (values.website, "http://10.0.0.1"),
        (values.website, "http://100.64.0.1"),
        (values.website, "http://169.254.169.254"),
        (values.website, "http://[::1]"),
        (values.website, "http://[::ffff:10.0.0.1]"),
        (values.website, "http://[fc00::1]"),
        (values.website, "http://[::1"),
        (values.website, "http://localhost:8000"),
        (values.website, "http://printer.local"),
        (values.website, "http://db.internal"),
        (values.website, "http://clinic.example:99999"),
        (values.website, "http://clinic.example:0"),
        (values.website, "http://a..example"),
        (values.website, "http://clinic.example/a b"),
        (values.website, "http://clinic.example\\@other.example"),
        (values.npi, "1234567890"),
        (values.npi, "3234567893"),
        (values.npi, "123456789"),
        (values.npi, "１234567893"),
        (values.gmc, "123456"),
        (values.gmc, "12345678"),
        (values.gmc, "C123456"),
        (values.language, "english"),
        (values.language, "q"),
        (values.language, "en_US"),
        (values.language, "en-"),
        (values.language, "x-ours"),
        (values.language, "es-41"),
    ],
)
def test_bad_values_are_refused_and_not_repeated(check: Callable[[str], str], sent: str) -> None:
    with pytest.raises(Unfit) as refused:
        check(sent)
    assert refused.value.message.startswith("must")
    assert sent not in refused.value.message


@pytest.mark.parametrize(
    ("country", "sent", "stored"),
    [
        ("US", "85016", "85016"),
        ("US", "85016-1234", "85016-1234"),
        ("GB", "sw1a1aa", "SW1A 1AA"),
        ("GB", "SW1A", "SW1A"),
        ("GB", " m1  1ae ", "M1 1AE"),
    ],
)
def test_postal_codes(country: str, sent: str, stored: str) -> None:
    assert values.postal_code(country, sent) == stored


@pytest.mark.parametrize(
    ("country", "sent"),
    [("US", "8501"), ("US", "SW1A 1AA"), ("GB", "85016"), ("GB", "SW1A 1A"), ("GB", "Q1 1CA")],
)
def test_postal_codes_of_another_form(country: str, sent: str) -> None:
    with pytest.raises(Unfit):
        values.postal_code(country, sent)


def test_states_belong_to_countries() -> None:
    assert len(values.US_STATES) == 56
    assert values.state("US", "US-PR") == "US-PR"
    assert values.state("GB", "GB-SCT") == "GB-SCT"
    for country, code in (("US", "GB-ENG"), ("GB", "US-AZ"), ("US", "US-XX"), ("GB", "GB-LND")):
        with pytest.raises(Unfit):
            values.state(country, code)


def test_every_three_letter_code_has_a_two_letter_one() -> None:
    assert all(len(long) == 3 and len(short) == 2 for long, short in SHORT_CODES.items())
    assert len(set(SHORT_CODES.values())) == 184


@given(st.integers(min_value=0, max_value=8), st.integers(min_value=1, max_value=9))
def test_a_wrong_digit_of_an_npi_is_always_found(place: int, by: int) -> None:
    digits = list("1234567893")
    digits[place] = str((int(digits[place]) + by) % 10)
    with pytest.raises(Unfit):
        values.npi("".join(digits))


def test_verification_times() -> None:
    assert values.verified_at(NOW - timedelta(days=1), NOW) == NOW - timedelta(days=1)
    assert values.verified_at(NOW + timedelta(seconds=30), NOW) == NOW
    naive = NOW.replace(tzinfo=None)
    for moment in (NOW + timedelta(minutes=2), datetime(1, 1, 1, tzinfo=UTC), naive):
        with pytest.raises(Unfit):
            values.verified_at(moment, NOW)


@pytest.mark.parametrize(
    ("openings", "rows"),
    [
        ([(0, "mon", "09:00", "12:00"), (1, "mon", "12:00", "17:00")], []),
        ([(0, "mon", "09:00", "13:00"), (1, "mon", "12:00", "17:00")], [1]),
        ([(0, "mon", "22:00", "02:00"), (1, "tue", "02:00", "17:00")], []),
        ([(0, "mon", "22:00", "02:00"), (1, "tue", "01:00", "17:00")], [1]),
        ([(0, "sun", "22:00", "02:00"), (1, "mon", "01:00", "05:00")], [1]),
        ([(0, "sun", "22:00", "02:00"), (1, "mon", "02:00", "05:00")], []),
        ([(0, "mon", "00:00", "00:00"), (1, "tue", "00:00", "00:00")], []),
        ([(0, "mon", "00:00", "00:00"), (1, "mon", "23:00", "23:30")], [1]),
        ([(0, "mon", "09:00", "17:00"), (1, "mon", "09:00", "17:00")], [1]),
        ([(0, "mon", "08:00", "20:00"), (1, "mon", "9:00".zfill(5), "10:00"),
          (2, "mon", "19:00", "21:00")], [1, 2]),
    ],
)  # fmt: skip
def test_hours_that_overlap(openings: list[tuple[int, str, str, str]], rows: list[int]) -> None:
    assert overlapping([Opening(*each) for each in openings]) == rows


minutes = st.integers(min_value=0, max_value=24 * 60 - 1)
openings = st.lists(st.tuples(st.sampled_from(values.WEEKDAYS), minutes, minutes), max_size=6)


@given(openings)
def test_hours_overlap_exactly_when_a_minute_of_the_week_is_open_twice(
    rows: list[tuple[str, int, int]],
) -> None:
    made = [
        Opening(row, day, f"{a // 60:02}:{a % 60:02}", f"{b // 60:02}:{b % 60:02}")
        for row, (day, a, b) in enumerate(rows)
    ]
    counted = [0] * (7 * 24 * 60)
    for opening in made:
        for minute in range(opening.start, opening.end):
            counted[minute % len(counted)] += 1
    assert bool(overlapping(made)) == any(count > 1 for count in counted)
