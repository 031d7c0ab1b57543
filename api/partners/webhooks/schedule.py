"""When a message that was not taken is sent again. Pure: time and chance come in as parameters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

_MINUTE: Final = 60.0
_HOUR: Final = 60 * _MINUTE

RETRY_DELAYS: Final = (
    5.0,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""Seconds after the first, second, … attempt: those that the Standard Webhooks specification gives
as its example. The tenth attempt is the last, a little over three days after the first."""
JITTER: Final = 0.1
"""A delay is lengthened by up to this share of it, so that what failed together comes apart."""
LONGEST_PAUSE: Final = 24 * _HOUR
"""Of what a receiver asks for with Retry-After."""
SHORTEST_PAUSE: Final = 1.0
REST: Final = 60.0
"""Seconds, at most, for which a receiver that could not be reached gets no other message either."""


def delay_after(tries: int, chance: float) -> float | None:
    """Seconds to wait after that many attempts, or None when there is no further one.

    `chance` is from 0 to 1.
    """
    if tries > len(RETRY_DELAYS):
        return None
    return RETRY_DELAYS[tries - 1] * (1 + JITTER * chance)


def pause_asked_for(retry_after: str | None, now: datetime) -> float | None:
    """Seconds that a header Retry-After asks for (RFC 9110 section 10.2.3), within our bounds.

    None without one that can be read.
    """
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        # Of a number of any length, the first digits say enough.
        seconds = float(text[:12])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now) / timedelta(seconds=1)
    return min(max(seconds, SHORTEST_PAUSE), LONGEST_PAUSE)
