"""Reading a CSV file: a bad row costs that row, a bad file is one sentence."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seeds.importers.report import NotImportable
from seeds.importers.table import BadRow, Row, Table

Written = Callable[[bytes], Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def write(content: bytes) -> Path:
        path = tmp_path / "table.csv"
        path.write_bytes(content)
        return path

    return write


def rows_of(path: Path, known: list[str] | None = None) -> list[tuple[int, list[str] | str]]:
    """Line and cells of each row that can be read, line and reason of each that cannot."""
    with Table(path, named="clinic table", required=("name", "city"), known=known) as table:
        return [(row.line, row.reason if isinstance(row, BadRow) else row.cells) for row in table]


def sentence_for(path: Path, known: list[str] | None = None) -> str:
    with pytest.raises(NotImportable) as caught:
        rows_of(path, known)
    return str(caught.value)


def test_lines_are_those_of_the_file_across_line_breaks_inside_quotes(written: Written) -> None:
    content = b'name,city\r\n"a\r\nb",c\r\n\r\nd,e'
    assert rows_of(written(content)) == [(2, ["a\r\nb", "c"]), (5, ["d", "e"])]


def test_a_cell_is_given_on_one_line(written: Written) -> None:
    path = written(b'Name , CITY\n"  two\n lines\t",x\n')
    with Table(path, named="clinic table", required=("name", "city")) as table:
        (row,) = list(table)
    assert isinstance(row, Row)
    assert (row.get("name"), row.get("city"), row.get("other")) == ("two lines", "x", "")


@pytest.mark.parametrize(
    "content",
    [
        b"name,city\na,b\n",
        b"\xef\xbb\xbfname,city\r\na,b\r\n",
        b"name,city\ra,b\r",
        gzip.compress(b"name,city\na,b\n"),
        b'"name","city"\n"a","b"',
    ],
    ids=["plain", "byte order mark and CRLF", "CR alone", "gzip", "quoted, no end of line"],
)
def test_every_ordinary_form_of_the_same_table(content: bytes, written: Written) -> None:
    assert rows_of(written(content)) == [(2, ["a", "b"])]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"x", "cells: 1, where the header names 2 columns"),
        (b"x,y,z", "cells: 3, where the header names 2 columns"),
        (b"x\xff,y", "the line is not UTF-8"),
        (b"x\0,y", "the line holds a NUL byte"),
        (b"x," + b"y" * 200_000, "a cell is longer than 131,072 characters"),
        (b"x," + b"y" * 10_000_000, "the line is longer than 1 MiB"),
        (b'x,"' + b"y" * 10_000_000 + b'"', "the line is longer than 1 MiB"),
        (b'x,"y', "a quoted cell begins here and is not closed; is a quote missing?"),
        (
            b'x,"y"z',
            "a quote stands inside a cell that does not begin with one, or text follows a quote",
        ),
    ],
)
def test_a_bad_row_costs_its_own_line_and_no_other(
    bad: bytes, reason: str, written: Written
) -> None:
    path = written(b"name,city\na,b\n" + bad + b"\nc,d\ne,f\n")
    assert rows_of(path) == [(2, ["a", "b"]), (3, reason), (4, ["c", "d"]), (5, ["e", "f"])]


def test_a_quote_never_closed_in_a_long_file_costs_one_row(written: Written) -> None:
    path = written(b'name,city\nx,"y\n' + b"a,b\n" * 500)
    read = rows_of(path)
    assert read[0] == (2, "a quoted cell begins here and is not closed; is a quote missing?")
    assert read[1:] == [(line, ["a", "b"]) for line in range(3, 503)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (b"\n", "has no column 'name' and no 'city'"),
        ("name,city\n".encode("utf-16"), "UTF-16"),
        ("name,city\n".encode("utf-16-le"), "NUL"),
        (b"PK\x03\x04 and the rest", "zip archive or an Excel workbook"),
        (b"%PDF-1.7", "PDF"),
        (b"name;city\n1;2\n", "not separated by commas"),
        (b"name\tcity\n1\t2\n", "not separated by commas"),
        (b"name,town\n", "has no column 'city'"),
        (b"name,city,Name\n", "Column 3, 'name', has the name of an earlier column"),
        (b'{"name": "x"}', "This is no clinic table"),
        (b"\x1f\x8bnot gzip at all", "gzip file is damaged"),
        (b"\xff\xd8\xff\xe0 JFIF", "not UTF-8"),
    ],
)
def test_a_wrong_file_is_one_clear_sentence(content: bytes, said: str, written: Written) -> None:
    sentence = sentence_for(written(content))
    assert said in sentence
    assert sentence.endswith(".")


def test_a_gzip_file_cut_off_says_how_far_it_was_read(written: Written) -> None:
    content = "".join(f"{number},{number * 7919}\n" for number in range(20_000))
    packed = gzip.compress(f"name,city\n{content}".encode())
    assert "cut off after line" in sentence_for(written(packed[: len(packed) // 2]))


def test_a_column_that_nobody_knows_is_named(written: Written) -> None:
    sentence = sentence_for(written(b"name,city,Offering\n"), known=["name", "city", "offerings"])
    assert sentence == (
        "Column 3, 'Offering', is not one that a clinic table may have. Did you mean 'offerings'?"
    )
    far = sentence_for(written(b"name,\x1b[2J,city\n"), known=["name", "city"])
    assert far == "Column 2, '\ufffd[2J', is not one that a clinic table may have."


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    assert "folder" in sentence_for(tmp_path)
    assert "cannot be opened" in sentence_for(tmp_path / "missing.csv")


def test_progress_reaches_the_end_of_a_packed_file(written: Written) -> None:
    path = written(gzip.compress(b"name,city\n" + b"a,b\n" * 1000))
    with Table(path, named="clinic table", required=("name", "city")) as table:
        count = sum(1 for _ in table)
        done = table.progress(count)
    size = path.stat().st_size
    assert (done.rows, done.bytes_done, done.bytes_total) == (1000, size, size)


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS), max_size=8))
def test_whatever_a_csv_writer_writes_is_read_back(
    tmp_path: Path, cells: list[tuple[str, str]]
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(("name", "city"))
    writer.writerows(cells)
    path = tmp_path / "table.csv"
    path.write_bytes(text.getvalue().encode())
    assert [cells for _, cells in rows_of(path)] == [list(pair) for pair in cells]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_reasons_or_one_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b"name,city\n" + content)
    try:
        read = rows_of(path)
    except NotImportable:
        return
    lines = [line for line, _ in read]
    assert lines == sorted(set(lines))
