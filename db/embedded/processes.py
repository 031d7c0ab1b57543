"""What runs on a cluster right now, found out from the outside.

The server may be ours, may have been left by a service that was killed, or may be half dead. So
nothing is remembered: the socket, the file postmaster.pid and the process list tell.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from db.embedded.cluster import environment
from db.embedded.place import PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from db.embedded.place import Place

_TOO_LONG_A_LOG = 10_000_000
_PROBE_SECONDS = 0.05

SETTINGS: Mapping[str, str] = {
    # Nothing listens on the network.
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    # What was acknowledged is on the disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # A log without values: no statements, no parameters, no keys of rows in details.
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    # Containers give /dev/shm 64 MB, which parallel workers would soon fill.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}


class State(Enum):
    DOWN = "down"
    BUSY = "starting, recovering or stopping"
    READY = "ready"


class PidFile(msgspec.Struct, frozen=True):
    pid: int
    socket_dir: Path
    status: str


def read_pid_file(cluster: Path) -> PidFile | None:
    """`postmaster.pid`, or None while there is none or it is still being written."""
    try:
        lines = (cluster / "postmaster.pid").read_text("utf-8").splitlines()
        return PidFile(int(lines[0]), Path(lines[4]), lines[7].strip())
    except (FileNotFoundError, IndexError, ValueError):
        return None


def is_listening(socket_dir: Path) -> bool:
    """Whether a server answers there: a killed one leaves its socket file but not this."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(socket_dir / f".s.PGSQL.{PORT}"))
        except TimeoutError:
            return True
        except OSError:
            return False
    return True


def processes(tag: str) -> list[psutil.Process]:
    """Every living process of the cluster: the server and its children, or orphans of it."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = process.cmdline()
            # The server has the tag as an argument, its children have it in their title.
            ours = f"cluster_name={tag}" in command or any(
                word.startswith("postgres:") and tag in word for word in command
            )
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def observe(cluster: Path, tag: str) -> State:
    file = read_pid_file(cluster)
    if file is not None and is_listening(file.socket_dir):
        return State.READY if file.status == "ready" else State.BUSY
    # Before it listens and after it has stopped listening, only its process tells.
    server = [process for process in processes(tag) if f"cluster_name={tag}" in _command(process)]
    return State.BUSY if server else State.DOWN


def settle(
    cluster: Path,
    tag: str,
    *,
    child: subprocess.Popen[bytes] | None,
    patience: float,
    given_up: Callable[[], bool],
) -> State:
    """Wait while the server, or `child` that becomes it, is busy; BUSY after `patience` seconds
    or when told to give up."""
    deadline = time.monotonic() + patience
    while (state := _observe_with(child, cluster, tag)) is State.BUSY:
        if given_up() or time.monotonic() > deadline:
            break
        time.sleep(_PROBE_SECONDS)
    return state


def _observe_with(child: subprocess.Popen[bytes] | None, cluster: Path, tag: str) -> State:
    state = observe(cluster, tag)
    if state is State.DOWN and child is not None and child.poll() is None:
        # For a moment after it was started, the kernel shows no command line of a process.
        return State.BUSY
    return state


def clear_leftovers(place: Place) -> None:
    """Make the cluster startable after a server that died. Only while nothing answers on it."""
    _end(processes(place.tag), signal.SIGQUIT, patience=5.0)
    # The server refuses to start when the id in such a file now belongs to some other process,
    # which happens after a restart of a container or a machine.
    for path in (
        place.cluster / "postmaster.pid",
        place.socket_dir / f".s.PGSQL.{PORT}",
        place.socket_dir / f".s.PGSQL.{PORT}.lock",
    ):
        path.unlink(missing_ok=True)


def spawn(place: Place, settings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    chosen = {
        **SETTINGS,
        "unix_socket_directories": f'"{place.socket_dir}"',
        "cluster_name": place.tag,
        **settings,
    }
    arguments = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
    if place.log.exists() and place.log.stat().st_size > _TOO_LONG_A_LOG:
        place.log.replace(place.log.with_suffix(".log.1"))
    with place.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 (our own program, no shell)
            [str(place.programs / "postgres"), "-D", str(place.cluster), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.home,
            env=environment(),
            umask=0o077,
            # Ctrl-C in the terminal is for the service, which then stops the server in order.
            start_new_session=True,
            **place.account.run_as(),
        )


def shut_down(place: Place, child: subprocess.Popen[bytes] | None) -> None:
    """Cut connections, write everything, exit; harder means if it does not."""
    servers = [p for p in processes(place.tag) if f"cluster_name={place.tag}" in _command(p)]
    for server in servers:
        with suppress(psutil.Error):
            server.send_signal(signal.SIGINT)
    _wait_gone(servers, child, patience=30.0)
    _end(processes(place.tag), signal.SIGQUIT, patience=5.0)
    if child is not None:
        child.wait()


def _end(victims: list[psutil.Process], first: signal.Signals, *, patience: float) -> None:
    for process in victims:
        with suppress(psutil.Error):
            process.send_signal(first)
    _, stubborn = psutil.wait_procs(victims, timeout=patience)
    for process in stubborn:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=patience)


def _wait_gone(
    servers: list[psutil.Process], child: subprocess.Popen[bytes] | None, *, patience: float
) -> None:
    if child is not None:
        # A child of ours is gone only once we have taken its exit status.
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience)
    psutil.wait_procs([p for p in servers if child is None or p.pid != child.pid], timeout=patience)


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
