"""`clinicway serve`: the database, the schema, the seeds, then the server processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

import msgspec
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import MPServer
from rich.console import Console

from api.clock import Clock
from api.commands.announce import Announcement
from api.commands.compiled import keep_compiled_code
from api.commands.demonstration import Demonstration, lines, prepare_demonstration
from api.commands.interrupts import STOPPING, Interrupts
from api.commands.ports import ClaimedPort, claim_port
from api.commands.prepare import prepare
from api.commands.worker import build_application
from api.keyring import Keyring
from api.logs import configure_logs, log_config
from api.settings import Settings
from db.embedded import EmbeddedPostgres

STOP_SECONDS: Final = 6
"""For requests under way. The database then takes a second or two: ten in all."""
IDLE_SECONDS: Final = 75
"""Load balancers keep idle connections for 60 s and send into the void if we close them first."""


def serve(settings: Settings, clock: Clock, console: Console, progress: Console) -> int:
    """Runs until SIGTERM, SIGINT or SIGHUP. Lines for the person on `progress`, the result on
    `console`. Raises PortError, EmbeddedPostgresError, MigrationError, KeyringError, and
    DatabaseUnavailable."""
    configure_logs(settings.log_level, settings.log_format)
    with ExitStack() as stack:
        claimed = claim_port(settings.host, settings.port)
        stack.callback(claimed.release)
        interrupts = Interrupts()
        try:
            _check_geocoder(settings, clock)
            with interrupts.held_back():
                running = _with_database(settings, stack, progress)
            keyring = Keyring.load_or_create(settings.keyring_path, clock)
            keep_compiled_code(settings.data_dir)
            asyncio.run(prepare(running, clock, progress))
            examples = None
            if settings.demonstration and settings.database_url is None:
                examples = asyncio.run(prepare_demonstration(running, clock, keyring))
            _run_server(running, claimed, examples, console, progress)
        except KeyboardInterrupt:
            pass
        finally:
            # Impatience must not cut the shutdown of the database short; it has its own limits.
            for number in STOPPING:
                signal.signal(number, signal.SIG_IGN)
    return 0


def _check_geocoder(settings: Settings, clock: Clock) -> None:
    if settings.geocoder is not None:
        # The import takes half a second, which a start without such a service need not pay.
        from api.commands.geocoder import check_geocoder

        check_geocoder(settings, clock)


def _with_database(settings: Settings, stack: ExitStack, progress: Console) -> Settings:
    """The settings that the server processes get: theirs always name a database."""
    if settings.database_url is not None:
        return settings
    progress.print("Starting the database …", highlight=False)
    embedded = EmbeddedPostgres(settings.data_dir)
    stack.callback(embedded.stop)
    return msgspec.structs.replace(settings, database_url=embedded.start())


def _run_server(
    settings: Settings,
    claimed: ClaimedPort,
    examples: Demonstration | None,
    console: Console,
    progress: Console,
) -> None:
    # A fork of this process would take over locks that its threads hold (the one that watches the
    # database, say). Spawned processes start clean, and no Python changes that default under us.
    multiprocessing.set_start_method("spawn", force=True)
    server = make_server(settings, claimed)
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    @server.on_startup
    def _hang_up_means_stop() -> None:
        # granian takes SIGHUP for "restart the workers". From a terminal that is being closed it
        # means the end, unless nohup has said otherwise.
        handler = signal.getsignal(signal.SIGTERM) if hangs_up else signal.SIG_IGN
        signal.signal(signal.SIGHUP, handler)

    more: Sequence[str] = () if examples is None else lines(examples)
    announcement = Announcement(claimed.address, claimed.port, more, console, progress)
    announcement.start()
    try:
        server.serve(target_loader=partial(build_application, settings), wrap_loader=False)
    finally:
        announcement.stop()


def make_server(settings: Settings, claimed: ClaimedPort) -> MPServer:
    """granian, set up for the throughput of one process. Measured with wrk, 16 connections and
    answers of 15 kB, on two cores: 55,000 to 60,000 requests a second as below."""
    return MPServer(
        "clinicway",
        address=claimed.address,
        port=claimed.port,
        interface=Interfaces.ASGI,
        workers=settings.workers,
        # Threads beside Python's own. A second one halved the throughput (27,000): both wait for
        # the same interpreter lock, and each request changes cores.
        runtime_threads=1,
        # Within the noise of asyncio's loop for plain answers; faster with database connections.
        loop=Loops.uvloop,
        # Browsers speak HTTP/2 over TLS only, and TLS is the proxy's business, which speaks
        # HTTP/1.1 to us. Without the others there is nothing to detect on a new connection.
        http=HTTPModes.http1,
        websockets=False,
        # The header timeout also ends idle connections.
        http1_settings=HTTP1Settings(header_read_timeout=IDLE_SECONDS * 1000),
        # As many connections wait in the kernel, and as many requests in Python: more of either
        # would only wait longer than callers do.
        backlog=1024,
        backpressure=1024,
        # A process that dies is replaced; one that dies again within 5.5 s ends the service, whose
        # supervisor should know.
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        # The service's own access log knows the route and the request id, and no query string.
        log_access=False,
        log_level=_server_log_level(settings),
        log_dictconfig=log_config(settings.log_level, settings.log_format),
    )


def _server_log_level(settings: Settings) -> LogLevels:
    match settings.log_level:
        case "debug":
            return LogLevels.debug
        case "info" | "warning":
            # That it starts and stops is said better by us.
            return LogLevels.warning
        case "error":
            return LogLevels.error
