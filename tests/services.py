"""The `clinicway` command as a user runs it: real processes, real folders, real ports."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from db.embedded import place, processes
from tests.serving import free_port

ROOT = Path(__file__).parents[1]
NO_LIMITS = ("--rate-key", "0", "--rate-address", "0", "--rate-failures", "0")
"""Tests call from one address as often as they can."""
PATIENCE = 120.0
"""Seconds after which a test is taken to hang; nothing is measured with it."""


def environment(**more: str) -> dict[str, str]:
    """This environment without settings of whoever runs the tests."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CLINICWAY_")}
    return {**kept, **more}


def clinicway(
    *arguments: str, settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "api", *arguments],
        cwd=ROOT,
        env=environment(**(settings or {})),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def data_folder() -> Generator[Path]:
    """An empty folder that every user can pass into, as PostgreSQL has to when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="cw-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def eventually(condition: Callable[[], bool], said: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, said() or "it did not happen"
        time.sleep(0.05)


def _hang_up_as_usual() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Service:
    """`clinicway serve` in a process of its own."""

    def __init__(self, data_dir: Path, *flags: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._out = data_dir / "test.out"
        self._err = data_dir / "test.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "api", "serve"),
                    *("--port", str(self.port), "--data-dir", str(data_dir)),
                    # Before the test's own flags, which win.
                    *(*NO_LIMITS, *flags),
                ],
                cwd=ROOT,
                env=environment(),
                stdout=out,
                stderr=err,
                # Under nohup the tests ignore hang-ups, and so would the service, as it should.
                preexec_fn=_hang_up_as_usual,
            )

    @property
    def out(self) -> str:
        return self._out.read_text("utf-8")

    @property
    def err(self) -> str:
        return self._err.read_text("utf-8")

    def announced(self) -> Service:
        """Wait until it says that it answers."""
        eventually(lambda: "Try:" in self.out or self.process.poll() is not None, lambda: self.err)
        assert self.process.poll() is None, self.err
        return self

    def announced_on(self, port: int) -> Service:
        """The same for a service that was given a port with its flags."""
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        return self.announced()

    def get(self, path: str, key: str | None = None) -> httpx.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return httpx.get(self.url + path, headers=headers, timeout=10, follow_redirects=True)

    def status(self, path: str, key: str | None = None) -> int:
        """0 when nobody answers."""
        with suppress(httpx.TransportError):
            return self.get(path, key).status_code
        return 0

    def key(self, *scopes: str) -> str:
        """A key made on the command line while the service runs."""
        flags = [part for scope in scopes for part in ("--scope", scope)]
        made = clinicway(
            *("keys", "create", "--name", "test", "--data-dir", str(self.data_dir), *flags)
        )
        assert made.returncode == 0, made.stderr
        assert re.fullmatch(r"cw_live_[0-9a-f]{32}_[a-z2-7]{32}\n", made.stdout)
        return made.stdout.strip()

    def workers(self) -> list[psutil.Process]:
        """The server processes; others of the main process are PostgreSQL and multiprocessing's."""
        found: list[psutil.Process] = []
        for child in psutil.Process(self.process.pid).children():
            # One that has just died is still in the list, without a command line.
            with suppress(psutil.Error):
                if "spawn_main" in " ".join(child.cmdline()):
                    found.append(child)
        return found

    def everything(self) -> list[psutil.Process]:
        """With PostgreSQL, also when it was taken over from a service that was killed."""
        main = psutil.Process(self.process.pid)
        tag = place.tag_of(place.cluster_in(place.known_home(self.data_dir.resolve())))
        return list({main, *main.children(recursive=True), *processes.processes(tag)})

    def stop(self) -> int:
        """As a supervisor does it; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE)

    def end(self) -> None:
        """Nothing of it is left, however the test went."""
        with suppress(psutil.NoSuchProcess):
            family = self.everything()
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(timeout=30)
            for process in family:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(family, timeout=10)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)


@contextmanager
def serving(data_dir: Path, *flags: str) -> Generator[Service]:
    service = Service(data_dir, *flags)
    try:
        yield service
    finally:
        service.end()
