"""Ways to reach a clinic. One that cannot be right is left out and noted: the rest of the row is
worth having, and a wrong number is worse than none."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from seeds.importers import fields

# By the field of the profile: what a value is not when the checks refuse it.
CONTACTS: Final[Mapping[str, str]] = {
    "phone": "it is no telephone number that exists",
    "email": "it is no e-mail address",
    "website": "it is no public web address",
}

_LONGEST: Final[Mapping[str, int]] = {"phone": 20, "email": 254, "website": 500}


def left_out(column: str, field: str) -> str:
    return f"{column}: left out, {CONTACTS[field]}"


def contacts_at_fault(pointers: Set[str]) -> frozenset[str]:
    """The contacts that the pointers name; none when they name anything else as well."""
    fields_at_fault = frozenset(pointer.removeprefix("/") for pointer in pointers)
    return fields_at_fault if fields_at_fault <= CONTACTS.keys() else frozenset()


class Contacts:
    """Puts the contact cells of one row into the form of a profile. `doubts` says what could not
    even be that; the profile's own checks judge the rest."""

    def __init__(self) -> None:
        self.doubts: list[str] = []
        self.extension: str | None = None

    def phone(self, column: str, text: str, country: str) -> str | None:
        """From a number as it is written in that country, or with its country code."""
        if not text:
            return None
        number, self.extension = fields.phone(text, country)
        if number is None:
            self.doubts.append(left_out(column, "phone"))
        return self._of_length(column, "phone", number)

    def email(self, column: str, text: str) -> str | None:
        return self._of_length(column, "email", text or None)

    def website(self, column: str, text: str) -> str | None:
        """Lists often leave the scheme out."""
        if not text:
            return None
        return self._of_length(column, "website", text if "://" in text else f"http://{text}")

    def _of_length(self, column: str, field: str, text: str | None) -> str | None:
        if text is None or len(text) <= _LONGEST[field]:
            return text
        self.doubts.append(left_out(column, field))
        return None
