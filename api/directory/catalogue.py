"""The catalogues in memory: conditions with their tree and synonyms, and the flat ones.

They are data of the release (see `seeds/catalogue`), loaded into the database when a release is
set up and read from it once when a process starts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import msgspec
from rapidfuzz import process
from rapidfuzz.distance import OSA

from db.rows import CatalogueRow


class CatalogueEntry(msgspec.Struct, frozen=True):
    """The part of an entry's document that the service itself reads."""

    code: str
    label: str = ""
    parent: str | None = None
    synonyms: tuple[str, ...] = ()


class Catalogue:
    """Entries by kind (`condition`, `route`, `setting`, `drug`, `screening_flag`, `protocol`,
    `payer`, `language`, `source`), each kind in the order of its file."""

    def __init__(self, rows: Iterable[CatalogueRow] = ()) -> None:
        self.fill(rows)

    def fill(self, rows: Iterable[CatalogueRow]) -> None:
        """Takes the place of what was there: a process that starts while the database is away
        fills its catalogue later."""
        self.documents: dict[str, dict[str, msgspec.Raw]] = {}
        self.entries: dict[str, dict[str, CatalogueEntry]] = {}
        for row in rows:
            document = row.document.encode()
            self.documents.setdefault(row.kind, {})[row.code] = msgspec.Raw(document)
            entry = msgspec.json.decode(document, type=CatalogueEntry)
            self.entries.setdefault(row.kind, {})[row.code] = entry
        self.ancestors = {code: self._line_of(code) for code in self.codes("condition")}
        self._condition_names = dict(self._names_of_conditions())

    def codes(self, kind: str) -> frozenset[str]:
        """The codes of one kind; none for a kind that has no entries."""
        return frozenset(self.entries.get(kind, {}))

    def descendants(self, condition: str) -> frozenset[str]:
        """The condition and everything below it: what asking for it includes."""
        return frozenset(
            code
            for code, ancestors in self.ancestors.items()
            if code == condition or condition in ancestors
        )

    def condition_named(self, text: str) -> str | None:
        """The condition with this code, label or synonym, however it is written; None if none."""
        if text in self.ancestors:
            return text
        return self._condition_names.get(plain_words(text))

    def conditions_matching(self, text: str) -> list[str]:
        """Conditions with a name that begins with the text or has it in it, best first."""
        wanted = plain_words(text)
        if not wanted:
            return []
        ranks: dict[str, tuple[int, int]] = {}
        for name, code in self._condition_names.items():
            if wanted in name:
                starts = 0 if name == wanted else 1 if name.startswith(wanted) else 2
                ranks[code] = min(ranks.get(code, (9, 0)), (starts, len(name)))
        if not ranks:
            return self.conditions_nearly(text)
        return sorted(ranks, key=ranks.__getitem__)

    def conditions_nearly(self, text: str) -> list[str]:
        """At most three conditions with a name that differs by a typing error or two."""
        found = process.extract(
            plain_words(text)[:100],
            list(self._condition_names),
            scorer=OSA.normalized_similarity,
            score_cutoff=0.75,
            limit=3,
        )
        return list(dict.fromkeys(self._condition_names[name] for name, _, _ in found))

    def longest_condition_name(self) -> int:
        """How many words the longest name of a condition has."""
        return max((name.count(" ") + 1 for name in self._condition_names), default=0)

    def _line_of(self, code: str) -> tuple[str, ...]:
        """Parent, grandparent and so on."""
        line: list[str] = []
        entry = self.entries["condition"].get(code)
        while entry is not None and entry.parent is not None and entry.parent not in line:
            line.append(entry.parent)
            entry = self.entries["condition"].get(entry.parent)
        return tuple(line)

    def _names_of_conditions(self) -> Iterable[tuple[str, str]]:
        for code, entry in self.entries.get("condition", {}).items():
            for synonym in entry.synonyms:
                yield plain_words(synonym), code
            yield plain_words(code), code
            yield plain_words(entry.label), code


# Letters and digits stay, apostrophes go, everything else sets words apart.
_ASCII = {code: None if chr(code) == "'" else " " for code in range(128) if not chr(code).isalnum()}


def plain_words(text: str) -> str:
    """Lower case without accents or punctuation, words set apart by single blanks."""
    if text.isascii():
        return " ".join(text.lower().translate(_ASCII).split())
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(
        c if c.isalnum() else "" if c in "'’" or unicodedata.combining(c) else " "
        for c in decomposed
    )
    return " ".join(kept.split())
