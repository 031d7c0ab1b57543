"""Cursors: signed, and good across rotations of the keys."""

from __future__ import annotations

from uuid import UUID

import pytest

from api.errors import InvalidParameter
from api.search.cursor import Position, read_cursor, write_cursor
from tests.keyrings import fixed_keyring

QUESTION = b"question"
LAST = Position(12.5, UUID(int=7), 0.25)


def test_a_cursor_made_before_a_rotation_is_read_after_it() -> None:
    cursor = write_cursor(fixed_keyring("old"), QUESTION, "85016", LAST)
    assert read_cursor(fixed_keyring("old", "new"), QUESTION, "85016", cursor) == LAST


def test_a_cursor_made_after_a_rotation_is_read_by_a_process_that_lags_behind() -> None:
    ahead, behind = fixed_keyring("old", "new"), fixed_keyring("new", "old")
    assert read_cursor(behind, QUESTION, None, write_cursor(ahead, QUESTION, None, LAST)) == LAST


@pytest.mark.parametrize("ids", [("other",), ("other", "another")])
def test_a_cursor_of_a_key_that_is_gone_is_refused(ids: tuple[str, ...]) -> None:
    cursor = write_cursor(fixed_keyring("old"), QUESTION, None, LAST)
    with pytest.raises(InvalidParameter):
        read_cursor(fixed_keyring(*ids), QUESTION, None, cursor)


def test_a_cursor_belongs_to_its_question_and_its_place() -> None:
    keys = fixed_keyring()
    cursor = write_cursor(keys, QUESTION, "85016", LAST)
    for question, near in ((b"another", "85016"), (QUESTION, "85017"), (QUESTION, None)):
        with pytest.raises(InvalidParameter):
            read_cursor(keys, question, near, cursor)
