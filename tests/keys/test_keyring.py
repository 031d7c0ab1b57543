"""The keyring file: made once, private, whole; one key for each purpose."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from api.clock import SystemClock
from api.keyring import Keyring, Purpose, UnknownKey
from api.keyring_file import KEY_BYTES, KeyringError
from tests.keys.clocks import HandClock

VECTOR = "d85494094bd00194a1abf2d6ee556f5f9b2046c21f83d2cf7e3fca4aa17024e8"
"""What the derivation makes of 32 bytes of 07 for API keys."""
ONE_KEY = (
    '{{"version":1,"active":"a","keys":[{{"id":"a","created_at":"{at}","secret":"c2hvcnQ="}}]}}'
)


def made(path: Path) -> Keyring:
    return Keyring.load_or_create(path, HandClock())


def test_it_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keyring.json"
    first = made(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made(path).active(Purpose.API_KEY) == first.active(Purpose.API_KEY)
    assert [file.name for file in path.parent.iterdir()] == ["keyring.json"]


def test_a_key_for_each_purpose_found_again_by_its_id(tmp_path: Path) -> None:
    keyring = made(tmp_path / "k")
    keys = {purpose: keyring.active(purpose) for purpose in Purpose}
    assert len({key for _, key in keys.values()}) == len(Purpose)
    for purpose, (key_id, key) in keys.items():
        assert len(key) == KEY_BYTES
        assert keyring.get(key_id, purpose) == key


def test_the_derived_key_is_not_the_secret_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "k"
    keyring = Keyring.load_or_create(path, HandClock(), entropy=lambda n: b"\x07" * n)
    assert keyring.active(Purpose.API_KEY)[1] != b"\x07" * KEY_BYTES
    # A fixed vector: were the derivation to change, every stored hash would stop matching.
    assert keyring.active(Purpose.API_KEY)[1].hex() == VECTOR


def test_an_unknown_id_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(UnknownKey, match="another deployment"):
        made(tmp_path / "k").get("0" * 12, Purpose.CURSOR)


def test_a_rotated_keyring_uses_the_active_key_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "k"
    old_id, old = made(path).active(Purpose.API_KEY)
    new_id, new = made(tmp_path / "other").active(Purpose.API_KEY)
    document = json.loads(path.read_text())
    document["keys"] += json.loads((tmp_path / "other").read_text())["keys"]
    document["active"] = new_id
    path.write_text(json.dumps(document))
    keyring = Keyring.load(path, HandClock())
    assert keyring.active(Purpose.API_KEY) == (new_id, new)
    assert keyring.get(old_id, Purpose.API_KEY) == old


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o640, 0o660, 0o602])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "k"
    made(path)
    path.chmod(mode)
    with pytest.raises(KeyringError, match=f"chmod 600 {path}"):
        made(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k"
    made(path)
    os.chown(path, 12345, 12345)
    with pytest.raises(KeyringError, match="belongs to another user"):
        made(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ("\udcff", "is damaged"),
        ('{"version":1,"active":"a","keys":[]}', "active key is not in it"),
        ('{"version":2,"active":"a","keys":[]}', "newer version"),
        (ONE_KEY.format(at="2026-11-22T16:00:00Z"), "not 32 bytes"),
        (ONE_KEY.format(at="2026-11-22T16:00:00"), "is damaged"),
    ],
)
def test_a_damaged_file_is_never_replaced(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "k"
    path.write_text(content, errors="surrogateescape")
    path.chmod(0o600)
    with pytest.raises(KeyringError, match=sentence):
        made(path)
    assert path.read_text(errors="surrogateescape") == content


def test_a_folder_that_cannot_be_made_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyringError, match="CLINICWAY_KEYRING"):
        made(tmp_path / "file" / "keyring.json")


def active_of(path: Path) -> tuple[str, bytes]:
    return Keyring.load_or_create(path, SystemClock()).active(Purpose.API_KEY)


def test_many_processes_at_once_end_up_with_one_keyring(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as processes:
        found = set(processes.map(active_of, [tmp_path / "k"] * 16))
    assert len(found) == 1
