"""`clinicway keyring` beside a running service, and killed in the middle."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import pytest

from api.keyring import Keyring, Purpose
from api.keyring_file import read_document
from api.keyring_rotation import SETTLE
from db.pool import Pool
from tests.conftest import execute
from tests.keys.clocks import HandClock
from tests.referrals.sealed import read, send
from tests.services import PATIENCE, ROOT, Service, clinicway, data_folder, environment, eventually
from tests.services import serving as serving_in

T = TypeVar("T")
CANARY = "Canary Quetzalcoatl"


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    with data_folder() as folder, serving_in(folder) as service:
        yield service.announced()


@pytest.fixture
def keyring_path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "keyring.json"
    Keyring.load_or_create(path, HandClock())
    return path


@pytest.fixture
def given(dsn: str, keyring_path: Path) -> Mapping[str, str]:
    return {
        "CLINICWAY_DATABASE_URL": dsn,
        "CLINICWAY_KEYRING": str(keyring_path),
        "CLINICWAY_DATA_DIR": str(keyring_path.parent),
    }


def active_of(path: Path) -> str:
    return read_document(path)[0].active


def in_database(dsn: str, work: Callable[[Pool], Awaitable[T]]) -> T:
    async def done() -> T:
        pool = Pool(dsn, size=1)
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(done())


async def sent(pool: Pool, keyring: Keyring, count: int) -> list[UUID]:
    return [await send(pool, keyring, CANARY.encode()) for _ in range(count)]


def assert_all_read(dsn: str, path: Path, referrals: Sequence[UUID]) -> None:
    keyring = Keyring.load(path, HandClock())

    async def all_read(pool: Pool) -> list[bytes]:
        return [await read(pool, keyring, referral) for referral in referrals]

    assert in_database(dsn, all_read) == [CANARY.encode()] * len(referrals)


def grown_old(path: Path) -> None:
    """As if the last rotation had been longer ago than a key has to wait."""
    text = path.read_text()
    for key in read_document(path)[0].keys:
        if key.replaced_at is not None:
            moment = key.replaced_at.isoformat().replace("+00:00", "Z")
            assert moment in text
            text = text.replace(moment, (key.replaced_at - 2 * SETTLE).isoformat())
    path.write_text(text)


@pytest.mark.slow
def test_a_rotation_beside_a_running_service_stops_nothing(running: Service) -> None:
    where = ("--data-dir", str(running.data_dir))
    path = running.data_dir / "keyring.json"
    old = active_of(path)
    key = running.key("admin", "directory:write")
    running.key("clinic:01900000-0000-7000-8000-000000000000")
    page = running.get("/v1/keys?limit=1", key).json()
    clinics = running.get("/v1/clinics?limit=1").json()
    rotated = clinicway("keyring", "rotate", *where)
    assert rotated.returncode == 0, rotated.stderr
    assert active_of(path) != old
    # The running service knows the new key, and takes what the old one made.
    assert running.status("/v1/keys", key) == 200
    assert running.status("/v1/keys", running.key("admin")) == 200
    assert running.status(f"/v1/keys?limit=1&cursor={page['next']}", key) == 200
    assert running.status(f"/v1/clinics?limit=1&cursor={clinics['next']}") == 200
    again = running.get("/v1/clinics?limit=1").json()
    assert again["items"] == clinics["items"]
    assert again["next"] != clinics["next"]
    listed = clinicway("keyring", "list", *where)
    assert listed.returncode == 0
    assert old in listed.stdout
    assert active_of(path) in listed.stdout
    secret = read_document(path)[0].keys[0].secret
    assert secret is not None
    assert secret not in listed.stdout + rotated.stdout + rotated.stderr
    refused = clinicway("keyring", "retire", old, *where)
    assert refused.returncode == 1
    assert "moment ago" in refused.stderr
    # Not the test's place to wait for a minute.
    grown_old(path)
    refused = clinicway("keyring", "retire", old, *where)
    assert "API keys made with it: " in refused.stderr
    assert running.status("/v1/keys", key) == 200


def test_retiring_says_what_still_needs_the_key(
    given: Mapping[str, str], keyring_path: Path, dsn: str
) -> None:
    keyring = Keyring.load(keyring_path, HandClock())
    old = active_of(keyring_path)
    (referral,) = in_database(dsn, lambda pool: sent(pool, keyring, 1))
    assert clinicway("keyring", "rotate", "--prepare", settings=given).returncode == 0
    assert active_of(keyring_path) == old
    # Prepared some time ago on every machine: it is put to use at once.
    assert clinicway("keyring", "rotate", settings=given).returncode == 0
    assert active_of(keyring_path) != old
    grown_old(keyring_path)
    asyncio.run(execute(dsn, f"update sealed_key set keyring_id = '{old}'"))
    refused = clinicway("keyring", "retire", old, "--reduce", settings=given)
    assert refused.returncode == 1
    assert "data keys of referrals sealed with it: 1" in refused.stderr
    assert old in keyring_path.read_text()
    new = active_of(keyring_path)
    asyncio.run(execute(dsn, f"update sealed_key set keyring_id = '{new}'"))
    asyncio.run(
        execute(
            dsn,
            "insert into referral_history (referral_id, version, at, event, role, actor, to_state,"
            f" keyring_id, hash) select id, 1, now(), 'created', 'referrer', 'x', state, '{old}',"
            " '' from referral",
        )
    )
    refused = clinicway("keyring", "retire", old, settings=given)
    assert refused.returncode == 1
    assert "history of referrals" in refused.stderr
    assert "--reduce" in refused.stderr
    verified = clinicway("audit", "verify", settings=given)
    assert verified.stdout == "The audit trail verifies: 1 entries.\n"
    reduced = clinicway("keyring", "retire", old, "--reduce", settings=given)
    assert reduced.returncode == 0, reduced.stderr
    after = Keyring.load(keyring_path, HandClock())
    assert after.get(old, Purpose.HISTORY) == keyring.get(old, Purpose.HISTORY)
    assert list(after.every(Purpose.SEALING)) == [new]
    assert in_database(dsn, lambda pool: read(pool, after, referral)) == CANARY.encode()
    asyncio.run(execute(dsn, "delete from referral_history"))
    assert clinicway("keyring", "retire", old, settings=given).returncode == 0
    assert old not in keyring_path.read_text()


@pytest.mark.slow
def test_a_rewrapping_that_is_killed_is_done_by_the_next(
    given: Mapping[str, str], keyring_path: Path, dsn: str, tmp_path: Path
) -> None:
    before = Keyring.load(keyring_path, HandClock())
    referrals = in_database(dsn, lambda pool: sent(pool, before, 3))
    copies = f"""
        with made as (
            insert into referral
                (id, version, state, urgency, mode, referrer, sealed, history_hash, created_at,
                 updated_at)
            select gen_random_uuid(), 1, 'matching', 'routine', 'sequential', 'x', '', '', now(),
                now()
            from generate_series(1, 20000)
            returning id
        )
        insert into sealed_key (referral_id, keyring_id, wrapped)
        select id, '{active_of(keyring_path)}', 'damaged' from made
    """
    asyncio.run(execute(dsn, copies))
    assert clinicway("keyring", "rotate", "--prepare", settings=given).returncode == 0
    said = tmp_path / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "api", "keyring", "rotate"],
            cwd=ROOT,
            env=environment(**given),
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    eventually(lambda: b"is the active one" in said.read_bytes())
    process.kill()
    process.wait(timeout=PATIENCE)
    assert active_of(keyring_path) != before.active(Purpose.SEALING)[0]
    assert_all_read(dsn, keyring_path, referrals)
    again = clinicway("keyring", "rewrap", settings=given)
    # What was never a data key is said to be none, and nothing of it is lost.
    assert again.returncode == 1
    assert "does not open 20000 of them" in again.stderr
    assert CANARY not in again.stderr
    assert_all_read(dsn, keyring_path, referrals)


@pytest.mark.parametrize("action", [("list",), ("rotate",), ("rewrap",), ("retire", "x")])
def test_without_a_keyring_it_says_which_one_to_name(
    given: Mapping[str, str], tmp_path: Path, action: tuple[str, ...]
) -> None:
    nowhere = {**given, "CLINICWAY_KEYRING": str(tmp_path / "none.json")}
    refused = clinicway("keyring", *action, settings=nowhere)
    assert refused.returncode == 1
    assert "There is no keyring" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "none.json").exists()


def test_where_nothing_is_to_be_rewrapped_no_count_is_shown(given: Mapping[str, str]) -> None:
    done = clinicway("keyring", "rewrap", settings=given)
    assert done.returncode == 0, done.stderr
    assert "Rewrapped 0 data keys" in done.stderr
    assert "?" not in done.stderr
