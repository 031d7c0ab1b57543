"""What the eight screening answers mean for a referral. Pure.

The flags and what they are handled by stand in the catalogue of screening flags, which a test
compares with this. Nothing here judges a patient: a flag asks the referrer to look once more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

IMMEDIATE_RISK: Final = "immediate_suicide_risk"
"""Refused, with the numbers of people who help at once."""
ASSESSED: Final = frozenset({"substance_use_history"})
"""Does not stop routing; matching asks only clinics that assess it."""
CONFIRMED: Final = frozenset(
    {
        "uncontrolled_hypertension",
        "unstable_heart_disease",
        "active_psychosis",
        "pregnancy",
        "breastfeeding",
        "severe_liver_disease",
    }
)
"""Stop routing until the referrer confirms with a reason."""


class CrisisLine(msgspec.Struct, frozen=True, kw_only=True):
    country: str
    name: str
    phone: str
    text: str


LINES: Final[Mapping[str, tuple[CrisisLine, ...]]] = {
    "US": (
        CrisisLine(
            country="US",
            name="988 Suicide & Crisis Lifeline",
            phone="988",
            text="Call or text, day and night, free of charge.",
        ),
    ),
    "GB": (
        CrisisLine(
            country="GB",
            name="Emergency services",
            phone="999",
            text="If life is in danger now.",
        ),
        CrisisLine(
            country="GB",
            name="Samaritans",
            phone="116 123",
            text="Somebody to talk to, day and night, free of charge.",
        ),
    ),
}


def raised(answers: Mapping[str, bool]) -> tuple[str, ...]:
    """The flags that were answered with yes, in the order of the form."""
    return tuple(flag for flag, yes in answers.items() if yes)


def stops(flags: Collection[str]) -> tuple[str, ...]:
    """Those that the referrer has to confirm before anything is routed."""
    return tuple(flag for flag in flags if flag in CONFIRMED)


def crisis_lines(country: str | None) -> tuple[CrisisLine, ...]:
    """Of that country; of all when it is not known or has none here."""
    if country in LINES:
        return LINES[country]
    return tuple(line for lines in LINES.values() for line in lines)
