"""The service under measurement."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

from tests.serving import free_port


class Service:
    """The service on a port of its own, with the compiled code of an earlier start."""

    def __init__(
        self, dsn: str, folder: Path, patience: float = 60.0, *, processes: int = 1
    ) -> None:
        self.dsn = dsn
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.started_in_s = 0.0
        self.processes = processes
        self._patience = patience

    def __enter__(self) -> Service:
        began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.server"],
            env={
                **os.environ,
                "CLINICWAY_DATABASE_URL": self.dsn,
                "CLINICWAY_DATA_DIR": str(self.folder / "service"),
                "CLINICWAY_PORT": str(self.port),
                "CLINICWAY_WORKERS": str(self.processes),
                # Counted as everywhere, and never reached.
                "CLINICWAY_RATE_ADDRESS": "1000000000",
                "CLINICWAY_RATE_KEY": "1000000000",
            },
        )
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() - began > self._patience:
                self._process.kill()
                raise RuntimeError("the service did not start")
            time.sleep(0.1)
        self.started_in_s = time.monotonic() - began
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _answers(self) -> bool:
        # Not by httpx, which takes as much of a processor as a start does.
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/v1/clinics?near=34.05,-118.24")
            answer = connection.getresponse()
            return answer.status == 200 and b'"total":0' not in answer.read()
        except OSError:
            return False
        finally:
            connection.close()

    def memory_mb(self) -> float:
        """Resident memory of the process that answers, in MB."""
        return max(map(_resident_mb, _children(self._process.pid)))


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found] or [pid]


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0
