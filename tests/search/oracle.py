"""What a search has to answer, by going through everything. Written apart from the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from fractions import Fraction
from itertools import product
from zoneinfo import ZoneInfo

from geopy.distance import geodesic

from api.directory.schemas import ClinicProfile, Offering
from api.search.filters import Filters
from db.states import Setting

DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def distance(point: tuple[float, float], clinic: ClinicProfile) -> float:
    """Karney's geodesic in metres, as geopy computes it in pure Python."""
    return geodesic(point, (clinic.lat, clinic.lon)).m  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def answers(
    clinics: Sequence[ClinicProfile],
    filters: Filters,
    point: tuple[float, float] | None,
    asker_state: str | None,
    radius_m: float | None,
) -> dict[int, tuple[float | None, str | None]]:
    """For each clinic that answers, by the number it was made with: its distance and its match."""
    found: dict[int, tuple[float | None, str | None]] = {}
    for clinic in clinics:
        if not _clinic_holds(clinic, filters):
            continue
        present, home = _ways(clinic, filters, asker_state)
        if point is None:
            if present:
                found[clinic.id.int] = (None, None)
            continue
        if clinic.lat is None:
            continue
        metres = distance(point, clinic)
        if radius_m is None or metres <= radius_m:
            if present or home:
                only_home = home and not present
                found[clinic.id.int] = (metres, "at_home" if only_home else "nearby")
        elif home:
            found[clinic.id.int] = (metres, "at_home")
    return found


def _ways(clinic: ClinicProfile, filters: Filters, state: str | None) -> tuple[bool, bool]:
    """Whether care at the site is part of what answers, and whether care at home is enough."""
    site = [o for o in clinic.offerings if o.setting is Setting.CLINIC]
    if state is None:
        return _offers_all(clinic.offerings, filters), False
    home = [o for o in clinic.offerings if o.setting is Setting.AT_HOME and state in o.coverage]
    by_home = bool(home) and _offers_all(home, filters)
    by_site = _offers_all(site, filters)
    return by_site or (_offers_all(site + home, filters) and not by_home), by_home


def _offers_all(offerings: Sequence[Offering], filters: Filters) -> bool:
    asked = (filters.condition, filters.route, filters.setting)
    if not any(asked):
        return True
    return all(
        any(_is_offered(o, condition, route, setting) for o in offerings)
        for condition, route, setting in product(*(terms or (None,) for terms in asked))
    )


def _is_offered(
    offering: Offering,
    condition: frozenset[str] | None,
    route: frozenset[str] | None,
    setting: frozenset[str] | None,
) -> bool:
    here = {offering.route.value, offering.setting.value}
    return (
        (condition is None or bool(condition & set(offering.conditions)))
        and (route is None or bool(route & here))
        and (setting is None or offering.setting.value in setting)
    )


def _clinic_holds(clinic: ClinicProfile, filters: Filters) -> bool:
    values: Mapping[str, set[str]] = {
        "state": {clinic.state},
        "payer": set(clinic.payers),
        "language": set(clinic.languages),
        "accepting": {clinic.accepting.value},
    }
    for field, having in values.items():
        if not all(term & having for term in getattr(filters, field)):
            return False
    if filters.max_wait_days is not None and (
        clinic.wait_days is None or clinic.wait_days > filters.max_wait_days
    ):
        return False
    if filters.verified_since is not None and (
        clinic.verified_at is None or clinic.verified_at < filters.verified_since
    ):
        return False
    if filters.bbox is not None and not _in_box(clinic, filters.bbox):
        return False
    return filters.open_at is None or _is_open(clinic, filters.open_at)


def _in_box(clinic: ClinicProfile, bbox: tuple[float, float, float, float]) -> bool:
    if clinic.lat is None or clinic.lon is None:
        return False
    south, north = bbox[1], bbox[3]
    # As fractions: a point 1e-193 degrees outside would be rounded into the box.
    lon, west, east = Fraction(clinic.lon), Fraction(bbox[0]), Fraction(bbox[2])
    width = (east - west) % 360 if west > east else east - west
    return south <= clinic.lat <= north and (lon - west) % 360 <= width


def _is_open(clinic: ClinicProfile, moment: datetime) -> bool:
    if clinic.time_zone is None:
        return False
    local = moment.astimezone(ZoneInfo(clinic.time_zone)).replace(tzinfo=None)
    for back in (0, 1):
        day = local.date() - timedelta(days=back)
        for hours in clinic.hours:
            if DAYS[day.weekday()] not in hours.days:
                continue
            opens = datetime.combine(day, time.fromisoformat(hours.opens))
            closes = datetime.combine(day, time.fromisoformat(hours.closes))
            if closes <= opens:
                closes += timedelta(days=1)
            if opens <= local < closes:
                return True
    return False
