"""What texts a profile may hold, and in which words others are refused."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Literal, get_args, get_origin

import msgspec
import pytest
from msgspec import Meta

import api.app
from api.bodies import decode_body
from api.directory.schemas import ClinicWrite
from api.errors import InvalidBody
from api.expected import FORM_UNSAID, expected
from tests.directory.clinics import SMALL
from tests.directory.conftest import Service

KEPT = {"\u200c", "\u200d"}
"""The non-joiner and the joiner: Persian and Sinhala, among others, cannot be written without."""

HIDDEN = [
    *"\u00ad\u061c\u180e\u200b\u200e\u200f\u2028\u2029\ufeff\ufff9\ufffa\ufffb",
    *(chr(code) for code in range(0x202A, 0x202F)),
    *(chr(code) for code in range(0x2060, 0x2070)),
    *(chr(code) for code in range(0xE0000, 0xE0080)),
    *(chr(code) for code in range(0x7F, 0xA0)),
]


def read(**changed: object) -> ClinicWrite:
    return decode_body(json.dumps({**SMALL, **changed}).encode(), ClinicWrite)


@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda character: f"U+{ord(character):04X}")
def test_no_text_holds_what_is_invisible_or_turns_the_direction(hidden: str) -> None:
    for name in (hidden, f"Example{hidden} Clinic", f"{hidden}Example", f"Example{hidden}"):
        with pytest.raises(InvalidBody) as refused:
            read(name=name, source={"name": name})
        assert {error.pointer for error in refused.value.errors} == {"/name", "/source/name"}
        right = (
            "must be text of 1 to 200 characters, some of them visible, without control "
            "characters and without marks that are invisible or change the direction"
        )
        assert {error.message for error in refused.value.errors} == {right}


def test_what_may_be_null_says_so_before_the_rest() -> None:
    with pytest.raises(InvalidBody) as refused:
        read(organization=1, telehealth=1)
    said = {error.pointer: error.message for error in refused.value.errors}
    assert said["/organization"].startswith("must be null or text of 1 to 200 characters")
    assert said["/organization"].endswith("change the direction")
    assert said["/telehealth"] == "must be null, true or false"


@pytest.mark.parametrize("name", ["\u200d", "\u200c\u200d", "\u00a0", "\u3000", "\u2003 \u200c"])
def test_a_text_has_something_to_see(name: str) -> None:
    with pytest.raises(InvalidBody):
        read(name=name)


@pytest.mark.parametrize(
    "name",
    [
        "می\u200cخواهم",
        "ශ්\u200dරී ලංකා",
        "診療所",
        "مركز",
        "Café Ñ’s – “Clinic” 😀",
        "👩\u200d⚕️",
        "a\u00a0b",
        "x",
        "!!!",
        "\U0001f3e5",
    ],
)
def test_every_script_may_be_written(name: str) -> None:
    assert read(name=name, organization=name).name == name


def test_the_list_holds_every_such_character_there_is() -> None:
    """Those that Unicode counts as formats, but for signs that are seen (Arabic numbers, and
    controls of notations that no text of ours has)."""
    formats = {chr(code) for code in range(0xE0080) if unicodedata.category(chr(code)) == "Cf"}
    seen = {c for c in formats if 0x600 <= ord(c) <= 0x8E2 and c != "\u061c"}
    notations = {c for c in formats if 0x11000 <= ord(c) < 0xE0000}
    assert formats - seen - notations - KEPT <= set(HIDDEN)


async def test_a_name_of_which_nothing_can_stand_in_a_slug(service: Service) -> None:
    first = await service.created({**SMALL, "name": "診療所"})
    second = await service.created({**SMALL, "name": "!!!"})
    assert (first["slug"], second["slug"]) == ("phoenix-az", "phoenix-az-2")
    assert (first["name"], second["name"]) == ("診療所", "!!!")


FIRST = {"drug": "ketamine", "route": "iv", "setting": "clinic"}
ADDRESS = {"city": "Phoenix", "state": "US-AZ", "country": "US"}
SLUG_RIGHT = (
    "a code of lower-case letters, digits, - and _, as in the catalogues, of at most 64 characters"
)
STATE_RIGHT = "the ISO 3166-2 code of a state or nation, such as US-AZ or GB-ENG"


@pytest.mark.parametrize(
    ("changed", "pointer", "right"),
    [
        ({"payers": ["Self Pay"]}, "/payers/0", SLUG_RIGHT),
        ({"offerings": [{**FIRST, "conditions": ["-"]}]}, "/offerings/0/conditions/0", SLUG_RIGHT),
        ({"offerings": [{**FIRST, "coverage": ["AZ"]}]}, "/offerings/0/coverage/0", STATE_RIGHT),
        ({"address": {**ADDRESS, "state": "AZ"}}, "/address/state", STATE_RIGHT),
        ({"address": {**ADDRESS, "country": "USA"}}, "/address/country", "US or GB"),
        (
            {"hours": [{"days": ["Monday"], "opens": "09:00", "closes": "17:00"}]},
            "/hours/0/days/0",
            "one of mon, tue, wed, thu, fri, sat, sun",
        ),
        (
            {"hours": [{"days": ["mon"], "opens": "09:00", "closes": "24:00"}]},
            "/hours/0/closes",
            "a time from 00:00 to 23:59",
        ),
        (
            {"offerings": [{**FIRST, "price": {"amount": "-1", "currency": "USD"}}]},
            "/offerings/0/price/amount",
            "a decimal amount such as 450.00, not negative, as text",
        ),
        (
            {"offerings": [{**FIRST, "price": {"amount": "1", "currency": "EUR"}}]},
            "/offerings/0/price/currency",
            "USD or GBP",
        ),
        (
            {"offerings": [{**FIRST, "price": {"amount": "1", "currency": "USD", "per": "hour"}}]},
            "/offerings/0/price/per",
            "session, course or month",
        ),
        (
            {"medical_director": {"name": "x", "registration": {"system": "dea", "value": "1"}}},
            "/medical_director/registration/system",
            "npi, gmc or state_licence",
        ),
        (
            {"medical_director": {"name": "x", "registration": {"system": "npi", "value": "1 2"}}},
            "/medical_director/registration/value",
            "1 to 40 letters (A to Z), digits and hyphens",
        ),
    ],
)
def test_a_refusal_says_what_is_right(changed: dict[str, object], pointer: str, right: str) -> None:
    with pytest.raises(InvalidBody) as refused:
        read(**changed)
    found = [(error.pointer, error.message) for error in refused.value.errors]
    assert found == [(pointer, f"must be {right}")]


def test_no_caller_is_shown_a_regular_expression() -> None:
    """Every type of every field that a request may have, down to the items of lists."""
    kinds = [kind for kind in _structs(msgspec.Struct) if _is_request(kind)]
    names = {kind.__name__ for kind in kinds}
    assert {"ClinicWrite", "ClinicPatch", "KeyWrite", "SearchParameters", "PriceWrite"} <= names
    with_pattern = 0
    for kind in kinds:
        for field in msgspec.structs.fields(kind):
            for part in _parts(field.type):
                said = expected(part)
                assert FORM_UNSAID not in said, f"{kind.__name__}.{field.name} needs words"
                for pattern in _patterns(part):
                    with_pattern += 1
                    assert pattern not in said
                assert not set(said) & set("^$\\*"), f"{kind.__name__}.{field.name}: {said}"
    assert with_pattern > 30


def test_a_pattern_without_words_is_not_shown_either() -> None:
    assert expected(PLAIN) == f"text {FORM_UNSAID}"


PLAIN = Annotated[str, Meta(pattern="^[a-z]+$")]


def _structs(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for each in kind.__subclasses__():
        yield each
        yield from _structs(each)


def _is_request(kind: type[msgspec.Struct]) -> bool:
    """Bodies and parameters of the application; catalogues are read from our own files."""
    assert api.app.create_app
    ours = kind.__module__.startswith("api.") and "catalogue" not in kind.__module__
    body = kind.__struct_config__.forbid_unknown_fields
    return ours and (body or kind.__name__.endswith(("Query", "Parameters")))


def _parts(annotation: object) -> Iterator[object]:
    if isinstance(annotation, Meta) or annotation is msgspec.UnsetType:
        return
    yield annotation
    if get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from _parts(part)


def _patterns(annotation: object) -> Iterator[str]:
    for part in get_args(annotation):
        if isinstance(part, Meta):
            if part.pattern:
                yield part.pattern
        else:
            yield from _patterns(part)
