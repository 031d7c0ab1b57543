"""What an import says it did, and what it reads its orders from."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import msgspec

# A file that is wrong from end to end must not fill the memory with its reasons.
REASONS_KEPT = 10_000


class NotImportable(Exception):
    """The file as a whole cannot be used; the text is a sentence for the person who gave it."""


class Refused(Exception):
    """One row cannot be used; the text is the reason."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something about one row: where it starts in the file, and what is to be said."""

    line: int
    text: str


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Fields that the file would have changed and that stay, because a person verified them."""

    line: int
    import_key: str
    fields: tuple[str, ...]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is; bytes are those of the file as it lies on the disk."""

    rows: int
    bytes_done: int
    bytes_total: int


ProgressCallback = Callable[[Progress], None]


def no_progress(progress: Progress) -> None:
    """For who does not want to hear."""
    del progress


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the person who starts an import may say about the file.

    `source_name` and `retrieved_on` describe the data set where the file does not;
    `taxonomies` and `names` choose rows of NPPES; `services` keeps only the SAMHSA rows that
    report all of these service codes; empty means the importer's own default. `geocode` asks the
    network geocoder for every new address, where one is set up; without it the gazetteer alone
    places the clinics. `claim_days` is how long a claim of a list stands. A file of up to
    `rows_a_transaction` rows that can be loaded goes in whole or not at all.
    """

    source_name: str | None = None
    retrieved_on: date | None = None
    taxonomies: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    geocode: bool = False
    claim_days: int = 30
    rows_a_transaction: int = 10_000


class ImportReport(msgspec.Struct, kw_only=True):
    """What became of a file's rows: read = created + changed + unchanged + refused + passed over.

    `doubts` are rows that went in without something (a phone number that cannot be one);
    `kept` are fields left alone because a person verified them; `gone` are the clinics of the
    same source that this file no longer has: they stay in the directory until somebody looks.
    The lists of notes hold the first 10,000 entries, the counts are complete.
    """

    kind: str
    read: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    passed_over: int = 0
    refused_count: int = 0
    refused: list[Note] = []
    doubts: list[Note] = []
    kept: list[Kept] = []
    gone: list[str] = []
    seconds: float = 0.0

    def refuse(self, line: int, reason: str) -> None:
        self.refused_count += 1
        if len(self.refused) < REASONS_KEPT:
            self.refused.append(Note(line=line, text=reason))

    def doubt(self, line: int, text: str) -> None:
        if len(self.doubts) < REASONS_KEPT:
            self.doubts.append(Note(line=line, text=text))

    def keep(self, line: int, import_key: str, fields: tuple[str, ...]) -> None:
        if len(self.kept) < REASONS_KEPT:
            self.kept.append(Kept(line=line, import_key=import_key, fields=fields))

    def add(self, other: ImportReport) -> None:
        """Count what another report counted."""
        self.created += other.created
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.refused_count += other.refused_count
        self.refused += other.refused[: REASONS_KEPT - len(self.refused)]
        self.doubts += other.doubts[: REASONS_KEPT - len(self.doubts)]
        self.kept += other.kept[: REASONS_KEPT - len(self.kept)]
