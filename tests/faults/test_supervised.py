"""`clinicway serve` with its own PostgreSQL, killed and stopped in every way while people write to
it: nothing that was acknowledged is lost, and nothing is there by half."""

from __future__ import annotations

import signal
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from threading import Event

import httpx
import psutil
import pytest

from db.embedded import find_running
from tests.db.servers import server_pid
from tests.faults.deployment import NEAR_PHOENIX, caller, profile
from tests.faults.directory import assert_shows, assert_unavailable, created, read_log, wait_until
from tests.services import Service, data_folder, serving

RECOVERY_SECONDS = 10.0
STOP_SECONDS = 30.0
"""Both as the contract has them."""
ENOUGH = 20


class Writers:
    """Several who add clinics as fast as they are answered, until the service is gone."""

    def __init__(self, service: Service, key: str, name: str) -> None:
        self.acknowledged: set[str] = set()
        self.refused = 0
        self._service = service
        self._key = key
        self._name = name
        self._over = Event()

    def write(self, who: int) -> None:
        with caller(self._service, self._key) as client:
            for number in count():
                if self._over.is_set():
                    return
                body = profile(f"{self._name} {who} {number}")
                with suppress(httpx.TransportError):
                    self._note(client.post("/v1/clinics", json=body))

    def _note(self, answer: httpx.Response) -> None:
        if answer.status_code == 201:
            self.acknowledged.add(answer.json()["id"])
        else:
            assert_unavailable(answer)
            self.refused += 1

    @contextmanager
    def at_work(self) -> Generator[Writers]:
        with ThreadPoolExecutor(4) as threads:
            working = [threads.submit(self.write, who) for who in range(4)]
            try:
                wait_until(lambda: len(self.acknowledged) >= ENOUGH)
                yield self
            finally:
                self._over.set()
            for each in working:
                each.result()

    def more(self) -> None:
        """They are being served: again, if something had happened to the service."""
        before = len(self.acknowledged)
        wait_until(lambda: len(self.acknowledged) >= before + ENOUGH, within=RECOVERY_SECONDS)


def kill_postgres(folder: Path) -> None:
    """The postmaster and all of its children, as the kernel does it when memory runs out."""
    postmaster = psutil.Process(server_pid(folder))
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def assert_nothing_lost(service: Service, folder: Path, acknowledged: set[str]) -> None:
    dsn = find_running(folder)
    assert dsn is not None
    log = read_log(dsn)
    assert acknowledged <= set(log.profiles)
    with caller(service, "") as client:
        assert_shows(client, log)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost() -> None:
    acknowledged: set[str] = set()
    with data_folder() as folder:
        with serving(folder) as service:
            key = service.announced().key("directory:write")
            # Its database is killed twice, and is brought back by itself.
            with Writers(service, key, "Database killed").at_work() as writers:
                for _ in range(2):
                    kill_postgres(folder)
                    with caller(service, "") as client:
                        assert client.get("/health/live").status_code == 200
                        assert client.get(NEAR_PHOENIX).status_code == 200
                    writers.more()
            acknowledged |= writers.acknowledged
            assert_nothing_lost(service, folder, acknowledged)
            # Asked to stop under load.
            with Writers(service, key, "Stopped").at_work() as writers:
                service.process.send_signal(signal.SIGTERM)
                assert service.process.wait(timeout=STOP_SECONDS) == 0
            acknowledged |= writers.acknowledged
            assert "Traceback" not in service.err
        with serving(folder) as service:
            service.announced()
            assert_nothing_lost(service, folder, acknowledged)
            # Killed under load, with everything that belongs to it.
            with Writers(service, key, "Killed").at_work() as writers:
                for process in service.everything():
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                service.process.wait(timeout=10)
            acknowledged |= writers.acknowledged
        with serving(folder) as service:
            service.announced()
            assert_nothing_lost(service, folder, acknowledged)
            with caller(service, key) as client:
                created(client, "And on it goes")
