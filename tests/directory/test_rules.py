"""The named rules, one by one, and the page that explains them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest

from api.directory.checking import checked
from api.directory.rules import RULES, BrokenRule, broken_rules
from api.errors import RuleViolation
from tests.directory.clinics import SMALL, ShippedCodes, clinic
from tests.keys.clocks import HandClock

LONDON = {"city": "London", "state": "GB-ENG", "postal_code": "SW1A 1AA", "country": "GB"}


def broken(*offerings: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
    profile = clinic(SMALL, offerings=list(offerings), **changes)
    return [(each.rule, each.pointer) for each in broken_rules(profile)]


def offering(
    drug: str = "ketamine", route: str = "iv", setting: str = "clinic", **more: Any
) -> dict[str, Any]:
    return {"drug": drug, "route": route, "setting": setting, **more}


ESKETAMINE = offering("esketamine", "nasal")
HOME = offering(route="oral", setting="at_home", coverage=["US-AZ"])


@pytest.mark.parametrize(
    "kept",
    [
        [offering(route=route)]
        for route in ("iv", "im", "subcutaneous", "nasal", "oral", "sublingual")
    ]
    + [
        [offering(route=route, setting="at_home", coverage=["US-AZ", "US-NM"])]
        for route in ("subcutaneous", "nasal", "oral", "sublingual")
    ],
)
def test_what_may_be_offered(kept: list[dict[str, Any]]) -> None:
    assert broken(*kept) == []


def test_esketamine_at_a_certified_site_or_in_the_uk() -> None:
    assert broken(ESKETAMINE, rems_certified=True) == []
    assert broken(ESKETAMINE, address=LONDON) == []


@pytest.mark.parametrize("certified", [None, False])
def test_esketamine_outside_a_certified_site(certified: bool | None) -> None:
    found = broken(ESKETAMINE, rems_certified=certified)
    assert found == [("esketamine-rems-certified", "/offerings/0/drug")]


@pytest.mark.parametrize("route", ["iv", "im", "subcutaneous", "oral", "sublingual"])
def test_esketamine_by_another_route(route: str) -> None:
    found = broken(offering("esketamine", route), rems_certified=True)
    assert found == [("esketamine-nasal-only", "/offerings/0/route")]


@pytest.mark.parametrize(("address", "area"), [(SMALL["address"], "US-AZ"), (LONDON, "GB-ENG")])
def test_esketamine_at_home(address: dict[str, Any], area: str) -> None:
    home = offering("esketamine", "nasal", "at_home", coverage=[area])
    found = broken(home, rems_certified=True, address=address)
    assert found == [("esketamine-not-at-home", "/offerings/0/setting")]


@pytest.mark.parametrize("route", ["iv", "im"])
def test_what_needs_monitoring_is_not_given_at_home(route: str) -> None:
    found = broken(offering(route=route, setting="at_home", coverage=["US-AZ"]))
    assert found == [(f"{route}-not-at-home", "/offerings/0/setting")]


def test_coverage_belongs_to_what_is_given_at_home() -> None:
    assert broken(offering(coverage=["US-AZ"])) == [
        ("coverage-only-at-home", "/offerings/0/coverage")
    ]
    assert broken({**HOME, "coverage": []}) == [("at-home-needs-coverage", "/offerings/0/coverage")]
    assert broken({**HOME, "coverage": ["US-AZ", "GB-WLS"]}) == [
        ("coverage-in-country", "/offerings/0/coverage/1")
    ]


def test_a_protocol_that_cannot_be() -> None:
    assert broken(offering(protocol={"initial_sessions": 6, "initial_days": 5})) == [
        ("sessions-fit-days", "/offerings/0/protocol/initial_days")
    ]
    assert broken(offering(protocol={"initial_sessions": 6, "initial_days": 6})) == []
    assert broken(offering(protocol={"session_minutes": 1440, "monitoring_minutes": 1})) == [
        ("session-fits-day", "/offerings/0/protocol/session_minutes")
    ]


def test_every_broken_rule_of_every_offering_is_named(codes: ShippedCodes) -> None:
    profile = clinic(offerings=[offering("esketamine", "iv"), offering(setting="at_home")])
    with pytest.raises(RuleViolation) as refused:
        checked(profile, codes, HandClock().now())
    rules = cast("list[BrokenRule]", refused.value.extra["rules"])
    assert [each.rule for each in rules] == [
        "esketamine-nasal-only",
        "esketamine-rems-certified",
        "iv-not-at-home",
        "at-home-needs-coverage",
    ]
    assert [error.pointer for error in refused.value.errors] == [each.pointer for each in rules]


def test_the_page_of_rules_explains_every_one() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "rules.md").read_text("utf-8")
    assert re.findall(r"^### `(.*)`$", page, re.MULTILINE) == list(RULES)
