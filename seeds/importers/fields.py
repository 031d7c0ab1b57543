"""Small readings of single cells that several importers share. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

LONGEST_SHOWN = 60

_NOT_WORD = re.compile(r"[^a-z0-9]+")
# How American lists write a number; the parser knows more forms and takes its time.
_AMERICAN = re.compile(r"\(?\d{3}\)?[-. ]?\d{3}[-. ]?\d{4}", re.ASCII)
_EXTENSION = re.compile(r"\s*(?:x|ext\.?|extension)\s*(\d{1,8})$", re.IGNORECASE)


def words(text: str) -> str:
    """The text as a lower-case ASCII slug, so that spelling of case, accents and punctuation does
    not tell two rows apart. "" when nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return _NOT_WORD.sub("-", plain.lower()).strip("-")


def row_key(prefix: str, *parts: Iterable[str]) -> str:
    """An import key: what a row is called in its source, the same in every file of that source."""
    return f"{prefix}:" + "|".join(words(" ".join(part)) for part in parts)


def phone(text: str, country: str) -> tuple[str | None, str | None]:
    """The number in international form, and its extension. The number is None when the text is
    none; whether there is such a number is checked with the profile."""
    extension = None
    if (found := _EXTENSION.search(text)) is not None:
        extension, text = found[1], text[: found.start()]
    if country == "US" and _AMERICAN.fullmatch(text):
        return "+1" + "".join(sign for sign in text if sign.isdigit()), extension
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException:
        return None, None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164), extension


def shown(text: str) -> str:
    """A word of the file as it may be printed: short, and nothing that a terminal acts on."""
    plain = "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
    return f"'{plain}'" if len(plain) <= LONGEST_SHOWN else f"'{plain[:LONGEST_SHOWN]}…'"


def several(text: str, mark: str = ";") -> list[str]:
    """The values of a cell that holds several, without empty ones and repeats."""
    return list(dict.fromkeys(part for part in (p.strip() for p in text.split(mark)) if part))
