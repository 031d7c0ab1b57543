"""When a message is sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.partners.webhooks.schedule import (
    JITTER,
    LONGEST_PAUSE,
    RETRY_DELAYS,
    SHORTEST_PAUSE,
    delay_after,
    pause_asked_for,
)

NOW = datetime(2026, 11, 22, 16, tzinfo=UTC)


@given(st.integers(1, 40), st.floats(0, 1))
def test_a_delay_is_that_of_the_table_and_a_little_more(tries: int, chance: float) -> None:
    found = delay_after(tries, chance)
    if tries > len(RETRY_DELAYS):
        assert found is None
    else:
        assert found is not None
        least = RETRY_DELAYS[tries - 1]
        assert least <= found <= least * (1 + JITTER) * (1 + 1e-9)


def test_it_goes_on_for_three_days_and_not_much_longer() -> None:
    assert 3 <= sum(RETRY_DELAYS) / 86400 < 3.5
    assert list(RETRY_DELAYS) == sorted(RETRY_DELAYS)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("0", SHORTEST_PAUSE),
        (" 120 ", 120.0),
        ("9" * 400, LONGEST_PAUSE),
        ("Sun, 22 Nov 2026 16:10:00 GMT", 600.0),
        ("Sun, 22 Nov 2026 15:00:00 GMT", SHORTEST_PAUSE),
        ("Sun, 22 Nov 2126 16:00:00 GMT", LONGEST_PAUSE),
        ("Sun, 99 Nov 2026 16:00:00 GMT", None),
        ("Sun, 22 Nov 99999 16:00:00 GMT", None),
    ],
)
def test_a_receiver_asks_for_time_in_seconds_or_by_a_date(
    header: str | None, seconds: float | None
) -> None:
    assert pause_asked_for(header, NOW) == seconds


@given(st.text() | st.datetimes().map(lambda at: at.strftime("%a, %d %b %Y %H:%M:%S +2359")))
def test_whatever_the_header_says_the_pause_is_within_bounds(header: str) -> None:
    found = pause_asked_for(header, NOW + timedelta(days=1))
    assert found is None or SHORTEST_PAUSE <= found <= LONGEST_PAUSE
