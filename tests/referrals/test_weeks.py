"""A clinic's own week, also across changes of the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.referrals.matching.weeks import week_of

ZONES = [
    "America/New_York", "America/Phoenix", "Europe/London", "America/Anchorage", "Pacific/Honolulu",
    "Pacific/Auckland", "Asia/Kathmandu", None,
]  # fmt: skip


@pytest.mark.parametrize(
    ("now", "zone", "week", "hours"),
    [
        # Sunday evening in Phoenix while it is Monday in London.
        ("2026-11-23T06:59:59+00:00", "America/Phoenix", date(2026, 11, 16), 1 / 3600),
        ("2026-11-23T07:00:00+00:00", "America/Phoenix", date(2026, 11, 23), 168),
        ("2026-11-23T00:00:00+00:00", "Europe/London", date(2026, 11, 23), 168),
        # Clocks go forward on 8 March 2026 and back on 1 November 2026 in New York.
        ("2026-03-02T05:00:00+00:00", "America/New_York", date(2026, 3, 2), 167),
        ("2026-10-26T04:00:00+00:00", "America/New_York", date(2026, 10, 26), 169),
        ("2026-03-08T06:59:59+00:00", "America/New_York", date(2026, 3, 2), 21 + 1 / 3600),
        ("2026-11-23T00:00:00+00:00", None, date(2026, 11, 23), 168),
    ],
)
def test_borders(now: str, zone: str | None, week: date, hours: float) -> None:
    moment = datetime.fromisoformat(now)
    monday, following = week_of(moment, zone)
    assert monday == week
    assert following.tzinfo is UTC
    assert (following - moment).total_seconds() == pytest.approx(hours * 3600)


@given(
    st.integers(0, 15 * 366 * 86_400),
    st.sampled_from(ZONES),
)
def test_weeks_follow_each_other_without_a_gap(seconds: int, zone: str | None) -> None:
    now = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    monday, following = week_of(now, zone)
    assert monday.weekday() == 0
    assert now < following <= now + timedelta(hours=169)
    place = ZoneInfo(zone or "UTC")
    assert following.astimezone(place).date() == monday + timedelta(days=7)
    assert week_of(following, zone)[0] == monday + timedelta(days=7)
    assert week_of(following - timedelta(seconds=1), zone) == (monday, following)
