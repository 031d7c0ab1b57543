"""Who uses a data folder, by locks that the kernel drops when their holder dies, however it dies.

service.lock  held alone by the running service
start.lock    held alone while the server is being started or stopped
use.lock      shared by all who use the server: who can have it alone was the last one
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from db.embedded.errors import EmbeddedPostgresError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


class ServiceLock:
    """One service a data folder."""

    def __init__(self, data_dir: Path) -> None:
        """Raises `EmbeddedPostgresError` when another service has it."""
        path = data_dir / "service.lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._fd, 20).decode(errors="replace").strip()
            os.close(self._fd)
            raise EmbeddedPostgresError(
                f"Another Clinicway service (process {holder or 'unknown'}) uses {data_dir}. "
                "Stop it, or give this one a data folder of its own (--data-dir)."
            ) from None
        os.truncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._fd)


class UseLock:
    """Held by everybody who needs the server up."""

    def __init__(self, data_dir: Path) -> None:
        self._fd = os.open(data_dir / "use.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_SH)

    def was_last(self) -> bool:
        """Whether nobody else needs the server. Ask it under the start lock only."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        os.close(self._fd)


@contextmanager
def starting_or_stopping(data_dir: Path) -> Generator[None]:
    fd = os.open(data_dir / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
