"""A clinic's own week: from Monday 00:00 to the next in its time zone. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EVERYWHERE = "UTC"
"""The zone of a clinic whose own is not known."""


def week_of(now: datetime, zone: str | None) -> tuple[date, datetime]:
    """The Monday that the week of an aware moment began with, and the moment (in UTC) at which the
    next one begins.

    A week in which clocks change has an hour more or less. Where clocks skip midnight itself, the
    week begins with the first moment of the day.
    """
    place = ZoneInfo(zone or EVERYWHERE)
    today = now.astimezone(place).date()
    monday = today - timedelta(days=today.weekday())
    return monday, datetime.combine(monday + timedelta(days=7), time(), place).astimezone(UTC)
