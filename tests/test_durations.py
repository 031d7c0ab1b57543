"""Durations in ISO 8601: what is taken, what is refused, and what months are taken off of."""

from __future__ import annotations

import pickle
from calendar import monthrange
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.durations import LONGEST_SPAN, Period, Span

REFUSED = [
    "", "P", "PT", "P1DT", "PT0S", "P0D", "P0W", "-PT4H", "+PT4H", "pt4h", "PT4H ", "PT4H\n",
    "PT1,5S", "PT1.5H", "PT.5S", "PT1.S", "P1W2D", "P2D1W", "PT1M1H", "PT1H1H", "P1D1H", "4H",
    "P\u0661D", "P9999999D", "P99999W", "PT99999999H", "PT0.0000001S", "P1D\0",
]  # fmt: skip
NO_SPAN = ["P1M", "P1Y", "P1Y2D", "P3651D"]
NO_PERIOD = ["P0Y", "P0M", "P201Y", "P9999Y9999M", "P1.5Y", "P1M1Y", "P1Y1W", "P1M2M"]
PERIODS = ["P7Y6M", "P1M", "P3W", "P1Y2M3DT4H5M6.5S", "PT1S"]
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 (Hypothesis wants naive bounds)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("PT4H", timedelta(hours=4)),
        ("P5D", timedelta(days=5)),
        ("P2W", timedelta(weeks=2)),
        ("PT90M", timedelta(minutes=90)),
        ("PT1.5S", timedelta(seconds=1.5)),
        ("PT0.000001S", timedelta(microseconds=1)),
        ("P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("P3650D", LONGEST_SPAN),
    ],
)
def test_a_span_is_a_length_and_prints_as_it_was_written(text: str, length: timedelta) -> None:
    assert Span(text) == length
    assert str(Span(text)) == text
    assert Period(text).rest == length


@pytest.mark.parametrize("text", REFUSED + NO_SPAN)
def test_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="duration") as caught:
        Span(text)
    assert text == "" or text not in str(caught.value)


@pytest.mark.parametrize("text", REFUSED + NO_PERIOD)
def test_no_period(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        Period(text)


@pytest.mark.parametrize(
    ("text", "moment", "before"),
    [
        ("P1M", "2026-03-31T10:00", "2026-02-28T10:00"),
        ("P1M", "2024-03-31T10:00", "2024-02-29T10:00"),
        ("P1Y", "2024-02-29T10:00", "2023-02-28T10:00"),
        ("P13M", "2026-01-15T10:00", "2024-12-15T10:00"),
        # Months first: a day before 31 March less a month, not a month before 30 March.
        ("P1M1D", "2026-03-31T10:00", "2026-02-27T10:00"),
        ("P7YT1H", "2026-11-22T00:30", "2019-11-21T23:30"),
        ("P3W", "2026-11-22T00:00", "2026-11-01T00:00"),
    ],
)
def test_months_are_taken_off_the_calendar(text: str, moment: str, before: str) -> None:
    found = Period(text).before(datetime.fromisoformat(moment).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(before).replace(tzinfo=UTC)


@given(MOMENTS, st.integers(1, 1200), st.integers(0, 1000))
def test_a_period_always_ends_in_the_month_that_many_months_ago(
    moment: datetime, months: int, hours: int
) -> None:
    found = Period(f"P{months}M").before(moment)
    assert (moment.year - found.year) * 12 + moment.month - found.month == months
    assert found.day == min(moment.day, monthrange(found.year, found.month)[1])
    assert found.timetz() == moment.timetz()
    assert Period(f"P{months}MT{hours}H").before(moment) == found - timedelta(hours=hours)


@given(st.timedeltas(timedelta(microseconds=1), LONGEST_SPAN))
def test_every_length_that_is_allowed_can_be_written(length: timedelta) -> None:
    seconds = length // timedelta(seconds=1)
    assert Span(f"PT{seconds}.{length.microseconds:06d}S") == length


@given(st.text("P0123456789YMWDTHS.-", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    for kind in (Span, Period):
        refusal = "duration"
        try:
            read = str(kind(text))
        except ValueError as refused:
            read, refusal = text, str(refused)
        assert read == text
        assert "duration" in refusal


@pytest.mark.parametrize("text", PERIODS)
def test_they_travel_to_other_processes(text: str) -> None:
    period = Period(text)
    assert pickle.loads(pickle.dumps(period)) == period
    assert hash(period) == hash(Period(text))
    assert period != Period("P9W")
    assert isinstance(pickle.loads(pickle.dumps(Span("PT4H"))), Span)
