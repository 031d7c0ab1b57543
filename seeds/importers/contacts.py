"""Ways to reach a clinic. One that cannot be right is left out and noted: the rest of the row is
worth having, and a wrong number is worse than none."""

from __future__ import annotations

from api.directory import values
from seeds.importers import fields


class Contacts:
    """Reads the contact cells of one row; `doubts` says what was left out."""

    def __init__(self) -> None:
        self.doubts: list[str] = []
        self.extension: str | None = None

    def phone(self, column: str, text: str, country: str) -> str | None:
        """E.164 from a number written for that country or with its country code."""
        if not text:
            return None
        number, self.extension = fields.phone(text, country)
        if number is None:
            self.doubts.append(f"{column}: left out, it is no telephone number that exists")
        return number

    def email(self, column: str, text: str) -> str | None:
        if not text:
            return None
        try:
            return values.email(text)
        except values.Unfit:
            self.doubts.append(f"{column}: left out, it is no e-mail address")
            return None

    def website(self, column: str, text: str) -> str | None:
        """A URL; lists often leave its scheme out."""
        if not text:
            return None
        try:
            return values.website(text if "://" in text else f"http://{text}")
        except values.Unfit:
            self.doubts.append(f"{column}: left out, it is no public web address")
            return None
