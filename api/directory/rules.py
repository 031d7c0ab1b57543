"""The rules that a profile as a whole must keep: clinical ones, and not contradicting itself. Pure.

docs/rules.md gives each rule's reason and source; a test holds that page to `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from api.directory.schemas import ClinicWrite, OfferingWrite
from db.states import Drug, Route, Setting


class BrokenRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule by its stable name, the place in the body that breaks it, and what would be right."""

    rule: str
    pointer: str
    message: str


Violations = Iterator[tuple[str, str]]
"""Pointer below the offering and message, for each place that breaks one rule."""


def _esketamine_nasal_only(offering: OfferingWrite, _clinic: ClinicWrite) -> Violations:
    if offering.drug is Drug.ESKETAMINE and offering.route is not Route.NASAL:
        yield "/route", "must be nasal: esketamine is licensed as a nasal spray only"


def _esketamine_in_clinic(offering: OfferingWrite, _clinic: ClinicWrite) -> Violations:
    if offering.drug is Drug.ESKETAMINE and offering.setting is not Setting.CLINIC:
        yield "/setting", "must be clinic: esketamine is taken under direct supervision only"


def _esketamine_rems_site(offering: OfferingWrite, clinic: ClinicWrite) -> Violations:
    if (
        offering.drug is Drug.ESKETAMINE
        and clinic.address.country == "US"
        and clinic.rems_certified is not True
    ):
        yield "/drug", "must not be esketamine in the US unless rems_certified is true"


def _iv_in_clinic(offering: OfferingWrite, _clinic: ClinicWrite) -> Violations:
    if offering.route is Route.IV and offering.setting is not Setting.CLINIC:
        yield (
            "/setting",
            "must be clinic: an infusion needs a line and continuous monitoring of vital signs",
        )


def _im_in_clinic(offering: OfferingWrite, _clinic: ClinicWrite) -> Violations:
    if offering.route is Route.IM and offering.setting is not Setting.CLINIC:
        yield (
            "/setting",
            "must be clinic: what was injected cannot be stopped and vital signs need monitoring",
        )


def _coverage_at_home(offering: OfferingWrite, _clinic: ClinicWrite) -> Violations:
    if offering.setting is not Setting.AT_HOME and offering.coverage:
        yield "/coverage", "must be empty: only what is delivered at home has a coverage area"


def _at_home_coverage(offering: OfferingWrite, _clinic: ClinicWrite) -> Violations:
    if offering.setting is Setting.AT_HOME and not offering.coverage:
        yield (
            "/coverage",
            "must name at least one state or nation in which the prescriber is licensed",
        )


def _coverage_in_country(offering: OfferingWrite, clinic: ClinicWrite) -> Violations:
    for index, code in enumerate(offering.coverage):
        if not code.startswith(clinic.address.country + "-"):
            yield f"/coverage/{index}", "must lie in the country of the clinic's address"


def _sessions_in_days(offering: OfferingWrite, _clinic: ClinicWrite) -> Violations:
    protocol = offering.protocol
    if (
        protocol is not None
        and protocol.initial_sessions is not None
        and protocol.initial_days is not None
        and protocol.initial_sessions > protocol.initial_days
    ):
        yield "/protocol/initial_days", "must be at least the number of initial sessions"


def _session_within_day(offering: OfferingWrite, _clinic: ClinicWrite) -> Violations:
    protocol = offering.protocol
    if protocol is None:
        return
    minutes = (protocol.session_minutes or 0) + (protocol.monitoring_minutes or 0)
    if minutes > 24 * 60:
        yield "/protocol/session_minutes", "must fit into a day together with the monitoring"


RULES: Final[dict[str, Callable[[OfferingWrite, ClinicWrite], Violations]]] = {
    "esketamine-nasal-only": _esketamine_nasal_only,
    "esketamine-not-at-home": _esketamine_in_clinic,
    "esketamine-rems-certified": _esketamine_rems_site,
    "iv-not-at-home": _iv_in_clinic,
    "im-not-at-home": _im_in_clinic,
    "coverage-only-at-home": _coverage_at_home,
    "at-home-needs-coverage": _at_home_coverage,
    "coverage-in-country": _coverage_in_country,
    "sessions-fit-days": _sessions_in_days,
    "session-fits-day": _session_within_day,
}


def broken_rules(clinic: ClinicWrite) -> list[BrokenRule]:
    return [
        BrokenRule(rule=rule, pointer=f"/offerings/{index}{place}", message=message)
        for index, offering in enumerate(clinic.offerings)
        for rule, violations in RULES.items()
        for place, message in violations(offering, clinic)
    ]
