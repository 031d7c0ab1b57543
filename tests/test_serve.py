"""`clinicway serve`: starts, refuses to start, is stopped, is killed, and starts again."""

from __future__ import annotations

import re
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from db.embedded import find_running
from tests.services import Service, clinicway, data_folder, eventually, serving

EXAMPLE = "/v1/clinics?near=90045&radius=25mi&route=iv"


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    """A service for the tests that leave it as it was."""
    with data_folder() as folder, serving(folder) as service:
        yield service.announced()


def test_the_first_start_answers_with_the_shipped_clinics(running: Service) -> None:
    found = running.get(EXAMPLE).json()
    distances = [item["distance"]["m"] for item in found["items"]]
    assert found["total"] == len(distances) > 0
    assert distances == sorted(distances)
    assert all("iv" in item["clinic"]["routes"] for item in found["items"])


def test_what_it_prints_is_true(running: Service) -> None:
    for address in re.findall(r"http://\S+(?<!')", running.out):
        assert running.get(address.removeprefix(running.url)).status_code == 200
    command = next(line for line in running.out.splitlines() if "curl" in line)
    asked = subprocess.run(shlex.split(command), capture_output=True, check=True)
    assert asked.stdout == running.get(EXAMPLE).content


def test_a_taken_port_is_said_before_anything_starts(running: Service) -> None:
    with data_folder() as folder:
        refused = clinicway("serve", "--port", str(running.port), "--data-dir", str(folder))
        assert list(folder.iterdir()) == []
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1
    assert f"Port {running.port} on 127.0.0.1 is taken" in refused.stderr
    assert re.search(r"clinicway serve --port \d+ \(or CLINICWAY_PORT\)", refused.stderr)


def test_a_port_that_somebody_else_shares_is_taken_all_the_same() -> None:
    with socket.socket() as other, data_folder() as folder:
        # As servers with several processes do; the kernel would let us in beside them.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = clinicway("serve", "--port", str(port), "--data-dir", str(folder))
    assert refused.returncode == 2
    assert f"Port {port}" in refused.stderr


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--host", "192.0.2.1"), "192.0.2.1 is not an address of this machine"),
        (("--host", "no.such.host.invalid"), "has no address on this machine"),
        (("--port", "0"), "--port must be a whole number from 1 to 65535"),
        (("--geocoder", "nosuchservice"), "CLINICWAY_GEOCODER must be"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(flags: tuple[str, ...], sentence: str) -> None:
    with data_folder() as folder:
        refused = clinicway("serve", "--data-dir", str(folder), "--port", "64999", *flags)
        assert list(folder.iterdir()) == []
    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_data_folder_has_one_service(running: Service) -> None:
    refused = clinicway("serve", "--port", "64999", "--data-dir", str(running.data_dir))
    assert refused.returncode == 1
    assert f"Another Clinicway service (process {running.process.pid})" in refused.stderr


def test_a_database_that_does_not_answer_is_said_without_its_password() -> None:
    with data_folder() as folder:
        refused = clinicway(
            *("serve", "--port", "64999", "--data-dir", str(folder)),
            settings={"CLINICWAY_DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:1/d"},
        )
    assert refused.returncode == 1
    assert "CLINICWAY_DATABASE_URL" in refused.stderr
    assert "hunter2" not in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_server_process_that_dies_is_replaced(running: Service) -> None:
    (worker,) = running.workers()
    worker.kill()
    eventually(lambda: [w.pid for w in running.workers()] not in ([], [worker.pid]))
    eventually(lambda: running.status(EXAMPLE) == 200)


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def assert_stops_in_order(service: Service, number: signal.Signals) -> None:
    family = service.everything()
    assert len(family) > 3, "PostgreSQL and its children are in it"
    service.process.send_signal(number)
    assert service.process.wait(timeout=60) == 0
    eventually(lambda: all(is_gone(process) for process in family))
    # PostgreSQL removes this last, when everything is on the disk.
    assert not (service.data_dir / "postgres" / "postmaster.pid").exists()
    assert "Traceback" not in service.err


def killed(service: Service, victims: list[psutil.Process]) -> None:
    for process in victims:
        # A child of PostgreSQL may have ended by itself since they were listed.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    service.process.wait(timeout=60)


@pytest.mark.slow
def test_two_services_at_once_in_two_folders(running: Service, folder: Path) -> None:
    with serving(folder, "--workers", "2") as second:
        second.announced()
        assert len(second.workers()) == 2
        mine = running.key("admin")
        assert running.status("/v1/keys", mine) == 200
        # A key of one deployment is none in another.
        assert second.status("/v1/keys", mine) == 401
        assert second.get(EXAMPLE).json()["total"] == running.get(EXAMPLE).json()["total"]
        assert_stops_in_order(second, signal.SIGHUP)


def test_a_signal_during_the_start_leaves_nothing_running(folder: Path) -> None:
    with serving(folder) as service:
        eventually(lambda: (folder / "postgres" / "postmaster.pid").exists())
        family = service.everything()
        assert service.stop() == 0
        eventually(lambda: all(is_gone(process) for process in family))
        assert find_running(folder) is None


@pytest.mark.slow
def test_after_any_kill_9_the_next_start_goes_on(folder: Path) -> None:
    with serving(folder) as first:
        key = first.announced().key("admin")
        workers = first.workers()
        # The main process alone: the others must not go on holding the port and the database.
        killed(first, [psutil.Process(first.process.pid)])
        eventually(lambda: all(is_gone(worker) for worker in workers))
    with serving(folder, "--port", str(first.port)) as second:
        second.announced_on(first.port)
        assert second.status("/v1/keys", key) == 200
        killed(second, second.everything())
    with serving(folder) as third:
        third.announced()
        assert third.status("/v1/keys", key) == 200
        assert third.status(EXAMPLE) == 200
        assert "Loading the first clinics" not in third.err
        assert_stops_in_order(third, signal.SIGINT)


@pytest.fixture
def folder() -> Iterator[Path]:
    with data_folder() as made:
        yield made
