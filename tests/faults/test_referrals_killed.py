"""Referrals under kill -9 of whatever there is to kill, at random moments, again and again.

`make faults` makes a long run of it: 300 rounds (CLINICWAY_TEST_ROUNDS).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Final

import psutil
import pytest

from db.embedded import find_running
from db.errors import DatabaseUnavailable
from tests.db.servers import server_pid
from tests.faults.deployment import ask_sql, caller, make_key
from tests.faults.ledger import assert_chains_verify, assert_kept
from tests.faults.practice import Practice, example_clinic
from tests.services import PATIENCE, Service, data_folder, eventually

ROUNDS: Final = int(os.environ.get("CLINICWAY_TEST_ROUNDS", "30"))
GRACE_SECONDS: Final = 5
"""How late a deadline may be acted on, counted from it or from the service's being back."""
CAPACITIES: Final = (None, None, 40, 5)
FLAGS: Final = (
    *("--workers", "2", "--demonstration", "false"),
    # So short that many deadlines fall into every outage.
    *("--clock-routine", "PT4S", "--clock-answer", "PT3S"),
    *("--rate-key", "0", "--rate-address", "0"),
)
DUE_BEFORE: Final = "select count(*) from referral where due_at < to_timestamp({moment})"


class NotRunning(Exception):
    """The database is down at the moment."""


class Victim:
    """A service on one data folder and one port, that is killed and comes back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service = Service(folder, *FLAGS).announced()
        self.port = str(self.service.port)

    @property
    def dsn(self) -> str:
        found = find_running(self.folder)
        if found is None:
            raise NotRunning
        return found

    def key(self, *scopes: str) -> str:
        return make_key(self.dsn, self.folder / "keyring.json", *scopes)

    def kill_a_server_process(self, random: Random) -> None:
        """The main process starts another one in its place."""
        workers = self.service.workers()
        if workers:
            self._kill(random.choice(workers))

    def kill_postgres(self, _random: Random) -> None:
        """The database comes back by itself."""
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            postmaster = psutil.Process(server_pid(self.folder))
            for process in [postmaster, *postmaster.children(recursive=True)]:
                self._kill(process)

    def kill_a_backend(self, random: Random) -> None:
        """PostgreSQL cuts every connection and recovers."""
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            self._kill(random.choice(psutil.Process(server_pid(self.folder)).children()))

    def kill_everything(self, _random: Random) -> None:
        """As when the power goes; somebody starts it anew."""
        for process in self.service.everything():
            self._kill(process)
        self.service.process.wait(timeout=PATIENCE)
        again = Service(self.folder, *FLAGS, "--port", self.port)
        self.service = again.announced_on(int(self.port))

    @staticmethod
    def _kill(process: psutil.Process) -> None:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


@contextmanager
def victim() -> Generator[Victim]:
    with data_folder() as folder:
        made = Victim(folder)
        try:
            yield made
        finally:
            made.service.end()


def open_practice(target: Victim) -> Practice:
    """Four clinics, one of them with few places, and two referrers."""
    clinics: dict[str, str] = {}
    with caller(target.service, target.key("directory:write")) as client:
        for number, capacity in enumerate(CAPACITIES):
            made = client.post("/v1/clinics", json=example_clinic(number, capacity))
            assert made.status_code == 201, made.text
            clinics[made.json()["id"]] = target.key(f"clinic:{made.json()['id']}")
    referrers = [target.key("referrals:write") for _ in range(2)]
    return Practice(target.service.url, referrers, clinics)


def assert_no_deadline_was_missed(target: Victim) -> None:
    """What was due when the service came back is acted on within five seconds."""
    eventually(lambda: _is_back(target), lambda: target.service.err)
    back = time.time()
    while (left := _left_of(target, back)) != 0:
        if left is None:
            # It had not noticed yet that its database was killed.
            eventually(lambda: _is_back(target), lambda: target.service.err)
            back = time.time()
        assert time.time() < back + GRACE_SECONDS, f"{left} deadlines are waiting"
        time.sleep(0.1)


def _is_back(target: Victim) -> bool:
    return target.service.status("/health/ready") == 200 and _left_of(target, 0) is not None


def _left_of(target: Victim, moment: float) -> int | None:
    """How much of what was due at that moment is still to be done; None while nobody can say."""
    try:
        return int(ask_sql(target.dsn, DUE_BEFORE.format(moment=moment)))
    except (DatabaseUnavailable, NotRunning):
        return None


@pytest.mark.slow
def test_what_was_acknowledged_survives_every_kill() -> None:
    random = Random(20261122)
    with victim() as target:
        kills = [
            target.kill_a_server_process,
            target.kill_postgres,
            target.kill_a_backend,
            target.kill_everything,
        ]
        practice = open_practice(target)
        with practice.at_work():
            practice.wait_for_more(20, within=PATIENCE)
            for number in range(ROUNDS):
                time.sleep(random.uniform(0, 1.5))
                kills[number % len(kills)](random)
                practice.wait_for_more(10, within=PATIENCE)
                assert_no_deadline_was_missed(target)
        assert_no_deadline_was_missed(target)
        assert_kept(target.dsn, practice.told)
        for referrer in practice.referrers:
            with caller(target.service, referrer) as client:
                assert_chains_verify(client)
