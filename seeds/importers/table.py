"""Reads a table from a CSV file, plain or gzip, row by row in constant memory.

Whatever is wrong with one row is said of that row's line and the rest is read on; what is wrong
with the whole file (not text, UTF-16, a workbook, no header) is one `NotImportable`.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Self

from seeds.importers.fields import shown
from seeds.importers.report import NotImportable, Progress, Refused

MAX_LINE = 1 << 20
# A quoted address may hold line breaks; a quote that is never closed would swallow the file.
MAX_LINES_A_ROW = 50

_NOT_TEXT: Mapping[bytes, str] = {
    b"\xff\xfe": "The file is UTF-16. Save it as CSV in UTF-8.",
    b"\xfe\xff": "The file is UTF-16. Save it as CSV in UTF-8.",
    b"PK\x03\x04": "The file is a zip archive or an Excel workbook. Unpack it, or save it as CSV.",
    b"%PDF": "The file is a PDF. A CSV file is needed.",
    b"BZh": "The file is packed with bzip2. Unpack it first; gzip is read as it is.",
    b"\xfd7zXZ\x00": "The file is packed with xz. Unpack it first; gzip is read as it is.",
    b"\x28\xb5\x2f\xfd": "The file is packed with zstd. Unpack it first; gzip is read as it is.",
}


class Row:
    """One row: the line it starts on (the header is line 1) and its cells by column name."""

    __slots__ = ("_columns", "cells", "line")

    def __init__(self, line: int, cells: list[str], columns: Mapping[str, int]) -> None:
        self.line = line
        self.cells = cells
        self._columns = columns

    def get(self, column: str) -> str:
        """The cell, runs of white space and line breaks made one space; "" for no such column."""
        at = self._columns.get(column)
        return "" if at is None else " ".join(self.cells[at].split())


class BadRow:
    """A row that could not be read, and why."""

    __slots__ = ("line", "reason")

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason


class _Lines:
    """The physical lines of a row, kept so that a row gone wrong costs no more than its own line.

    An iterator and not a generator: it goes on after it raised.
    """

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._again: list[str] = []
        self._of_row: list[str] = []
        self.number = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if len(self._of_row) >= MAX_LINES_A_ROW:
            raise Refused("a quoted cell begins here and is not closed; is a quote missing?")
        line = self._again.pop() if self._again else self._text.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self.number += 1
        self._of_row.append(line)
        if len(line) > MAX_LINE:
            while line and not line.endswith("\n"):
                line = self._text.readline(MAX_LINE)
            raise Refused("the line is longer than 1 MiB")
        if "\0" in line:
            raise Refused("the line holds a NUL byte")
        if not line.isascii():
            try:
                line.encode()
            except UnicodeEncodeError:
                raise Refused("the line is not UTF-8") from None
        return line

    def row_begins(self) -> None:
        self._of_row.clear()

    def give_back(self) -> None:
        """Everything read for this row except its first line is to be read again."""
        self._again.extend(reversed(self._of_row[1:]))
        self.number -= len(self._of_row) - 1


class Table:
    """An open file: `columns` by name, then its rows. A context manager.

    Column names are matched without regard to case. Raises `NotImportable` when the file cannot
    be opened or is no such table: every name of `required` must stand in the header, and when
    `known` is given, no other name than those. `named` is how a person calls such a file.
    """

    def __init__(
        self,
        path: Path,
        *,
        named: str,
        required: Collection[str],
        known: Collection[str] | None = None,
    ) -> None:
        self._path = path
        try:
            self.bytes_total = path.stat().st_size
            self._raw = path.open("rb")
        except IsADirectoryError:
            raise NotImportable("That is a folder. Name a file.") from None
        except OSError as error:
            raise NotImportable(f"The file cannot be opened: {error.strerror}.") from None
        try:
            text = self._decoded()
            self._lines = _Lines(text)
            self._reader = csv.reader(self._lines, strict=True)
            self.columns = self._header(named, required, known)
        except BaseException:
            self._raw.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._raw.close()

    def progress(self, rows: int) -> Progress:
        return Progress(rows=rows, bytes_done=self._raw.tell(), bytes_total=self.bytes_total)

    def __iter__(self) -> Iterator[Row | BadRow]:
        width = len(self.columns)
        while (read := self._next()) is not None:
            line, cells = read
            if isinstance(cells, str):
                yield BadRow(line, cells)
            elif len(cells) == width:
                yield Row(line, cells, self.columns)
            elif any(cell.strip() for cell in cells):
                yield BadRow(line, f"cells: {len(cells)}, where the header names {width} columns")

    def _decoded(self) -> io.TextIOBase:
        try:
            start = self._raw.read(8)
            self._raw.seek(0)
        except OSError as error:
            raise NotImportable(f"The file cannot be read: {error.strerror}.") from None
        stream: io.BufferedIOBase = self._raw
        if start.startswith(b"\x1f\x8b"):
            unzipped = gzip.GzipFile(fileobj=self._raw)
            try:
                start = unzipped.peek(8)[:8]
            except (OSError, EOFError, zlib.error):
                raise NotImportable("The gzip file is damaged or cut off.") from None
            stream = unzipped
        if not start:
            raise NotImportable("The file is empty.")
        for magic, sentence in _NOT_TEXT.items():
            if start.startswith(magic):
                raise NotImportable(sentence)
        return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")

    def _header(
        self, named: str, required: Collection[str], known: Collection[str] | None
    ) -> Mapping[str, int]:
        first = self._next()
        if first is None:
            raise NotImportable("The file is empty.")
        _, cells = first
        if isinstance(cells, str):
            raise NotImportable(f"The first line cannot be read as a CSV header: {cells}.")
        if len(cells) == 1 and any(mark in cells[0] for mark in (";", "\t", "|")):
            raise NotImportable("The columns are not separated by commas. Save it as CSV.")
        names = [cell.strip().casefold() for cell in cells]
        spelled = {name.casefold(): name for name in (*required, *(known or ()))}
        missing = [name for name in required if name.casefold() not in names]
        if missing:
            raise NotImportable(f"This is no {named}: it has no column {_listed(missing)}.")
        columns: dict[str, int] = {}
        for at, name in enumerate(names):
            if known is not None and name not in spelled:
                near = get_close_matches(name, spelled, n=1)
                raise NotImportable(
                    f"Column {at + 1}, {shown(cells[at].strip())}, is not one that a {named} may "
                    f"have." + (f" Did you mean '{spelled[near[0]]}'?" if near else "")
                )
            column = spelled.get(name, cells[at].strip())
            if column in columns:
                raise NotImportable(
                    f"Column {at + 1}, {shown(column)}, has the name of an earlier column."
                )
            columns[column] = at
        return columns

    def _next(self) -> tuple[int, list[str] | str] | None:
        """The line on which the next row starts, and its cells or why there are none."""
        self._lines.row_begins()
        line = self._lines.number + 1
        try:
            return line, next(self._reader)
        except StopIteration:
            return None
        except Refused as refused:
            reason = str(refused)
        except csv.Error as error:
            reason = _csv_reason(str(error))
        except (EOFError, OSError, zlib.error):
            raise NotImportable(
                f"The file is damaged or cut off after line {self._lines.number}."
            ) from None
        if self._lines.number > line and reason != "a cell is longer than 131,072 characters":
            reason = "a quoted cell begins here and is not closed; is a quote missing?"
        self._lines.give_back()
        return line, reason


def _csv_reason(message: str) -> str:
    # The csv module names what it stumbled over in words that quote its own options only.
    if "field larger" in message:
        return "a cell is longer than 131,072 characters"
    if "unexpected end" in message:
        return "a quoted cell begins here and is not closed; is a quote missing?"
    return "a quote stands inside a cell that does not begin with one, or text follows a quote"


def _listed(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " and no " + quoted[-1]
