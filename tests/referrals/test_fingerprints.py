"""Fingerprints: the same person is found however the name is typed, and nobody else."""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Literal, TypeAlias, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.keyring import Keyring
from api.referrals.sealing.fingerprints import (
    BYTES,
    Fingerprints,
    fingerprints_of,
    normalised,
    tag_of,
)
from tests.keyrings import fixed_keyring

KEYS = fixed_keyring("first", "second")
NAMES = st.text(min_size=1, max_size=20)
Form: TypeAlias = Literal["NFC", "NFD", "NFKC", "NFKD"]
FORMS: tuple[Form, ...] = get_args(Form)


def made(
    given_name: str = "Ana",
    family_name: str = "Núñez",
    birth_date: date = date(1980, 2, 3),
    codes: tuple[str, ...] = ("crps",),
    keys: Keyring = KEYS,
) -> Fingerprints:
    return fingerprints_of(
        keys, given_name=given_name, family_name=family_name, birth_date=birth_date, codes=codes
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Mary-Ann", "mary  ann"),
        ("O'Neill", "O\u2019NEILL"),
        ("Núñez", "Nu\u0301n\u0303ez"),
        ("Núñez", "NUNEZ"),
        ("Strauß", "STRAUSS"),
        ("Łukasz", "lukasz"),
        ("Sørensen", "Sorensen"),
        ("Æsa", "Aesa"),
        ("\uff21\uff4e\uff41", "Ana"),  # full-width letters
        ("ﬁona", "Fiona"),
        ("İpek", "ipek"),
        ("Anne.", " Anne "),
        ("Ёлкина", "елкина"),
        ("Ὀδυσσεύς", "οδυσσευσ"),
    ],
)
def test_one_name_typed_in_two_ways(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)
    assert made(family_name=one) == made(family_name=other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ana", "Anna"), ("किशन", "कुशन"), ("李", "林"), ("?", "!"), ("Jr 2", "Jr 3")],
)
def test_two_names(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@given(NAMES)
def test_a_normalised_name_always_stays_as_it_is(name: str) -> None:
    assert normalised(normalised(name)) == normalised(name)


@given(NAMES, st.sampled_from(FORMS))
def test_a_form_of_unicode_never_makes_another_person(name: str, form: Form) -> None:
    assert normalised(unicodedata.normalize(form, name)) == normalised(name)


def test_every_part_counts() -> None:
    found = [
        made(),
        made(given_name="Eva"),
        made(family_name="Nunes"),
        made(birth_date=date(1980, 3, 2)),
        made(codes=("migraine",)),
        made(given_name="Núñez", family_name="Ana"),
        made(keys=fixed_keyring("second")),
    ]
    assert len({each.stored[0][4:] for each in found[:-1]}) == len(found) - 1
    assert found[0].stored == found[-1].stored


@given(NAMES, NAMES, NAMES, NAMES)
def test_where_one_name_ends_always_counts(a: str, b: str, c: str, d: str) -> None:
    same = (normalised(a), normalised(b)) == (normalised(c), normalised(d))
    assert (made(a, b).stored == made(c, d).stored) == same


def test_one_for_each_condition_whatever_their_order() -> None:
    both = made(codes=("migraine", "crps", "crps"))
    assert both.stored == made(codes=("crps", "migraine")).stored
    assert [len(each) for each in both.stored] == [BYTES, BYTES]
    assert set(made().stored) < set(both.stored)


def test_a_rotation_breaks_no_look_up() -> None:
    before, after = fixed_keyring("first"), KEYS
    assert set(made(keys=before).stored) <= set(made(keys=after).sought)
    # A process that does not use the new key yet finds what one made that does.
    lagging = fixed_keyring("second", "first")
    assert set(made(keys=after).stored) <= set(made(keys=lagging).sought)
    assert made(keys=after).stored != made(keys=before).stored


def test_two_requests_take_a_lock_in_common_during_a_rotation() -> None:
    one, other = made(keys=fixed_keyring("first")), made(keys=KEYS)
    assert set(one.lock_numbers()) & set(other.lock_numbers())
    assert other.lock_numbers() == sorted(other.lock_numbers())
    assert not set(other.lock_numbers()) & set(made(family_name="Else").lock_numbers())


def test_it_says_which_key_made_it() -> None:
    assert made().stored[0].startswith(tag_of("second"))
    assert tag_of("first") != tag_of("second")
