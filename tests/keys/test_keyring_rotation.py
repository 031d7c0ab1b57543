"""Rotation of the keyring: seen by running processes, stopped anywhere, losing nothing."""

from __future__ import annotations

import multiprocessing
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from api.commands.keyring import SETTLE_SECONDS
from api.errors import InvalidParameter
from api.keyring import CHECK_SECONDS, PINNED, Keyring, Purpose, UnknownKey
from api.keyring_file import KeyringError, read_document
from api.keyring_rotation import SETTLE, activate_key, prepare_key, reduce_key, remove_key
from api.search.cursor import Position, read_cursor, write_cursor
from tests.keys.clocks import HandClock

ROTATED = [purpose for purpose in Purpose if purpose not in PINNED]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def path(tmp_path: Path, clock: HandClock) -> Path:
    path = tmp_path / "keyring.json"
    Keyring.load_or_create(path, clock)
    return path


def rotated(path: Path, clock: HandClock) -> str:
    clock.pass_time(1)
    key_id, _ = prepare_key(path, clock)
    activate_key(path, clock, key_id)
    return key_id


def long_after(clock: HandClock) -> datetime:
    clock.pass_time(SETTLE.total_seconds() + 1)
    return clock.now()


def test_a_running_process_takes_the_new_key_without_a_restart(
    path: Path, clock: HandClock
) -> None:
    running = Keyring.load(path, clock)
    before = {purpose: running.active(purpose) for purpose in ROTATED}
    new = rotated(path, clock)
    clock.pass_time(CHECK_SECONDS)
    for purpose, (old_id, old_key) in before.items():
        assert running.active(purpose)[0] == new
        assert running.get(old_id, purpose) == old_key
        assert list(running.every(purpose)) == [new, old_id]


def test_it_looks_no_more_often_than_it_says(path: Path, clock: HandClock) -> None:
    running = Keyring.load(path, clock)
    old = running.active(Purpose.CURSOR)
    new, _ = prepare_key(path, clock)
    activate_key(path, clock, new)
    assert running.active(Purpose.CURSOR) == old
    clock.pass_time(CHECK_SECONDS)
    assert running.active(Purpose.CURSOR)[0] == new


def test_a_key_that_is_not_known_is_looked_for_at_once(path: Path, clock: HandClock) -> None:
    running = Keyring.load(path, clock)
    new, _ = prepare_key(path, clock)
    activate_key(path, clock, new)
    assert running.get(new, Purpose.SEALING) == Keyring.load(path, clock).get(new, Purpose.SEALING)
    with pytest.raises(UnknownKey):
        running.get("0" * 12, Purpose.SEALING)


def test_a_prepared_key_is_known_and_not_used(path: Path, clock: HandClock) -> None:
    old = Keyring.load(path, clock).active(Purpose.SEALING)
    new, is_new = prepare_key(path, clock)
    assert is_new
    assert prepare_key(path, clock) == (new, False)
    keyring = Keyring.load(path, clock)
    assert keyring.active(Purpose.SEALING) == old
    assert new in keyring.every(Purpose.SEALING)
    activate_key(path, clock, new)
    assert Keyring.load(path, clock).active(Purpose.SEALING)[0] == new
    assert prepare_key(path, clock)[1]


@pytest.mark.parametrize("waits", [True, False])
def test_a_key_that_is_used_at_once_is_not_yet_known_everywhere(
    path: Path, clock: HandClock, waits: bool
) -> None:
    """Why a rotation waits between making a key known and making it the active one."""
    last = Position("rank", UUID(int=7))
    ahead, behind = Keyring.load(path, clock), Keyring.load(path, clock)
    clock.pass_time(CHECK_SECONDS)
    behind.active(Purpose.CURSOR)
    key_id, _ = prepare_key(path, clock)
    if waits:
        clock.pass_time(SETTLE_SECONDS)
        behind.active(Purpose.CURSOR)
    activate_key(path, clock, key_id)
    clock.pass_time(CHECK_SECONDS / 2)
    ahead.look()
    cursor = write_cursor(ahead, b"question", None, last)
    if waits:
        assert read_cursor(behind, b"question", None, cursor) == last
    else:
        with pytest.raises(InvalidParameter):
            read_cursor(behind, b"question", None, cursor)


def test_pinned_keys_stay_what_they_were(path: Path, clock: HandClock) -> None:
    first = Keyring.load(path, clock)
    old, _ = first.active(Purpose.SEALING)
    pinned = {purpose: first.active(purpose) for purpose in PINNED}
    assert pinned
    for _ in range(2):
        rotated(path, clock)
    remove_key(path, old, long_after(clock))
    after = Keyring.load(path, clock)
    assert {purpose: after.active(purpose) for purpose in PINNED} == pinned
    for purpose, (key_id, key) in pinned.items():
        assert after.get(key_id, purpose) == key


@pytest.mark.parametrize("content", ["", "{", '{"version":9,"active":"a","keys":[]}', None])
def test_a_file_that_cannot_be_read_anew_changes_nothing(
    path: Path, clock: HandClock, content: str | None
) -> None:
    running = Keyring.load(path, clock)
    old = running.active(Purpose.SEALING)
    whole = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    clock.pass_time(CHECK_SECONDS)
    assert running.active(Purpose.SEALING) == old
    path.write_bytes(whole)
    path.chmod(0o600)
    new = rotated(path, clock)
    clock.pass_time(CHECK_SECONDS)
    assert running.active(Purpose.SEALING)[0] == new


