"""For tests that kill a PostgreSQL: one of their own, seen from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from db.connection import value
from db.embedded import find_running, place, processes
from db.errors import DatabaseError
from tests.conftest import execute, run_apart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from db.connection import Connection

# A service in a process of its own that starts the database, says so, and waits.
SERVICE = """
import sys, time
from pathlib import Path
from db.embedded import EmbeddedPostgres
with EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"}) as dsn:
    print(dsn, flush=True)
    sys.stdin.read()
"""


def service(data_dir: Path) -> subprocess.Popen[str]:
    """A running service on the folder; it ends in order when its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(data_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("postgresql://")
    return process


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def server_pid(data_dir: Path) -> int:
    file = processes.read_pid_file(place.cluster_in(place.known_home(data_dir)))
    assert file is not None
    return file.pid


def kill_server(data_dir: Path) -> int:
    pid = server_pid(data_dir)
    os.kill(pid, signal.SIGKILL)
    return pid


def eventually(condition: Callable[[], bool], *, within: float = 30.0) -> None:
    """Wait for something that another process does; the limit only ends a test that hangs."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


async def turns_true(connection: Connection, question: str) -> None:
    """Ask the database until it says yes."""
    for _ in range(3000):
        if await value(connection, bool, question):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def answers(dsn: str) -> bool:
    answered: list[bool] = []

    async def ask() -> None:
        try:
            await execute(dsn, "select 1")
        except DatabaseError:
            # The driver closes its half-made connection in the next rounds of the loop.
            await asyncio.sleep(0.01)
        else:
            answered.append(True)

    run_apart(ask())
    return bool(answered)


def is_down(data_dir: Path) -> bool:
    return find_running(data_dir) is None
