"""What single fields of a profile may hold, with the words in which anything else is refused."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

# Controls, line separators, and formats that are invisible or change the direction: with them a
# name reads otherwise than it is. U+200C and U+200D stay: some scripts need them.
_HIDDEN_BUT_BREAKS = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    # Beyond U+FFFF Python and JSON Schema have no escape in common.
    r"\ufeff\ufff9-\ufffb" + "\U000e0000-\U000e007f"
)
_HIDDEN = r"\t\n" + _HIDDEN_BUT_BREAKS
_BLANK = r"\s\u200c\u200d"
_ENDS = r"$(?!\n)"
_PLAINLY = "without control characters and without marks that are invisible or change the direction"

# What any free text may hold.
Text = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        pattern=rf"^[^{_HIDDEN}]*[^{_BLANK}{_HIDDEN}][^{_HIDDEN}]*{_ENDS}",
        extra={"right": f"text of 1 to 200 characters, some of them visible, {_PLAINLY}"},
    ),
]
Prose = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4000,
        pattern=rf"^[^{_HIDDEN_BUT_BREAKS}]*[^{_BLANK}{_HIDDEN_BUT_BREAKS}]"
        rf"[^{_HIDDEN_BUT_BREAKS}]*{_ENDS}",
        extra={
            "right": "text of 1 to 4000 characters, some of them visible, lines and tabs allowed, "
            "without other control characters and without marks that are invisible or change the "
            "direction"
        },
    ),
]
"""What people write to each other."""
Slug = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        pattern=rf"^[a-z0-9]+([-_][a-z0-9]+)*{_ENDS}",
        extra={
            "right": "a code of lower-case letters, digits, - and _, as in the catalogues, of at "
            "most 64 characters"
        },
    ),
]
StateCode = Annotated[
    str,
    Meta(
        pattern=rf"^[A-Z]{{2}}-[A-Z]{{2,3}}{_ENDS}",
        description="ISO 3166-2",
        examples=["US-AZ", "GB-ENG"],
        extra={"right": "the ISO 3166-2 code of a state or nation, such as US-AZ or GB-ENG"},
    ),
]
LanguageTag = Annotated[
    str, Meta(max_length=35, description="BCP 47 language tag", examples=["en", "es", "ase"])
]
TimeOfDay = Annotated[
    str,
    Meta(
        pattern=rf"^([01]\d|2[0-3]):[0-5]\d{_ENDS}",
        examples=["09:00"],
        extra={"right": "a time from 00:00 to 23:59"},
    ),
]
Weekday = Annotated[
    str,
    Meta(
        pattern=rf"^(mon|tue|wed|thu|fri|sat|sun){_ENDS}",
        examples=["mon"],
        extra={"right": "one of mon, tue, wed, thu, fri, sat, sun"},
    ),
]
Count = Annotated[int, Meta(ge=0, le=100_000)]
Minutes = Annotated[int, Meta(ge=1, le=1440, description="minutes")]
Days = Annotated[int, Meta(ge=0, le=3650, description="days")]
Age = Annotated[int, Meta(ge=0, le=130, description="years")]
Latitude = Annotated[float, Meta(ge=-90, le=90, description="degrees, WGS 84")]
Longitude = Annotated[float, Meta(ge=-180, le=180, description="degrees, WGS 84")]
Amount = Annotated[
    str,
    Meta(
        pattern=rf"^\d{{1,8}}(\.\d{{1,2}})?{_ENDS}",
        description="decimal",
        examples=["450.00"],
        extra={"right": "a decimal amount such as 450.00, not negative, as text"},
    ),
]
Country = Annotated[
    str,
    Meta(
        pattern=rf"^(US|GB){_ENDS}",
        description="ISO 3166-1",
        examples=["US"],
        extra={"right": "US or GB"},
    ),
]
RegistrationSystem = Annotated[
    str,
    Meta(
        pattern=rf"^(npi|gmc|state_licence){_ENDS}",
        description="npi, gmc or state_licence",
        extra={"right": "npi, gmc or state_licence"},
    ),
]
RegistrationValue = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=40,
        pattern=rf"^[A-Za-z0-9-]+{_ENDS}",
        extra={"right": "1 to 40 letters (A to Z), digits and hyphens"},
    ),
]
Currency = Annotated[
    str, Meta(pattern=rf"^(USD|GBP){_ENDS}", examples=["USD"], extra={"right": "USD or GBP"})
]
Per = Annotated[
    str,
    Meta(
        pattern=rf"^(session|course|month){_ENDS}",
        examples=["session"],
        extra={"right": "session, course or month"},
    ),
]