def test_the_file_stays_private_whole_and_alone(path: Path, clock: HandClock) -> None:
    rotated(path, clock)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to a group")
def test_a_file_that_a_group_may_read_stays_so(path: Path, clock: HandClock) -> None:
    os.chown(path, 0, 12345)
    path.chmod(0o600)
    rotated(path, clock)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, 12345, 0o600)


def test_a_link_to_the_file_stays_a_link(path: Path, clock: HandClock) -> None:
    link = path.with_name("link.json")
    link.symlink_to(path)
    new = rotated(link, clock)
    assert link.is_symlink()
    assert Keyring.load(path, clock).active(Purpose.SEALING)[0] == new


def test_the_active_key_and_one_of_a_moment_ago_stay(path: Path, clock: HandClock) -> None:
    old = Keyring.load(path, clock).active(Purpose.SEALING)[0]
    with pytest.raises(KeyringError, match="active key"):
        remove_key(path, old, clock.now())
    new = rotated(path, clock)
    clock.pass_time(SETTLE.total_seconds() - 1)
    for change in (lambda: remove_key(path, old, clock.now()), lambda: _all_given_up(path, old)):
        with pytest.raises(KeyringError, match="moment ago"):
            change()
    with pytest.raises(KeyringError, match="no key with this id"):
        remove_key(path, "none", clock.now())
    clock.pass_time(2)
    remove_key(path, old, clock.now())
    assert list(Keyring.load(path, clock).every(Purpose.SEALING)) == [new]


def _all_given_up(path: Path, key_id: str) -> None:
    reduce_key(path, key_id, HandClock().now() + timedelta(seconds=30), list(Purpose))


def test_a_removed_key_is_gone_from_running_processes(path: Path, clock: HandClock) -> None:
    running = Keyring.load(path, clock)
    old = running.active(Purpose.API_KEY)[0]
    rotated(path, clock)
    remove_key(path, old, long_after(clock))
    running.look()
    with pytest.raises(UnknownKey):
        running.get(old, Purpose.API_KEY)


def test_a_reduced_key_keeps_what_is_needed_and_cannot_make_the_rest(
    path: Path, clock: HandClock
) -> None:
    before = Keyring.load(path, clock)
    old, history = before.active(Purpose.HISTORY)
    secret = read_document(path)[0].keys[0].secret
    assert secret is not None
    rotated(path, clock)
    given_up = [purpose for purpose in Purpose if purpose is not Purpose.HISTORY]
    reduce_key(path, old, long_after(clock), given_up)
    after = Keyring.load(path, clock)
    assert after.get(old, Purpose.HISTORY) == history
    for purpose in given_up:
        assert old not in after.every(purpose)
    assert secret not in path.read_text()
    with pytest.raises(KeyringError, match="given up"):
        activate_key(path, clock, old)
    # It can be reduced again, and another rotation leaves it alone.
    rotated(path, clock)
    reduce_key(path, old, clock.now(), list(Purpose))
    assert read_document(path)[0].keys[0].derived == {}


def test_an_older_copy_of_the_file_opens_what_was_made_in_its_time(
    path: Path, clock: HandClock, tmp_path: Path
) -> None:
    old, key = Keyring.load(path, clock).active(Purpose.SEALING)
    backup = tmp_path / "backup.json"
    backup.write_bytes(path.read_bytes())
    backup.chmod(0o600)
    rotated(path, clock)
    remove_key(path, old, long_after(clock))
    assert Keyring.load(backup, clock).get(old, Purpose.SEALING) == key


def test_rotations_at_once_make_one_new_key(path: Path, clock: HandClock) -> None:
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(prepare_key, path, clock) for _ in range(16)]
        made = [each.result() for each in waiting]
    assert len({key_id for key_id, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


def _rotate_for_ever(path: str) -> None:
    clock = HandClock(datetime(2026, 11, 22, 17, tzinfo=UTC))
    while True:
        rotated(Path(path), clock)


def test_a_rotation_killed_anywhere_leaves_a_whole_keyring(path: Path, clock: HandClock) -> None:
    old, key = Keyring.load(path, clock).active(Purpose.SEALING)
    for _ in range(3):
        process = multiprocessing.get_context("spawn").Process(
            target=_rotate_for_ever, args=(str(path),)
        )
        before = path.stat().st_mtime_ns
        process.start()
        while path.stat().st_mtime_ns == before:
            # Read all the while, as running processes do: never half a file.
            read_document(path)
        for _ in range(20):
            read_document(path)
        process.kill()
        process.join()
        keyring = Keyring.load(path, clock)
        assert keyring.get(old, Purpose.SEALING) == key
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    prepare_key(path, clock)


def test_nothing_prints_a_key(path: Path, clock: HandClock) -> None:
    keyring = Keyring.load(path, clock)
    document, _ = read_document(path)
    secret = document.keys[0].secret
    assert secret is not None
    for printed in (repr(keyring), repr(document), repr(document.keys[0]), str(document)):
        assert secret not in printed
        assert document.active in printed
