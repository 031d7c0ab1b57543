"""Durations as ISO 8601 writes them: `PT4H`, `P5D`, `P2W`, `P7Y6M`. Pure.

A `Span` is an exact length and a `timedelta` like any other. A `Period` may count months and
years, which have no length of their own: they are taken off the calendar.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import datetime, timedelta
from typing import Final

import msgspec

LONGEST_SPAN: Final = timedelta(days=3650)
LONGEST_PERIOD_YEARS: Final = 200

# Each unit once and in this order, in capitals; at least one, and at least one after the T. What
# the standard allows only by agreement (signs, fractions of anything but seconds) is refused.
_CALENDAR = r"(?:(?P<years>[0-9]{1,4})Y)?(?:(?P<months>[0-9]{1,4})M)?"
_EXACT = (
    r"(?:(?P<days>[0-9]{1,6})D)?"
    r"(?P<time>T(?=[0-9])(?:[0-9]{1,8}H)?(?:[0-9]{1,8}M)?(?:[0-9]{1,10}(?:\.[0-9]{1,6})?S)?)?"
)
_SPAN: Final = re.compile(rf"P(?=.)(?:(?P<weeks>[0-9]{{1,5}})W|{_EXACT})")
_PERIOD: Final = re.compile(rf"P(?=.)(?:(?P<weeks>[0-9]{{1,5}})W|{_CALENDAR}{_EXACT})")


class Span(timedelta):
    """An exact length of time, above zero and at most `LONGEST_SPAN`. A day is 24 hours.

    What is calculated with it is a plain timedelta; printed, it is the text it was made from.
    Raises ValueError, which does not repeat the text.
    """

    text: str

    def __new__(cls, text: str) -> Span:
        found = _SPAN.fullmatch(text)
        length = timedelta(0) if found is None else _exact(found)
        if not timedelta(0) < length <= LONGEST_SPAN:
            raise ValueError("not a duration above zero that can be used")
        made = super().__new__(cls, length.days, length.seconds, length.microseconds)
        made.text = text
        return made

    def __reduce__(self) -> tuple[type[Span], tuple[str]]:
        return Span, (self.text,)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Span({self.text!r})"


class Period:
    """A length of time in months and an exact rest; above zero, at most `LONGEST_PERIOD_YEARS`.

    Raises ValueError, which does not repeat the text.
    """

    # No Struct and no dataclass: msgspec would want an object where settings hold a text.
    __slots__ = ("months", "rest", "text")

    def __init__(self, text: str) -> None:
        found = _PERIOD.fullmatch(text)
        if found is None:
            raise ValueError("not a duration")
        self.text = text
        self.months = 12 * int(found["years"] or 0) + int(found["months"] or 0)
        self.rest = _exact(found)
        # A month is never longer than 31 days: what passes here can be taken off any date we have.
        length = timedelta(days=31 * self.months) + self.rest
        if not timedelta(0) < length <= timedelta(days=372 * LONGEST_PERIOD_YEARS):
            raise ValueError("not a duration above zero that can be used")

    def before(self, moment: datetime) -> datetime:
        """The moment that lies this long before that one.

        Months are taken off first: the same day of the month and time of day in the moment's own
        zone, or the last day of a month that is too short (a month before 31 March is the last
        of February). The rest comes off that as exact time.
        """
        month = moment.year * 12 + moment.month - 1 - self.months
        year, index = divmod(month, 12)
        day = min(moment.day, monthrange(year, index + 1)[1])
        return moment.replace(year=year, month=index + 1, day=day) - self.rest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Period) and (self.months, self.rest) == (other.months, other.rest)

    def __hash__(self) -> int:
        return hash((self.months, self.rest))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Period({self.text!r})"


def _exact(found: re.Match[str]) -> timedelta:
    """Weeks, days and time. Raises ValueError when that is more than a timedelta holds."""
    if found["weeks"]:
        return timedelta(weeks=int(found["weeks"]))
    exact = f"P{found['days'] or 0}D{found['time'] or ''}"
    try:
        return msgspec.convert(exact, timedelta)
    except msgspec.ValidationError:
        raise ValueError("a duration out of range") from None
