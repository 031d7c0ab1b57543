"""What texts a profile may hold, and in which words others are refused."""

from __future__ import annotations

import json
import unicodedata

import pytest

from api.bodies import decode_body
from api.directory.schemas import ClinicWrite
from api.errors import InvalidBody
from tests.directory.clinics import SMALL
from tests.services import Service

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
