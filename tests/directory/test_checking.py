"""A whole profile: each fault at its place, all of them at once, in words that help."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from api.directory.checking import checked
from api.directory.schemas import ClinicPatch, ClinicWrite
from api.errors import InvalidBody
from tests.directory.clinics import FULL, ShippedCodes, clinic
from tests.keys.clocks import HandClock

NOW = HandClock().now()


def faults(codes: ShippedCodes, profile: ClinicWrite) -> list[str]:
    with pytest.raises(InvalidBody) as refused:
        checked(profile, codes, NOW)
    assert all(error.message for error in refused.value.errors)
    return [error.pointer or "" for error in refused.value.errors]


def test_a_good_profile_comes_back_in_its_stored_form(codes: ShippedCodes) -> None:
    sent = clinic(
        FULL,
        name="  Example   Pain Clinic ",
        phone="+1 602 555 0100",
        languages=["ENG", "es-mx"],
        offerings__0__price__amount="450",
    )
    stored = checked(sent, codes, NOW)
    assert stored.name == "Example Pain Clinic"
    assert stored.phone == "+16025550100"
    assert stored.languages == ["en", "es-MX"]
    assert stored.offerings[0].price is not None
    assert stored.offerings[0].price.amount == "450.00"
    assert checked(stored, codes, NOW) == stored


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"phone": "+1602555"}, ["/phone"]),
        ({"email": "nobody"}, ["/email"]),
        ({"website": "http://10.0.0.1"}, ["/website"]),
        ({"source__url": "ftp://source.example"}, ["/source/url"]),
        ({"address__state": "GB-ENG"}, ["/address/state"]),
        ({"address__postal_code": "SW1A 1AA"}, ["/address/postal_code"]),
        (
            {"medical_director__registration__value": "1234567890"},
            ["/medical_director/registration/value"],
        ),
        (
            {"medical_director__registration": {"system": "gmc", "value": "123"}},
            ["/medical_director/registration/value"],
        ),
        ({"offerings__0__conditions": ["crps", "no-such"]}, ["/offerings/0/conditions/1"]),
        ({"offerings__0__conditions": ["crps", "crps"]}, ["/offerings/0/conditions/1"]),
        (
            {
                "offerings__0__setting": "at_home",
                "offerings__0__route": "oral",
                "offerings__0__coverage": ["US-AZ", "US-XX", "US-AZ"],
            },
            ["/offerings/0/coverage/1", "/offerings/0/coverage/2"],
        ),
        ({"offerings": [FULL["offerings"][0], FULL["offerings"][0]]}, ["/offerings/1"]),
        ({"payers": ["medicare", "barter", "medicare"]}, ["/payers/1", "/payers/2"]),
        ({"assesses": ["left_handed"]}, ["/assesses/0"]),
        ({"languages": ["en", "english"]}, ["/languages/1"]),
        ({"languages": ["en", "ENG"]}, ["/languages/1"]),
        ({"age": {"min": 18, "max": 12}}, ["/age/max"]),
        ({"hours__0__closes": "09:00"}, ["/hours/0/closes"]),
        ({"hours__0__days": ["mon", "mon"]}, ["/hours/0/days/1"]),
        (
            {"hours": [*FULL["hours"], {"days": ["tue"], "opens": "16:00", "closes": "18:00"}]},
            ["/hours/1"],
        ),
        ({"programmes": ["ptsd", "ptsd"]}, ["/programmes/1"]),
        ({"unverified": ["phone", "phone"]}, ["/unverified/1"]),
        ({"verified_at": (NOW + timedelta(days=1)).isoformat()}, ["/verified_at"]),
        ({"verified_at": "0001-01-01T00:00:00+14:00"}, ["/verified_at"]),
    ],
)
def test_each_fault_is_pointed_at(
    codes: ShippedCodes, changes: dict[str, Any], pointers: list[str]
) -> None:
    assert faults(codes, clinic(FULL, **changes)) == pointers


def test_all_faults_are_found_at_once(codes: ShippedCodes) -> None:
    profile = clinic(FULL, phone="+1", email="x", payers=["barter"], age={"min": 2, "max": 1})
    assert sorted(faults(codes, profile)) == ["/age/max", "/email", "/payers/0", "/phone"]


def test_no_message_repeats_what_was_sent(codes: ShippedCodes) -> None:
    canary = "canary-7c1f0b"
    profile = clinic(
        FULL,
        phone=canary,
        email=canary,
        website=canary,
        languages=[canary],
        payers=[canary],
        assesses=[canary],
        address__postal_code="canary-7c1",
        offerings__0__conditions=[canary],
        medical_director__registration__value=canary,
    )
    with pytest.raises(InvalidBody) as refused:
        checked(profile, codes, NOW)
    assert len(refused.value.errors) == 9
    said = [refused.value.detail, *(error.message for error in refused.value.errors)]
    assert not any("canary" in text for text in said)


def test_only_the_fields_asked_for_are_looked_at(codes: ShippedCodes) -> None:
    profile = clinic(FULL, phone="+1", payers=["barter"])
    assert checked(profile, codes, NOW, {"name"}).phone == "+1"
    with pytest.raises(InvalidBody) as refused:
        checked(profile, codes, NOW, {"phone"})
    assert [error.pointer for error in refused.value.errors] == ["/phone"]


def test_a_clinic_that_never_closes(codes: ShippedCodes) -> None:
    always = [{"days": ["mon", "tue"], "opens": "00:00", "closes": "00:00"}]
    assert checked(clinic(hours=always), codes, NOW).hours[0].closes == "00:00"


def test_what_is_written_and_what_is_amended_have_the_same_fields() -> None:
    written = {field.name for field in msgspec.structs.fields(ClinicWrite)}
    assert written == {field.name for field in msgspec.structs.fields(ClinicPatch)}
